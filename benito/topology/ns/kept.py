"""What Benito keeps of nodes, links and LANs without acting on it, under the names of Emulab's database."""

from collections.abc import Callable

from benito import impairments
from benito.topology.draft import DraftLan, DraftMember, DraftNode
from benito.topology.ns.table import Handler
from benito.topology.ns.world import Call, shown
from benito.topology.quantities import Rejection, address, bandwidth_kbps, integer

_MOST_TEXT = 4096
_MOST_ALIASES = 10
_MOST_ALIASES_GIVEN = 250
_LINK_STYLES = ("gre", "egre", "vtun", "veth-ne", "vlan")
_ELAB_ROLES = ("boss", "boss+router", "boss+fs+router", "router", "ops", "ops+fs", "fs", "node")
_PLAB_ROLES = ("plc", "node", "none")


def plain(word: str) -> str:
    """A text of one line. Raises Rejection."""
    if len(word) > _MOST_TEXT or not word.isprintable():
        raise Rejection("the words are too long or hold control characters.")
    return word


# --- nodes ------------------------------------------------------------------------------------------------------------


def _keep(call: Call, node: DraftNode, field: str, value: str) -> None:
    node.attributes[field] = plain(value)
    node.attribute_lines[field] = call.line


def node_text(field: str) -> Handler:
    """`COMMAND node words`: the words as the node's attribute `field`; the last one counts."""

    def keep(call: Call) -> None:
        _keep(call, call.node(call.words[0]), field, " ".join(call.words[1:]))

    return keep


def node_choice(field: str, message: str, *allowed: str) -> Handler:
    """`COMMAND node word` with one of a few words."""

    def keep(call: Call) -> None:
        node = call.node(call.words[0])
        if call.words[1] not in allowed:
            raise Rejection(message)
        _keep(call, node, field, call.words[1])

    return keep


set_inner_role = node_choice("inner_elab_role", f"type must be one of {'|'.join(_ELAB_ROLES)}", *_ELAB_ROLES)
set_plab_role = node_choice("plab_role", f"type must be one of {'|'.join(_PLAB_ROLES)}", *_PLAB_ROLES)


def set_plab_network(call: Call) -> None:
    """`tb-set-node-plab-plcnet node control|exp|LAN`."""
    node, word = call.node(call.words[0]), call.words[1]
    found = call.world.find(word)
    if word not in ("control", "exp") and (found is None or found.lan is None):
        raise Rejection(f'{shown(word)} must be a link, lan, "control", or "exp".')
    _keep(call, node, "plab_plcnet", word)


def set_rpms(call: Call) -> None:
    """`tb-set-node-rpms node rpm ...`: a list, or one string split at blanks."""
    node = call.node(call.words[0])
    words = call.words[1].split() if len(call.words) == 2 else call.words[1:]
    if not any(word.strip() for word in words):
        raise Rejection("No rpms given.")
    _keep(call, node, "rpms", ";".join(words))


def set_routable(call: Call) -> None:
    """`tb-set-node-routable-ip node onoff`."""
    node = call.node(call.words[0])
    _keep(call, node, "routable_control_ip", "true" if call.on_off(call.words[1]) else "false")


def add_desire(call: Call) -> None:
    """`$node add-desire NAME WEIGHT ?override?`: which machines it would like, for Emulab's mapper."""
    if call.target is not None and call.target.node is not None:
        override = len(call.words) > 2 and call.words[2] not in ("", "0")
        wish(call, call.target.node, call.words[0], call.words[1], override=override)


def share_node(call: Call) -> None:
    """`tb-set-node-usesharednode node weight`."""
    wish(call, call.node(call.words[0]), "pcshared", call.words[1])


def wish(call: Call, node: DraftNode, name: str, weight: str, *, override: bool = False) -> None:
    """A node's desire, kept as its attribute `desire:NAME`. Raises Rejection where it has it already."""
    field = f"desire:{name}"
    if field in node.attributes and not override:
        raise Rejection(f"Desire {shown(name)} on {node.name} already exists!")
    _keep(call, node, plain(field), weight)


# --- links and LANs ---------------------------------------------------------------------------------------------------

_Find = Callable[[Call, str], DraftLan]


def _settled(find: _Find, field: str, value: Callable[[Call], str]) -> Handler:
    def keep(call: Call) -> None:
        find(call, call.words[0]).settings[field] = value(call)

    return keep


def on_off(field: str) -> Handler:
    """`COMMAND lanlink onoff`: any number but 0 is 1, as Emulab's parser has it."""
    return _settled(Call.link_or_lan, field, lambda call: "1" if _number(call) else "0")


def _number(call: Call) -> int:
    return integer(call.words[1], least=-(10**9), most=10**9, what="a number")


def set_failure_action(call: Call) -> None:
    """`tb-set-link-failure-action lanlink fatal|nonfatal`."""
    lan = call.link_or_lan(call.words[0])
    if call.words[1] not in ("fatal", "nonfatal"):
        raise Rejection("must be one of fatal|nonfatal")
    lan.settings["failure_action"] = call.words[1]


def set_encapsulation(call: Call) -> None:
    """`tb-set-link-encap lanlink style`."""
    lan = call.link_or_lan(call.words[0])
    if call.words[1] not in _LINK_STYLES:
        raise Rejection("one of: 'veth-ne', 'vlan'", f"known: {' '.join(_LINK_STYLES)}")
    lan.settings["encapsulation"] = call.words[1]


def set_veth(call: Call) -> None:
    """`tb-set-useveth lanlink n`: 0 is Emulab's default."""
    call.link_or_lan(call.words[0]).settings["encapsulation"] = "veth" if _number(call) else "default"


def set_switch_fabric(call: Call) -> None:
    """`tb-set-switch-fabric lanlink fabric`: its protocol too."""
    lan = call.link_or_lan(call.words[0])
    lan.settings["protocol"] = lan.settings["setting:switch_fabric"] = plain(call.words[1])


set_lan_protocol = _settled(Call.lan, "protocol", lambda call: plain(call.words[1]))
set_link_protocol = _settled(Call.link, "protocol", lambda call: plain(call.words[1]))
set_link_layer = _settled(Call.link, "layer", lambda call: str(_number(call)))


def _set(call: Call, settings: dict[str, str], key: str, value: str) -> None:
    """Kept, whatever it is; what changes nothing here is said, for it may be a slip."""
    if key not in impairments.WORDS:
        call.note(f"setting {plain(key)} has no meaning here, unlike {', '.join(impairments.WORDS)}")
    settings[plain(f"{impairments.PREFIX}{key}")] = plain(value)


def set_lan_setting(call: Call) -> None:
    """`tb-set-lan-setting lan key value`; a link too, unlike Emulab, which has settings for LANs only."""
    lan = call.link_or_lan(call.words[0])
    _set(call, lan.settings, call.words[1], call.words[2])


def set_access_point(call: Call) -> None:
    """`tb-set-lan-accesspoint lan node`: one for a LAN."""
    lan, node = call.lan(call.words[0]), call.node(call.words[1])
    found = lan.member_of(node)
    if found is None:
        raise Rejection(f"set_accesspoint: No such node {node.name} in lan {lan.name}.")
    for member in lan.members:
        member.settings.pop("accesspoint", None)
    found.settings["accesspoint"] = "1"


def set_openflow(call: Call) -> None:
    """`$lanlink enable_openflow CONTROLLER`."""
    if call.target is not None and call.target.lan is not None:
        call.target.lan.settings["ofcontroller"] = plain(call.words[0])
        call.note("OpenFlow is kept, but no link is controlled by it yet")


def set_implementation(call: Call) -> None:
    """`$link implemented_by PATH_OR_LINK`: what carries it on a lower layer."""
    found = call.world.find(call.words[0])
    if found is None or found.kind not in ("Path", "Link"):
        raise Rejection("must be a link or a path!")
    if call.target is not None and call.target.lan is not None:
        call.target.lan.settings[f"implemented_by_{found.kind.lower()}"] = found.name
        call.note("implemented_by is kept, but has no meaning here")


# --- members ----------------------------------------------------------------------------------------------------------


def set_member_setting(call: Call) -> None:
    """`tb-set-node-lan-setting lan node key value`; Emulab's order of the first two, the other way round too."""
    first, second = call.words[:2]
    found = call.world.find(first)
    if found is not None and found.node is not None:
        first, second = second, first
    lan, node = call.lan(first), call.node(second)
    found_member = lan.member_of(node)
    if found_member is None:
        raise Rejection(f"set_member_setting: No such node {node.name} in lan {lan.name}.")
    _set(call, found_member.settings, call.words[2], call.words[3])


def fix_interface(call: Call) -> None:
    """`tb-fix-interface node lanlink iface`."""
    node, lan = call.node(call.words[0]), call.link_or_lan(call.words[1])
    member = lan.member_of(node)
    if member is None:
        raise Rejection(f"[set_fixed_iface] {node.name} is not the specified link/lan!")
    member.settings["fixed_iface"] = plain(call.words[2])


def _both(member: DraftMember, field: str, rate: int | None) -> None:
    member.settings[field] = member.settings[f"r{field}"] = str(rate or 0)


def set_link_rate(field: str) -> Handler:
    """`COMMAND link bandwidth`, or `src dst bandwidth`; for est-bandwidth the first form takes LANs too."""

    def keep(call: Call) -> None:
        if len(call.words) == 3:
            first, second = call.node(call.words[0]), call.node(call.words[1])
            lan = call.world.link_between(first, second)
            if lan is None:
                raise Rejection(f"No link between {first.name} and {second.name}.", "LANs are set by their own name")
        else:
            lan = call.link_or_lan(call.words[0]) if field == "est_bandwidth" else call.link(call.words[0])
        rate = bandwidth_kbps(call.words[-1])
        for member in lan.members:
            _both(member, field, rate)

    return keep


def set_lan_rate(field: str) -> Handler:
    """`COMMAND lan bandwidth`: of all members."""

    def keep(call: Call) -> None:
        lan, rate = call.lan(call.words[0]), bandwidth_kbps(call.words[1])
        for member in lan.members:
            _both(member, field, rate)

    return keep


def set_member_rate(field: str) -> Handler:
    """`COMMAND node lan bandwidth`: of one member."""

    def keep(call: Call) -> None:
        node = call.node(call.words[0])
        _both(call.member(call.lan(call.words[1]), node), field, bandwidth_kbps(call.words[2]))

    return keep


def set_simplex_backfill(call: Call) -> None:
    """`tb-set-link-simplex-backfill link src bandwidth`: the way from src."""
    link = call.link(call.words[0])
    source = call.member(link, call.node(call.words[1]))
    other = next((member for member in link.members if member is not source), source)
    source.settings["backfill"] = other.settings["rbackfill"] = str(bandwidth_kbps(call.words[2]) or 0)


def set_lan_simplex_backfill(call: Call) -> None:
    """`tb-set-lan-simplex-backfill lan node to from`."""
    lan = call.lan(call.words[0])
    member = call.member(lan, call.node(call.words[1]))
    to, back = (str(bandwidth_kbps(word) or 0) for word in call.words[2:4])
    member.settings["backfill"], member.settings["rbackfill"] = to, back


def _aliased(call: Call) -> DraftMember:
    node = call.node(call.words[0])
    find = call.link if call.name.endswith("-link") else call.lan
    return call.member(find(call.words[1]), node)


def add_alias(call: Call) -> None:
    """`tb-add-ip-alias-link node link ip` and `-lan`: one more address of an interface."""
    member, alias = _aliased(call), str(address(call.words[2]))
    given = member.settings.get("ip_aliases", "").split(",") if "ip_aliases" in member.settings else []
    if len(given) >= _MOST_ALIASES_GIVEN:
        raise Rejection(f"an interface has at most {_MOST_ALIASES_GIVEN} aliases.")
    if alias not in given:
        member.settings["ip_aliases"] = ",".join([*given, alias])


def request_aliases(call: Call) -> None:
    """`tb-request-ip-alias-link node link count` and `-lan`: so many more addresses, chosen by the testbed."""
    member = _aliased(call)
    count = integer(call.words[2], least=1, most=_MOST_ALIASES, what="a count of addresses")
    member.settings["wanted_ip_aliases"] = str(count)


# --- traces -----------------------------------------------------------------------------------------------------------

_TRACE_NOTE = "traces of links are kept, but nothing is recorded yet"
_TRACE_KINDS = ("header", "packet", "monitor")


def _traced(call: Call) -> list[DraftMember]:
    call.note(_TRACE_NOTE)
    return [] if call.target is None or call.target.lan is None else call.target.lan.members


def _trace(member: DraftMember, kind: str, expression: str) -> None:
    if kind not in _TRACE_KINDS:
        raise Rejection(f"{shown(kind)} is no kind of trace.", f"known: {' '.join(_TRACE_KINDS)}")
    member.settings |= {"traced": "1", "trace_type": kind}
    member.settings.pop("trace_expr", None)
    if expression:
        member.settings["trace_expr"] = plain(expression)


def trace(call: Call) -> None:
    """`$lanlink trace ?header|packet|monitor? ?expression?`: of all members."""
    kind, expression = (*call.words, *("header", "")[len(call.words) :])
    for member in _traced(call):
        _trace(member, kind, expression)


def set_trace(call: Call) -> None:
    """`$lanlink trace_snaplen N`, `trace_endnode onoff`, `trace_mysql onoff`."""
    field = "trace_db" if call.name == "trace_mysql" else call.name
    value = str(integer(call.words[0], least=0, most=65535, what="a number"))
    for member in _traced(call):
        member.settings[field] = value


def set_trace_params(call: Call) -> None:
    """`$lanlink SetTraceParams node ?kind? ?snaplen? ?expression?`: of one member."""
    node = call.node(call.words[0])
    kind, length, expression = (*call.words[1:], *("header", "0", "")[len(call.words) - 1 :])
    member = None if call.target is None or call.target.lan is None else call.target.lan.member_of(node)
    if member is None:
        raise Rejection(f"SetTraceParams: {node.name} is not a member of {call.target.name if call.target else ''}")
    _traced(call)
    _trace(member, kind, expression)
    if integer(length, least=0, most=65535, what="a length"):
        member.settings["trace_snaplen"] = length
