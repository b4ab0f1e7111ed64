"""How nodes that are domains are, by libvirt's own driver for tests and files that their roots may write."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from nodeplans import EXPERIMENT, node_plan

from benito.model import Kind
from benito.paths import StatePaths
from benito.plan import NodePlan
from benito.status import BootStatus, EndWord, NodeStatus, StartState
from benito_domains.filewatch import follow_folders
from benito_domains.hypervisor import Libvirt
from benito_domains.nodefiles import NodeFiles
from benito_domains.watch import domain_statuses, domain_watch

SECONDS = 60
XML = """<domain type="test"><name>{name}</name><uuid>{uuid}</uuid><memory unit="MiB">8</memory>
<os><type>hvm</type></os></domain>"""


class World:
    """One node with a domain."""

    def __init__(self, folder: Path) -> None:
        self.paths = StatePaths(folder)
        self.libvirt = Libvirt("test:///default")
        uuid = uuid4()
        self.node: NodePlan = replace(node_plan(), uuid=uuid, dns_name=f"watch-{uuid.hex[:8]}", kind=Kind.QEMU)
        self.files = NodeFiles(self.paths.node(EXPERIMENT, self.node.name))
        self.files.make(Kind.QEMU)
        self.libvirt.define(self.node.dns_name, XML.format(name=self.node.dns_name, uuid=uuid))

    def start(self) -> None:
        self.libvirt.start(self.node.dns_name, self.node.uuid)

    def stop(self) -> None:
        self.libvirt.stop(self.node.dns_name, self.node.uuid)

    def status(self) -> NodeStatus:
        return domain_statuses(self.libvirt, self.paths, EXPERIMENT, [self.node])[self.node.name]

    def shut_down(self) -> None:
        """As if the node had ended by itself."""
        with self.libvirt._lock:
            shared = self.libvirt._shared
        shared.lookupByUUID(self.node.uuid.bytes).shutdown()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.stop()
    made.libvirt.undefine(made.node.dns_name, made.node.uuid)
    made.libvirt.close()


def test_an_active_domain_is_as_its_node_says(world: World) -> None:
    world.start()
    assert world.status().boot is BootStatus.RUNNING
    world.files.report.write_text("booted\nstart_command running\n")
    assert world.status() == NodeStatus(boot=BootStatus.BOOTED, start=StartState.RUNNING)


def test_a_node_without_a_domain_is_left_out(world: World) -> None:
    other = replace(world.node, uuid=uuid4(), name="other")
    assert set(domain_statuses(world.libvirt, world.paths, EXPERIMENT, [world.node, other])) == {world.node.name}


def test_a_node_that_ended_itself_is_dead_with_its_own_words_and_exit_code(world: World) -> None:
    world.start()
    world.files.report.write_text("booted\nended poweroff 4\n")
    world.files.console_log.write_text("one\ntwo\n")
    world.shut_down()
    status = world.status()
    assert (status.boot, status.exit_code, status.start) == (BootStatus.DEAD, 4, StartState.WAITING)
    assert status.reason == "its system switched itself off (exit code 4); its last words: one | two"
    assert status.ended is not None
    assert status.ended.word is EndWord.POWEROFF


def test_the_exit_code_of_a_dead_nodes_start_command_stays(world: World) -> None:
    world.start()
    world.files.report.write_text("booted\nstart_command 3 2\nended reboot 0\n")
    world.shut_down()
    status = world.status()
    assert (status.exit_code, status.start, status.start_seconds) == (3, StartState.ENDED, 2.0)
    assert status.reason == "its system wanted to boot again (exit code 0)"


def test_a_node_that_was_ended_did_not_end_itself_whatever_it_says(world: World) -> None:
    world.start()
    world.files.report.write_text("booted\nended poweroff 0\n")
    world.stop()
    status = world.status()
    assert (status.boot, status.ended, status.exit_code) == (BootStatus.DEAD, None, None)
    assert status.reason == "its domain was ended from outside"


def test_libvirt_is_not_asked_about_each_node_that_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    asked = Libvirt._do

    def counted(self: Libvirt, domain: str, action: object) -> object:
        calls.append(domain)
        return asked(self, domain, action)  # type: ignore[arg-type]

    world.start()
    nodes = [replace(world.node, name=f"n{number}") for number in range(40)]
    monkeypatch.setattr(Libvirt, "_do", counted)
    assert len(domain_statuses(world.libvirt, world.paths, EXPERIMENT, nodes)) == 40
    assert len(calls) <= 2


class Heard:
    """Counts what a watch tells, and waits for it to be quiet, which it is at the latest 0.1 s after the last word."""

    def __init__(self) -> None:
        self._news = threading.Event()

    def __call__(self) -> None:
        self._news.set()

    def anything(self, seconds: float = SECONDS) -> bool:
        """Whether something was told since the last time; it may be told within the time."""
        heard = self._news.wait(seconds)
        self._news.clear()
        return heard

    def silence(self) -> None:
        """Returns when nothing more comes."""
        while self.anything(0.5):
            pass


def test_a_watch_tells_of_the_domain_and_of_the_nodes_own_words(world: World) -> None:
    heard = Heard()
    with domain_watch(world.libvirt, world.paths, EXPERIMENT, [world.node], heard):
        world.start()
        assert heard.anything()
        heard.silence()
        world.files.report.write_text("booted\n")
        assert heard.anything()
        heard.silence()
        with world.files.report.open("a") as report:
            report.write("start_command 0 1\n")
        assert heard.anything()
        heard.silence()
        world.stop()
        assert heard.anything()


def test_other_domains_are_not_told_of(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    heard = Heard()
    try:
        with domain_watch(world.libvirt, world.paths, EXPERIMENT, [world.node], heard):
            other.start()
            other.stop()
            assert not heard.anything(0.5)
            world.start()
            assert heard.anything()
    finally:
        other.libvirt.undefine(other.node.dns_name, other.node.uuid)


def test_a_folder_that_was_put_in_anothers_place_is_watched_from_the_nodes_next_event_on(world: World) -> None:
    heard = Heard()
    with domain_watch(world.libvirt, world.paths, EXPERIMENT, [world.node], heard):
        world.files.status.rename(world.files.status.with_name("old"))
        world.files.status.mkdir()
        world.start()
        assert heard.anything()
        heard.silence()
        world.files.report.write_text("booted\n")
        assert heard.anything()


def test_further_folders_are_followed(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    changed = threading.Event()
    with follow_folders([one], changed.set) as follow:
        follow([two])
        (two / "file").touch()
        assert changed.wait(SECONDS)
