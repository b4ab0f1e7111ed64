"""A whole test of links over drivers that play a network: who is asked what, what is said, what is kept."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from builders import STAR, experiment, star, topology
from fakes import FakeLinks, FakeNodes

from benito.controller import Controller
from benito.errors import HypervisorError, LinkError, StoreError, UsageError
from benito.linktest import LinkTest, Outcome, Quantity, WayResult
from benito.linktest import run as module
from benito.linktest.kept import KEPT, keep, newest
from benito.linktest.results import worst as worst_of
from benito.model import Kind, Shaping
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.seams import Count, LinksHealth, Sighting, Watched, WatchOrder
from benito.status import BootStatus, NodeStatus
from benito.store import Store
from benito.testbeds.local import LocalTestbed

HALF = Shaping(rate_kbps=10_000, delay_us=5_000)
MS = 1_000_000


class PlayedNodes(FakeNodes):
    """Nodes whose senders say that they sent; what they were told is in `told`, by node."""

    def __init__(self) -> None:
        super().__init__(Kind.PROCESS)
        self.told: list[tuple[str, list[str]]] = []
        self.broken: dict[str, list[str]] = {}

    def argv(self, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool) -> list[str]:
        if node.name not in self.alive:
            raise HypervisorError(f"{node.name} is not there")
        self.told.append((node.name, list(command)))
        size, amount, pace = (int(word) for word in command[8:])
        frames = amount if command[7] == "count" else pace * amount // 8 // size
        return self.broken.get(node.name, ["echo", str(frames), str(amount * 1000), "0"])


class PlayedLinks(FakeLinks):
    """Links that do as asked, but for `delay_us`, `lost` and `rate_kbps` by receiver; each change is used up."""

    def __init__(self, nodes: PlayedNodes) -> None:
        super().__init__()
        self.nodes = nodes
        self.orders: list[WatchOrder] = []
        self.late_us: dict[str, list[int]] = {}
        self.rates_kbps: dict[str, list[int]] = {}
        self.fault: LinkError | None = None
        self.suspect: tuple[str, ...] = ()
        self.loses = False

    def health(self, plan: PnodePlan) -> LinksHealth:
        return replace(super().health(plan), suspect=self.suspect)

    def watch(
        self, plan: PnodePlan, order: WatchOrder, *, ready: Callable[[], None], stop: Callable[[], bool]
    ) -> Watched:
        self.orders.append(order)
        if self.fault is not None:
            raise self.fault
        ready()
        while not stop():
            pass
        told, self.nodes.told = self.nodes.told, []
        if not order.each:
            counts = []
            for (receiver, interface), (_, words) in zip(order.at, told, strict=True):
                rate = self.rates_kbps.get(receiver, [])
                counts += self._counts(receiver, interface, rate.pop() if rate else 10_000, int(words[9]))
            return Watched(counts=tuple(counts))
        found: list[Sighting] = []
        for sender, words in told:
            found += self._probes(plan, sender, words)
        return Watched(sightings=tuple(found))

    def _counts(self, node: str, interface: str, rate_kbps: int, milliseconds: int) -> list[Count]:
        per_count = rate_kbps * 20 // 8
        return [
            Count(node=node, interface=interface, time_ns=index * 20 * MS, total_bytes=index * per_count)
            for index in range(milliseconds // 20)
        ]

    def _probes(self, plan: PnodePlan, sender: str, words: list[str]) -> list[Sighting]:
        device, mac, token, count = words[1], words[2], int(words[6], 16), int(words[9])
        receiver = next(port for link in plan.links for port in link.ports if port.mac == mac)
        late = self.late_us.get(receiver.node, [])
        delay_ns = (10_000 + (late.pop() if late else 0)) * 1000
        found = []
        for number in range(count):
            common = {"way": token & 0xFFFFFFFF, "number": number, "length_bytes": 100, "is_whole": True}
            at = number * 2 * MS
            found.append(Sighting(node=sender, interface=device, inbound=False, time_ns=at, **common))  # type: ignore[arg-type]
            if self.loses:
                continue
            found.append(
                Sighting(
                    node=receiver.node, interface=receiver.interface, inbound=True, time_ns=at + delay_ns, **common
                )  # type: ignore[arg-type]
            )
        return found


class World:
    """The experiment lab/star, up."""

    def __init__(self, root: Path) -> None:
        paths = StatePaths(root)
        self.nodes = PlayedNodes()
        self.links = PlayedLinks(self.nodes)
        self.store = Store(paths.store)
        self.controller = Controller(
            paths, self.store, LocalTestbed(NodeManager(paths, self.links, {Kind.PROCESS: self.nodes}))
        )
        self.controller.up(experiment(star(3, shaping=HALF), default_kind=Kind.PROCESS), data=b"")

    def test(self, *names: str, **options: object) -> LinkTest:
        return self.controller.linktest(STAR, names, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Played links need no time."""
    monkeypatch.setattr(module, "_settle_seconds", lambda _way, _order: 0.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_all_links_both_ways_are_ok_where_they_do_as_asked(world: World) -> None:
    done = world.test()
    assert [(way.link, way.sender, way.receiver, way.outcome) for way in done.ways] == [
        (f"link{index}", *ends, Outcome.OK)
        for index in range(3)
        for ends in (("center", f"n-{index}"), (f"n-{index}", "center"))
    ]
    assert (done.links, done.of_links, done.outcome) == (3, 3, Outcome.OK)
    assert {finding.quantity for finding in done.ways[0].findings} == {Quantity.DELAY, Quantity.LOSS, Quantity.RATE}


def test_probes_go_together_and_slow_floods_too(world: World) -> None:
    world.test()
    assert [(order.each, len(order.at)) for order in world.links.orders] == [(True, 6), (False, 6)]
    assert len({order.run for order in world.links.orders}) == 2


def test_fast_floods_go_alone_and_no_more_than_eight_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.controller.down(STAR)
    fast = star(5, shaping=Shaping(rate_kbps=100_000))
    world.controller.up(experiment(fast, default_kind=Kind.PROCESS), data=b"")
    world.test()
    orders = [(order.each, len(order.at)) for order in world.links.orders[:12]]
    assert orders == [(True, 8), (True, 2), *[(False, 1)] * 10]


def test_only_some_links(world: World) -> None:
    assert {way.link for way in world.test("LINK1").ways} == {"link1"}
    done = world.test(sample=2, seed=3)
    assert (done.links, done.of_links, len(done.ways)) == (2, 3, 4)


def test_what_was_off_once_is_measured_again_by_itself(world: World) -> None:
    world.links.late_us = {"n-1": [5_000]}
    world.links.rates_kbps = {"n-2": [5_000]}
    assert world.test().outcome is Outcome.OK
    assert [(order.each, len(order.at)) for order in world.links.orders[2:]] == [(True, 2), (False, 1)]


def test_what_stays_off_is_off(world: World) -> None:
    world.links.late_us = {"n-1": [5_000, 5_000]}
    world.links.rates_kbps = {"n-2": [5_000, 5_000]}
    done = world.test()
    assert done.links_with(Outcome.OFF) == ("link1", "link2")
    assert done.links_with(Outcome.OK) == ("link0",)
    off = {
        (way.receiver, finding.quantity): finding.note for way in done.ways for finding in way.findings if finding.note
    }
    assert off == {
        ("n-1", Quantity.DELAY): "5 ms more than asked",
        ("n-2", Quantity.RATE): "5 Mb/s less than asked",
    }


def test_where_all_is_lost_nothing_floods(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.controller.down(STAR)
    world.controller.up(experiment(star(1, shaping=replace(HALF, loss_ratio=1)), default_kind=Kind.PROCESS), data=b"")
    world.links.loses = True
    (way, _) = world.test().ways
    loss, rate = way.finding(Quantity.LOSS), way.finding(Quantity.RATE)
    assert loss is not None
    assert rate is not None
    assert (loss.outcome, loss.measured) == (Outcome.OK, 1)
    assert (rate.outcome, rate.note, rate.asked) == (Outcome.NOT_MEASURED, "nothing arrives", 10_000)
    assert all(order.each for order in world.links.orders)


class TestWhatTheTestDoesToTheMachine:
    def test_it_is_not_held_against_the_experiment(self, world: World) -> None:
        world.test()
        assert world.links.calls[-1] == "calm lab/star"

    def test_what_was_suspect_before_stays_so(self, world: World) -> None:
        world.links.suspect = ("link0: the relay lost 3 frames",)
        world.test()
        assert not any(call.startswith("calm") for call in world.links.calls)

    def test_nor_where_the_test_is_cut(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def cut(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(module._Test, "_flooded", cut)
        with pytest.raises(KeyboardInterrupt):
            world.test()
        assert world.links.calls[-1] == "calm lab/star"

    def test_a_relay_that_cannot_forget_costs_no_result(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_experiment: object) -> None:
            raise LinkError("the relay cannot carry calm")

        monkeypatch.setattr(world.links, "calm", fail)
        assert world.test() == world.controller.last_linktest(STAR)


def test_a_link_that_is_not_as_planned_is_said_and_not_tried_again(world: World) -> None:
    world.links.made["link1"] = replace(world.links.made["link1"], down=("center",))
    world.links.late_us = {"n-1": [5_000, 5_000]}
    done = world.test()
    assert {way.link: way.not_as_planned for way in done.ways} == {"link0": "", "link1": "it is not there", "link2": ""}
    assert done.links_with(Outcome.OFF) == ("link1",)
    assert len(world.links.orders) == 2


def test_links_of_a_dead_node_are_said_to_be_so(world: World) -> None:
    world.nodes.alive["n-1"] = NodeStatus(boot=BootStatus.DEAD)
    done = world.test()
    assert {(way.link, way.why_not) for way in done.ways} == {
        ("link0", ""),
        ("link1", "n-1 is dead"),
        ("link2", ""),
    }
    assert done.outcome is Outcome.NOT_MEASURED


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["sh", "-c", "echo sender: eth0: No such device >&2; exit 1"], "n-1: sender: eth0: No such device"),
        (["sh", "-c", "exit 3"], "n-1: exit code 3"),
        (["sh", "-c", "exit 127"], "n-1: the node has no sender: it was made by an older benito"),
    ],
)
def test_a_sender_that_fails_says_why(world: World, argv: list[str], why: str) -> None:
    world.nodes.broken = {"n-1": argv}
    done = world.test()
    assert [way.why_not.startswith(why) for way in done.ways if way.why_not] == [True]


def test_a_watch_that_fails_spoils_no_more_than_its_ways(world: World) -> None:
    world.links.fault = LinkError("cannot watch packets", hint="run it as root")
    assert {way.why_not.partition(": ")[2] for way in world.test().ways} == {"cannot watch packets (run it as root)"}


def test_only_what_is_up_can_be_tested(world: World) -> None:
    world.store.begin(STAR, type(world.store.get(STAR).state)("swapping"))
    with pytest.raises(UsageError, match="lab/star is swapping") as refused:
        world.test()
    assert refused.value.hint == "finish that first: benito down"


def test_a_lan_with_one_member_asks_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.controller.down(STAR)
    world.controller.up(experiment(topology({"stub": "a"}), default_kind=Kind.PROCESS), data=b"")
    assert (world.test().ways, world.test().outcome) == ((), Outcome.OK)


class TestKept:
    result = LinkTest(experiment="lab/star", started="now", seconds=1.5, links=1, of_links=2, ways=())

    def test_the_newest_is_shown_again(self, world: World) -> None:
        done = world.test()
        assert world.controller.last_linktest(STAR) == done
        assert world.test("link0") == world.controller.last_linktest(STAR)

    def test_none_is_said(self, world: World) -> None:
        with pytest.raises(UsageError, match="links of lab/star were not tested"):
            world.controller.last_linktest(STAR)

    def test_a_few_are_kept(self, world: World) -> None:
        for number in range(KEPT + 3):
            keep(world.store, STAR, replace(self.result, links=number))
        found = newest(world.store, STAR)
        assert found is not None
        assert found.links == KEPT + 2
        with world.store.transaction() as database:
            assert database.execute("SELECT count(*) FROM linktest").fetchone() == (KEPT,)

    def test_they_go_with_the_experiment(self, world: World) -> None:
        keep(world.store, STAR, self.result)
        world.controller.down(STAR)
        keep(world.store, STAR, self.result)  # it has gone meanwhile
        assert newest(world.store, STAR) is None

    def test_an_older_store_gets_its_table(self, world: World) -> None:
        with sqlite3.connect(world.store._path) as database:
            database.execute("DROP TABLE linktest")
            database.execute("PRAGMA user_version = 3")
        database.close()
        keep(Store(world.store._path), STAR, self.result)
        assert newest(world.store, STAR) == self.result

    def test_one_of_another_version_is_refused(self) -> None:
        with pytest.raises(StoreError, match="another version"):
            LinkTest.from_json('{"experiment": "lab/star"}')


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ("", "ok"),
        ("info", "ok"),
        ("ok info", "ok"),
        ("ok,not measured", "not measured"),
        ("not measured,off,ok", "off"),
    ],
)
def test_a_link_is_as_good_as_its_worst(outcomes: str, worst: str) -> None:
    words = outcomes.split(",") if "," in outcomes else outcomes.split()
    assert worst_of(Outcome(word) for word in words) is Outcome(worst)
    assert WayResult(link="l", sender="a", receiver="b", why_not="x").outcome is Outcome.NOT_MEASURED
