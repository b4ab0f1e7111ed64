"""The NoCloud seed of imported images: what cloud-init reads, and an ISO image that others read, too."""

import io
import json
import subprocess
import tarfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pycdlib
import pytest
from nodeplans import node_plan

from benito.errors import HypervisorError
from benito.plan import RoutePlan
from benito_domains.config import NodeKeys
from benito_domains.keys import openssh_key
from benito_domains.seed import SEED_LABEL, seed_files, seed_image


def _part(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


KEYS = NodeKeys(host_key=_part(b"ssh-ed25519") + _part(bytes(range(64))), authorized_keys="ssh-ed25519 AAAA me\n")


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    folder = tmp_path / "kit"
    (folder / "lib").mkdir(parents=True)
    (folder / "init").write_text("#!x\n")
    (folder / "init").chmod(0o755)
    (folder / "lib/ld.so").write_bytes(bytes(100_000))
    (folder / "link").symlink_to("init")
    return folder


def network(**changes: object) -> dict[str, dict[str, object]]:
    parsed = json.loads(seed_files(node_plan(**changes), KEYS)["network-config"])
    assert parsed["version"] == 2
    ethernets: dict[str, dict[str, object]] = parsed["ethernets"]
    return ethernets


def instance(**changes: object) -> str:
    node = node_plan(**changes)
    return str(json.loads(seed_files(node, KEYS)["meta-data"])["instance-id"])


def test_the_volume_is_one_that_cloud_init_finds(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "seed.iso").write_bytes(seed_image(node_plan(), KEYS, kit))
    words = ["blkid", "--output", "value", "--match-tag", "LABEL", str(tmp_path / "seed.iso")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == SEED_LABEL == "cidata"


def test_each_file_is_there_by_its_name(kit: Path) -> None:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(seed_image(node_plan(), KEYS, kit)))
    for name, data in seed_files(node_plan(), KEYS).items():
        for path in ({"joliet_path": f"/{name}"}, {"rr_path": f"/{name}"}):
            read = io.BytesIO()
            iso.get_file_from_iso_fp(read, **path)
            assert read.getvalue() == data
    packed = io.BytesIO()
    iso.get_file_from_iso_fp(packed, rr_path="/kit.tar")
    packed.seek(0)
    with tarfile.open(fileobj=packed) as tar:
        assert sorted(tar.getnames()) == ["init", "lib", "lib/ld.so", "link"]
        assert tar.getmember("init").mode & 0o111 == 0o111
        assert {member.uid for member in tar} == {0}


def test_every_interface_is_named_by_its_mac_and_asks_nobody() -> None:
    found = network()
    assert {name: one["match"] for name, one in found.items()} == {
        "eth0": {"macaddress": "02:be:00:00:00:01"},
        "eth1": {"macaddress": "02:be:00:00:00:02"},
        "ctl0": {"macaddress": "02:be:00:00:00:03"},
    }
    for name, one in found.items():
        assert one["set-name"] == name
        assert (one["dhcp4"], one["dhcp6"], one["accept-ra"], one["link-local"]) == (False, False, False, ["ipv6"])


def test_addresses_and_routes_stand_with_their_interfaces() -> None:
    routes = (
        RoutePlan(destination=IPv4Network("10.0.2.0/24"), via=IPv4Address("10.0.0.2")),
        RoutePlan(destination=IPv4Network("10.0.3.0/24"), via=IPv4Address("10.0.1.2")),
    )
    found = network(routes=routes)
    assert found["eth0"]["addresses"] == ["10.0.0.1/24"]
    assert found["eth0"]["routes"] == [{"to": "10.0.2.0/24", "via": "10.0.0.2"}]
    assert found["eth1"]["routes"] == [{"to": "10.0.3.0/24", "via": "10.0.1.2"}]
    assert found["eth0"]["mtu"] == 1500
    assert "addresses" not in found["ctl0"]


@pytest.mark.parametrize(("changes", "last"), [({}, "ctl0"), ({"control": None}, "eth1")])
def test_the_start_waits_for_one_interface_only(changes: dict[str, object], last: str) -> None:
    found = network(**changes)
    assert [name for name, one in found.items() if not one.get("optional")] == [last]


def test_only_another_network_makes_another_instance() -> None:
    assert instance() == instance(start_command="other")
    assert instance() != instance(control=None)


def test_user_data_starts_the_kit_at_every_boot() -> None:
    first, _, rest = seed_files(node_plan(), KEYS)["user-data"].decode().partition("\n")
    assert first == "#cloud-config"
    (command,) = json.loads(rest)["bootcmd"]
    assert command[:2] == ["sh", "-c"]
    assert subprocess.run(["sh", "-n", "-c", command[2]], check=False).returncode == 0


def test_the_images_own_sshd_has_the_nodes_host_key(tmp_path: Path) -> None:
    said = subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", tmp_path / "key"], capture_output=True, text=True, check=True
    ).stdout
    (line,) = (line for line in said.splitlines() if line.startswith("ssh-ed25519 "))
    private, public = openssh_key((tmp_path / "key").read_bytes())
    assert line.split()[:2] == public.split()
    (tmp_path / "openssh").write_text(private)
    (tmp_path / "openssh").chmod(0o600)
    read = subprocess.run(["ssh-keygen", "-y", "-f", tmp_path / "openssh"], capture_output=True, text=True, check=True)
    assert read.stdout.split() == public.split()
    # It signs, so that the private half is the right one, too.
    (tmp_path / "text").write_text("text")
    signing = ["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", tmp_path / "openssh", tmp_path / "text"]
    subprocess.run(signing, capture_output=True, check=True)
    checking = ["ssh-keygen", "-Y", "check-novalidate", "-n", "file", "-s", tmp_path / "text.sig"]
    subprocess.run(checking, input=b"text", capture_output=True, check=True)


@pytest.mark.parametrize(
    "key", [b"", b"secret", _part(b"ssh-rsa") + _part(bytes(64)), _part(b"ssh-ed25519") + bytes(9)]
)
def test_another_kind_of_host_key_is_refused(key: bytes) -> None:
    with pytest.raises(HypervisorError):
        openssh_key(key)
