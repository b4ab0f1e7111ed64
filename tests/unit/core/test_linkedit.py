"""Changes of links that are up: what the plan says afterwards."""

from dataclasses import replace

import pytest
from builders import experiment, topology

from benito.errors import UsageError
from benito.linkedit import LinkChange, distinct_ways, edited, find_link, ports_of
from benito.model import Kind, Queue, Shaping
from benito.plan import ExperimentPlan, LinkPlan, Realization
from benito.planner import plan_experiment

HALF = Shaping(rate_kbps=8000, delay_us=5000)


def planned(half: Shaping = HALF, kind: Kind = Kind.PROCESS) -> ExperimentPlan:
    base = topology({"link": "a b", "lan": "a b c"})
    lans = tuple(
        replace(lan, members=tuple(replace(member, into=half, out_of=half) for member in lan.members))
        for lan in base.lans
    )
    return plan_experiment(experiment(replace(base, lans=lans), default_kind=kind))


def link(plan: ExperimentPlan, name: str) -> LinkPlan:
    return next(link for link in plan.pnodes[0].links if link.lan == name)


def between(plan: ExperimentPlan, lan: str) -> dict[str, Shaping]:
    ports = ports_of(plan, lan)
    return {f"{a.node}>{b.node}": a.into.then(b.out_of) for a in ports for b in ports if a is not b}


def test_a_links_values_hold_from_member_to_member() -> None:
    found = between(edited(planned(), LinkChange(link="link", delay_us=30_001, rate_kbps=1000)), "link")
    assert {(way.delay_us, way.rate_kbps) for way in found.values()} == {(30_001, 1000)}


def test_one_way_can_be_changed_alone() -> None:
    found = between(edited(planned(), LinkChange(link="LINK", source="A", loss_ratio=0.25)), "link")
    assert (found["a>b"].loss_ratio, found["b>a"].loss_ratio) == (0.25, 0)
    found = between(edited(planned(), LinkChange(link="link", target="a", delay_us=7)), "link")
    assert (found["a>b"].delay_us, found["b>a"].delay_us) == (10_000, 7)


def test_a_lans_values_hold_between_any_two_members() -> None:
    found = between(edited(planned(), LinkChange(link="lan", delay_us=30_000, loss_ratio=0.19)), "lan")
    assert {way.delay_us for way in found.values()} == {30_000}
    assert {round(way.loss_ratio, 9) for way in found.values()} == {0.19}


def test_a_lans_members_have_halves_of_their_own() -> None:
    changed = edited(planned(), LinkChange(link="lan", source="a", target="b", rate_kbps=500))
    ports = {port.node: (port.into.rate_kbps, port.out_of.rate_kbps) for port in link(changed, "lan").ports}
    assert ports == {"a": (500, 8000), "b": (8000, 500), "c": (8000, 8000)}


def test_a_rate_can_be_lifted() -> None:
    found = between(edited(planned(), LinkChange(link="link", rate_kbps=0)), "link")
    assert {(way.rate_kbps, way.delay_us) for way in found.values()} == {(None, 10_000)}


def test_a_queue_in_packets_ends_one_in_bytes() -> None:
    plan = planned()
    (part,) = plan.pnodes
    in_bytes = Queue(limit=9000, in_bytes=True)
    links = tuple(
        replace(each, ports=tuple(replace(port, queue=in_bytes) for port in each.ports)) for each in part.links
    )
    plan = replace(plan, pnodes=(replace(part, links=links),))
    one_way = link(edited(plan, LinkChange(link="link", source="a", queue_packets=7)), "link")
    assert [(port.queue.limit, port.queue.in_bytes, port.into.queue_packets) for port in one_way.ports] == [
        (7, False, 7),
        (9000, True, None),
    ]
    changed = link(edited(plan, LinkChange(link="lan", target="b", queue_packets=7)), "lan")
    assert {port.queue for port in changed.ports} == {in_bytes}


@pytest.mark.parametrize("lan", ["link", "lan"])
def test_all_that_happens_between_members_is_found_once(lan: str) -> None:
    plan = edited(planned(), LinkChange(link=lan, source="a", delay_us=1))
    plan = edited(plan, LinkChange(link=lan, target="b", loss_ratio=0.5))
    assert {way for _, way in distinct_ways(ports_of(plan, lan))} == set(between(plan, lan).values())


def test_nothing_else_changes_but_the_generation() -> None:
    before = planned()
    after = edited(before, LinkChange(link="link", queue_packets=7))
    assert [part.generation for part in after.pnodes] == [part.generation + 1 for part in before.pnodes]
    assert link(after, "lan") == link(before, "lan")
    assert after.pnodes[0].nodes == before.pnodes[0].nodes


def test_a_direct_link_that_is_shaped_becomes_a_wire_and_stays_one() -> None:
    plan = planned(Shaping())
    assert link(plan, "link").realization is Realization.DIRECT
    shaped = edited(plan, LinkChange(link="link", delay_us=1000))
    assert link(shaped, "link").realization is Realization.WIRE
    assert link(edited(shaped, LinkChange(link="link", delay_us=0)), "link").realization is Realization.WIRE


def test_cables_are_pulled_and_plugged() -> None:
    pulled = edited(planned(Shaping()), LinkChange(link="link", down=True))
    assert (link(pulled, "link").down, link(pulled, "link").realization) == (("a", "b"), Realization.WIRE)
    half = edited(pulled, LinkChange(link="link", source="a", down=False))
    assert link(half, "link").down == ("b",)
    assert link(edited(planned(), LinkChange(link="lan", source="c", down=True)), "lan").down == ("c",)


@pytest.mark.parametrize("kind", [Kind.OPENVZ, Kind.QEMU, Kind.PROCESS])
@pytest.mark.parametrize("lan", ["link", "lan"])
@pytest.mark.parametrize("values", [{"delay_us": 9}, {"rate_kbps": 9}, {"down": True}])
def test_no_change_asks_for_another_interface_of_a_node(kind: Kind, lan: str, values: dict[str, int]) -> None:
    plan = planned(Shaping(), kind)
    changed = edited(plan, LinkChange(link=lan, **values))  # type: ignore[arg-type]
    assert changed.pnodes[0].nodes == plan.pnodes[0].nodes
    was, now = link(plan, lan).realization, link(changed, lan).realization
    assert now is (Realization.WIRE if was is Realization.DIRECT else was)
    assert kind is Kind.PROCESS or was is not Realization.DIRECT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (LinkChange(link="lnik", delay_us=1), "no link lnik"),
        (LinkChange(link="link"), "nothing is to be changed"),
        (LinkChange(link="link", source="c", target="d", delay_us=1), "c is no member of link; d is no member"),
        (LinkChange(link="link", source="a", target="a", delay_us=1), "from a to itself"),
        (LinkChange(link="link", jitter_us=20_000), "from a: jitter 20000 us is more than the delay, 10000 us"),
        (LinkChange(link="link", delay_us=0, reorder_ratio=0.1), "cannot overtake"),
    ],
)
def test_what_makes_no_sense_is_refused(change: LinkChange, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        edited(planned(), change)


def test_an_unknown_link_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as refused:
        find_link(planned(), "links")
    assert refused.value.hint is not None
    assert "link" in refused.value.hint
