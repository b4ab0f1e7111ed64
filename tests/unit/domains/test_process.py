"""Process nodes on disk: which there are stands in one file, and a node has a folder once something runs in it."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from nodeplans import node_plan, pnode_plan

from benito.errors import HypervisorError
from benito.model import Kind
from benito.paths import StatePaths
from benito.plan import NodePlan
from benito_domains import process
from benito_domains.nodefiles import NodeFiles
from benito_domains.process import ProcessDriver

PLAN = pnode_plan()
ONE = PLAN.experiment


def node(name: str) -> NodePlan:
    return replace(node_plan(control=None), name=name, dns_name=ONE.dns_name(name), kind=Kind.PROCESS)


NODES = [node("a"), node("b")]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    monkeypatch.setattr(process, "_NAMESPACES", tmp_path / "netns")
    monkeypatch.setattr(process, "_MOUNT_POINTS", (tmp_path / "var/benito", tmp_path / "var/containers"))
    return StatePaths(tmp_path / "state")


@pytest.fixture
def driver(paths: StatePaths) -> ProcessDriver:
    return ProcessDriver(paths)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names that namespaces are bound to."""
    names = {each.dns_name for each in NODES}
    monkeypatch.setattr(process, "bound_namespaces", lambda folder: names)
    monkeypatch.setattr(process, "bound_namespace", lambda path: os.stat("/") if path.name in names else None)  # noqa: PTH116
    return names


def folders(paths: StatePaths) -> list[str]:
    above = paths.experiment(ONE) / "nodes"
    return sorted(path.name for path in above.iterdir()) if above.is_dir() else []


def test_a_node_that_runs_nothing_has_no_folder(driver: ProcessDriver, paths: StatePaths) -> None:
    driver.prepare(PLAN, NODES)
    assert folders(paths) == []


def test_nodes_are_there_once_they_are_noted_and_their_namespaces_are_bound(
    driver: ProcessDriver, bound: set[str]
) -> None:
    assert driver.observe(ONE, NODES) == {}
    driver.prepare(PLAN, NODES)
    assert set(driver.observe(ONE, NODES)) == {"a", "b"}
    bound.remove(NODES[0].dns_name)
    assert set(driver.observe(ONE, NODES)) == {"b"}


def test_preparing_more_nodes_forgets_none(driver: ProcessDriver, bound: set[str]) -> None:
    driver.prepare(PLAN, NODES[:1])
    driver.prepare(PLAN, NODES[1:])
    assert set(driver.observe(ONE, NODES)) == {"a", "b"}


def test_the_first_command_makes_the_folder_whole(driver: ProcessDriver, paths: StatePaths, bound: set[str]) -> None:
    driver.prepare(PLAN, NODES)
    words = driver.argv(PLAN, NODES[0], ["true"], terminal=False)
    files = NodeFiles(paths.node(ONE, "a"))
    assert str(files.folder) in words
    assert folders(paths) == ["a"]
    assert files.kind() is Kind.PROCESS
    assert (files.config / "hosts").read_text() == PLAN.hosts
    assert (files.log.is_dir(), files.status.is_dir()) == (True, True)


def test_what_the_node_changed_in_its_folder_stays(driver: ProcessDriver, paths: StatePaths, bound: set[str]) -> None:
    driver.argv(PLAN, NODES[0], ["true"], terminal=False)
    hosts = NodeFiles(paths.node(ONE, "a")).config / "hosts"
    hosts.write_text("mine\n")
    driver.argv(PLAN, NODES[0], ["true"], terminal=False)
    assert hosts.read_text() == "mine\n"


def test_a_folder_whose_making_was_cut_is_made_again(driver: ProcessDriver, paths: StatePaths, bound: set[str]) -> None:
    scratch = NodeFiles(paths.node(ONE, ".a"))
    scratch.make(Kind.PROCESS)
    (scratch.config / "hosts").write_text("half")
    driver.argv(PLAN, NODES[0], ["true"], terminal=False)
    assert folders(paths) == ["a"]
    assert (NodeFiles(paths.node(ONE, "a")).config / "hosts").read_text() == PLAN.hosts


def test_another_kinds_folder_is_not_taken(driver: ProcessDriver, paths: StatePaths, bound: set[str]) -> None:
    NodeFiles(paths.node(ONE, "a")).make(Kind.QEMU)
    with pytest.raises(HypervisorError, match="belongs to a node of kind qemu"):
        driver.argv(PLAN, NODES[0], ["true"], terminal=False)


def test_a_node_without_a_namespace_runs_nothing(driver: ProcessDriver, paths: StatePaths, bound: set[str]) -> None:
    bound.clear()
    with pytest.raises(HypervisorError, match="is not there"):
        driver.argv(PLAN, NODES[0], ["true"], terminal=False)
    assert folders(paths) == []


def test_destroying_some_nodes_leaves_the_others(driver: ProcessDriver, paths: StatePaths, bound: set[str]) -> None:
    driver.prepare(PLAN, NODES)
    for each in NODES:
        driver.argv(PLAN, each, ["true"], terminal=False)
    bound.clear()  # nobody's processes are looked for
    driver.destroy(ONE, NODES[:1])
    bound.update(each.dns_name for each in NODES)
    assert set(driver.observe(ONE, NODES)) == {"b"}
    assert folders(paths) == ["b"]


def test_destroying_all_leaves_no_trace(driver: ProcessDriver, paths: StatePaths, bound: set[str]) -> None:
    driver.prepare(PLAN, NODES)
    driver.argv(PLAN, NODES[0], ["true"], terminal=False)
    bound.clear()
    driver.destroy(ONE, None)
    assert folders(paths) == []
    assert [path for path in paths.experiment(ONE).iterdir() if path.is_file()] == []
    assert not any(point.exists() for point in process._MOUNT_POINTS)


def test_mounts_are_read_once_for_any_number_of_nodes(
    driver: ProcessDriver, paths: StatePaths, bound: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in NODES:
        driver.argv(PLAN, each, ["true"], terminal=False)
    bound.clear()
    read: list[int | None] = []
    place = f"{paths.node(ONE, 'b')}/var/log/disk"

    def mount_points(pid: int | None) -> list[str]:
        read.append(pid)
        return ["/", place]

    monkeypatch.setattr("benito_domains.nodefiles._mount_points", mount_points)
    with pytest.raises(HypervisorError, match="disk is still mounted"):
        driver.destroy(ONE, NODES)
    assert len(read) == 1
    assert folders(paths) == ["a", "b"]


def test_a_program_in_a_node_without_a_folder_is_ended(driver: ProcessDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(process, "end_namespaces", lambda paths: ended.extend(path.name for path in paths))
    driver.prepare(PLAN, NODES)
    driver.destroy(ONE, None)
    assert ended == [each.dns_name for each in NODES]


def test_two_commands_may_want_the_folder_at_once(paths: StatePaths, bound: set[str]) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nodeplans import node_plan, pnode_plan\n"
        "from dataclasses import replace\n"
        "from benito.model import Kind\n"
        "from benito.paths import StatePaths\n"
        "from benito_domains.process import ProcessDriver\n"
        "node = replace(node_plan(control=None), name='a', kind=Kind.PROCESS)\n"
        "files = ProcessDriver(StatePaths(Path(sys.argv[1])))._made(pnode_plan(), node)\n"
        "assert (files.config / 'hosts').read_text() == pnode_plan().hosts\n"
    )
    support = Path(__file__).parents[2] / "support"
    environment = {**os.environ, "PYTHONPATH": f"{support}:{os.environ.get('PYTHONPATH', '')}"}
    argv = [os.sys.executable, "-c", program, str(paths.root)]  # type: ignore[attr-defined]
    running = [subprocess.Popen(argv, env=environment) for _ in range(4)]
    assert [each.wait() for each in running] == [0] * 4
    assert folders(paths) == ["a"]
