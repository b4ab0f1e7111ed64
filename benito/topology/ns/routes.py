"""Routing: `rtproto`, costs of links, and `$node add-route`."""

from benito.model import Routing
from benito.topology.draft import DraftLan, DraftNode, DraftRoute
from benito.topology.ns.world import Call, shown
from benito.topology.quantities import Rejection

#: Emulab's words for routing; any other is ignored with a warning, in lower case too.
_ROUTING = {
    "Static": Routing.STATIC,
    "Static-old": Routing.STATIC_OLD,
    "Static-ddijk": Routing.STATIC_DDIJK,
    "Session": Routing.SESSION,
    "ospf": Routing.SESSION,
    "Manual": Routing.MANUAL,
}


def set_protocol(call: Call) -> None:
    """`$ns rtproto TYPE`: for the whole experiment; the last one holds."""
    word = call.words[0]
    if len(call.words) > 1:
        call.world.findings.warning(
            f"rtproto: arguments ignored: {shown(' '.join(call.words[1:]))}",
            line=call.line,
            hint="routing is one setting for the whole experiment",
        )
    if word in _ROUTING:
        call.world.draft.routing = _ROUTING[word]
    else:
        call.world.findings.warning(
            f"rtproto: unsupported routing protocol ignored: {shown(word)}",
            line=call.line,
            hint="known: " + " ".join(_ROUTING),
        )


def set_old_protocol(call: Call) -> None:
    """`tb-set-ip-routing none|ospf`, the old form of rtproto."""
    routing = {"none": Routing.NONE, "ospf": Routing.SESSION}.get(call.words[0])
    if routing is None:
        raise Rejection("Type is not one of none|ospf")
    call.world.draft.routing = routing


def _cost(word: str) -> float:
    try:
        cost = float(word) if len(word) < 20 else -1.0
    except ValueError:
        cost = -1.0
    if not 0 < cost < 1e9:
        raise Rejection(f"{shown(word)} is not a cost.", "a number above 0")
    return cost


def set_cost_between(call: Call) -> None:
    """`$ns cost n1 n2 COST`: of n1's end of their newest link."""
    first, second = call.node(call.words[0]), call.node(call.words[1])
    link = call.world.link_between(first, second)
    if link is None:
        raise Rejection(f"No link between {first.name} and {second.name}.")
    call.member(link, first).cost = _cost(call.words[2])


def set_cost(call: Call) -> None:
    """`$link cost COST`: of all ends."""
    cost = _cost(call.words[0])
    if call.target is not None and call.target.lan is not None:
        for member in call.target.lan.members:
            member.cost = cost


def add_route(call: Call) -> None:
    """`$node add-route DESTINATION NEXTHOP`: to a node, a link or LAN, or `[$ns link x y]`."""
    if call.target is None or call.target.node is None:
        return
    world, node, hop = call.world, call.target.node, call.node(call.words[1])
    found = world.find(call.words[0])
    destination: DraftNode | DraftLan | None = None
    if found is not None:
        destination = found.node or found.lan
    if destination is None:
        raise Rejection("Bad argument. Must be a node or a link.", call.alike(call.words[0], "Node", "Link", "Lan"))
    if isinstance(destination, DraftNode) and len(destination.ports) != 1:
        raise Rejection(f"{destination.name} must have only one link.", "route to the link or LAN by its name")
    if not world.share_a_lan(node, hop):
        raise Rejection(f"Cannot find a link from {node.name} to {hop.name}!")
    if (id(node), id(destination)) in world.routed:
        raise Rejection(f"route from {node.name} to {destination.name} already exists!")
    world.routed.add((id(node), id(destination)))
    world.draft.routes.append(DraftRoute(node=node, destination=destination, next_hop=hop, line=call.line))
