"""What becomes of the objects that an NS file makes: nodes, links, LANs, and all the others."""

from collections.abc import Callable, Mapping

from benito.model import CLEAR
from benito.topology.draft import DraftLan, DraftNode
from benito.topology.ns import firewalls, groups, programs, queues, storage, traffic
from benito.topology.ns.shaping import half_of_path
from benito.topology.ns.world import Call, Object
from benito.topology.quantities import Rejection, bandwidth_kbps, delay_ms

Maker = Callable[[Call, Object], None]


def _make_node(call: Call, made: Object) -> None:
    """`$ns node`."""
    if call.words:
        call.warn(f"Arguments for node: {' '.join(call.words)[:80]}", "they have no effect")
    made.node = DraftNode(name=made.name, line=call.line)
    call.world.draft.nodes.append(made.node)


def _make_link(call: Call, made: Object) -> None:
    """`$ns duplex-link n1 n2 bandwidth delay queue`: each half gets half the delay and the full bandwidth."""
    first_word, second_word, rate, delay, queue, *more = call.words
    if more:
        call.warn(f"Arguments for duplex-link: {' '.join(more)[:80]}", "they have no effect")
    link = DraftLan(name=made.name, line=call.line, is_link=True)
    made.lan = link
    call.world.draft.lans.append(link)
    ends = [call.value(call.node, word, None) for word in (first_word, second_word)]
    half = half_of_path(call.value(bandwidth_kbps, rate, None), call.value(delay_ms, delay, 0))
    kind = queues.choose_kind(call, queue)
    for node in ends:
        if node is not None and call.world.has_room():
            link.attach(node, half)
    first, second = ends
    if first is not None and second is not None:
        call.world.between[id(first), id(second)] = call.world.between[id(second), id(first)] = link
    queues.set_kind(link.members, kind)


def _make_lan(call: Call, made: Object) -> None:
    """`$ns make-lan nodes bandwidth delay`; make-cloud is always shaped, make-san never."""
    nodes_word, *values = call.words
    half = CLEAR
    if call.name != "make-san":
        half = half_of_path(call.value(bandwidth_kbps, values[0], None), call.value(delay_ms, values[1], 0))
        if len(values) > 2:
            call.warn(f"Arguments for {call.name}: {' '.join(values[2:])[:80]}", "they have no effect")
    lan = _new_lan(call, made)
    for word in nodes_word.split():
        try:
            node = call.node(word)
        except Rejection as rejection:
            call.error(rejection)
            continue
        if not call.world.has_room():
            break
        lan.attach(node, half)
    if call.name == "make-cloud":
        lan.settings["must_delay"] = "1"
        call.world.clouds.append(made)


def _new_lan(call: Call, made: Object) -> DraftLan:
    made.lan = DraftLan(name=made.name, line=call.line)
    call.world.draft.lans.append(made.lan)
    return made.lan


def _make_port_in_vlan(call: Call, made: Object) -> None:
    """`$ns make-portinvlan node token`: a LAN of one member that belongs to a VLAN of several experiments."""
    lan = _new_lan(call, made)
    node = call.node(call.words[0])
    if call.world.has_room():
        lan.attach(node)
    lan.settings["setting:portvlan"] = call.words[1] if call.words[1].isprintable() else ""
    call.note("make-portinvlan is kept, but the LAN is not joined to any other experiment's")


def _make_path(call: Call, _made: Object) -> None:
    """`$ns make-path links`."""
    for word in call.words[0].split():
        call.link(word)
    call.note("paths are accepted, but have no meaning here")


def _refuse_bridge(_call: Call, _made: Object) -> None:
    raise Rejection("bridges are not supported.", "connect the nodes by a LAN")


def _noting(message: str) -> Maker:
    return lambda call, _made: call.note(message)


def _nothing(_call: Call, _made: Object) -> None:
    return


#: What `new` makes: class -> kind.
CLASSES: Mapping[str, str] = {
    "Simulator": "Simulator",
    "Program": "Program",
    "EventGroup": "Group",
    "EventSequence": "Sequence",
    "EventTimeline": "Timeline",
    "Firewall": "Firewall",
    "Topography": "Topography",
    "Disk": "Disk",
    "Custom": "Custom",
    "Path": "Path",
    "Blockstore": "Blockstore",
    "Agent/UDP": "Agent",
    "Agent/Null": "Agent",
    "Agent/TCP": "Agent",
    "Agent/TCPSink": "Agent",
    **{f"Agent/TCP/FullTcp{tail}": "Agent" for tail in ("", "/Reno", "/Newreno", "/Tahoe", "/Sack")},
    "Application/Traffic/CBR": "Application",
    "Application/FTP": "Application",
    "Application/Telnet": "Application",
}

_disk = _noting("disk agents are accepted, but not run")
_custom = _noting("custom agents are accepted, but not run")

#: By kind, for what `new` makes.
_NEW: Mapping[str, Maker] = {
    "Simulator": _nothing,
    "Program": programs.make_program,
    "Group": groups.make_group,
    "Sequence": _nothing,
    "Timeline": _nothing,
    "Firewall": firewalls.make_firewall,
    "Topography": _noting("topographies are accepted, but have no meaning here"),
    "Disk": _disk,
    "Custom": _custom,
    "Path": _noting("paths are accepted, but have no meaning here"),
    "Blockstore": storage.make_store,
    "Agent": traffic.make_agent,
    "Application": traffic.make_application,
}


def _make_new(call: Call, made: Object) -> None:
    _NEW[made.kind](call, made)


MAKERS: Mapping[str, Maker] = {
    "node": _make_node,
    "duplex-link": _make_link,
    "make-lan": _make_lan,
    "make-cloud": _make_lan,
    "make-san": _make_lan,
    "make-portinvlan": _make_port_in_vlan,
    "make-path": _make_path,
    "bridge": _refuse_bridge,
    "blockstore": storage.make_store,
    "event-timeline": _nothing,
    "event-group": groups.make_group,
    "event-sequence": _nothing,
    "program-agent": programs.make_agent,
    "start-command": programs.make_start_command,
    "console": _nothing,
    "disk-agent": _disk,
    "custom-agent": _custom,
    "new": _make_new,
    "handle": _nothing,
    "queue": _nothing,
}
