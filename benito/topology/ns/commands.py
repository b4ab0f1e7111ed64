"""The tb-* commands, in one table: what each is called, takes, and comes to.

The interpreter checks the count of words (a wrong one ends the file, as in Emulab's parser), a handler what they say.
To add a command, add a row; to honour one that is only kept or noted, give it another handler and treatment.
"""

from benito.topology.ns import addresses, experiment, kept, nodes, routes, shaping
from benito.topology.ns.table import Command, Handler, Treatment
from benito.topology.ns.world import Call
from benito.topology.quantities import Rejection

_HONOURED, _KEPT, _NOTED = Treatment.HONOURED, Treatment.KEPT, Treatment.NOTED


def _node(call: Call) -> None:
    call.node(call.words[0])


def _nothing(_call: Call) -> None:
    return


def _measurement_point(call: Call) -> None:
    if len(call.words) < 3 or len(call.words) % 2 == 0:
        raise Rejection("tb-set-oml-mp <mp_name> (<metric_id> <metric_type>)+")


_ADDRESSES: tuple[tuple[str, str, Treatment, Handler], ...] = (
    ("tb-set-ip", "node ip", _HONOURED, addresses.set_ip),
    ("tb-set-ip-link", "node link ip", _HONOURED, addresses.set_ip_link),
    ("tb-set-ip-lan", "node lan ip", _HONOURED, addresses.set_ip_lan),
    ("tb-set-ip-interface", "src dst ip", _HONOURED, addresses.set_ip_interface),
    ("tb-set-netmask", "lanlink mask", _HONOURED, addresses.set_netmask),
    ("tb-add-ip-alias-link", "node link ip", _KEPT, kept.add_alias),
    ("tb-add-ip-alias-lan", "node lan ip", _KEPT, kept.add_alias),
    ("tb-request-ip-alias-link", "node link count", _KEPT, kept.request_aliases),
    ("tb-request-ip-alias-lan", "node lan count", _KEPT, kept.request_aliases),
    ("tb-use-ipassign", "onoff", _KEPT, experiment.on_off("use_ipassign")),
    ("tb-set-ipassign-args", "args", _KEPT, experiment.text("ipassign_args")),
)

_NODES: tuple[tuple[str, str, Treatment, Handler], ...] = (
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
    ("tb-set-node-rpms", "node ?rpm ...?", _KEPT, kept.set_rpms),
    ("tb-set-node-loadlist", "node oses", _KEPT, kept.node_text("loadlist")),
    ("tb-set-node-cmdline", "node words", _KEPT, kept.node_text("kernel_cmdline")),
    ("tb-set-node-usesharednode", "node weight", _KEPT, kept.share_node),
    ("tb-set-node-sharingmode", "node mode", _KEPT, kept.node_text("sharing_mode")),
    ("tb-set-node-routable-ip", "node onoff", _KEPT, kept.set_routable),
    ("tb-fix-interface", "node lanlink iface", _KEPT, kept.fix_interface),
    ("tb-set-sync-server", "node", _KEPT, experiment.set_sync_server),
    ("tb-feedback-vnode", "node hardware ?arg ...?", _KEPT, experiment.feed_back_node),
    ("tb-feedback-vlan", "node lan ?arg ...?", _KEPT, experiment.feed_back_lan),
    ("tb-feedback-vlink", "link ?arg ...?", _KEPT, experiment.feed_back_link),
    ("tb-set-node-inner-elab-role", "node role", _NOTED, kept.set_inner_role),
    ("tb-set-node-plab-role", "node role", _NOTED, kept.set_plab_role),
    ("tb-set-node-plab-plcnet", "node lan", _NOTED, kept.set_plab_network),
    ("tb-set-node-id", "node id", _NOTED, kept.node_text("numeric_id")),
)

_LINKS: tuple[tuple[str, str, Treatment, Handler], ...] = (
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
    ("tb-set-multiplexed", "lanlink n", _KEPT, kept.on_off("multiplexed")),
    ("tb-set-endnodeshaping", "lanlink onoff", _KEPT, kept.on_off("endnode_shaping")),
    ("tb-set-allowcolocate", "lanlink onoff", _KEPT, kept.on_off("allow_colocate")),
    ("tb-set-link-failure-action", "lanlink action", _KEPT, kept.set_failure_action),
    ("tb-set-link-encap", "lanlink style", _KEPT, kept.set_encapsulation),
    ("tb-set-useveth", "lanlink n", _KEPT, kept.set_veth),
    ("tb-set-link-est-bandwidth", "link ?src? bandwidth", _KEPT, kept.set_link_rate("est_bandwidth")),
    ("tb-set-lan-est-bandwidth", "lan bandwidth", _KEPT, kept.set_lan_rate("est_bandwidth")),
    ("tb-set-node-lan-est-bandwidth", "node lan bandwidth", _KEPT, kept.set_member_rate("est_bandwidth")),
    ("tb-set-link-backfill", "link ?src? bandwidth", _KEPT, kept.set_link_rate("backfill")),
    ("tb-set-link-simplex-backfill", "link src bandwidth", _KEPT, kept.set_simplex_backfill),
    ("tb-set-lan-backfill", "lan bandwidth", _KEPT, kept.set_lan_rate("backfill")),
    ("tb-set-node-lan-backfill", "node lan bandwidth", _KEPT, kept.set_member_rate("backfill")),
    ("tb-set-lan-simplex-backfill", "lan node to from", _KEPT, kept.set_lan_simplex_backfill),
    ("tb-set-lan-protocol", "lan protocol", _NOTED, kept.set_lan_protocol),
    ("tb-set-link-protocol", "link protocol", _NOTED, kept.set_link_protocol),
    ("tb-set-switch-fabric", "lanlink fabric", _NOTED, kept.set_switch_fabric),
    ("tb-set-lan-accesspoint", "lan node", _NOTED, kept.set_access_point),
    ("tb-set-lan-setting", "lan key value", _HONOURED, kept.set_lan_setting),
    ("tb-set-node-lan-setting", "lan node key value", _HONOURED, kept.set_member_setting),
    ("tb-set-link-layer", "link n", _NOTED, kept.set_link_layer),
)

_EXPERIMENT: tuple[tuple[str, str, Treatment, Handler], ...] = (
    ("tb-set-ip-routing", "type", _HONOURED, routes.set_old_protocol),
    ("tb-make-soft-vtype", "name types", _HONOURED, experiment.make_soft_type),
    ("tb-make-hard-vtype", "name types", _HONOURED, experiment.make_hard_type),
    ("tb-make-weighted-vtype", "name weight types", _HONOURED, experiment.make_weighted_type),
    ("tb-use-endnodeshaping", "onoff", _KEPT, experiment.on_off("uselinkdelays")),
    ("tb-force-endnodeshaping", "onoff", _KEPT, experiment.on_off("forcelinkdelays")),
    ("tb-set-vlink-emulation", "style", _KEPT, experiment.set_link_style),
    ("tb-set-encapsulate", "onoff", _KEPT, experiment.set_encapsulation),
    (
        "tb-set-colocate-factor",
        "factor",
        _KEPT,
        experiment.number("multiplex_factor", 1, 100, "factor must be 1 <= factor <= 100"),
    ),
    ("tb-set-packing-strategy", "strategy", _HONOURED, experiment.set_packing),
    ("tb-set-cpu-usage", "usage", _KEPT, experiment.number("cpu_usage", 1, 5, "usage must be 1 <= factor <= 5")),
    ("tb-set-mem-usage", "usage", _KEPT, experiment.number("mem_usage", 1, 5, "usage must be 1 <= factor <= 5")),
    ("tb-fix-current-resources", "onoff", _KEPT, experiment.on_off("allowfixnode")),
    ("tb-use-physnaming", "onoff", _KEPT, experiment.on_off("use_physnaming")),
    ("tb-set-jail-os", "os", _KEPT, experiment.text("jail_osname")),
    ("tb-set-delay-os", "os", _KEPT, experiment.text("delay_osname")),
    ("tb-set-delay-capacity", "n", _KEPT, experiment.number("delay_capacity", 1, 2, "Must be 0 < X <= 2")),
    ("tb-set-nonfs", "onoff", _KEPT, experiment.on_off("nonfsmounts")),
    ("tb-set-dpdb", "onoff", _KEPT, experiment.on_off("dpdb")),
    ("tb-set-security-level", "level", _NOTED, experiment.set_security),
    ("tb-set-uselatestwadata", "onoff", _NOTED, experiment.on_off("uselatestwadata")),
    ("tb-set-usewatunnels", "onoff", _NOTED, experiment.on_off("usewatunnels")),
    ("tb-set-wasolver-weights", "delay bw plr", _NOTED, experiment.set_solver_weights),
    ("tb-use-modelnet", "onoff", _NOTED, experiment.use_modelnet),
    ("tb-set-modelnet-physnodes", "cores edges", _NOTED, experiment.set_modelnet_nodes),
    ("tb-elab-in-elab", "onoff", _NOTED, experiment.on_off("elab_in_elab")),
    ("tb-elab-in-elab-topology", "name", _NOTED, experiment.text("elabinelab_topology")),
    ("tb-set-inner-elab-eid", "eid", _NOTED, experiment.text("elabinelab_eid")),
    ("tb-set-elabinelab-cvstag", "tag", _NOTED, experiment.text("elabinelab_cvstag")),
    ("tb-set-elabinelab-fw-type", "type", _NOTED, experiment.set_inner_firewall),
    ("tb-set-elabinelab-attribute", "key value ?order?", _NOTED, experiment.set_inner_attribute),
    ("tb-set-elabinelab-role-attribute", "role key value ?order?", _NOTED, experiment.set_inner_attribute),
    ("tb-get-elabinelab-role-attribute", "role key", _NOTED, _nothing),
    ("tb-unset-elabinelab-attribute", "key", _NOTED, experiment.unset_inner_attribute),
    ("tb-unset-elabinelab-role-attribute", "role key", _NOTED, experiment.unset_inner_attribute),
    ("tb-elabinelab-singlenet", "?onoff ...?", _NOTED, experiment.set_single_network),
    ("tb-set-node-service", "service ?arg ...?", _NOTED, _nothing),
    ("tb-add-node-service-hook", "service ?arg ...?", _NOTED, _nothing),
    ("tb-set-use-oml", "?arg ...?", _NOTED, _nothing),
    ("tb-set-oml-server", "node", _NOTED, _node),
    ("tb-set-oml-mp", "?arg ...?", _NOTED, _measurement_point),
    ("tb-set-oml-use-control", "onoff", _NOTED, _nothing),
)

COMMANDS = {
    name: Command(name=name, usage=usage, treatment=treatment, handler=handler)
    for name, usage, treatment, handler in (*_ADDRESSES, *_NODES, *_LINKS, *_EXPERIMENT)
}


def perform(call: Call) -> None:
    """Does what the command means. Raises Rejection."""
    command = COMMANDS[call.name]
    command.handler(call)
    if command.treatment is Treatment.KEPT:
        call.note(f"{command.name} is kept, but changes nothing yet")
    elif command.treatment is Treatment.NOTED:
        call.note(f"{command.name} has no meaning here")
