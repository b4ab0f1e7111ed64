"""How the links of a plan are, told link by link from what would have to be done to them. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from benito.model import Kind
from benito.plan import LinkPlan, NodePlan, PnodePlan, Realization
from benito.seams import Absent, LinksHealth, Passed
from benito_netplan import ops, ops_relay
from benito_netplan.ops import LinkOp
from benito_netplan.ops_trunks import SetInsideMtu
from benito_netplan.pipes import relayed, shim_devices
from benito_netplan.relay import PipeCounters
from benito_netplan.shapers import shapers
from benito_netplan.shaping import Feature

#: So much of what passed may be late before what was measured is doubtful; less is a single turn of the scheduler.
_LATE_RATIO = 0.01
_LATE_LEAST = 20
_COLUMNS = 10


def health(
    plan: PnodePlan,
    changes: Iterable[LinkOp],
    features: frozenset[Feature],
    counters: Mapping[str, PipeCounters],
    devices: str = "",
) -> LinksHealth:
    """What `changes`, those that the links need to be as planned, say of each.

    `counters` are the relay's, `devices` is what /proc/net/dev says.
    """
    places = _places(plan)
    broken: dict[str, list[str]] = {}
    others: list[str] = []
    for op in changes:
        if isinstance(op, ops_relay.StopRelay):
            continue  # nothing is wrong with a link, and by and by it ends itself
        lan = next((places[place] for place in _touched(op) if place in places), None)
        (others if lan is None else broken.setdefault(lan, [])).append(f"{op} ({op.reason})")
    passed = dict(_passed(devices))
    return LinksHealth(
        count=len(plan.links),
        broken={lan: tuple(said) for lan, said in broken.items()},
        others=tuple(others),
        down=tuple(link.lan for link in plan.links if link.down),
        relayed=tuple(link.lan for link in plan.links if relayed(link, link.ports, features)),
        shapers={link.lan: tuple(sorted(map(str, shapers(link, features)))) for link in plan.links},
        passed={
            link.lan: tuple(
                Passed(node=port.node, interface=port.interface, **passed[port.device])
                for port in link.ports
                if port.device in passed
            )
            for link in plan.links
        },
        suspect=tuple(_suspicions(places, _ways(plan), counters)),
    )


def absent(plan: PnodePlan, present: Collection[str]) -> list[Absent]:
    """The devices that hypervisors make with their nodes and that are not among those `present`."""
    return [
        Absent(node=node.name, interface=interface, device=device, lan=lan)
        for node in plan.nodes
        if node.kind is not Kind.PROCESS
        for interface, device, lan in _devices_of(node)
        if device not in present
    ]


def _devices_of(node: NodePlan) -> Iterator[tuple[str, str, str | None]]:
    for interface in node.interfaces:
        yield interface.name, interface.device, interface.lan
    if node.control is not None:
        yield "control interface", node.control.device, None


def _passed(devices: str) -> Iterator[tuple[str, dict[str, int]]]:
    """Device -> its counters; what came in by a host-side end is what the node sent."""
    for line in devices.splitlines():
        name, _, numbers = line.partition(":")
        columns = numbers.split()
        if len(columns) >= _COLUMNS and columns[0].isdecimal():
            sent_bytes, sent_packets, received_bytes, received_packets = (int(columns[at]) for at in (0, 1, 8, 9))
            yield (
                name.strip(),
                {
                    "sent_bytes": sent_bytes,
                    "sent_packets": sent_packets,
                    "received_bytes": received_bytes,
                    "received_packets": received_packets,
                },
            )


def _places(plan: PnodePlan) -> dict[str, str]:
    """Every device of a link, and every interface in a namespace as `eth0 in NETNS` -> its LAN."""
    nodes = {node.name: node for node in plan.nodes}
    return {place: link.lan for link in plan.links for place in _places_of(link, nodes)}


def _places_of(link: LinkPlan, nodes: Mapping[str, NodePlan]) -> Iterator[str]:
    if link.realization is Realization.BRIDGE:
        yield link.bridge
    if link.trunk is not None:
        yield link.trunk.device
    for port in link.ports:
        yield from (port.device, port.ifb, *shim_devices(port))
        if port.node in nodes:
            yield _inside(nodes[port.node].dns_name, port.interface)


def _ways(plan: PnodePlan) -> dict[str, str]:
    """Which way packets go that come in by a device, in words."""
    found = {}
    for link in plan.links:
        if link.trunk is not None:
            found[link.trunk.device] = ", from other pnodes"
        for port in link.ports:
            end = f"{port.node}:{port.interface}"
            found[port.device] = f", from {end}"
            found |= dict.fromkeys(shim_devices(port), f", to {end}")
    return found


def _inside(netns: str, interface: str) -> str:
    return f"{interface} in {netns}"


def _touched(op: LinkOp) -> Iterator[str]:
    match op:
        case ops.AddDirect():
            yield from (_inside(end.netns, end.name) for end in op.ends)
        case ops.SetInside():
            yield _inside(op.inside.netns, op.inside.name)
        case ops.DeleteInside() | ops.SetAddress() | SetInsideMtu():
            yield _inside(op.netns, op.interface)
        case ops_relay.SetPipe():
            yield from (op.pipe.source, op.pipe.target)
        case _:
            yield str(getattr(op, "device", ""))


def _suspicions(
    places: Mapping[str, str], ways: Mapping[str, str], counters: Mapping[str, PipeCounters]
) -> Iterator[str]:
    """Where the relay could not do as it should, for want of CPU or memory."""
    for device, seen in counters.items():
        where = f"{places.get(device, device)}{ways.get(device, '')}"
        if seen.late >= _LATE_LEAST and seen.late > seen.sent * _LATE_RATIO:
            worst = f"{seen.latest_us / 1000:.1f} ms at worst"
            yield f"{where}: the relay sent {seen.late} of {seen.sent} frames more than 1 ms late, {worst}"
        lost = seen.socket_drops + seen.crowded_out
        if lost:
            yield f"{where}: the relay lost {lost} frames that it should not, it could not keep up"
