"""Links of what is up, over drivers that remember: changed, cut off in between, mended, looked at."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from builders import STAR, experiment, topology
from fakes import FakeLinks, FakeNodes

from benito.controller import Controller
from benito.errors import ExperimentExists, ExperimentMissing, KernelFeatureMissing, UsageError
from benito.hostload import Load
from benito.linkedit import LinkChange
from benito.locks import experiment_lock
from benito.model import Kind
from benito.names import ExperimentId
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.plan import ExperimentPlan, LinkPlan, PnodePlan
from benito.seams import Lack, LinksHealth, Passed
from benito.store import ExperimentState, Store
from benito.testbeds.local import LocalTestbed

SLOWER = LinkChange(link="link", delay_us=30_000)


class Killed(BaseException):
    """What a command that is killed does next."""


class World:
    """A controller over fakes; an experiment with a link and a LAN is up. `load` is what the pnode's kernel counts."""

    def __init__(self, root: Path, kind: Kind = Kind.PROCESS) -> None:
        self.kind = kind
        self.paths = StatePaths(root)
        self.links = FakeLinks()
        self.nodes = FakeNodes(kind)
        self.store = Store(self.paths.store)
        self.load = Load(boot="first", uptime_s=100, dropped_packets=0)
        manager = NodeManager(self.paths, self.links, {kind: self.nodes}, lambda: self.load)
        self.controller = Controller(self.paths, self.store, LocalTestbed(manager))
        self.up()
        self.links.calls.clear()

    def up(self) -> None:
        self.controller.up(
            experiment(topology({"link": "a b", "lan": "a b c"}), default_kind=self.kind, allow_unshaped=True),
            data=b"",
        )

    @property
    def plan(self) -> PnodePlan:
        (part,) = self.store.get(STAR).parts()
        return part

    def link(self, name: str = "link") -> LinkPlan:
        return next(link for link in self.plan.links if link.lan == name)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def changed(world: World, change: LinkChange = SLOWER, *, dry_run: bool = False) -> list[Sequence[str]]:
    return [[str(op) for op in done.ops] for done in world.controller.links.change(STAR, change, dry_run=dry_run)]


def test_a_change_is_kept_and_made_and_touches_nothing_else(world: World) -> None:
    before = world.plan
    world.nodes.released.clear()
    assert changed(world) == [["link"]]
    assert {port.into.delay_us for port in world.link().ports} == {30_000}
    assert world.links.made["link"] == world.link()
    assert world.links.calls == ["plug link"]
    assert (world.plan.nodes, world.nodes.released) == (before.nodes, {})
    assert (world.plan.generation, world.store.get(STAR).generation) == (before.generation + 1,) * 2
    assert PnodePlan.from_json(world.paths.plan(STAR).read_bytes()) == world.plan
    assert changed(world) == [[]]


def test_a_dry_run_touches_nothing(world: World) -> None:
    before = world.plan
    assert changed(world, dry_run=True) == [["link"]]
    assert (world.links.calls, world.plan) == ([], before)


def test_what_the_pnode_cannot_do_is_refused_before_anything_is_touched(world: World) -> None:
    before = world.plan
    world.links._lacks = (Lack(missing="bridges", element="link link", hint="load bridge"),)
    for dry_run in (False, True):
        with pytest.raises(Exception, match="link link: needs bridges"):
            changed(world, dry_run=dry_run)
    assert (world.links.calls, world.plan) == ([], before)


def test_what_may_be_unshaped_may_be_so_after_a_change(world: World) -> None:
    world.links._lacks = (Lack(missing="netem", element="link link", hint="load it", shaping=True),)
    assert changed(world) == [["link"]]
    world.store.replan(STAR, replace_all(world, allow_unshaped=False))
    with pytest.raises(KernelFeatureMissing, match="needs netem") as refused:
        changed(world, LinkChange(link="link", delay_us=1))
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("ask for a lower rate or delay")


def replace_all(world: World, *, allow_unshaped: bool) -> ExperimentPlan:
    plan = world.controller.links.plan(STAR)
    return replace(plan, pnodes=tuple(replace(part, allow_unshaped=allow_unshaped) for part in plan.pnodes))


def test_a_change_that_was_killed_is_finished_by_repair(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(plan: PnodePlan, ops: Sequence[str]) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(world.links, "apply", killed)
        with pytest.raises(Killed):
            changed(world)
    assert list(world.controller.links.health(STAR).broken) == ["link"]
    assert [list(done.ops) for done in world.controller.links.repair(STAR)] == [["link"]]
    assert world.links.made["link"] == world.link()
    assert {port.into.delay_us for port in world.link().ports} == {30_000}


def test_repair_mends_links_and_starts_dead_nodes(world: World) -> None:
    world.links.plugged.remove("lan")
    del world.nodes.alive["c"]
    (planned,) = world.controller.links.repair(STAR, dry_run=True)
    assert (list(planned.ops), planned.nodes, world.links.calls) == (["lan"], ("c",), [])
    (done,) = world.controller.links.repair(STAR)
    assert (list(done.ops), done.nodes) == (["lan"], ("c",))
    assert set(world.nodes.alive) == {"a", "b", "c"}
    (done,) = world.controller.links.repair(STAR)
    assert (list(done.ops), done.nodes) == ([], ())


def test_repair_may_be_of_links_only(world: World) -> None:
    world.links.plugged.remove("lan")
    del world.nodes.alive["c"]
    for dry_run in (True, False):
        (done,) = world.controller.links.repair(STAR, links_only=True, dry_run=dry_run)
        assert (list(done.ops), done.nodes) == (["lan"], ())
    assert set(world.nodes.alive) == {"a", "b"}


def test_a_running_node_that_lost_its_device_is_started_again(tmp_path: Path) -> None:
    world = World(tmp_path, Kind.QEMU)
    lost = next(port.device for port in world.link("lan").ports if port.node == "c")
    world.links.gone.add(lost)
    told = f"start c again (the device {lost} of its eth0 is gone)"
    found = world.controller.links.health(STAR)
    assert (dict(found.broken), found.others) == ({"lan": (told,)}, ())
    (only,) = world.controller.links.repair(STAR, links_only=True)
    assert (only.left, only.cut_off, only.is_nothing) == ((told,), (), False)
    (pulled,) = world.controller.links.change(STAR, LinkChange(link="LAN", source="c", down=True))
    assert pulled.left == (told,)
    (other,) = world.controller.links.change(STAR, SLOWER)
    assert other.left == ()
    before = dict(world.nodes.alive)
    (planned,) = world.controller.links.repair(STAR, dry_run=True)
    assert [absent.device for absent in planned.cut_off] == [lost]
    assert world.nodes.alive["c"] is before["c"]
    (done,) = world.controller.links.repair(STAR)
    assert ([absent.node for absent in done.cut_off], done.nodes) == (["c"], ())
    assert [name for name, status in world.nodes.alive.items() if status is not before[name]] == ["c"]


def test_a_dead_nodes_device_is_not_missed(tmp_path: Path) -> None:
    world = World(tmp_path, Kind.QEMU)
    world.links.gone.update(port.device for port in world.link("lan").ports if port.node == "c")
    del world.nodes.alive["c"]
    assert world.controller.links.health(STAR) == LinksHealth(count=2)
    (done,) = world.controller.links.repair(STAR, dry_run=True)
    assert (done.nodes, done.cut_off) == (("c",), ())
    (only,) = world.controller.links.repair(STAR, links_only=True)
    assert only.left == ("start c again (it is dead)",)


def test_cables_are_pulled_and_plugged(world: World) -> None:
    changed(world, LinkChange(link="lan", source="C", down=True))
    assert (world.link("lan").down, world.links.made["lan"].down) == (("c",), ("c",))
    changed(world, LinkChange(link="lan", down=False))
    assert (world.link("lan").down, world.links.made["lan"].down) == ((), ())


def test_only_what_is_up_is_changed_and_by_one_command_at_a_time(world: World) -> None:
    with experiment_lock(world.paths, STAR):
        for work in (lambda: changed(world), lambda: world.controller.links.repair(STAR)):
            with pytest.raises(Exception, match="another command is changing lab/star"):
                work()
    world.store.begin(STAR, ExperimentState.ACTIVATING)
    with pytest.raises(UsageError, match="lab/star is activating, not up") as refused:
        changed(world)
    assert refused.value.hint is not None
    assert "benito up" in refused.value.hint
    with pytest.raises(ExperimentMissing):
        world.controller.links.repair(ExperimentId("lab", "nobody"))


def test_an_up_of_what_is_up_names_repair(world: World) -> None:
    with pytest.raises(ExperimentExists) as refused:
        world.up()
    assert refused.value.hint is not None
    assert "benito repair lab/star" in refused.value.hint


class TestHealth:
    def test_links_that_differ_are_broken(self, world: World) -> None:
        assert world.controller.links.health(STAR) == LinksHealth(count=2)
        world.links.plugged.remove("lan")
        found = world.controller.links.health(STAR)
        assert (found.count, list(found.broken)) == (2, ["lan"])

    def test_what_is_not_up_is_not_judged(self, world: World) -> None:
        world.store.begin(STAR, ExperimentState.SWAPPING)
        assert world.controller.links.health(STAR) == LinksHealth(unknown=("lab/star is swapping, not up",))

    def test_a_pnode_that_knows_nothing_is_said(self, world: World) -> None:
        world.paths.plan(STAR).unlink()
        assert world.controller.links.health(STAR).unknown == ("pnode-0000 knows nothing of lab/star",)

    def test_a_pnode_that_did_not_keep_up_makes_the_run_suspect(self, world: World) -> None:
        world.load = replace(world.load, uptime_s=160, dropped_packets=3)
        (said,) = world.controller.links.health(STAR).suspect
        assert said.startswith("pnode-0000: the kernel dropped 3 packets")

    def test_what_the_boot_costs_is_not_counted(self, world: World) -> None:
        world.load = replace(world.load, uptime_s=160, dropped_packets=3)
        world.controller.nodes.wait_booted(STAR, seconds=0)
        assert world.controller.links.health(STAR).suspect == ()

    def test_a_repair_does_not_forget_what_was(self, world: World) -> None:
        world.load = replace(world.load, uptime_s=160, dropped_packets=3)
        del world.nodes.alive["c"]
        world.controller.links.repair(STAR)
        assert len(world.controller.links.health(STAR).suspect) == 1

    def test_after_a_boot_of_the_machine_it_counts_anew(self, world: World) -> None:
        world.load = Load(boot="second", uptime_s=500, dropped_packets=7)
        assert world.controller.links.health(STAR).suspect == ()
        world.nodes.alive.clear()
        world.controller.links.repair(STAR)
        world.load = replace(world.load, uptime_s=600, dropped_packets=9)
        (said,) = world.controller.links.health(STAR).suspect
        assert "dropped 2 packets" in said

    def test_what_was_noted_by_another_version_says_nothing(self, world: World) -> None:
        world.paths.load(STAR).write_text("{}")
        assert world.controller.links.health(STAR) == LinksHealth(count=2)

    def test_two_pnodes_are_joined(self) -> None:
        here = Passed(node="a", interface="eth0", sent_packets=1, sent_bytes=2, received_packets=3, received_bytes=4)
        first = LinksHealth(
            count=2, broken={"l": ("x",)}, relayed=("l",), down=("m",), shapers={"l": ("htb",)}, passed={"l": (here,)}
        )
        second = LinksHealth(
            count=1, broken={"l": ("y",), "m": ("z",)}, others=("o",), relayed=("l",), shapers={"l": ("htb", "netem")}
        )
        assert first.joined(second) == LinksHealth(
            count=3,
            broken={"l": ("x", "y"), "m": ("z",)},
            others=("o",),
            relayed=("l",),
            down=("m",),
            shapers={"l": ("htb", "netem")},
            passed={"l": (here,)},
        )
