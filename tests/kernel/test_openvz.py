"""Nodes by libvirt's own OpenVZ driver, against stand-ins for vzctl and vzlist: no kernel of OpenVZ's exists here.

The driver of libvirt is the real one. What it and ours ask of OpenVZ is seen; whether OpenVZ does it so is not.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openvzworld import World, world

from benito_domains.openvz import openvz_works

pytestmark = pytest.mark.e2e  # a minute long: not one of the fast tiers

FIRST = 2144613668
ALPHA_UUID = "6f0d4c1e-0000-5000-8000-000000000001"
OTHERS = 'VE_PRIVATE="/run/others"\n\n#UUID: 6f0d4c1e-0000-4000-8000-0000000000ff\n'


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: the image is built once."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def machine(state: Path) -> Iterator[World]:
    with world(state) as made:
        made.shell(f"mkdir /run/others; printf '%s' '{OTHERS}' > /etc/vz/conf/101.conf")
        yield made
        assert made.step("destroy") is None
        assert made.shell("ls /etc/vz/conf").split() == ["101.conf", "ve-basic.conf-sample"]
        assert made.shell("cat /etc/vz/conf/101.conf") == OTHERS
        # vzctl leaves the mount points.
        assert made.shell("mkdir -p /run/vz/root; find /run/others /run/vz/root -mindepth 2") == ""
        assert not any((state / "exp").glob("*/*/nodes/*"))


def _until_booted(machine: World, name: str = "alpha", start: str = "waiting") -> None:
    deadline = time.monotonic() + 120
    while (seen := machine.step("observe").get(name)) is None or seen[:2] != ["booted", start]:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def test_without_the_kernel_the_probe_says_why() -> None:
    if Path("/proc/vz").exists():
        pytest.skip("this is OpenVZ's kernel")
    assert openvz_works() == "this is no kernel of OpenVZ's (/proc/vz is not there)"


def test_the_probe_and_what_is_lacking(machine: World) -> None:
    assert machine.step("works") is None
    assert machine.step("lacks") == []
    assert machine.step("lacks", "a template") == ["a use for the template of openvz nodes"]
    machine.shell("sed -i s/basic/none/ /etc/vz/vz.conf")
    (lack,) = machine.step("lacks")
    assert lack == "the file /etc/vz/conf/ve-none.conf-sample after which containers are made"
    machine.shell("sed -i s/none/basic/ /etc/vz/vz.conf; chmod -x /usr/sbin/vzlist")
    assert "vzlist" in machine.step("works")
    machine.shell("chmod +x /usr/sbin/vzlist")


def test_a_node_lives(machine: World) -> None:
    assert machine.step("prepare", "alpha", "beta") is None
    assert machine.step("observe") == {}
    machine.step("start", "alpha", "beta")
    _until_booted(machine)
    _until_booted(machine, "beta")

    # The planned interfaces, inside and out.
    shown = machine.run(*machine.step("argv", "alpha", "/usr/lib/benito/ip", "-4", "-oneline", "address")).stdout
    assert "eth0    inet 10.0.0.1/24" in shown
    assert "eth1    inet 10.0.1.1/24" in shown
    assert "master bblan0" in machine.shell("ip -oneline link show dev bvlan0")
    assert "master bbcontrol" in machine.shell("ip -oneline link show dev bcalpha")
    assert "master" not in machine.shell("ip -oneline link show dev bvwire0")
    conf = machine.shell(f"cat /etc/vz/conf/{FIRST}.conf").splitlines()
    assert {'PHYSPAGES="0:32768"', 'SWAPPAGES="0:0"', 'CPULIMIT="50"', 'NUMPROC="200"', 'CPUS="1"'} <= set(conf)
    assert f"#UUID: {ALPHA_UUID}" in conf

    # Words come through vzctl's shell as they are; what is not the node's own is read-only.
    assert machine.run(*machine.step("argv", "alpha", "echo", "a  'b' $HOME;")).stdout == "a  'b' $HOME;\n"
    refused = machine.run(*machine.step("argv", "alpha", "touch", "/usr/lib/benito/x", "/var/benito/config/x"))
    assert refused.returncode == 1
    assert refused.stderr.count("Read-only file system") == 2

    machine.step("release", "alpha")
    _until_booted(machine, start="ended")
    assert machine.step("observe")["alpha"][2] == 0
    assert machine.step("log", "alpha") == "hello\n"
    machine.run(*machine.step("argv", "alpha", "sh", "-c", "echo kept > /root/kept"))

    calls = len(machine.calls())
    machine.step("start", "alpha")
    assert {call[0] for call in machine.calls()[calls:]} == {"vzlist"}  # it ran already

    machine.step("stop", "alpha")
    machine.step("stop", "alpha")
    boot, _, _, reason = machine.step("observe")["alpha"]
    assert (boot, reason) == ("dead", "its container is stopped") or reason.startswith("its container is stopped; its")
    assert machine.step("observe")["beta"][0] == "booted"
    assert machine.step("argv", "alpha", "true") == {"refused": "alpha.one.lab is not running"}

    machine.step("start", "alpha")
    _until_booted(machine)
    assert machine.run(*machine.step("argv", "alpha", "cat", "/root/kept")).stdout == "kept\n"

    machine.step("destroy", "alpha")
    assert list(machine.step("observe")) == ["beta"]
    assert machine.run("ip", "link", "show", "dev", "bvwire0").returncode != 0


def test_a_number_that_somebody_has_is_left_to_them(machine: World) -> None:
    machine.shell(f"sed s/0ff/0fe/ /etc/vz/conf/101.conf > /etc/vz/conf/{FIRST}.conf")
    machine.shell(f"echo '# theirs' > /etc/vz/conf/{FIRST + 1}.mount")
    machine.step("prepare", "alpha")
    machine.step("start", "alpha")
    _until_booted(machine)
    assert machine.shell(f"grep UUID /etc/vz/conf/{FIRST + 2}.conf") == f"#UUID: {ALPHA_UUID}\n"
    machine.step("destroy")
    theirs = f"/etc/vz/conf/{FIRST}.conf /etc/vz/conf/{FIRST + 1}.mount"
    assert machine.shell(f"cat {theirs}") == f"{OTHERS.replace('0ff', '0fe')}# theirs\n"
    machine.shell(f"rm {theirs}")


@pytest.mark.parametrize(
    ("point", "then"),
    [
        (("before", "--netif_add"), "start"),
        (("before", "--physpages"), "start"),
        (("mounted", "start"), "start"),
        (("after", "start"), "start"),
        (("before", "--netif_add"), "destroy"),
        (("mounted", "start"), "destroy"),
    ],
    ids=str,
)
def test_a_start_that_is_cut_is_mended(machine: World, point: tuple[str, str], then: str) -> None:
    machine.step("prepare", "alpha")
    machine.cut(*point)
    machine.step("start", "alpha")
    assert machine.run("test", "-e", "/run/vz/cut").returncode == 1, "it was not cut"
    if then == "start":
        machine.step("prepare", "alpha")
        assert machine.step("start", "alpha") == [None]
        _until_booted(machine)
        assert machine.shell("ls /etc/vz/conf/*.mount") == f"/etc/vz/conf/{FIRST}.mount\n"


@pytest.mark.parametrize("point", [("before", "stop"), ("before", "destroy"), ("after", "destroy")], ids=" ".join)
def test_an_end_that_is_cut_is_mended(machine: World, point: tuple[str, str]) -> None:
    machine.step("prepare", "alpha")
    machine.step("start", "alpha")
    machine.cut(*point)
    machine.step("destroy")
    assert machine.run("test", "-e", "/run/vz/cut").returncode == 1, "it was not cut"
    # The fixture destroys it again, and looks for what is left.


def test_a_container_that_was_numbered_by_somebody_else_is_ours_all_the_same(machine: World) -> None:
    machine.step("prepare", "alpha")
    machine.cut("before", "--netif_add")
    machine.step("start", "alpha")
    # As if libvirt had been killed just after it copied the sample; then anybody lists the containers.
    machine.shell(
        f"cp /etc/vz/conf/ve-basic.conf-sample /etc/vz/conf/{FIRST}.conf; virsh -c openvz:///system list --all"
    )
    assert "#UUID: " in machine.shell(f"cat /etc/vz/conf/{FIRST}.conf")
    assert ALPHA_UUID not in machine.shell(f"cat /etc/vz/conf/{FIRST}.conf")
    machine.step("start", "alpha")
    _until_booted(machine)


def test_links_that_a_nodes_root_left_lead_nowhere(machine: World, state: Path) -> None:
    machine.step("prepare", "alpha")
    machine.step("start", "alpha")
    _until_booted(machine)
    machine.step("stop", "alpha")
    (private,) = (state / "exp").glob("*/*/nodes/alpha/private")
    machine.shell(
        f"mkdir -p /run/outside/benito; cd {private}; rm -r usr/lib/benito var/benito; rm -f sbin/init; "
        "ln -s /run/outside/benito usr/lib/benito; ln -s ../../../../../../../../run/outside var/benito; "
        "ln -s /run/outside/init sbin/init; mkdir -p run/outside/benito"
    )
    machine.step("start", "alpha")
    _until_booted(machine)
    assert machine.shell("find /run/outside").split() == ["/run/outside", "/run/outside/benito"]
