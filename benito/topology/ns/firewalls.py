"""Firewalls: around the experiment (`new Firewall`) and on nodes. Kept, not enforced yet."""

from benito.topology.draft import DraftNode
from benito.topology.ns.things import Firewall
from benito.topology.ns.world import Call, Object, World, shown
from benito.topology.quantities import Rejection

_NOTE = "firewalls are kept, but not enforced yet"
_KINDS = ("ipfw", "ipfw2-vlan", "iptables", "iptables-vlan")
_STYLES = ("closed", "basic", "emulab", "open")
_NODE_STYLES = ("basic", "closed", "open", "elabinelab")
_FIRST_RULE, _AFTER_LAST_RULE = 100, 50_000
_MOST_TEXT = 1024


def make_firewall(call: Call, made: Object) -> None:
    """`new Firewall $ns`: one for an experiment."""
    call.note(_NOTE)
    made.thing = Firewall(name=made.name, line=call.line)
    if call.world.firewalls:
        raise Rejection("only one firewall per experiment right now")
    if call.world.draft.settings.get("security_level", "0") != "0":
        raise Rejection("cannot combine firewall with security-level")
    call.world.firewalls.append(made.thing)


def _of(call: Call) -> Firewall:
    if call.target is None or not isinstance(call.target.thing, Firewall):
        raise Rejection("this is not a Firewall.")
    return call.target.thing


def set_type(call: Call) -> None:
    """`$fw set-type TYPE`."""
    word = call.words[0]
    if word == "ipfw2":
        raise Rejection("firewall type ipfw2 not yet implemented")
    if word not in _KINDS:
        raise Rejection(f"unknown firewall type: {shown(word)}", f"known: {' '.join(_KINDS)}")
    _of(call).kind = word


def set_style(call: Call) -> None:
    """`$fw set-style STYLE`."""
    word = call.words[0]
    if word not in _STYLES:
        raise Rejection(f"unsupported firewall style: {shown(word)}", f"known: {' '.join(_STYLES)}")
    _of(call).style = word


def _rule(word: str) -> str:
    if len(word) > _MOST_TEXT or not word.isprintable():
        raise Rejection("the rule is too long or holds control characters.")
    return word


def add_rule(call: Call) -> None:
    """`$fw add-rule RULE`."""
    firewall = _of(call)
    firewall.rules[firewall.next_rule] = _rule(call.words[0])
    firewall.next_rule += 1


def add_numbered_rule(call: Call) -> None:
    """`$fw add-numbered-rule NUMBER RULE`."""
    firewall, word = _of(call), call.words[0]
    number = int(word) if len(word) < 9 and word.isascii() and word.isdecimal() else 0
    if not _FIRST_RULE <= number < _AFTER_LAST_RULE:
        raise Rejection("100 <= rule_number < 50000!")
    if number in firewall.rules:
        raise Rejection(f"rule {number} already exists!")
    firewall.rules[number] = _rule(call.words[1])


def child_of(call: Call) -> None:
    """`$fw child-of PARENT`."""
    firewall, found = _of(call), call.world.find(call.words[0])
    if found is None or not isinstance(found.thing, Firewall):
        raise Rejection(f"{shown(call.words[0])} is not a Firewall")
    if found.thing is firewall:
        raise Rejection("cannot father yourself")
    if firewall.parent is not None:
        raise Rejection(f"{firewall.name} already a child of {firewall.parent.name}")
    firewall.parent = found.thing


def finish(world: World) -> None:
    """The firewalls under the names of Emulab's tables: `firewall:fw:style`."""
    settings = world.draft.settings
    for firewall in world.firewalls:
        settings[f"firewall:{firewall.name}:type"] = firewall.kind
        settings[f"firewall:{firewall.name}:style"] = firewall.style
        for number, rule in sorted(firewall.rules.items()):
            settings[f"firewall:{firewall.name}:rule:{number}"] = rule


def _node(call: Call) -> DraftNode:
    assert call.target is not None  # noqa: S101 - methods have a target
    return call.node(call.target.name)


def set_node_style(call: Call) -> None:
    """`$node set-fw-style STYLE`."""
    if call.words[0] not in _NODE_STYLES:
        raise Rejection(f"{shown(call.words[0])} is not a valid type", f"known: {' '.join(_NODE_STYLES)}")
    _node(call).attributes["firewall_style"] = call.words[0]
    call.note(_NOTE)


def add_node_rule(call: Call) -> None:
    """`$node add-rule RULE`."""
    node = _node(call)
    number = call.world.next_rules.get(id(node), _FIRST_RULE)
    node.attributes[f"firewall_rule:{number}"] = _rule(call.words[0])
    call.world.next_rules[id(node)] = number + 1
    call.note(_NOTE)
