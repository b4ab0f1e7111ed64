"""Links that the relay carries: what is wanted, and what is done about it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from relays import with_red

from benito.model import Kind, Shaping
from benito.plan import PnodePlan
from benito_netplan.desired import desired_links
from benito_netplan.diff import differences
from benito_netplan.observe import Observed
from benito_netplan.probe import EVERY_FEATURE
from benito_netplan.shaping import Feature
from benito_netplan.wanted import Desired

Plans = Callable[..., PnodePlan]
WITHOUT_NETEM = EVERY_FEATURE - {Feature.NETEM}
LEG = Shaping(rate_kbps=8000, delay_us=5000)
EMPTY = Observed(links={}, queues={}, redirects={}, namespaces={}, guarded=False)


class WorldLike:
    """The conftest's `World`, for the type checker."""

    desired: Desired
    observed: Observed
    change: Callable[..., "WorldLike"]


Worlds = Callable[..., WorldLike]


def told(world: WorldLike) -> list[str]:
    return [f"{op} ({op.reason})" for op in differences(world.desired, world.observed)]


def test_a_wire_is_carried_both_ways_or_not_at_all(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (LEG, Shaping())})
    wanted = desired_links(plan, WITHOUT_NETEM)
    first, second = wanted.ports
    assert [(pipe.source, pipe.target) for pipe in wanted.pipes] == [
        (second.device, first.device),
        (first.device, second.device),
    ]
    assert {pipe.delay_us for pipe in wanted.pipes} == {5000}
    assert [(port.redirect, port.queue, port.relayed) for port in wanted.ports] == [(None, None, True)] * 2
    assert desired_links(plan, EVERY_FEATURE).pipes == ()


def test_a_lan_is_carried_member_by_member(plan_of: Plans) -> None:
    plan = plan_of({"lan": "a b c"})
    (link,) = plan.links
    ports = (replace(link.ports[0], into=LEG), replace(link.ports[1], into=Shaping(rate_kbps=1000)), link.ports[2])
    wanted = desired_links(replace(plan, links=(replace(link, ports=ports),)), WITHOUT_NETEM)
    (shim,) = wanted.shims
    relayed, shaped, clear = wanted.ports
    assert (relayed.bridge, shaped.bridge, clear.bridge) == (None, link.bridge, link.bridge)
    assert [ifb.device for ifb in wanted.ifbs] == [ports[1].ifb]
    into, out_of = wanted.pipes
    assert (into.source, into.target, into.rate_bytes_per_s) == (relayed.device, shim.behind, 1_000_000)
    assert (out_of.source, out_of.target, out_of.rate_bytes_per_s) == (shim.behind, relayed.device, None)


def test_a_red_queue_goes_with_its_sender(plan_of: Plans) -> None:
    plan = with_red(plan_of({"l": "a b"}, shaped={"l": (Shaping(rate_kbps=1000), Shaping())}))
    wanted = desired_links(plan, EVERY_FEATURE)
    assert [(pipe.red is not None, pipe.limit) for pipe in wanted.pipes] == [(True, 50)] * 2


def test_a_direct_link_needs_no_relay(plan_of: Plans) -> None:
    assert desired_links(with_red(plan_of({"l": "a b"})), WITHOUT_NETEM).pipes == ()


@pytest.fixture
def lan(plan_of: Plans, world_of: Worlds) -> WorldLike:
    plan = plan_of({"lan": "a b c", "l": "a b"}, shaped={"lan": (LEG, LEG), "l": (LEG, LEG)})
    world = world_of(plan, WITHOUT_NETEM)
    for port in world.desired.ports:
        world = world.change(port.device, shut=True)
    return world


def test_what_is_carried_as_desired_needs_no_change(lan: WorldLike) -> None:
    assert told(lan) == []


def test_a_relay_that_ended_is_started_with_all_its_pipes(lan: WorldLike) -> None:
    lan.observed = replace(lan.observed, pipes=None)
    found = told(lan)
    assert len(found) == len(lan.desired.pipes) == 8
    assert found[0].endswith("8 Mbit/s, 5 ms, 50 packets (no relay runs)")


def test_other_numbers_change_a_pipe_only(lan: WorldLike) -> None:
    pipe = lan.desired.pipes[0]
    seen = {**(lan.observed.pipes or {}), pipe.source: replace(pipe, delay_us=7000)}
    lan.observed = replace(lan.observed, pipes=seen)
    (said,) = told(lan)
    assert said.endswith("(it was: 8 Mbit/s, 7 ms, 50 packets)")


def test_a_pipe_of_a_device_that_is_made_anew_is_set_again(lan: WorldLike) -> None:
    shim = lan.desired.shims[0]
    links = {name: link for name, link in lan.observed.links.items() if name != shim.device}
    lan.observed = replace(lan.observed, links=links)
    ops = [str(op).split()[0] for op in differences(lan.desired, lan.observed)]
    assert ops == ["delete", "add", "shut", "relay", "relay"]


def test_the_pnode_is_shut_off_before_the_relay_takes_over(lan: WorldLike) -> None:
    device = lan.desired.pipes[0].source
    lan = lan.change(device, shut=False)
    assert told(lan) == [f"shut the pnode off from {device} (only the relay takes what comes in)"]


def test_a_relay_with_nothing_to_carry_ends(plan_of: Plans, world_of: Worlds, lan: WorldLike) -> None:
    world = world_of(plan_of({"l": "a b"}), EVERY_FEATURE)
    world.observed = replace(world.observed, pipes={})
    assert told(world) == ["stop the relay (it has nothing to carry)"]


def test_a_port_of_a_machine_is_carried_once_it_is_there(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, kinds={"b": Kind.QEMU}, shaped={"l": (LEG, LEG)})
    desired = desired_links(plan, WITHOUT_NETEM)
    ops = [str(op) for op in differences(desired, EMPTY)]
    assert not any(op.startswith("relay") for op in ops)


def test_a_port_that_a_hypervisor_plugged_into_the_bridge_is_taken_out_of_it(plan_of: Plans, world_of: Worlds) -> None:
    plan = plan_of({"lan": "a b c"}, kinds={"b": Kind.QEMU}, shaped={"lan": (LEG, LEG)})
    world = world_of(plan, WITHOUT_NETEM)
    for port in world.desired.ports:
        world = world.change(port.device, shut=True)
    device = next(port.device for port in world.desired.ports if port.inside is None and port.relayed)
    bridge = world.observed.links[plan.links[0].bridge]
    world = world.change(device, master_index=bridge.index, group=0, altnames=())
    assert [op.split(" (")[0] for op in told(world)] == [
        f"mark {device} as {next(port.altname for port in world.desired.ports if port.device == device)}",
        f"unplug {device}",
    ]


def test_a_pulled_cable_takes_the_host_side_down(plan_of: Plans, world_of: Worlds) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (Shaping(rate_kbps=1000), Shaping())})
    world = world_of(plan)
    pulled = replace(plan, links=(replace(plan.links[0], down=("a",)),))
    desired = desired_links(pulled, EVERY_FEATURE)
    device = pulled.links[0].ports[0].device
    assert [f"{op} ({op.reason})" for op in differences(desired, world.observed)] == [
        f"take {device} down (its cable is pulled)"
    ]
    world = world.change(device, up=False)
    assert differences(desired, world.observed) == []
    assert told(world) == [f"bring {device} up (it is down)"]
