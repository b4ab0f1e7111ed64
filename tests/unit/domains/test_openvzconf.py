"""The texts that make a container of OpenVZ's, and whose its files are."""

import subprocess
from ipaddress import IPv4Interface
from itertools import islice
from pathlib import Path
from uuid import UUID

import pytest
from lxml import etree
from nodeplans import EXPERIMENT, node_plan, pnode_plan

from benito.errors import HypervisorError
from benito.plan import InterfacePlan
from benito_domains.openvzconf import ConfFolder, Container, mount_script, numbers, openvz_xml, parameter

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
NODE = node_plan()
PLAN = pnode_plan(NODE)
PRIVATE = Path("/var/lib/benito/exp/lab/one/nodes/alpha/private")


def script(kit: str = "/kit") -> str:
    return mount_script(PLAN, NODE, config=Path("/a b/config"), status=Path("/status"), kit=Path(kit))


def test_the_domain_is_as_libvirts_schema_has_it() -> None:
    if not SCHEMA.exists():
        pytest.skip("libvirt's schemas are not installed")
    domain = etree.fromstring(openvz_xml(PLAN, NODE, 1_000_001, PRIVATE))
    schema = etree.RelaxNG(etree.parse(SCHEMA))
    assert schema.validate(domain), schema.error_log
    assert domain.findtext("name") == "1000001"
    assert domain.findtext("uuid") == str(NODE.uuid)
    assert domain.find("devices/filesystem/source").attrib == {"dir": str(PRIVATE)}
    made = [
        (one.get("type"), one.find("mac").get("address"), one.find("target").get("dev"), one.find("guest").get("dev"))
        for one in domain.iterfind("devices/interface")
    ]
    assert made == [
        ("bridge", "02:be:00:00:00:01", "bvlan0", "eth0"),
        ("ethernet", "02:be:00:00:00:02", "bvwire0", "eth1"),
        ("bridge", "02:be:00:00:00:03", "bcalpha", "ctl0"),
    ]


def test_a_node_without_a_control_network_and_with_an_interface_of_its_own() -> None:
    own = InterfacePlan(
        name="eth7", lan="x", mac="02:be:00:00:00:07", address=IPv4Interface("10.7.0.1/24"), device="d7", bridge="b7"
    )
    domain = etree.fromstring(openvz_xml(PLAN, node_plan(interfaces=(own,), control=None), 101, PRIVATE))
    assert [one.get("bridge") for one in domain.iterfind("devices/interface/source")] == ["b7"]


@pytest.mark.parametrize("name", ['a"b', "a b", "a$VEID", "a\nb"])
def test_a_folder_that_openvzs_files_cannot_name_is_refused(name: str) -> None:
    with pytest.raises(HypervisorError, match="cannot be told of the folder"):
        openvz_xml(PLAN, NODE, 101, Path("/") / name)


def test_numbers_are_openvzs_and_differ() -> None:
    for value in (0, 1, NODE.uuid.int, 2**128 - 1):
        first = list(islice(numbers(UUID(int=value)), 50))
        assert len(set(first)) == 50
        assert all(1_000_000 <= number < 2**31 for number in first)


def test_a_number_is_taken_once_and_known_by_its_mark(tmp_path: Path) -> None:
    folder = ConfFolder(tmp_path)
    first = next(numbers(NODE.uuid))
    (tmp_path / f"{first}.conf").write_text("theirs")
    taken = folder.take(PLAN, NODE, script())
    assert taken == Container(veid=first + 1, experiment=EXPERIMENT, node="alpha", uuid=NODE.uuid)
    assert folder.take(PLAN, NODE, script("/newer kit")) == taken
    assert "'/newer kit'" in folder.script(first + 1).read_text()
    assert list(folder.containers()) == [taken]
    folder.forget(taken)
    assert [path.name for path in tmp_path.iterdir()] == [f"{first}.conf"]


def test_what_vzctl_destroyed_is_known_and_taken_for_none(tmp_path: Path) -> None:
    folder = ConfFolder(tmp_path)
    veid = folder.take(PLAN, NODE, script()).veid
    folder.script(veid).rename(tmp_path / f"{veid}.mount.destroyed")
    (left,) = folder.containers()
    assert left.destroyed
    assert folder.of(NODE.uuid) is None
    folder.forget(left)
    assert list(tmp_path.iterdir()) == []


def test_the_scripts_of_others_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "101.mount").write_text("#!/bin/sh\n")
    (tmp_path / "102.mount").write_text(f"# benito node a/b one alpha {NODE.uuid}\n")
    (tmp_path / "103.mount").write_text("# benito node lab one alpha 6f0d4c1e-0000-5000-8000------------1\n")
    (tmp_path / "vps.mount").write_text(script())
    (tmp_path / "104.mount").symlink_to("nowhere")
    assert list(ConfFolder(tmp_path).containers()) == []


def test_the_script_is_one_that_a_shell_takes() -> None:
    assert subprocess.run(["sh", "-n"], input=script(), text=True, check=False).returncode == 0
    assert "\"$VE_ROOT\" '/a b/config' /status /kit" in script()


def test_the_last_word_of_a_parameter_wins(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text('A="1"\n#A="3"\nA=2\nAB="4"\n')
    assert (parameter(conf, "A"), parameter(conf, "AB"), parameter(conf, "B")) == ("2", "4", None)
    assert parameter(tmp_path / "none", "A") is None
