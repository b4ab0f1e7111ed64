"""The methods of an NS file's objects, in one table, and the objects that they make."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from benito.model import CLEAR, Routing
from benito.topology.draft import DraftLan, DraftNode, DraftRoute
from benito.topology.findings import nearest
from benito.topology.ns import nodes
from benito.topology.ns.shaping import half_of_path
from benito.topology.ns.table import Handler, Method
from benito.topology.ns.world import Call, Object, shown
from benito.topology.quantities import Rejection, bandwidth_kbps, delay_ms, integer

_EVENTS = "events are accepted, but not executed yet"
_PROGRAMS = "program agents are accepted, but not executed yet"
_TRAFFIC = "traffic generators are accepted, but not executed yet"
_QUEUES = ("DropTail", "RED", "GRED")
_MOST_QUEUE_PACKETS = 1_000_000

#: Emulab's words for routing; any other is ignored with a warning, in lower case too.
_ROUTING = {
    "Static": Routing.STATIC,
    "Static-old": Routing.STATIC_OLD,
    "Static-ddijk": Routing.STATIC_DDIJK,
    "Session": Routing.SESSION,
    "ospf": Routing.SESSION,
    "Manual": Routing.MANUAL,
}


# --- objects ----------------------------------------------------------------------------------------------------------


def _queue_type(call: Call, word: str) -> None:
    if word not in _QUEUES:
        call.world.findings.warning(f"Link type {shown(word)}, using DropTail!", line=call.line)
    elif word != "DropTail":
        call.note("RED and GRED queues are accepted, but packets are dropped at the tail")


def make_node(call: Call, made: Object) -> None:
    """`$ns node`."""
    made.node = DraftNode(name=made.name, line=call.line)
    call.world.draft.nodes.append(made.node)


def make_link(call: Call, made: Object) -> None:
    """`$ns duplex-link n1 n2 bandwidth delay queue`: each half gets half the delay and the full bandwidth."""
    first_word, second_word, rate, delay, queue, *_ = call.words
    link = DraftLan(name=made.name, line=call.line, is_link=True)
    first, second = call.node(first_word), call.node(second_word)
    half = half_of_path(call.value(bandwidth_kbps, rate, None), call.value(delay_ms, delay, 0))
    _queue_type(call, queue)
    made.lan = link
    for node in (first, second):
        link.attach(node, half)
    call.world.between[id(first), id(second)] = call.world.between[id(second), id(first)] = link
    call.world.draft.lans.append(link)


def make_lan(call: Call, made: Object) -> None:
    """`$ns make-lan nodes bandwidth delay`; make-cloud is the same, make-san has neither."""
    nodes_word, *values = call.words
    half = CLEAR
    if made.kind == "Lan" and len(values) >= 2:
        half = half_of_path(call.value(bandwidth_kbps, values[0], None), call.value(delay_ms, values[1], 0))
    lan = DraftLan(name=made.name, line=call.line)
    made.lan = lan
    call.world.draft.lans.append(lan)
    for word in nodes_word.split():
        try:
            lan.attach(call.node(word), half)
        except Rejection as rejection:
            call.error(rejection)


def _noting(message: str) -> Callable[[Call, Object], None]:
    def note(call: Call, _made: Object) -> None:
        call.note(message)

    return note


def _refuse_bridge(_call: Call, _made: Object) -> None:
    raise Rejection("bridges are not supported.", "connect the nodes by a LAN")


def _make_new(call: Call, made: Object) -> None:
    name = call.words[0]
    if name.startswith(("Agent/", "Application/")):
        call.note(_TRAFFIC)
    elif name == "Program":
        call.note(_PROGRAMS)
    elif name.startswith("Event"):
        call.note(_EVENTS)
    elif made.kind != "Simulator":
        call.note(f"{name} objects are accepted, but have no effect")


def _nothing(_call: Call, _made: Object) -> None:
    return


MAKERS: Mapping[str, Callable[[Call, Object], None]] = {
    "node": make_node,
    "duplex-link": make_link,
    "make-lan": make_lan,
    "make-cloud": make_lan,
    "make-san": make_lan,
    "make-portinvlan": _noting("make-portinvlan is accepted, but has no effect"),
    "make-path": _noting("make-path is accepted, but has no effect"),
    "bridge": _refuse_bridge,
    "blockstore": _noting("blockstores are accepted, but have no effect"),
    "event-timeline": _noting(_EVENTS),
    "event-group": _noting(_EVENTS),
    "event-sequence": _noting(_EVENTS),
    "program-agent": _noting(_PROGRAMS),
    "console": _noting("consoles are accepted, but have no effect"),
    "disk-agent": _noting("disk agents are accepted, but have no effect"),
    "custom-agent": _noting("custom agents are accepted, but have no effect"),
    "new": _make_new,
    "handle": _nothing,
    "queue": _nothing,
}


# --- methods ----------------------------------------------------------------------------------------------------------


def _rtproto(call: Call) -> None:
    word = call.words[0]
    if word in _ROUTING:
        call.world.draft.routing = _ROUTING[word]
    else:
        call.world.findings.warning(
            f"rtproto: unsupported routing protocol ignored: {shown(word)}",
            line=call.line,
            hint="known: " + " ".join(_ROUTING),
        )


def _run(call: Call) -> None:
    call.world.run_at = call.line


def _event(call: Call) -> None:
    call.note(_EVENTS)


def _quiet(_call: Call) -> None:
    return


def _attach_agent(call: Call) -> None:
    call.node(call.words[0])
    _agent(call, call.words[1])


def _connect(call: Call) -> None:
    for word in call.words:
        found = call.world.find(word)
        if found is None or found.node is None:
            _agent(call, word)


def _agent(call: Call, word: str) -> None:
    found = call.world.find(word)
    if found is None or found.kind != "Agent":
        raise Rejection(f"{shown(word)} is not an Agent.")


def _cost_value(word: str) -> float:
    try:
        cost = float(word) if len(word) < 20 else -1.0
    except ValueError:
        cost = -1.0
    if not 0 < cost < 1e9:
        raise Rejection(f"{shown(word)} is not a cost.", "a number above 0")
    return cost


def _cost_between(call: Call) -> None:
    first, second = call.node(call.words[0]), call.node(call.words[1])
    link = call.world.link_between(first, second)
    if link is None:
        raise Rejection(f"No link between {first.name} and {second.name}.")
    call.member(link, first).cost = _cost_value(call.words[2])


def _cost_of_all(call: Call) -> None:
    if call.target is not None and call.target.lan is not None:
        for member in call.target.lan.members:
            member.cost = _cost_value(call.words[0])


def _add_route(call: Call) -> None:
    if call.target is None or call.target.node is None:
        return
    node, hop = call.target.node, call.node(call.words[1])
    found = call.world.find(call.words[0])
    destination: DraftNode | DraftLan | None = None
    if found is not None:
        destination = found.node or found.lan
    if destination is None:
        raise Rejection(f"{shown(call.words[0])} is not a node, link or LAN.")
    if isinstance(destination, DraftNode) and len(destination.ports) != 1:
        raise Rejection(f"{destination.name} must have only one link.", "route to the link or LAN by its name")
    if not any(port.lan.member_of(hop) for port in node.ports):
        raise Rejection(f"Cannot find a link from {node.name} to {hop.name}!")
    if (id(node), id(destination)) in call.world.routed:
        raise Rejection(f"route from {node.name} to {destination.name} already exists!")
    call.world.routed.add((id(node), id(destination)))
    call.world.draft.routes.append(DraftRoute(node=node, destination=destination, next_hop=hop, line=call.line))


def _add_desire(call: Call) -> None:
    if call.target is None or call.target.node is None:
        return
    node, key = call.target.node, f"desire:{call.words[0]}"
    if key in node.attributes and len(call.words) < 3:
        raise Rejection(f"Desire {shown(call.words[0])} on {node.name} already exists!")
    if not (key + call.words[1]).isprintable():
        raise Rejection("the words hold control characters.")
    node.attributes[key] = call.words[1]
    node.attribute_lines[key] = call.line


def _start_command(call: Call) -> None:
    call.note(_PROGRAMS)


def _set_queue(call: Call) -> None:
    member = None if call.target is None else call.target.member
    if member is None or len(call.words) < 2:
        return
    name, word = call.words[0], call.words[1]
    if name == "limit_":
        limit = integer(word, least=1, most=_MOST_QUEUE_PACKETS, what="a length of a queue")
        member.into = replace(member.into, queue_packets=limit)
    elif name == "queue-in-bytes_" and word in ("1", "true"):
        call.note("queue-in-bytes_ is accepted, but limit_ counts packets")


def _noted(message: str) -> Handler:
    return lambda call: call.note(message)


_TRACE = _noted("traces of links are accepted, but nothing is recorded yet")
_FIREWALL = _noted("firewall rules are accepted, but have no effect")

_ROWS: tuple[tuple[str, str, str, Handler | None], ...] = (
    ("*", "set", "variable ?value?", _quiet),
    ("Queue", "set", "variable ?value?", _set_queue),
    ("Handle", "queue", "", None),
    ("Simulator", "node", "?arg ...?", None),
    ("Simulator", "duplex-link", "n1 n2 bw delay qtype ?more ...?", None),
    ("Simulator", "make-lan", "nodes bw delay ?more ...?", None),
    ("Simulator", "make-cloud", "nodes bw delay ?more ...?", None),
    ("Simulator", "make-san", "nodes ?more ...?", None),
    ("Simulator", "make-portinvlan", "node token", None),
    ("Simulator", "make-path", "links", None),
    ("Simulator", "bridge", "?arg ...?", None),
    ("Simulator", "blockstore", "?arg ...?", None),
    ("Simulator", "event-timeline", "?arg ...?", None),
    ("Simulator", "event-sequence", "?body? ?arg ...?", None),
    ("Simulator", "event-group", "?members ...?", None),
    ("Simulator", "link", "n1 n2", None),
    ("Simulator", "lanlink", "lan node", None),
    ("Simulator", "define-template-parameter", "name value ?description?", _quiet),
    ("Simulator", "rtproto", "type ?more ...?", _rtproto),
    ("Simulator", "run", "", _run),
    ("Simulator", "at", "time event ?more ...?", _event),
    ("Simulator", "cost", "n1 n2 cost", _cost_between),
    ("Simulator", "attach-agent", "node agent", _attach_agent),
    ("Simulator", "connect", "a b", _connect),
    ("Simulator", "node-config", "?arg ...?", _quiet),
    ("Simulator", "make-simulated", "body", _noted("simulated nodes are accepted, but not made")),
    ("Simulator", "description", "text", _quiet),
    ("Simulator", "instructions", "text", _quiet),
    ("Node", "add-route", "dst nexthop", _add_route),
    ("Node", "add-desire", "name weight ?override?", _add_desire),
    ("Node", "add-attribute", "key value", nodes.add_attribute_method),
    ("Node", "program-agent", "?arg ...?", None),
    ("Node", "console", "?arg ...?", None),
    ("Node", "disk-agent", "?arg ...?", None),
    ("Node", "custom-agent", "?arg ...?", None),
    ("Node", "start-command", "cmd", _start_command),
    ("Node", "topography", "t", _quiet),
    ("Node", "set-fw-style", "style", _FIREWALL),
    ("Node", "add-rule", "rule", _FIREWALL),
    *(
        row
        for owner in ("Link", "Lan")
        for row in (
            (owner, "cost", "cost", _cost_of_all),
            (owner, "trace", "?arg ...?", _TRACE),
            (owner, "trace_snaplen", "n", _TRACE),
            (owner, "trace_endnode", "onoff", _TRACE),
            (owner, "trace_mysql", "onoff", _TRACE),
            (owner, "Queue", "node", None),
            (owner, "enable_openflow", "controller", _noted("OpenFlow is accepted, but has no effect")),
            (owner, "implemented_by", "path", _noted("implemented_by is accepted, but has no effect")),
            (owner, "mustdelay", "", _quiet),
        )
    ),
)

METHODS = {
    (owner, name): Method(owner=owner, name=name, usage=usage, handler=handler) for owner, name, usage, handler in _ROWS
}

#: What `new` can make; all but a Simulator are agents of some kind.
CLASSES = (
    "Simulator",
    "Program",
    "EventGroup",
    "EventSequence",
    "EventTimeline",
    "Firewall",
    "Topography",
    "Disk",
    "Custom",
    "Path",
    "Blockstore",
    "Agent/UDP",
    "Agent/Null",
    "Agent/TCP",
    "Agent/TCPSink",
    *(f"Agent/TCP/FullTcp{tail}" for tail in ("", "/Reno", "/Newreno", "/Tahoe", "/Sack")),
    "Application/Traffic/CBR",
    "Application/FTP",
    "Application/Telnet",
)

#: What tells of its kind by itself, so that a method nobody knows is no news.
_SILENT_KINDS = frozenset({"Agent", "Group", "Timeline", "Sequence", "Path", "Blockstore", "Bridge", "Null"})


def perform(call: Call, made: Object) -> None:
    """Does what the method means. Raises Rejection."""
    method = METHODS.get((made.kind, call.name)) or METHODS.get(("*", call.name))
    if method is not None and method.handler is not None:
        method.handler(call)


def report_unknown(call: Call, made: Object) -> None:
    """Warns of a method that nobody knows."""
    if made.kind in _SILENT_KINDS - {"Null"}:
        return
    kind = {"Simulator": "Object", "Null": shown(made.made_by)}.get(made.kind, made.kind)
    alike = nearest(call.name, [name for owner, name in METHODS if owner == made.kind])
    call.world.findings.warning(
        f"Unsupported NS Statement! {kind} {shown(call.name)}", line=call.line, hint=alike or "it has no effect"
    )
