from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from benito.errors import LinkError
from benito.model import Kind, Shaping
from benito.plan import PnodePlan, RoutePlan
from benito_netplan.diff import differences
from benito_netplan.observe import Ipv6, Link, Observed, SeenNamespace
from benito_netplan.observe_queues import OTHER_QUEUE
from benito_netplan.wanted import Desired

Plans = Callable[..., PnodePlan]
Worlds = Callable[[PnodePlan], "WorldLike"]
LEG = Shaping(rate_kbps=10_000)
EMPTY = Observed(links={}, queues={}, redirects={}, namespaces={}, guarded=False)


class WorldLike:
    """The conftest's `World`, for the type checker."""

    desired: Desired
    observed: Observed
    without_link: Callable[[str], "WorldLike"]
    with_link: Callable[[Link], "WorldLike"]
    change: Callable[..., "WorldLike"]


def told(world: WorldLike) -> list[str]:
    return [f"{op} ({op.reason})" for op in differences(world.desired, world.observed)]


def with_namespace(world: WorldLike, seen: SeenNamespace) -> WorldLike:
    world.observed = replace(world.observed, namespaces={**world.observed.namespaces, seen.netns: seen})
    return world


MIXED = {"direct": "a b", "wire": "b c", "lan": "a c d", "vm": "e d"}


@pytest.fixture
def mixed(plan_of: Plans, world_of: Worlds) -> WorldLike:
    plan = plan_of(MIXED, kinds={"e": Kind.QEMU}, shaped={"wire": (LEG, LEG), "lan": (LEG, LEG)})
    return world_of(plan)


def test_what_is_as_desired_needs_no_change(mixed: WorldLike) -> None:
    assert told(mixed) == []


def test_from_nothing_everything_is_made_in_an_order_that_works(plan_of: Plans, world_of: Worlds) -> None:
    plan = plan_of({"lan": "a b c"}, kinds={"c": Kind.OPENVZ}, shaped={"lan": (Shaping(), LEG)})
    desired = world_of(plan).desired
    bridge, control = (each.device for each in desired.bridges)
    first, second, *_ = (port.device for port in desired.ports)
    table = desired.firewall.table if desired.firewall else ""
    assert [str(op) for op in differences(desired, EMPTY)] == [
        "add namespace a.star.lab",
        "add namespace b.star.lab",
        f"add bridge {bridge} for LAN lan",
        f"add bridge {control} for the control network",
        f"turn IPv6 on at {control}",
        f"guard {control} by table {table}",
        f"bring {control} up",
        f"add {first} to eth0 in a.star.lab into {bridge}",
        f"add {second} to eth0 in b.star.lab into {bridge}",
        f"shape {first}: 10 Mbit/s, 50 packets",
        f"shape {second}: 10 Mbit/s, 50 packets",
        "add 10.0.0.1/24 at eth0 in a.star.lab",
        "add 10.0.0.2/24 at eth0 in b.star.lab",
    ]


def test_a_deleted_bridge_is_made_and_its_ports_plugged_again(mixed: WorldLike) -> None:
    bridge = mixed.desired.bridges[0].device
    ports = [port.device for port in mixed.desired.ports if port.bridge == bridge]
    broken = mixed.without_link(bridge)
    for port in ports:
        broken = broken.change(port, master_index=0)
    assert told(broken) == [
        f"add bridge {bridge} for LAN lan (it is not there)",
        *(f"plug {port} into {bridge} (it is in no bridge)" for port in ports),
    ]


def test_an_unplugged_port_is_plugged_again(mixed: WorldLike) -> None:
    port = next(port for port in mixed.desired.ports if port.bridge)
    broken = mixed.change(port.device, master_index=0)
    assert told(broken) == [f"plug {port.device} into {port.bridge} (it is in no bridge)"]


def test_a_bridge_that_was_meddled_with_is_set_up_again(mixed: WorldLike) -> None:
    bridge = mixed.desired.bridges[0].device
    assert told(mixed.change(bridge, plain_bridge=False)) == [f"set up bridge {bridge} (its settings differ)"]


def test_a_port_with_an_ipv6_address_of_its_own_loses_it(mixed: WorldLike) -> None:
    port = mixed.desired.ports[0]
    loud = Ipv6(addr_gen_mode=0, disabled=False, accept_ra=1, accept_dad=1)
    assert told(mixed.change(port.device, ipv6=loud)) == [
        f"mark {port.device} as {port.altname} (the pnode has no address there)"
    ]


def test_a_lost_queue_is_made_again(mixed: WorldLike) -> None:
    port = next(port for port in mixed.desired.ports if port.queue)
    queues = {name: queue for name, queue in mixed.observed.queues.items() if name != port.device}
    mixed.observed = replace(mixed.observed, queues=queues)
    assert told(mixed) == [f"shape {port.device}: {port.queue} (it has no shaping)"]


def test_a_queue_of_somebody_elses_is_replaced(mixed: WorldLike) -> None:
    port = next(port for port in mixed.desired.ports if port.queue)
    mixed.observed = replace(mixed.observed, queues={**mixed.observed.queues, port.device: OTHER_QUEUE})
    (op,) = differences(mixed.desired, mixed.observed)
    assert str(op) == f"shape {port.device}: {port.queue}"
    assert getattr(op, "replace", None) is True


def test_a_lost_redirection_is_made_again(mixed: WorldLike) -> None:
    port = next(port for port in mixed.desired.ports if port.redirect)
    mixed.observed = replace(mixed.observed, redirects={**mixed.observed.redirects, port.device: None})
    assert told(mixed) == [f"send {port.device} to {port.redirect} (it goes elsewhere)"]


def test_what_led_to_a_device_that_is_made_anew_is_led_there_again(mixed: WorldLike) -> None:
    end = next(port for port in mixed.desired.ports if port.redirect and not port.bridge and port.inside)
    assert end.inside is not None
    broken = mixed.without_link(end.device)
    seen = broken.observed.namespaces[end.inside.netns]
    links = {name: link for name, link in seen.links.items() if name != end.inside.name}
    with_namespace(broken, replace(seen, links=links))
    assert f"send {end.redirect} to {end.device} (it goes elsewhere)" in told(broken)


def test_a_missing_address_comes_back_with_the_nodes_routes(mixed: WorldLike) -> None:
    seen = mixed.observed.namespaces["a.star.lab"]
    wanted = next(each for each in mixed.desired.namespaces if each.netns == seen.netns)
    address = wanted.addresses["eth0"]
    with_namespace(mixed, replace(seen, addresses={("eth1", wanted.addresses["eth1"]): True}))
    assert told(mixed) == [
        f"add {address} at eth0 in a.star.lab (it is not there)",
        *(f"add route {route.destination} via {route.via} in a.star.lab (it is not there)" for route in wanted.routes),
    ]


def test_an_address_that_benito_gave_and_nobody_wants_goes(mixed: WorldLike) -> None:
    seen = mixed.observed.namespaces["a.star.lab"]
    old = ("eth0", IPv4Interface("10.9.9.9/24"))
    with_namespace(mixed, replace(seen, addresses={**seen.addresses, old: True}))
    assert told(mixed)[0] == "delete 10.9.9.9/24 at eth0 in a.star.lab (the experiment has it no longer)"


def test_addresses_and_routes_of_the_experimenters_stay(mixed: WorldLike) -> None:
    seen = mixed.observed.namespaces["a.star.lab"]
    own = ("eth0", IPv4Interface("10.9.9.9/24"))
    some = next(route for each in mixed.desired.namespaces for route in each.routes)
    route = RoutePlan(destination=own[1].network, via=some.via)
    with_namespace(mixed, replace(seen, addresses={**seen.addresses, own: False}, routes={**seen.routes, route: False}))
    assert told(mixed) == []


def test_a_lan_taken_out_goes_with_its_ports(plan_of: Plans, world_of: Worlds) -> None:
    before = world_of(plan_of({"l": "a b", "lan": "a b c"}))
    before.desired = world_of(plan_of({"l": "a b", "other": "c d"})).desired
    found = told(before)
    gone = sorted(before.observed.links)
    assert sorted(line for line in found if line.startswith("delete b")) == sorted(
        f"delete {name} (the experiment has it no longer)" for name in gone
    )


def test_a_node_taken_out_goes_with_its_namespace(plan_of: Plans, world_of: Worlds) -> None:
    before = world_of(plan_of({"l": "a b", "m": "b c"}))
    before.desired = world_of(plan_of({"l": "a b"})).desired
    assert told(before) == [
        "delete namespace c.star.lab (the experiment has it no longer)",
        "delete eth1 in b.star.lab (the experiment has it no longer)",
        "delete route 10.0.1.0/24 via 10.0.0.2 in a.star.lab (the experiment has it no longer)",
    ]


def test_a_namespace_without_the_mark_is_refused(mixed: WorldLike) -> None:
    lo = Link(index=1, name="lo", up=True)
    with_namespace(mixed, SeenNamespace(netns="a.star.lab", links={"lo": lo}))
    with pytest.raises(LinkError, match=r"a\.star\.lab is there already"):
        differences(mixed.desired, mixed.observed)


def test_a_foreign_namespace_of_a_name_that_is_not_planned_is_left_alone(mixed: WorldLike) -> None:
    lo = Link(index=1, name="lo", up=True)
    with_namespace(mixed, SeenNamespace(netns="z.star.lab", links={"lo": lo}))
    assert told(mixed) == []


def test_a_foreign_device_of_our_name_is_refused(mixed: WorldLike) -> None:
    device = mixed.desired.bridges[0].device
    with pytest.raises(LinkError, match="is not this experiment's"):
        differences(mixed.desired, mixed.with_link(Link(index=7, name=device, kind="bridge")).observed)


def test_a_foreign_device_in_our_group_is_left_alone(mixed: WorldLike) -> None:
    decoy = Link(index=7, name="eth7", group=mixed.desired.group, kind="veth")
    assert told(mixed.with_link(decoy)) == []


class TestHypervisorPorts:
    @pytest.fixture
    def world(self, plan_of: Plans, world_of: Worlds) -> WorldLike:
        return world_of(plan_of({"wire": "vm a", "lan": "vm a b"}, kinds={"vm": Kind.QEMU}))

    @staticmethod
    def device(world: WorldLike, *, bridged: bool) -> str:
        ports = [port for port in world.desired.ports if port.inside is None and not port.isolated]
        return next(port.device for port in ports if (port.bridge is not None) is bridged)

    def test_are_left_out_while_they_are_not_there(self, world: WorldLike) -> None:
        device = self.device(world, bridged=False)
        lost = world.without_link(device)
        other = next(port.device for port in world.desired.ports if port.redirect == device)
        assert told(lost) == [f"stop sending {other} elsewhere (nothing takes it)"]

    def test_are_taken_over_as_the_hypervisor_made_them(self, world: WorldLike) -> None:
        device = self.device(world, bridged=True)
        port = next(port for port in world.desired.ports if port.device == device)
        fresh = Link(
            index=900, name=device, kind="tun", ipv6=Ipv6(addr_gen_mode=0, disabled=False, accept_ra=1, accept_dad=1)
        )
        assert told(world.with_link(fresh)) == [
            f"mark {device} as {port.altname} (the pnode has no address there)",
            f"plug {device} into {port.bridge} (it is in no bridge)",
            f"bring {device} up (it is down)",
        ]

    def test_are_refused_with_anothers_mark(self, world: WorldLike) -> None:
        device = self.device(world, bridged=True)
        other = Link(index=900, name=device, kind="tun", altnames=("benito.other.one.lan.n-0",))
        with pytest.raises(LinkError, match="is not this experiment's"):
            told(world.with_link(other))

    def test_are_refused_in_anothers_bridge(self, world: WorldLike) -> None:
        device = self.device(world, bridged=True)
        with pytest.raises(LinkError, match="is not this experiment's"):
            told(world.with_link(Link(index=900, name=device, kind="tun", master_index=5)))

    def test_are_isolated_on_the_control_network(self, world: WorldLike) -> None:
        port = next(port for port in world.desired.ports if port.isolated)
        assert told(world.change(port.device, isolated=False)) == [
            f"isolate {port.device} (nodes do not meet on the control network)"
        ]


def test_a_node_that_was_a_process_gives_its_device_up(plan_of: Plans, world_of: Worlds) -> None:
    before = world_of(plan_of({"lan": "a b c"}))
    before.desired = world_of(plan_of({"lan": "a b c"}, kinds={"a": Kind.QEMU})).desired
    device = before.desired.ports[0].device
    assert f"delete {device} (its node is of another kind now)" in told(before)


def test_a_veth_that_leads_elsewhere_is_made_anew(mixed: WorldLike) -> None:
    port = next(port for port in mixed.desired.ports if port.inside and port.bridge)
    broken = told(mixed.change(port.device, peer_index=77))
    assert f"delete {port.device} (it does not lead to {port.inside})" in broken
    assert f"add {port.device} to {port.inside} into {port.bridge} (it is not there)" in broken


def test_a_link_that_becomes_shaped_moves_to_the_host(plan_of: Plans, world_of: Worlds) -> None:
    before = world_of(plan_of({"l": "a b"}))
    before.desired = world_of(plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})).desired
    found = told(before)
    assert found[:2] == [
        "delete eth0 in a.star.lab (its other end is not where it should be)",
        "delete eth0 in b.star.lab (its other end is not where it should be)",
    ]
    assert sum(line.startswith("add bv") for line in found) == 2


def test_a_link_that_is_shaped_no_more_leaves_the_host(plan_of: Plans, world_of: Worlds) -> None:
    before = world_of(plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)}))
    before.desired = world_of(plan_of({"l": "a b"})).desired
    found = told(before)
    assert sum(line.startswith("delete bv") for line in found) == 2
    assert "add link l: eth0 in a.star.lab to eth0 in b.star.lab (it is not there)" in found


def test_an_interface_that_the_node_took_down_comes_up(mixed: WorldLike) -> None:
    inside = next(iter(mixed.desired.insides))
    seen = mixed.observed.namespaces[inside.netns]
    links = {**seen.links, inside.name: replace(seen.links[inside.name], up=False)}
    with_namespace(mixed, replace(seen, links=links))
    assert told(mixed) == [f"set up {inside} with {inside.mac} (it is down)"]


def test_forwarding_comes_back(mixed: WorldLike) -> None:
    seen = mixed.observed.namespaces["a.star.lab"]
    links = {**seen.links, "lo": replace(seen.links["lo"], forwards_ipv4=False)}
    with_namespace(mixed, replace(seen, links=links))
    assert told(mixed) == ["turn forwarding on in a.star.lab (nodes forward)"]


def test_without_controlled_nodes_the_packet_filter_goes_with_its_bridge(plan_of: Plans, world_of: Worlds) -> None:
    before = world_of(plan_of({"l": "a b"}, kind=Kind.QEMU))
    before.desired = world_of(plan_of({"l": "a b"})).desired
    assert any(line.startswith("delete table benito_") for line in told(before))
