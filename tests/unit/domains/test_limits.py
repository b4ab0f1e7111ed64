"""What a plan's limits become, and what is asked of the machine for them."""

import os
import subprocess
from pathlib import Path

import pytest
from nodeplans import node_plan

from benito.errors import HypervisorError
from benito.model import Kind
from benito.nodesettings import Limits
from benito.policy import PIDS
from benito.seams import Lack
from benito_domains import limits
from benito_domains.cgroups import Bounds, Cgroups, Hierarchy

DOMAIN = "lxc-4711-alpha.one.lab.libvirt-lxc"


def test_a_process_node_is_bounded_as_its_plan_says() -> None:
    node = node_plan(
        kind=Kind.PROCESS, memory_mib=48, limits=Limits(cpu_percent=150, cpu_shares=3072, pids=64, disk_mib=8)
    )
    assert limits.bounds_of(node) == Bounds(memory_mib=48, cpu_percent=150, cpu_shares=3072, pids=64)


def test_a_node_without_limits_touches_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "find_cgroups", lambda: pytest.fail("it was looked for"))
    node = node_plan(kind=Kind.PROCESS, memory_mib=0)
    assert limits.entrances(node_experiment(), node) == []


def node_experiment() -> limits.ExperimentId:
    return limits.ExperimentId("lab", "one")


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without control groups, and without file systems in files."""
    monkeypatch.setattr(limits, "find_cgroups", Cgroups)
    lack = Lack(missing="loop", element="x", hint="y")
    monkeypatch.setattr(limits, "disk_lacks", lambda element: [lack])


@pytest.mark.parametrize(
    ("kind", "memory_mib", "asked", "missing"),
    [
        (Kind.PROCESS, 0, Limits(), []),
        (Kind.PROCESS, 64, Limits(), ["memory"]),
        (Kind.PROCESS, 0, Limits(cpu_shares=1, pids=16, disk_mib=1), ["cpu", "pids", "loop"]),
        (Kind.OPENVZ, 256, Limits(pids=PIDS[Kind.OPENVZ]), []),  # usual limits hold nobody up
        (Kind.OPENVZ, 256, Limits(pids=77, disk_mib=2048), ["pids", "loop"]),
        (Kind.QEMU, 128, Limits(disk_mib=2048), []),  # the size of its disk
    ],
)
def test_only_what_a_file_asks_for_is_lacking(
    nothing: None, kind: Kind, memory_mib: int, asked: Limits, missing: list[str]
) -> None:
    found = limits.limit_lacks([node_plan(kind=kind, memory_mib=memory_mib, limits=asked)], "node alpha")
    assert [lack.missing.removeprefix("the limit ").split(" ")[0] for lack in found] == missing


def test_the_doctor_says_which_limits_cannot_be_had(nothing: None) -> None:
    said = limits.limit_findings()[0]
    assert said.verdict is limits.Verdict.NOTE
    for word in ("memory", "cpu", "pids", "loop"):
        assert word in said.said


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        (f"0::/machine/{DOMAIN}\n", f"machine/{DOMAIN}"),
        (f"0::/machine.slice/{DOMAIN}/init.scope\n", f"machine.slice/{DOMAIN}"),
        (
            "0::/machine.slice/machine-lxc\\x2d47.scope/libvirt/init.scope\n",
            "machine.slice/machine-lxc\\x2d47.scope",
        ),
        (f"8:pids:/machine/{DOMAIN}\n0::/\n", None),
        ("0::/user.slice\n", None),
    ],
)
def test_a_containers_group_of_cgroup_2_is_its_domains(groups: str, found: str | None) -> None:
    assert limits.domain_group(Path("/c"), groups) == (None if found is None else Path("/c") / found)


def test_a_containers_root_cannot_lift_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = tmp_path / "machine" / DOMAIN
    domain.mkdir(parents=True)
    for file in ("memory.max", "cgroup.procs", "cgroup.subtree_control"):
        (domain / file).touch()
    owners: dict[str, int] = {}
    monkeypatch.setattr(limits.os, "chown", lambda path, uid, gid: owners.update({path.name: uid}))
    monkeypatch.setattr(limits, "domain_group", lambda root, groups: domain)
    cgroups = Cgroups({"pids": Hierarchy(tmp_path, 2)})
    monkeypatch.setattr(limits, "find_cgroups", lambda: cgroups)
    limits.limit_pids(1, node_experiment(), "alpha", 99)
    assert (domain / "pids.max").read_text() == "99"
    assert owners == {"memory.max": 0, "pids.max": 0}
    for above in (tmp_path, tmp_path / "machine"):
        assert (above / "cgroup.subtree_control").read_text() == "+pids"


def test_a_usual_limit_that_cannot_be_had_holds_nobody_up(nothing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PIDS", {Kind.OPENVZ: 4096, Kind.PROCESS: 4096})
    usual = node_plan(kind=Kind.PROCESS, memory_mib=0, limits=Limits(pids=4096))
    asked = node_plan(kind=Kind.PROCESS, memory_mib=0, limits=Limits(pids=99))
    assert limits.entrances(node_experiment(), usual) == []
    limits.limit_pids(os.getpid(), node_experiment(), "alpha", 4096)
    with pytest.raises(HypervisorError, match="'pids'"):
        limits.entrances(node_experiment(), asked)
    with pytest.raises(HypervisorError, match="alpha cannot be bounded"):
        limits.limit_pids(os.getpid(), node_experiment(), "alpha", 99)


def test_a_container_that_has_ended_is_not_bounded(nothing: None) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    limits.limit_pids(ended.pid, node_experiment(), "alpha", 99)
