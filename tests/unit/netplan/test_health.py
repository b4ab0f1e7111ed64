"""How links are, told link by link: which op is whose, what passed, and what makes a run suspect."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from benito.model import Kind, Shaping
from benito.plan import PnodePlan
from benito.seams import LinksHealth, Passed
from benito_netplan.desired import desired_links
from benito_netplan.diff import differences
from benito_netplan.health import absent, health
from benito_netplan.observe import Observed
from benito_netplan.ops import LinkOp
from benito_netplan.pipes import shim_devices
from benito_netplan.probe import EVERY_FEATURE
from benito_netplan.relay import PipeCounters
from benito_netplan.shaping import Feature
from benito_netplan.wanted import Desired, among

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=8000, delay_us=5000)
EMPTY = Observed(links={}, queues={}, redirects={}, namespaces={}, guarded=False)
WITHOUT_NETEM = EVERY_FEATURE - {Feature.NETEM}
NOTHING = PipeCounters(
    received=0,
    sent=0,
    lost=0,
    overflowed=0,
    crowded_out=0,
    unsent=0,
    socket_drops=0,
    late=0,
    latest_us=0,
    bytes_in_flight=0,
)


class WorldLike:
    """The conftest's `World`, for the type checker."""

    desired: Desired
    observed: Observed


@pytest.fixture
def plan(plan_of: Plans) -> PnodePlan:
    return plan_of({"direct": "a b", "wire": "b c", "lan": "a c d"}, shaped={"wire": (LEG, LEG), "lan": (LEG, LEG)})


def found(
    plan: PnodePlan,
    observed: Observed,
    features: frozenset[Feature] = EVERY_FEATURE,
    counters: Mapping[str, PipeCounters] | None = None,
) -> LinksHealth:
    changes = [op for op in differences(desired_links(plan, features), observed) if isinstance(op, LinkOp)]
    return health(plan, changes, features, counters or {})


def device(plan: PnodePlan, lan: str, node: str) -> str:
    return next(port.device for link in plan.links if link.lan == lan for port in link.ports if port.node == node)


@pytest.mark.parametrize("features", [EVERY_FEATURE, WITHOUT_NETEM])
def test_what_is_as_planned_is_not_broken(
    plan: PnodePlan, world_of: Callable[..., WorldLike], features: frozenset[Feature]
) -> None:
    seen = found(plan, world_of(plan, features).observed, features)
    assert (seen.count, seen.broken, seen.others, seen.suspect) == (3, {}, (), ())


@pytest.mark.parametrize("features", [EVERY_FEATURE, WITHOUT_NETEM])
def test_where_nothing_is_there_every_link_is_broken(plan: PnodePlan, features: frozenset[Feature]) -> None:
    seen = found(plan, EMPTY, features)
    assert set(seen.broken) == {"direct", "wire", "lan"}
    assert all("namespace" in said or "forwarding" in said or "route" in said for said in seen.others)
    assert any("namespace" in said for said in seen.others)


@pytest.mark.parametrize(("lan", "node"), [("wire", "b"), ("lan", "d")])
def test_a_port_that_is_gone_breaks_its_link_alone(
    plan: PnodePlan, world_of: Callable[[PnodePlan], WorldLike], lan: str, node: str
) -> None:
    observed = world_of(plan).observed
    gone = device(plan, lan, node)
    seen = found(plan, replace(observed, links={name: link for name, link in observed.links.items() if name != gone}))
    assert list(seen.broken) == [lan]
    assert any(gone in said and "it is not there" in said for said in seen.broken[lan])


def test_an_address_within_a_node_is_its_links(plan: PnodePlan, world_of: Callable[[PnodePlan], WorldLike]) -> None:
    observed = world_of(plan).observed
    namespaces = dict(observed.namespaces)
    (netns,) = [name for name in namespaces if name.startswith("d.")]
    namespaces[netns] = replace(namespaces[netns], addresses={})
    seen = found(plan, replace(observed, namespaces=namespaces))
    assert list(seen.broken) == ["lan"]
    assert all("10.0.0.3/24" in said for said in seen.broken["lan"])
    assert all("route" in said for said in seen.others)


def test_it_says_what_shapes_each_link(plan: PnodePlan) -> None:
    assert found(plan, EMPTY).shapers == {"direct": (), "wire": ("htb", "netem"), "lan": ("htb", "netem")}
    relayed = found(plan, EMPTY, WITHOUT_NETEM)
    assert relayed.shapers == {"direct": (), "wire": ("the relay",), "lan": ("the relay",)}
    assert relayed.relayed == ("wire", "lan")


def test_pulled_cables_are_planned_and_told(plan: PnodePlan, world_of: Callable[[PnodePlan], WorldLike]) -> None:
    pulled = replace(
        plan, links=tuple(replace(link, down=("c",)) if link.lan == "lan" else link for link in plan.links)
    )
    assert found(pulled, EMPTY).down == ("lan",)
    assert found(plan, world_of(plan).observed).down == ()


def test_what_passed_is_told_from_the_nodes_side(plan: PnodePlan) -> None:
    name = device(plan, "wire", "b")
    text = (
        "Inter-|   Receive                             |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier\n"
        "    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"
        f"{name}: 100 1 0 0 0 0 0 0 200 2 0 0 0 0 0 0\n"
    )
    seen = health(plan, [], EVERY_FEATURE, {}, text)
    assert seen.passed["wire"] == (
        Passed(node="b", interface="eth1", sent_packets=1, sent_bytes=100, received_packets=2, received_bytes=200),
    )
    assert seen.passed["direct"] == seen.passed["lan"] == ()


@pytest.mark.parametrize(
    ("counters", "said"),
    [
        (replace(NOTHING, sent=1000, late=19, latest_us=5000), None),
        (replace(NOTHING, sent=1000, late=20, latest_us=5000), "sent 20 of 1000 frames more than 1 ms late, 5.0 ms"),
        (replace(NOTHING, sent=10_000, late=100), None),
        (replace(NOTHING, socket_drops=1, crowded_out=2), "lost 3 frames that it should not"),
        (replace(NOTHING, lost=500, overflowed=500), None),
    ],
)
def test_a_relay_that_did_not_keep_up_makes_the_run_suspect(
    plan: PnodePlan, counters: PipeCounters, said: str | None
) -> None:
    seen = found(plan, EMPTY, WITHOUT_NETEM, {device(plan, "wire", "b"): counters}).suspect
    assert len(seen) == (said is not None)
    assert all(
        words.startswith("wire, from b:eth1: the relay ") and said is not None and said in words for words in seen
    )


def test_devices_of_machines_that_are_not_there_are_named(plan_of: Plans) -> None:
    plan = plan_of({"lan": "vm a b"}, kinds={"vm": Kind.QEMU})
    (vm,) = [node for node in plan.nodes if node.name == "vm"]
    assert vm.control is not None
    port, control = device(plan, "lan", "vm"), vm.control.device
    assert [(gone.device, gone.lan) for gone in absent(plan, ())] == [(port, "lan"), (control, None)]
    assert [gone.device for gone in absent(plan, {port})] == [control]


def test_without_reviving_a_namespace_that_is_gone_stays_so(
    plan: PnodePlan, world_of: Callable[[PnodePlan], WorldLike]
) -> None:
    world = world_of(plan)
    (netns,) = [name for name in world.observed.namespaces if name.startswith("b.")]
    namespaces = {name: seen for name, seen in world.observed.namespaces.items() if name != netns}
    lost = device(plan, "wire", "b")
    links = {name: link for name, link in world.observed.links.items() if name != lost}
    observed = replace(world.observed, namespaces=namespaces, links=links)
    assert any(netns in str(op) for op in differences(world.desired, observed))
    left = [str(op) for op in differences(among(world.desired, namespaces), observed)]
    assert not any(netns in words or lost in words for words in left)


def test_each_way_of_a_lan_is_told_apart(plan: PnodePlan) -> None:
    counters = replace(NOTHING, socket_drops=1)
    (port,) = [port for link in plan.links if link.lan == "lan" for port in link.ports if port.node == "d"]
    said = found(plan, EMPTY, WITHOUT_NETEM, {port.device: counters, shim_devices(port)[1]: counters}).suspect
    assert [words.partition(": ")[0] for words in said] == ["lan, from d:eth0", "lan, to d:eth0"]


def test_ports_of_machines_that_are_not_there_are_their_nodes_affair(plan_of: Plans) -> None:
    plan = plan_of({"lan": "vm a b"}, kinds={"vm": Kind.QEMU})
    seen = found(plan, EMPTY)
    assert not any(device(plan, "lan", "vm") in said for said in seen.broken["lan"])
