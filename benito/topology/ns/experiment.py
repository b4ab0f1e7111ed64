"""What a file says of the experiment as a whole: kept in its settings, under the names of Emulab's database."""

import re
from collections.abc import Callable, Iterable

from benito.model import VirtualType
from benito.topology.ns.kept import plain
from benito.topology.ns.programs import options
from benito.topology.ns.table import Handler
from benito.topology.ns.world import Call, World, shown
from benito.topology.quantities import Rejection, integer

_STYLES = ("gre", "egre", "vtun", "veth-ne", "vlan", "alias")
_LEVELS = {"Green": 0, "Blue": 1, "Yellow": 2, "Orange": 3}
_TYPE_NAME = re.compile(r"[-_.A-Za-z0-9]{1,32}", re.ASCII)
_WEIGHT = re.compile(r"[0-9]{0,3}\.[0-9]{1,9}", re.ASCII)
_ROLE = re.compile(r"all|boss|ops|fs|router|node")
_KEY = re.compile(r"[-\w.]{1,64}", re.ASCII)
_VALUE = re.compile(r"[-\w.+,\s/:@]{1,255}", re.ASCII)
_ORDER = re.compile(r"[0-9]{1,6}", re.ASCII)
_FW_KINDS = ("ipfw2-vlan", "iptables-vlan")


def _settled(field: str, value: Callable[[Call], str]) -> Handler:
    def keep(call: Call) -> None:
        call.world.draft.settings[field] = value(call)

    return keep


def on_off(field: str) -> Handler:
    """`COMMAND onoff`: 0 or 1."""
    return _settled(field, lambda call: "1" if call.on_off(call.words[0]) else "0")


def text(field: str) -> Handler:
    """`COMMAND words`: as it is."""
    return _settled(field, lambda call: plain(call.words[0]))


def number(field: str, least: int, most: int, message: str) -> Handler:
    """`COMMAND number`, in a range."""

    def value(call: Call) -> str:
        try:
            return str(integer(call.words[0], least=least, most=most, what="such a number"))
        except Rejection as rejection:
            raise Rejection(message, rejection.hint) from None

    return _settled(field, value)


def choice(field: str, message: str, *allowed: str) -> Handler:
    """`COMMAND word` with one of a few words."""

    def value(call: Call) -> str:
        if call.words[0] not in allowed:
            raise Rejection(message)
        return call.words[0]

    return _settled(field, value)


set_link_style = choice("encap_style", "one of: 'veth-ne', 'vlan'", *_STYLES)
set_packing = choice("packing_strategy", "strategy must be pack|balance", "pack", "balance")
set_inner_firewall = choice("elabinelab_fw_type", f"type must be {'|'.join(_FW_KINDS)}", *_FW_KINDS)
set_encapsulation = _settled("encap_style", lambda call: "default" if call.on_off(call.words[0]) else "veth-ne")


def set_sync_server(call: Call) -> None:
    """`tb-set-sync-server node`."""
    call.world.sync_server = call.node(call.words[0])


def set_security(call: Call) -> None:
    """`tb-set-security-level Green|Blue|Yellow|Orange`; Emulab puts a firewall node before the experiment."""
    word = call.words[0]
    if call.world.firewalls:
        raise Rejection("cannot combine with explicit firewall")
    if word == "Red":
        raise Rejection("Red security not implemented yet")
    if word not in _LEVELS:
        raise Rejection(f"{shown(word)} is not a valid level", f"known: {' '.join(_LEVELS)}")
    call.world.draft.settings["security_level"] = str(_LEVELS[word])


def finish(world: World) -> None:
    """What was kept aside goes into the settings."""
    settings = world.draft.settings
    if world.sync_server is not None:
        settings["sync_server"] = world.sync_server.name
    for (role, key), values in world.inner_attributes.items():
        settings |= {f"elabinelab:{role}:{key}:{order}": value for order, value in values.items()}


def set_solver_weights(call: Call) -> None:
    """`tb-set-wasolver-weights delay bw plr`."""
    for name, word in zip(("delay", "bw", "plr"), call.words, strict=True):
        if not (word.isascii() and word.isdecimal() and len(word) < 10):
            raise Rejection("Weights must be postive integers.")
        call.world.draft.settings[f"wa_{name}_solverweight"] = word


def use_modelnet(call: Call) -> None:
    """`tb-use-modelnet onoff`."""
    value = "1" if call.on_off(call.words[0]) else "0"
    call.world.draft.settings |= {"modelnet_cores": value, "modelnet_edges": value}


def set_modelnet_nodes(call: Call) -> None:
    """`tb-set-modelnet-physnodes cores edges`."""
    for name, word in zip(("cores", "edges"), call.words, strict=True):
        try:
            count = integer(word, least=1, most=10**6, what="a count")
        except Rejection as rejection:
            raise Rejection("cores and edges must be > 0", rejection.hint) from None
        call.world.draft.settings[f"modelnet_{name}"] = str(count)


# --- virtual types ----------------------------------------------------------------------------------------------------


def _make_type(call: Call, weight: float, types: str) -> None:
    name, hardware = call.words[0], tuple(types.split())
    if _TYPE_NAME.fullmatch(name) is None:
        raise Rejection(f"{shown(name)} cannot name a type.", "up to 32 letters, digits and - _ .")
    for one in hardware:
        if _TYPE_NAME.fullmatch(one) is None:
            raise Rejection(f"Invalid hardware type {shown(one)}.")
    call.world.draft.virtual_types[name] = VirtualType(name=name, weight=weight, hardware=hardware)


def make_soft_type(call: Call) -> None:
    """`tb-make-soft-vtype name {types}`."""
    _make_type(call, 0.5, call.words[1])


def make_hard_type(call: Call) -> None:
    """`tb-make-hard-vtype name {types}`."""
    _make_type(call, 1.0, call.words[1])


def make_weighted_type(call: Call) -> None:
    """`tb-make-weighted-vtype name weight {types}`."""
    word = call.words[1]
    if _WEIGHT.fullmatch(word) is None or not 0 < float(word) < 1:
        raise Rejection(f"{shown(word)} is not a valid weight. (0 < weight < 1).")
    _make_type(call, float(word), call.words[2])


# --- a testbed in the testbed -----------------------------------------------------------------------------------------


def set_single_network(call: Call) -> None:
    """`tb-elabinelab-singlenet ?onoff?`."""
    call.world.draft.settings["elabinelab_singlenet"] = "0" if call.words and call.words[0] == "0" else "1"


def _check_inner(parts: Iterable[tuple[str, re.Pattern[str], str]]) -> None:
    for what, pattern, word in parts:
        if pattern.fullmatch(word) is None:
            raise Rejection(f'"{shown(word)}" is not a valid elabinelab {what}')


def set_inner_attribute(call: Call) -> None:
    """`tb-set-elabinelab-attribute key value ?order?`, `-role-attribute` with the role before."""
    words = call.words if "-role-" in call.name else ("all", *call.words)
    role, key, value, order = (*words, "0")[:4]
    _check_inner((("role", _ROLE, role), ("key", _KEY, key), ("value", _VALUE, value), ("order", _ORDER, order)))
    call.world.inner_attributes.setdefault((role, key), {})[order] = plain(value)


def unset_inner_attribute(call: Call) -> None:
    """`tb-unset-elabinelab-attribute key`, `-role-attribute` with the role before."""
    role, key = call.words if "-role-" in call.name else ("all", call.words[0])
    _check_inner((("role", _ROLE, role), ("key", _KEY, key)))
    call.world.inner_attributes.pop((role, key), None)


# --- feedback ---------------------------------------------------------------------------------------------------------


def _check_scale(words: tuple[str, ...], *known: str) -> None:
    given = options(words, ("-scale", "-rclass", "-alertscale", *known))
    try:
        scale = float(given.get("-scale", "1"))
    except ValueError:
        scale = -1.0
    if not scale > 0:
        raise Rejection(f"Feedback scale is not greater than zero: {shown(given['-scale'])}")


def feed_back_node(call: Call) -> None:
    """`tb-feedback-vnode node hardware ...`: its hardware; there is no load to learn from yet."""
    node = call.node(call.words[0])
    _check_scale(call.words[2:], "-initscale")
    if _TYPE_NAME.fullmatch(call.words[1]) is None:
        raise Rejection(f"Unknown hardware type: {shown(call.words[1])}")
    node.hardware = call.words[1]


def feed_back_lan(call: Call) -> None:
    """`tb-feedback-vlan node lan ...`."""
    call.node(call.words[0])
    call.lan(call.words[1])
    _check_scale(call.words[2:])


def feed_back_link(call: Call) -> None:
    """`tb-feedback-vlink link ...`."""
    call.link(call.words[0])
    _check_scale(call.words[1:])
