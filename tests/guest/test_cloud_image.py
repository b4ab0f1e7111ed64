"""An image with cloud-init that starts by its own loader keeps to what every node keeps to: see test_guest_boot.py."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloudimage import build_cloud_image
from guests import Machine

from benito.paths import StatePaths
from benito_domains.images.kit import build_kit
from benito_domains.seed import seed_image

CHECK = """
{
    echo "machine $(uname -m)"
    echo "interfaces" $(ls /sys/class/net)
    echo "address" $(ip -4 -oneline address show dev eth0 scope global)
    echo "route" $(ip route show 10.0.2.0/24)
    echo "name $(cat /etc/hostname) $(hostname)"
    echo "key $(cat /etc/ssh/ssh_host_ed25519_key.pub)"
    echo "listens" $(ss -Hltn 'sport = 22' | grep -c fe80) $(ss -Hltn 'sport = 22' | wc -l)
} >>/dev/virtio-ports/org.benito.status
cmp /etc/hosts /var/containers/config/hosts || exit 1
exit 7
"""


@pytest.fixture
def room() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="benito-test-", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("architecture", "machine", "emulator", "listeners"),
    [
        # dropbear on the control network, the image's sshd on the others' IPv4
        ("amd64", "x86_64", "qemu-system-x86_64", "1 2"),
        # a processor that cannot run the kit: the image's own sshd has both
        ("i386", "i686", "qemu-system-i386", "0 2"),
    ],
)
def test_an_image_with_cloud_init(room: Path, architecture: str, machine: str, emulator: str, listeners: str) -> None:
    image = build_cloud_image(room, architecture)
    guest = Machine(room, None, image, start_command=CHECK)
    guest.disk_format = "raw"
    guest.emulator = emulator
    guest.seed = seed_image(guest.node, guest.keys, build_kit(StatePaths(room / "state")))
    with guest.running():
        guest.until_said("start_command waiting")
        guest.release()
        guest.until(lambda words: words[-1].startswith("start_command 7 "))
    said = guest.words()
    assert f"machine {machine}" in said
    assert "interfaces ctl0 eth0 eth1 lo" in said
    assert [line for line in said if line.startswith("address") and "10.0.0.1/24" in line]
    assert [line for line in said if line.startswith("route 10.0.2.0/24 via 10.0.0.2 dev eth0")]
    assert "name alpha alpha" in said
    known = guest.files.known_hosts.read_text().split()[1:3]
    assert [line.split()[1:3] for line in said if line.startswith("key ")] == [known]
    assert f"listens {listeners}" in said
