"""What every node keeps to, in single containers and machines of images of all sorts."""

import io
import os
import signal
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests import UID_BASE, Container, Machine

from benito.model import Kind
from benito.nodesettings import Tarfile
from benito.paths import StatePaths
from benito_domains.images.kit import build_kit
from benito_domains.images.store import ImageStore
from benito_domains.mounts import owned_copy

#: What all kinds of nodes keep here of a barrier's moment.
LATE_SECONDS = 0.3


@pytest.fixture(scope="module")
def paths() -> StatePaths:
    return StatePaths.from_environment()


@pytest.fixture(scope="module")
def store(paths: StatePaths) -> ImageStore:
    return ImageStore(paths)


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that a container's user ids get through to, which is not so of pytest's own."""
    with tempfile.TemporaryDirectory(prefix="benito-test-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def tar_of(path: Path, **files: str) -> Tarfile:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return Tarfile(directory="/opt/given", source=str(path), below=str(path.parent))


def test_a_container_of_an_empty_tree(paths: StatePaths, room: Path) -> None:
    tree = room / "tree"
    tree.mkdir()
    os.chown(tree, UID_BASE, UID_BASE)
    given = tar_of(room / "given.tgz", hello="there")
    container = Container(room, tree, build_kit(paths), tarfiles=(given,))
    with container.running():
        container.until_said("start_command waiting")
        assert container.words() == ["booted", "start_command waiting"]
        container.release()
        assert container.until_ended() == 127
        assert "there is no /bin/sh" in container.run("cat", "/var/containers/log/start_command.log")
        assert container.run("cat", "/opt/given/hello") == "there"
        assert container.run("hostname") == "alpha\n"
        assert container.ssh("echo", "$HOME") == "/root\n"


def test_a_container_of_a_debian_tree(paths: StatePaths, store: ImageStore, room: Path) -> None:
    image = store.ensure("debian-12", Kind.OPENVZ)
    assert image.tree is not None
    tree = owned_copy(image.tree, room / "tree", UID_BASE)
    container = Container(room, tree, build_kit(paths), start_command="cat /etc/os-release; exec sleep 1000")
    with container.running():
        container.until_said("start_command waiting")
        container.release(moment := time.time() + 1)
        assert abs(container.until_said("start_command running") - moment) < LATE_SECONDS
        assert container.run("cat", "/etc/hosts") == container.plan.hosts
        # The image's shell and programs, not the kit's.
        assert "bash" in container.ssh("echo", "$BASH")
        assert "coreutils" in container.run("ls", "--version")
        os.kill(container.init, signal.SIGUSR2)  # as its own poweroff does
        container.until_said("ended poweroff 0")


def test_a_machine_of_the_small_image(store: ImageStore, room: Path) -> None:
    command = "ip -oneline address; ip route; cat /etc/hostname; modprobe sch_netem && exit 3"
    given = tar_of(room / "given.tgz", hello="there")
    machine = Machine(room, store.ensure("micro", Kind.QEMU).boot, start_command=command, tarfiles=(given,))
    with machine.running():
        machine.until_said("start_command waiting")
        machine.release(moment := time.time() + 1)
        assert abs(machine.until_said("start_command running") - moment) < 2 * LATE_SECONDS  # busy: it is emulated
        assert machine.until_ended() == 3


def test_a_small_machine_that_switches_itself_off_says_so(store: ImageStore, room: Path) -> None:
    machine = Machine(room, store.ensure("micro", Kind.QEMU).boot, start_command="reboot")
    with machine.running():
        machine.until_said("booted")
        machine.release()
        machine.until_said("ended reboot 0")


def test_a_machine_without_its_disk_says_that_it_failed(store: ImageStore, room: Path) -> None:
    (room / "empty").write_bytes(bytes(1 << 20))
    image = store.ensure("debian-12", Kind.QEMU)
    machine = Machine(room, image.boot, room / "empty")
    machine.disk_format = "raw"
    with machine.running():
        machine.until_said("ended failed 1")
        assert "no file system on the root disk holds a system" in machine.console()


CHECK = """
{
    echo "failed $(systemctl --failed --no-legend --plain | wc -l)"
    echo "interfaces" $(ls /sys/class/net)
    echo "address" $(ip -4 -oneline address show dev eth0 scope global)
    echo "route" $(ip route show 10.0.2.0/24)
    echo "name $(cat /etc/hostname) $(hostname) $(cat /etc/machine-id)"
    echo "given $(cat /opt/given/hello)"
    echo "boots $(cat /root/boots 2>/dev/null)"
} >>/dev/virtio-ports/org.benito.status # a word that nobody knows is passed over
echo again >>/root/boots
echo changed >/opt/given/hello
[ "$(cat /root/boots | wc -l)" -gt 1 ] || exec systemctl reboot
exit 7
"""


def test_a_machine_that_boots_systemd_from_a_disk(store: ImageStore, room: Path) -> None:
    image = store.ensure("debian-12", Kind.QEMU)
    assert image.disk is not None
    given = tar_of(room / "given.tgz", hello="there")
    machine = Machine(room, image.boot, image.disk.path, start_command=CHECK, tarfiles=(given,))
    machine.disk_format = image.disk.format
    machine.reboots = True
    with machine.running():
        machine.until_said("start_command waiting")
        machine.release()
        machine.until_said("ended reboot 0")
        machine.until_said("booted", 2)
        machine.until(lambda words: words[-1].startswith("start_command 7 "))
        said = [line.strip() for line in machine.words()]
    assert said.count("interfaces ctl0 eth0 eth1 lo") == 2
    assert said.count("failed 0") == 2
    assert len([line for line in said if line.startswith("address") and "10.0.0.1/24" in line]) == 2
    assert said.count("name alpha alpha 6f0d4c1e000050008000000000000001") == 2
    assert said.count("route 10.0.2.0/24 via 10.0.0.2 dev eth0") == 2
    # The tar file is unpacked once in the life of the disk, the start command runs at each boot.
    assert [line for line in said if line.startswith("given")] == ["given there", "given changed"]
    assert [line for line in said if line.startswith("boots")] == ["boots", "boots again"]
