"""Process nodes on disk: which there are stands in one file, and a node has a folder once something runs in it."""

import os
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from nodeplans import node_plan, pnode_plan

from benito.errors import HypervisorError
from benito.model import Kind
from benito.paths import StatePaths
from benito.plan import NodePlan
from benito.seams import NodeLog
from benito.status import BootStatus, StartState
from benito_domains import process
from benito_domains.nodefiles import NodeFiles
from benito_domains.process import ProcessDriver

PLAN = pnode_plan()
ONE = PLAN.experiment


def node(name: str) -> NodePlan:
    plain = node_plan(control=None, memory_mib=0)  # without limits
    return replace(plain, name=name, dns_name=ONE.dns_name(name), kind=Kind.PROCESS)


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


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, bound: set[str]) -> list[list[str]]:
    """The words of what was started; nothing of it runs, and nothing is looked for to be killed."""
    words: list[list[str]] = []
    monkeypatch.setattr(process, "detach", lambda argv, error: words.append(list(argv)))
    monkeypatch.setattr(process, "end_namespaces", list)
    monkeypatch.setattr(process, "end_rooms", list)
    return words


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
        "node = replace(node_plan(control=None, memory_mib=0), name='a', kind=Kind.PROCESS)\n"
        "files = ProcessDriver(StatePaths(Path(sys.argv[1])))._made(pnode_plan(), node)\n"
        "assert (files.config / 'hosts').read_text() == pnode_plan().hosts\n"
    )
    support = Path(__file__).parents[2] / "support"
    environment = {**os.environ, "PYTHONPATH": f"{support}:{os.environ.get('PYTHONPATH', '')}"}
    argv = [os.sys.executable, "-c", program, str(paths.root)]  # type: ignore[attr-defined]
    running = [subprocess.Popen(argv, env=environment) for _ in range(4)]
    assert [each.wait() for each in running] == [0] * 4
    assert folders(paths) == ["a"]


def test_a_start_command_is_started_once_in_the_life_of_a_namespace(
    driver: ProcessDriver, started: list[list[str]]
) -> None:
    for _ in range(2):
        driver.release(PLAN, NODES[0])
    assert len(started) == 1


def test_a_node_without_a_start_command_is_released_without_a_trace(
    driver: ProcessDriver, paths: StatePaths, started: list[list[str]]
) -> None:
    driver.release(PLAN, replace(NODES[0], start_command=None), time.time())
    assert (started, folders(paths)) == ([], [])


def test_the_moment_of_a_barrier_is_written_for_the_start_command(
    driver: ProcessDriver, paths: StatePaths, started: list[list[str]]
) -> None:
    released = NodeFiles(paths.node(ONE, "a")).config / "released"
    driver.release(PLAN, NODES[0])
    assert released.read_text() == "released\n"
    driver.stop(PLAN, [NODES[0]])
    driver.release(PLAN, NODES[0], time.time() + 100)
    word, how, uptime = released.read_text().split()
    assert (word, how) == ("released", "at")
    assert 90 < float(uptime) - time.clock_gettime(time.CLOCK_BOOTTIME) < 110


@pytest.mark.parametrize("ending", ["stop", "suspend"])
def test_after_a_stop_the_files_are_there_and_the_start_command_runs_again(
    driver: ProcessDriver, paths: StatePaths, started: list[list[str]], ending: str
) -> None:
    driver.prepare(PLAN, NODES)
    driver.release(PLAN, NODES[0])
    files = NodeFiles(paths.node(ONE, "a"))
    files.report.write_text("start_command running\nstart_command 3 1\n")
    (files.log / "start_command.out").write_text("kept")
    assert driver.observe(ONE, NODES)["a"].exit_code == 3
    getattr(driver, ending)(PLAN, NODES[:1])
    assert driver.observe(ONE, NODES)["a"].exit_code is None
    assert (files.log / "start_command.out").read_text() == "kept"
    driver.start(PLAN, NODES[0])
    driver.release(PLAN, NODES[0])
    assert len(started) == 2


def test_to_stop_a_node_that_ran_nothing_does_nothing(driver: ProcessDriver, paths: StatePaths) -> None:
    driver.stop(PLAN, [NODES[0]])
    assert folders(paths) == []


def test_how_far_a_start_command_is(driver: ProcessDriver, paths: StatePaths, started: list[list[str]]) -> None:
    nodes = [*NODES, replace(node("c"), start_command=None)]
    driver.prepare(PLAN, nodes)
    process.bound_namespaces(Path()).add(nodes[2].dns_name)  # type: ignore[attr-defined]
    driver.release(PLAN, NODES[0])
    NodeFiles(paths.node(ONE, "a")).report.write_text("start_command running\nbah\n")
    seen = driver.observe(ONE, nodes)
    assert {name: status.start for name, status in seen.items()} == {
        "a": StartState.RUNNING,
        "b": StartState.WAITING,
        "c": None,
    }
    assert {status.boot for status in seen.values()} == {BootStatus.BOOTED}


def test_logs_are_read_piece_by_piece_and_links_are_not_followed(
    driver: ProcessDriver, paths: StatePaths, started: list[list[str]]
) -> None:
    def read(log: NodeLog, offset: int = 0, most_bytes: int = 100) -> bytes:
        return driver.read_log(PLAN, NODES[0], log, offset, most_bytes)

    assert read(NodeLog.OUT) == b""
    driver.release(PLAN, NODES[0])
    log = NodeFiles(paths.node(ONE, "a")).log
    (log / "start_command.out").write_bytes(b"0123456789")
    (log / "start_command.err").symlink_to("/etc/passwd")
    os.mkfifo(log / "start_command.log")
    assert (read(NodeLog.OUT), read(NodeLog.OUT, 3, 4), read(NodeLog.OUT, 10)) == (b"0123456789", b"3456", b"")
    assert (read(NodeLog.ERR), read(NodeLog.LOG)) == (b"", b"")
    elsewhere = log.with_name("elsewhere")
    log.rename(elsewhere)
    log.symlink_to(elsewhere)
    assert read(NodeLog.OUT) == b""


def test_there_is_no_console(driver: ProcessDriver) -> None:
    with pytest.raises(HypervisorError, match="no console") as told:
        driver.read_log(PLAN, NODES[0], NodeLog.CONSOLE, 0, 1)
    assert "benito ssh" in (told.value.hint or "")
    with pytest.raises(HypervisorError, match="no console"):
        driver.console_argv(PLAN, NODES[0])


def test_what_changes_is_told_without_asking(
    driver: ProcessDriver, paths: StatePaths, started: list[list[str]], tmp_path: Path
) -> None:
    changed = threading.Event()

    def told(what: str) -> None:
        assert changed.wait(20), what
        time.sleep(0.3)  # the end of that burst
        changed.clear()

    (tmp_path / "netns").mkdir()
    driver.prepare(PLAN, NODES)
    with driver.watch(ONE, NODES, changed.set):
        assert not changed.is_set()
        (tmp_path / "netns/a.one.lab").touch()
        told("a namespace came")
        driver.release(PLAN, NODES[0])  # its folder is made meanwhile
        told("a folder came")
        with NodeFiles(paths.node(ONE, "a")).report.open("a") as report:
            report.write("start_command 0 1\n")
        told("it reported")
        (tmp_path / "netns/a.one.lab").unlink()
        told("a namespace went")
    (tmp_path / "netns/b.one.lab").touch()
    assert not changed.wait(0.3)
