"""The methods of an NS file's objects, in one table."""

from collections.abc import Callable

from benito.topology.ns import events, firewalls, groups, kept, nodes, programs, queues, routes, storage, traffic
from benito.topology.ns.table import Handler, Method
from benito.topology.ns.world import Call, Object, shown
from benito.topology.quantities import Rejection


def _run(call: Call) -> None:
    call.world.run_at = call.line


def _quiet(_call: Call) -> None:
    return


def _noted(message: str) -> Handler:
    return lambda call: call.note(message)


def _refuse_bridge_params(call: Call) -> None:
    raise Rejection(f"SetDelayParams: {shown(call.words[0])} is not a bridge!")


def _text(field: str) -> Callable[[Call], None]:
    def keep(call: Call) -> None:
        text = call.words[0]
        call.world.draft.settings[field] = "".join(letter if letter.isprintable() else " " for letter in text)[:4096]

    return keep


def _parameter(call: Call) -> None:
    """`$ns define-template-parameter name value ?description?`: the interpreter has set the variable."""
    name, value = call.words[:2]
    call.world.draft.settings[kept.plain(f"parameter:{name}")] = kept.plain(value)


_Row = tuple[str, str, str, Handler | None]

_SIMULATOR: tuple[_Row, ...] = (
    ("Simulator", "node", "?arg ...?", None),
    ("Simulator", "duplex-link", "n1 n2 bw delay qtype ?more ...?", None),
    ("Simulator", "make-lan", "nodes bw delay ?more ...?", None),
    ("Simulator", "make-cloud", "nodes bw delay ?more ...?", None),
    ("Simulator", "make-san", "nodes", None),
    ("Simulator", "make-portinvlan", "node token", None),
    ("Simulator", "make-path", "links ?more ...?", None),
    ("Simulator", "bridge", "?arg ...?", None),
    ("Simulator", "blockstore", "?arg ...?", None),
    ("Simulator", "event-timeline", "?arg ...?", None),
    ("Simulator", "event-sequence", "?body? ?catch? ?catchbody?", None),
    ("Simulator", "event-group", "?members?", None),
    ("Simulator", "link", "n1 n2", None),
    ("Simulator", "lanlink", "lan node", None),
    ("Simulator", "find_link", "n1 n2", None),
    ("Simulator", "define-template-parameter", "name value ?description?", _parameter),
    ("Simulator", "rtproto", "type ?more ...?", routes.set_protocol),
    ("Simulator", "run", "", _run),
    ("Simulator", "at", "time event", events.at),
    ("Simulator", "cost", "n1 n2 cost", routes.set_cost_between),
    ("Simulator", "attach-agent", "node agent", traffic.attach_to_node),
    ("Simulator", "connect", "a b", traffic.connect),
    ("Simulator", "node-config", "?arg ...?", _quiet),
    ("Simulator", "make-simulated", "?arg ...?", _noted("simulated nodes are accepted, but not made")),
    ("Simulator", "nsenode", "?arg ...?", _noted("simulated nodes are accepted, but not made")),
    ("Simulator", "description", "text", _text("description")),
    ("Simulator", "instructions", "text", _text("instructions")),
)

_NODE: tuple[_Row, ...] = (
    ("Node", "add-route", "dst nexthop", routes.add_route),
    ("Node", "add-desire", "name weight ?override?", kept.add_desire),
    ("Node", "add-attribute", "key value", nodes.add_attribute_method),
    ("Node", "program-agent", "?arg ...?", None),
    ("Node", "start-command", "cmd", nodes.set_start_command_method),
    ("Node", "console", "", None),
    ("Node", "disk-agent", "?arg ...?", None),
    ("Node", "custom-agent", "?arg ...?", None),
    ("Node", "topography", "t", _noted("topographies are accepted, but have no meaning here")),
    ("Node", "set-fw-style", "style", firewalls.set_node_style),
    ("Node", "add-rule", "rule", firewalls.add_node_rule),
)

_LINK: tuple[_Row, ...] = tuple(
    row
    for owner in ("Link", "Lan")
    for row in (
        (owner, "cost", "cost", routes.set_cost),
        (owner, "trace", "?kind? ?expression?", kept.trace),
        (owner, "trace_snaplen", "n", kept.set_trace),
        (owner, "trace_endnode", "onoff", kept.set_trace),
        (owner, "trace_mysql", "onoff", kept.set_trace),
        (owner, "Queue", "node", None),
        (owner, "enable_openflow", "controller", kept.set_openflow),
        (owner, "implemented_by", "path", kept.set_implementation),
        (owner, "SetDelayParams", "node delay bandwidth loss", _refuse_bridge_params),
        (owner, "SetTraceParams", "node ?kind? ?snaplen? ?expression?", kept.set_trace_params),
        (owner, "mustdelay", "", events.must_delay),
    )
)

_EVENTS: tuple[_Row, ...] = (
    ("Program", "set", "variable ?value?", programs.set_variable),
    ("Group", "add", "?member ...?", groups.add_members),
    ("Group", "members", "", None),
    ("Sequence", "append", "event", events.append),
    ("Sequence", "dump", "file", _quiet),
    ("Timeline", "at", "time event", events.at),
    ("Timeline", "dump", "file", _quiet),
    ("Application", "set", "variable ?value?", traffic.set_variable),
    ("Application", "attach-agent", "agent", traffic.attach_application),
    ("Agent", "listen", "", traffic.listen),
    ("Queue", "set", "variable ?value?", queues.set_variable),
    ("Handle", "queue", "", None),
)

_OTHERS: tuple[_Row, ...] = (
    ("*", "set", "variable ?value?", _quiet),
    ("Firewall", "set-type", "type", firewalls.set_type),
    ("Firewall", "set-style", "style", firewalls.set_style),
    ("Firewall", "add-rule", "rule", firewalls.add_rule),
    ("Firewall", "add-numbered-rule", "number rule", firewalls.add_numbered_rule),
    ("Firewall", "child-of", "firewall", firewalls.child_of),
    ("Blockstore", "set-class", "class", storage.set_class),
    ("Blockstore", "set-size", "size", storage.set_size),
    ("Blockstore", "set-node", "node", storage.set_node),
    ("Blockstore", "set-mount-point", "path", storage.set_mount_point),
    ("Blockstore", "set-placement", "placement", storage.set_placement),
    ("Blockstore", "set-type", "type", storage.set_word),
    ("Blockstore", "set-protocol", "protocol", storage.set_word),
    ("Blockstore", "set-lease", "lease", storage.set_word),
    ("Blockstore", "set-readonly", "onoff", storage.set_word),
    ("Blockstore", "load-dataset", "dataset", storage.set_word),
)

METHODS = {
    (owner, name): Method(owner=owner, name=name, usage=usage, handler=handler)
    for owner, name, usage, handler in (*_SIMULATOR, *_NODE, *_LINK, *_EVENTS, *_OTHERS)
}

#: What tells of its kind by itself, so that a method nobody knows is no news.
_SILENT_KINDS = frozenset({"Agent", "Application", "Topography", "Disk", "Custom", "Path", "Bridge"})


def perform(call: Call, made: Object) -> None:
    """Does what the method means. Raises Rejection."""
    method = METHODS.get((made.kind, call.name)) or METHODS.get(("*", call.name))
    if method is not None and method.handler is not None:
        method.handler(call)


def report_unknown(call: Call, made: Object) -> None:
    """Warns of a method that nobody knows."""
    if made.kind in _SILENT_KINDS:
        return
    kind = {"Simulator": "Object", "Null": shown(made.made_by)}.get(made.kind, made.kind)
    alike = call.propose(call.name, [name for owner, name in METHODS if owner == made.kind])
    call.world.findings.warning(
        f"Unsupported NS Statement! {kind} {shown(call.name)}", line=call.line, hint=alike or "it has no effect"
    )
