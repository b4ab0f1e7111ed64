"""Trunks: what is wanted, what is done about differences, what is missing for them."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from builders import topology

from benito.errors import LinkError
from benito.model import Kind, Shaping
from benito.names import ExperimentId
from benito.plan import PnodePlan
from benito.planner import plan_experiment, resolve
from benito.policy import Policy
from benito.segments import Segment
from benito.site import BridgeStyle, Network, PnodeType, Site, TrunkKind
from benito_netplan import messages_trunks as messages
from benito_netplan.attributes import attribute
from benito_netplan.desired import desired_links
from benito_netplan.diff import differences
from benito_netplan.lacking_trunks import interface_lacks
from benito_netplan.marks import carried, is_derived
from benito_netplan.observe import Link
from benito_netplan.observe_trunks import SeenTrunk, is_aware, seen_trunk
from benito_netplan.probe import EVERY_FEATURE, lacks
from benito_netplan.shaping import Feature

NAME = ExperimentId("lab", "star")
ADDRESSES = (IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2"), IPv4Address("10.9.0.3"))
LEG = Shaping(rate_kbps=8000, delay_us=5000)
WITHOUT_NETEM = EVERY_FEATURE - {Feature.NETEM}
HEADER = 16

WorldOf = Callable[..., Any]


def plan_of(
    members: str,
    *,
    network: Network = Network(),  # noqa: B008 - a value
    shaping: Shaping = Shaping(),  # noqa: B008 - a value
    kind: Kind = Kind.PROCESS,
    more: dict[str, str] | None = None,
) -> PnodePlan:
    """The part of the pnode on which the nodes that begin with `x` stand; `y` and `z` have theirs."""
    pnodes = PnodeType(name="pc", names=("x", "y", "z"), count=3, addresses=ADDRESSES)
    lans = {"lan": members, **(more or {})}
    pins = tuple((name, name[0]) for name in dict.fromkeys(" ".join(lans.values()).split()))
    site = Site(name="three", pnode_types=(pnodes,), network=network)
    experiment = resolve(NAME, topology(lans, shaping=shaping), Policy(default_kind=kind, pins=pins), site)
    plan = plan_experiment(experiment)
    hosts = [each.host for each in experiment.embedding.partitions]
    return plan.pnodes[hosts.index("x")]


def told(world: Any) -> list[str]:
    return [str(op) for op in differences(world.desired, world.observed)]


AWARE = Network(bridges=BridgeStyle.VLAN_AWARE)
VLANS = Network(trunk=TrunkKind.VLAN)
EVERY_PLAN = pytest.mark.parametrize(
    "plan",
    [
        plan_of("x1 y1"),
        plan_of("x1 y1", shaping=LEG),
        plan_of("x1 x2 y1 z1", shaping=LEG),
        plan_of("x1 x2 y1", network=VLANS),
        plan_of("x1 x2 y1", network=AWARE, more={"here": "x1 x2 x3"}, shaping=LEG),
        plan_of("x1 x2 y1", kind=Kind.QEMU),
    ],
    ids=["wire", "shaped wire", "bridge", "vlan", "aware", "machines"],
)
EVERY_KERNEL = pytest.mark.parametrize("features", [EVERY_FEATURE, WITHOUT_NETEM], ids=["netem", "relay"])


class TestWanted:
    def test_one_member_and_the_trunk_lead_to_each_other_without_a_bridge(self) -> None:
        wanted = desired_links(plan_of("x1 y1", shaping=LEG), EVERY_FEATURE)
        (port,), (trunk,) = wanted.ports, wanted.trunks
        assert (wanted.bridges, wanted.ifbs, port.bridge, trunk.bridge) == ((), (), None, None)
        assert (port.redirect, trunk.redirect) == (trunk.device, port.device)
        assert port.frames_only

    def test_what_a_member_sends_waits_at_the_trunk_and_what_it_gets_at_its_port(self) -> None:
        plan = plan_of("x1 y1")
        (link,) = plan.links
        (port,) = link.ports
        halves = replace(port, into=Shaping(rate_kbps=1000), out_of=Shaping(rate_kbps=2000))
        wanted = desired_links(replace(plan, links=(replace(link, ports=(halves,)),)), EVERY_FEATURE)
        queues = [wanted.trunks[0].queue, wanted.ports[0].queue]
        assert [queue.rate_bytes_per_s for queue in queues if queue] == [125_000, 250_000]

    def test_without_netem_the_relay_goes_between(self) -> None:
        wanted = desired_links(plan_of("x1 y1", shaping=LEG), WITHOUT_NETEM)
        (port,), (trunk,) = wanted.ports, wanted.trunks
        assert {(pipe.source, pipe.target) for pipe in wanted.pipes} == {
            (port.device, trunk.device),
            (trunk.device, port.device),
        }
        assert (port.redirect, trunk.redirect, port.queue, trunk.queue) == (None,) * 4
        assert port.relayed
        assert trunk.relayed
        assert wanted.shims == ()

    def test_several_members_and_the_trunk_are_a_bridges_ports(self) -> None:
        wanted = desired_links(plan_of("x1 x2 y1", shaping=LEG), EVERY_FEATURE)
        bridge = wanted.bridges[0].device
        assert {port.bridge for port in wanted.ports} == {bridge}
        (trunk,) = wanted.trunks
        assert (trunk.bridge, trunk.redirect, trunk.queue, trunk.relayed) == (bridge, None, None, False)
        assert len(wanted.ifbs) == 2

    @EVERY_KERNEL
    def test_every_port_of_an_aware_bridge_has_its_lans_vlan(self, features: frozenset[Feature]) -> None:
        plan = plan_of("x1 x2 y1", network=AWARE, more={"here": "x1 x2 x3"}, shaping=LEG)
        wanted = desired_links(plan, features)
        (bridge,) = (each for each in wanted.bridges if not each.control)
        plugged = [each.device for each in (*wanted.ports, *wanted.shims, *wanted.trunks) if each.bridge]
        assert bridge.aware
        assert set(wanted.accesses) == set(plugged)
        assert len(plugged) == 6
        assert sorted(wanted.accesses.values()).count(plan.links[0].vlan or 0) == 3

    def test_a_trunks_name_is_known_as_ours(self) -> None:
        (trunk,) = desired_links(plan_of("x1 y1"), EVERY_FEATURE).trunks
        assert is_derived(trunk.device)
        assert trunk.device in set(desired_links(plan_of("x1 y1"), EVERY_FEATURE).devices)


class TestDifferences:
    @EVERY_PLAN
    @EVERY_KERNEL
    def test_where_all_is_as_wanted_nothing_is_done(
        self, world_of: WorldOf, plan: PnodePlan, features: frozenset[Feature]
    ) -> None:
        assert told(world_of(plan, features)) == []

    def test_a_new_link_is_made_in_this_order(self, world_of: WorldOf) -> None:
        plan = plan_of("x1 y1 z1", shaping=Shaping(rate_kbps=8000))
        world = world_of(plan)
        (port,), (trunk,) = world.desired.ports, world.desired.trunks
        nothing = replace(
            world.observed,
            links={"eth1": world.observed.links["eth1"]},
            queues={},
            redirects={},
            namespaces={},
            peers={},
        )
        assert told(replace(world, observed=nothing)) == [
            "add namespace x1.star.lab",
            f"add {trunk.device}: VXLAN 1000000 over eth1 for LAN lan",
            f"add {port.device} to eth0 in x1.star.lab",
            f"set the MTU of {port.device} to 1450",
            f"bring {trunk.device} up",
            f"have {trunk.device} send to 10.9.0.2",
            f"have {trunk.device} send to 10.9.0.3",
            f"shape {port.device}: 8 Mbit/s, 50 packets",
            f"send {port.device} to {trunk.device}",
            f"shape {trunk.device}: 8 Mbit/s, 50 packets",
            f"send {trunk.device} to {port.device}",
            "set the MTU of eth0 in x1.star.lab to 1450",
            "add 10.0.0.1/24 at eth0 in x1.star.lab",
        ]

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": 1},
            {"local": IPv4Address("10.9.0.9")},
            {"interface": 1},
            {"usual": False},
            {"port": 8472},
            {"kind": TrunkKind.VLAN},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_a_trunk_with_other_settings_is_made_anew(self, world_of: WorldOf, changes: dict[str, Any]) -> None:
        world = world_of(plan_of("x1 x2 y1"))
        (trunk,) = world.desired.trunks
        seen = world.observed.links[trunk.device].trunk
        found = told(world.change(trunk.device, trunk=replace(seen, **changes)))
        assert found == [
            f"delete {trunk.device}",
            f"add {trunk.device}: VXLAN 1000000 over eth1 for LAN lan",
            f"plug {trunk.device} into {trunk.bridge}",
            f"bring {trunk.device} up",
            f"have {trunk.device} send to 10.9.0.2",
        ]

    def test_a_trunk_that_is_made_anew_is_led_to_again(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 y1", shaping=Shaping(rate_kbps=8000)))
        (port,), (trunk,) = world.desired.ports, world.desired.trunks
        assert told(world.without_link(trunk.device))[-3:] == [
            f"send {port.device} to {trunk.device}",
            f"shape {trunk.device}: 8 Mbit/s, 50 packets",
            f"send {trunk.device} to {port.device}",
        ]

    def test_peers_come_and_go(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 y1 z1"))
        (trunk,) = world.desired.trunks
        peers = {trunk.device: frozenset({ADDRESSES[1], IPv4Address("10.9.0.9")})}
        assert told(replace(world, observed=replace(world.observed, peers=peers))) == [
            f"stop {trunk.device} send to 10.9.0.9",
            f"have {trunk.device} send to 10.9.0.3",
        ]

    def test_mtus_are_put_right_on_every_device(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 x2 y1"))
        port, (trunk,) = world.desired.ports[0], world.desired.trunks
        broken = world.change(port.device, mtu_bytes=9000).change(trunk.device, mtu_bytes=1500)
        assert told(broken) == [f"set the MTU of {port.device} to 1450", f"set the MTU of {trunk.device} to 1450"]

    def test_what_a_hypervisor_made_gets_the_mtu_when_it_is_adopted(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 x2 y1", kind=Kind.QEMU))
        port = world.desired.ports[0]
        assert f"set the MTU of {port.device} to 1450" in told(world.change(port.device, mtu_bytes=1500))

    def test_a_trunk_that_no_lan_has_is_deleted(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 x2 y1"))
        (trunk,) = world.desired.trunks
        desired = desired_links(plan_of("x1 x2 x3"), EVERY_FEATURE)
        assert f"delete {trunk.device}" in told(replace(world, desired=desired))

    @pytest.mark.parametrize("network", [Network(), VLANS], ids=["vxlan", "vlan"])
    def test_an_id_that_is_somebody_elses_is_refused_by_name(self, world_of: WorldOf, network: Network) -> None:
        world = world_of(plan_of("x1 y1", network=network))
        (trunk,) = world.desired.trunks
        seen = world.observed.links[trunk.device].trunk
        theirs = Link(index=7, name="theirs", kind=trunk.kind, trunk=seen)
        with pytest.raises(
            LinkError, match=f"{seen.id} that LAN lan is to have belongs to the device theirs"
        ) as caught:
            told(world.with_link(theirs))
        assert "ip -d link show theirs" in (caught.value.hint or "")
        assert told(world.with_link(replace(theirs, trunk=replace(seen, id=9)))) == []

    def test_the_same_vlan_of_another_interface_is_no_business_of_ours(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 y1", network=VLANS))
        seen = world.observed.links[world.desired.trunks[0].device].trunk
        theirs = Link(index=7, name="theirs", kind="vlan", trunk=replace(seen, interface=1))
        assert told(world.with_link(theirs)) == []

    def test_the_same_id_at_another_udp_port_is_no_business_of_ours(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 y1"))
        seen = world.observed.links[world.desired.trunks[0].device].trunk
        theirs = Link(index=7, name="theirs", kind="vxlan", trunk=replace(seen, port=8472))
        assert told(world.with_link(theirs)) == []

    def test_without_the_interface_nothing_is_touched(self, world_of: WorldOf) -> None:
        with pytest.raises(LinkError, match="the interface eth1 that LAN lan is to leave the pnode by is not there"):
            told(world_of(plan_of("x1 y1")).without_link("eth1"))

    def test_a_port_is_in_its_vlan_and_in_no_other(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 x2 y1", network=AWARE))
        (port, *_), vlan = world.desired.ports, next(iter(world.desired.accesses.values()))
        other = vlan % 4094 + 1

        def seen(*vlans: tuple[int, bool]) -> list[str]:
            accesses = {**world.observed.accesses, port.device: frozenset(vlans)}
            return told(replace(world, observed=replace(world.observed, accesses=accesses)))

        put, out = f"put {port.device} in VLAN {vlan}", f"take {port.device} out of VLAN {other}"
        assert seen() == [put]
        assert seen((vlan, False)) == [put]
        assert seen((vlan, True), (other, False)) == [out]
        assert seen((other, True)) == [out, put]

    def test_a_bridge_that_tells_no_vlans_apart_is_made_to(self, world_of: WorldOf) -> None:
        world = world_of(plan_of("x1 x2 y1", network=AWARE))
        (bridge,) = world.desired.bridges
        assert told(world.change(bridge.device, aware_bridge=False)) == [f"make bridge {bridge.device} VLAN-aware"]


class TestLacks:
    @pytest.mark.parametrize(
        ("plan", "feature"),
        [
            (plan_of("x1 y1"), Feature.VXLAN),
            (plan_of("x1 y1", network=VLANS), Feature.VLAN),
            (plan_of("x1 x2 y1", network=AWARE), Feature.VLAN_FILTERING),
        ],
        ids=["vxlan", "vlan", "aware"],
    )
    def test_what_the_kernel_has_not_is_named_with_a_way_out(self, plan: PnodePlan, feature: Feature) -> None:
        assert lacks(plan, EVERY_FEATURE) == []
        (lack,) = lacks(plan, EVERY_FEATURE - {feature})
        assert (lack.missing, lack.shaping) == (feature, False)
        assert "site file" in lack.hint
        others = {Feature.VXLAN, Feature.VLAN, Feature.VLAN_FILTERING} - {feature}
        needed = others & {Feature.VXLAN} if feature is Feature.VLAN_FILTERING else set()
        assert len(lacks(plan, EVERY_FEATURE - others)) == len(needed)

    @pytest.mark.parametrize(
        ("changes", "addresses", "missing"),
        [
            (None, (), ["an interface eth1"]),
            ({"up": False}, (ADDRESSES[0],), ["eth1 to be up"]),
            ({"mtu_bytes": 1499}, (ADDRESSES[0],), ["an MTU of 1500 on eth1, which has 1499"]),
            ({}, (ADDRESSES[1],), ["the address 10.9.0.1 on eth1"]),
            ({"up": False, "mtu_bytes": 600}, (), ["eth1 to be up", "an MTU of 1500 on eth1, which has 600",
                                                   "the address 10.9.0.1 on eth1"]),
            ({}, (ADDRESSES[0], ADDRESSES[1]), []),
        ],
    )  # fmt: skip
    def test_what_the_interface_has_not_is_told_once(
        self, changes: dict[str, Any] | None, addresses: tuple[IPv4Address, ...], missing: list[str]
    ) -> None:
        plan = plan_of("x1 y1", more={"other": "x1 z1"})
        there = Link(index=2, name="eth1", up=True)
        links = {} if changes is None else {"eth1": replace(there, **changes)}
        assert [lack.missing for lack in interface_lacks(plan, links, {"eth1": addresses})] == missing

    def test_a_vlan_asks_for_no_address_and_for_its_own_length_only(self) -> None:
        plan = plan_of("x1 y1", network=VLANS)
        assert list(interface_lacks(plan, {"eth1": Link(index=2, name="eth1", up=True)}, {})) == []


class TestKernel:
    def test_a_vxlan_device_is_read_back_as_it_was_asked_for(self) -> None:
        sent = messages.add_vxlan("bx", group=5, number=4711, interface=3, local=ADDRESSES[0], mtu_bytes=1450)
        data = attribute(memoryview(sent)[HEADER + 16 :], 18, 2)
        seen = SeenTrunk(kind=TrunkKind.VXLAN, id=4711, interface=3, local=ADDRESSES[0], port=4789)
        assert seen_trunk("vxlan", data, 0) == seen
        assert seen_trunk("veth", data, 0) is None

    def test_a_vlan_device_is_read_back_as_it_was_asked_for(self) -> None:
        sent = messages.add_vlan("bx", group=5, number=345, interface=3, mtu_bytes=1500)
        data = attribute(memoryview(sent)[HEADER + 16 :], 18, 2)
        assert seen_trunk("vlan", data, 3) == SeenTrunk(kind=TrunkKind.VLAN, id=345, interface=3)

    def test_a_bridge_is_aware_only_when_it_filters(self) -> None:
        born, filters = messages.add_aware_bridge("bb", group=5, mac="02:be:00:00:00:01")
        one, two = (attribute(memoryview(sent)[HEADER + 16 :], 18, 2) for sent in (born, filters))
        assert one is not None
        assert two is not None
        assert not is_aware(one)
        assert is_aware(memoryview(bytes(one) + bytes(two)))

    def test_trunks_of_all_experiments_are_carried_and_nobody_elses(self) -> None:
        seen = SeenTrunk(kind=TrunkKind.VXLAN, id=5, interface=1)
        links = [
            Link(index=1, name="one", altnames=("benito.lab.a.lan._trunk",), kind="vxlan", trunk=seen),
            Link(index=2, name="bxabcdefghijk", kind="vxlan", trunk=replace(seen, id=6)),
            Link(index=3, name="theirs", kind="vxlan", trunk=replace(seen, id=7)),
            Link(index=4, name="bvabcdefghijk", kind="veth"),
        ]
        assert carried(links) == {Segment(TrunkKind.VXLAN, 5), Segment(TrunkKind.VXLAN, 6)}
