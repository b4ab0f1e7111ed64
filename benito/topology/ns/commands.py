"""The tb-* commands, in one table: what each is called, takes, and comes to.

The interpreter checks the count of words (a wrong one ends the file, as in Emulab's parser), a handler what they say.
To add a command, add a row; to honour one that is only kept or noted, give it a handler and another treatment.
"""

import re

from benito.model import Routing
from benito.topology.ns import addresses, nodes, shaping
from benito.topology.ns.table import Command, Handler, Treatment
from benito.topology.ns.world import Call, shown
from benito.topology.quantities import Rejection, bandwidth_kbps, integer

_HONOURED, _KEPT, _NOTED = Treatment.HONOURED, Treatment.KEPT, Treatment.NOTED


def _one_of(message: str, *allowed: str) -> Handler:
    def check(call: Call) -> None:
        if call.words[-1] not in allowed:
            raise Rejection(message)

    return check


def _number(place: int, least: int, most: int, message: str) -> Handler:
    def check(call: Call) -> None:
        word = call.words[place]
        try:
            integer(word, least=least, most=most, what="such a number")
        except Rejection as rejection:
            raise Rejection(message.format(word=shown(word)), rejection.hint) from None

    return check


def _on_off(call: Call) -> None:
    call.on_off(call.words[-1])


def _link_on_off(call: Call) -> None:
    call.link_or_lan(call.words[0])
    call.on_off(call.words[1])


def _node_on_off(call: Call) -> None:
    call.node(call.words[0])
    call.on_off(call.words[1])
    nodes.keep(call)


def _link_number(call: Call) -> None:
    call.link_or_lan(call.words[0])
    integer(call.words[1], least=-(10**9), most=10**9, what="a number")


def _link_bandwidth(call: Call) -> None:
    call.link_or_lan(call.words[0])
    bandwidth_kbps(call.words[-1])


def _link(call: Call) -> None:
    call.link_or_lan(call.words[0])


def _node(call: Call) -> None:
    call.node(call.words[0])


def _link_failure(call: Call) -> None:
    call.link_or_lan(call.words[0])
    if call.words[1] not in ("fatal", "nonfatal"):
        raise Rejection("type must be one of fatal|nonfatal.")


def _link_encapsulation(call: Call) -> None:
    call.link_or_lan(call.words[0])
    if call.words[1] not in _LINK_STYLES:
        raise Rejection("one of: 'veth-ne', 'vlan'")


_LINK_STYLES = ("gre", "egre", "vtun", "veth-ne", "vlan")


def _vtype(call: Call) -> None:
    name = call.words[0]
    if re.fullmatch(r"[-_A-Za-z0-9]{1,32}", name, re.ASCII) is None:
        raise Rejection(f"{shown(name)} cannot name a type.")
    if call.name == "tb-make-weighted-vtype":
        weight = call.words[1]
        if re.fullmatch(r"[0-9]{0,3}\.[0-9]{1,9}", weight, re.ASCII) is None or not 0 < float(weight) < 1:
            raise Rejection(f"{shown(weight)} is not a valid weight. (0 < weight < 1).")


def _routing(call: Call) -> None:
    routing = {"none": Routing.NONE, "ospf": Routing.SESSION}.get(call.words[0])
    if routing is None:
        raise Rejection("type must be none|ospf.")
    call.world.draft.routing = routing


_ROWS: tuple[tuple[str, str, Treatment, Handler | None], ...] = (
    # addresses
    ("tb-set-ip", "node ip", _HONOURED, addresses.set_ip),
    ("tb-set-ip-link", "node link ip", _HONOURED, addresses.set_ip_link),
    ("tb-set-ip-lan", "node lan ip", _HONOURED, addresses.set_ip_lan),
    ("tb-set-ip-interface", "src dst ip", _HONOURED, addresses.set_ip_interface),
    ("tb-set-netmask", "lanlink mask", _HONOURED, addresses.set_netmask),
    ("tb-add-ip-alias-link", "node link ip", _NOTED, _node),
    ("tb-add-ip-alias-lan", "node lan ip", _NOTED, _node),
    ("tb-request-ip-alias-link", "node link count", _NOTED, _node),
    ("tb-request-ip-alias-lan", "node lan count", _NOTED, _node),
    ("tb-use-ipassign", "onoff", _NOTED, _on_off),
    ("tb-set-ipassign-args", "args", _NOTED, None),
    # nodes
    ("tb-set-hardware", "node type ?more ...?", _HONOURED, nodes.set_hardware),
    ("tb-set-node-os", "node os ?parentos?", _HONOURED, nodes.set_os),
    ("tb-set-node-startcmd", "node cmd", _HONOURED, nodes.set_start_command),
    ("tb-set-node-startup", "node cmd", _HONOURED, nodes.set_start_command),
    ("tb-set-node-tarfiles", "node dir ?tar ...?", _HONOURED, nodes.set_node_tarfiles),
    ("tb-set-tarfiles", "dir ?tar ...?", _HONOURED, nodes.set_tarfiles),
    ("tb-set-node-failure-action", "node action", _HONOURED, nodes.set_failure_action),
    ("tb-set-node-memory-size", "node mb", _HONOURED, nodes.set_memory),
    ("tb-add-node-attribute", "node key value", _HONOURED, nodes.add_attribute),
    ("tb-fix-node", "vnode pnode", _HONOURED, nodes.fix_node),
    ("tb-bind-parent", "vnode pnode", _HONOURED, nodes.fix_node),
    ("tb-set-node-rpms", "node ?rpm ...?", _KEPT, nodes.set_rpms),
    ("tb-set-node-loadlist", "node oses", _KEPT, None),
    ("tb-set-node-cmdline", "node words", _KEPT, None),
    ("tb-set-node-usesharednode", "node weight", _KEPT, None),
    ("tb-set-node-sharingmode", "node mode", _KEPT, None),
    ("tb-set-node-routable-ip", "node onoff", _KEPT, _node_on_off),
    ("tb-fix-interface", "node lan iface", _KEPT, None),
    ("tb-set-node-inner-elab-role", "node role", _NOTED, _node),
    ("tb-set-node-plab-role", "node role", _NOTED, _node),
    ("tb-set-node-plab-plcnet", "node lan", _NOTED, _node),
    ("tb-set-node-id", "node id", _NOTED, _node),
    ("tb-set-sync-server", "node", _NOTED, _node),
    # links and LANs
    ("tb-set-link-loss", "link loss ?loss?", _HONOURED, shaping.set_link_loss),
    ("tb-set-lan-loss", "lan loss", _HONOURED, shaping.set_lan_loss),
    ("tb-set-node-lan-delay", "node lan delay", _HONOURED, shaping.set_member),
    ("tb-set-node-lan-bandwidth", "node lan bandwidth", _HONOURED, shaping.set_member),
    ("tb-set-node-lan-loss", "node lan loss", _HONOURED, shaping.set_member),
    ("tb-set-node-lan-params", "node lan delay bandwidth loss", _HONOURED, shaping.set_member_params),
    ("tb-set-link-simplex-params", "link src delay bw loss", _HONOURED, shaping.set_link_simplex),
    (
        "tb-set-lan-simplex-params",
        "lan node todelay tobw toloss fromdelay frombw fromloss",
        _HONOURED,
        shaping.set_lan_simplex,
    ),
    ("tb-set-noshaping", "lanlink onoff", _HONOURED, shaping.set_unshaped),
    ("tb-set-link-failure-action", "lanlink action", _NOTED, _link_failure),
    ("tb-set-link-est-bandwidth", "link ?src? bandwidth", _NOTED, None),
    ("tb-set-lan-est-bandwidth", "lan bandwidth", _NOTED, _link_bandwidth),
    ("tb-set-node-lan-est-bandwidth", "node lan bandwidth", _NOTED, _node),
    ("tb-set-link-backfill", "link ?src? bandwidth", _NOTED, None),
    ("tb-set-link-simplex-backfill", "link src bandwidth", _NOTED, _link_bandwidth),
    ("tb-set-lan-backfill", "lan bandwidth", _NOTED, _link_bandwidth),
    ("tb-set-node-lan-backfill", "node lan bandwidth", _NOTED, _node),
    ("tb-set-lan-simplex-backfill", "lan node to from", _NOTED, _link),
    ("tb-set-multiplexed", "lanlink n", _NOTED, _link_number),
    ("tb-set-endnodeshaping", "lanlink onoff", _NOTED, _link_on_off),
    ("tb-use-endnodeshaping", "onoff", _NOTED, _on_off),
    ("tb-force-endnodeshaping", "onoff", _NOTED, _on_off),
    ("tb-set-link-encap", "lanlink style", _NOTED, _link_encapsulation),
    ("tb-set-useveth", "lanlink n", _NOTED, _link_number),
    ("tb-set-allowcolocate", "lanlink onoff", _NOTED, _link_on_off),
    ("tb-set-lan-protocol", "lan protocol", _NOTED, _link),
    ("tb-set-link-protocol", "link protocol", _NOTED, _link),
    ("tb-set-switch-fabric", "lanlink fabric", _NOTED, _link),
    ("tb-set-lan-accesspoint", "lan node", _NOTED, _link),
    ("tb-set-lan-setting", "lan key value", _NOTED, _link),
    ("tb-set-node-lan-setting", "node lan key value", _NOTED, _node),
    ("tb-set-link-layer", "link n", _NOTED, _link_number),
    # the experiment
    ("tb-set-ip-routing", "type", _HONOURED, _routing),
    (
        "tb-set-vlink-emulation",
        "style",
        _NOTED,
        _one_of("one of: 'veth-ne', 'vlan'", *_LINK_STYLES, "alias"),
    ),
    ("tb-set-encapsulate", "onoff", _NOTED, _on_off),
    (
        "tb-set-colocate-factor",
        "factor",
        _NOTED,
        _number(0, 1, 100, "factor must be 1 <= factor <= 100"),
    ),
    ("tb-set-packing-strategy", "strategy", _NOTED, _one_of("strategy must be pack|balance", "pack", "balance")),
    ("tb-set-cpu-usage", "weight", _NOTED, _number(0, 0, 5, "{word} is not a weight from 1 to 5")),
    ("tb-set-mem-usage", "weight", _NOTED, _number(0, 0, 5, "{word} is not a weight from 1 to 5")),
    ("tb-fix-current-resources", "onoff", _NOTED, _on_off),
    ("tb-use-physnaming", "onoff", _NOTED, _on_off),
    ("tb-make-soft-vtype", "name types", _NOTED, _vtype),
    ("tb-make-hard-vtype", "name types", _NOTED, _vtype),
    ("tb-make-weighted-vtype", "name weight types", _NOTED, _vtype),
    ("tb-set-jail-os", "os", _NOTED, None),
    ("tb-set-delay-os", "os", _NOTED, None),
    ("tb-set-delay-capacity", "n", _NOTED, _number(0, 1, 2, "Must be 0 < X <= 2")),
    ("tb-feedback-vnode", "node hardware ?arg ...?", _NOTED, _node),
    ("tb-feedback-vlan", "node lan ?arg ...?", _NOTED, _node),
    ("tb-feedback-vlink", "link ?arg ...?", _NOTED, None),
    (
        "tb-set-security-level",
        "level",
        _NOTED,
        _one_of("level must be Green|Blue|Yellow|Orange", "Green", "Blue", "Yellow", "Orange"),
    ),
    ("tb-set-uselatestwadata", "onoff", _NOTED, _on_off),
    ("tb-set-usewatunnels", "onoff", _NOTED, _on_off),
    ("tb-set-wasolver-weights", "delay bw plr", _NOTED, None),
    ("tb-use-modelnet", "onoff", _NOTED, _on_off),
    ("tb-set-modelnet-physnodes", "cores edges", _NOTED, None),
    ("tb-set-nonfs", "onoff", _NOTED, _on_off),
    ("tb-set-dpdb", "onoff", _NOTED, _on_off),
    ("tb-elab-in-elab", "onoff", _NOTED, _on_off),
    ("tb-elab-in-elab-topology", "name", _NOTED, None),
    ("tb-set-inner-elab-eid", "eid", _NOTED, None),
    ("tb-set-elabinelab-cvstag", "tag", _NOTED, None),
    ("tb-set-elabinelab-attribute", "key value ?order?", _NOTED, None),
    ("tb-set-elabinelab-role-attribute", "role key value ?order?", _NOTED, None),
    ("tb-unset-elabinelab-attribute", "key", _NOTED, None),
    ("tb-unset-elabinelab-role-attribute", "role key", _NOTED, None),
    ("tb-elabinelab-singlenet", "", _NOTED, None),
    ("tb-set-node-service", "service ?arg ...?", _NOTED, None),
    ("tb-add-node-service-hook", "service ?arg ...?", _NOTED, None),
    ("tb-set-use-oml", "onoff", _NOTED, None),
    ("tb-set-oml-server", "node", _NOTED, None),
    ("tb-set-oml-mp", "?arg ...?", _NOTED, None),
    ("tb-set-oml-use-control", "onoff", _NOTED, None),
)

COMMANDS = {
    name: Command(name=name, usage=usage, treatment=treatment, handler=handler)
    for name, usage, treatment, handler in _ROWS
}


def perform(call: Call) -> None:
    """Does what the command means. Raises Rejection."""
    command = COMMANDS[call.name]
    if command.handler is not None:
        command.handler(call)
    elif command.treatment is Treatment.KEPT:
        nodes.keep(call)
    if command.treatment is Treatment.NOTED:
        call.note(f"{command.name} is accepted, but has no effect")
