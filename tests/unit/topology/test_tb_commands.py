"""Every tb-* command that Emulab's parser and DETER's know: what comes of it, and what is said of it."""

from collections.abc import Callable

import pytest

from benito.model import Topology
from benito.topology.ns.commands import COMMANDS
from benito.topology.ns.table import Treatment

Reader = Callable[[str], Topology]

BASE = """set a [$ns node]; set b [$ns node]; set c [$ns node]
set l [$ns duplex-link $a $b 10Mb 10ms DropTail]
set lan [$ns make-lan "$a $b $c" 100Mb 20ms]
set one [$ns node]; set two [$ns node]; set only [$ns duplex-link $one $two 1Mb 0 DropTail]
"""

#: command -> (its words, where something comes of it, what). The place is a node, a link, a member or the experiment.
EXAMPLES: dict[str, tuple[str, str, object]] = {
    # addresses
    "tb-set-ip": ("$one 10.7.1.2", "only one address", "10.7.1.2"),
    "tb-set-ip-link": ("$a $l 10.7.1.2", "l a address", "10.7.1.2"),
    "tb-set-ip-lan": ("$c $lan 10.7.1.2", "lan c address", "10.7.1.2"),
    "tb-set-ip-interface": ("$b $a 10.7.1.2", "l b address", "10.7.1.2"),
    "tb-set-netmask": ("$l 255.255.255.248", "l prefix_length", "29"),
    "tb-add-ip-alias-link": ("$a $l 10.7.1.9", "l a ip_aliases", "10.7.1.9"),
    "tb-add-ip-alias-lan": ("$a $lan 10.7.1.9", "lan a ip_aliases", "10.7.1.9"),
    "tb-request-ip-alias-link": ("$a $l 3", "l a wanted_ip_aliases", "3"),
    "tb-request-ip-alias-lan": ("$a $lan 10", "lan a wanted_ip_aliases", "10"),
    "tb-use-ipassign": ("1", "use_ipassign", "1"),
    "tb-set-ipassign-args": ("{-p 8}", "ipassign_args", "-p 8"),
    # nodes
    "tb-set-hardware": ("$a pc850", "a hardware", "pc850"),
    "tb-set-node-os": ("$a Ubuntu-STD XEN-STD", "a parent_osname", "XEN-STD"),
    "tb-set-node-startcmd": ("$a {echo hi}", "a start_command", "echo hi"),
    "tb-set-node-startup": ("$a {echo hi}", "a start_command", "echo hi"),
    "tb-set-node-tarfiles": ("$a /opt /proj/p/x.tgz", "a tarfiles", "(('/opt', '/proj/p/x.tgz'),)"),
    "tb-set-tarfiles": ("/opt /proj/p/x.tgz", "c tarfiles", "(('/opt', '/proj/p/x.tgz'),)"),
    "tb-set-node-failure-action": ("$a ignore", "a failure_action", "ignore"),
    "tb-set-node-memory-size": ("$a 512", "a memory_mib", "512"),
    "tb-add-node-attribute": ("$a containers:node_type qemu", "a kind", "qemu"),
    "tb-fix-node": ("$a pc42", "a fixed_to", "pc42"),
    "tb-bind-parent": ("$a pc42", "a fixed_to", "pc42"),
    "tb-set-node-rpms": ("$a {/x.rpm /y.rpm}", "a rpms", "/x.rpm;/y.rpm"),
    "tb-set-node-loadlist": ("$a A,B", "a loadlist", "A,B"),
    "tb-set-node-cmdline": ("$a {quiet single}", "a kernel_cmdline", "quiet single"),
    "tb-set-node-usesharednode": ("$a 1.0", "a desire:pcshared", "1.0"),
    "tb-set-node-sharingmode": ("$a shared_local", "a sharing_mode", "shared_local"),
    "tb-set-node-routable-ip": ("$a 1", "a routable_control_ip", "true"),
    "tb-fix-interface": ("$a $l eth3", "l a fixed_iface", "eth3"),
    "tb-set-sync-server": ("$b", "sync_server", "b"),
    "tb-feedback-vnode": ("$a pcvm -scale 1.5", "a hardware", "pcvm"),
    "tb-feedback-vlan": ("$a $lan -scale 2", "", None),
    "tb-feedback-vlink": ("$l -rclass Client", "", None),
    "tb-set-node-inner-elab-role": ("$a boss+router", "a inner_elab_role", "boss+router"),
    "tb-set-node-plab-role": ("$a plc", "a plab_role", "plc"),
    "tb-set-node-plab-plcnet": ("$a exp", "a plab_plcnet", "exp"),
    "tb-set-node-id": ("$a 7", "a numeric_id", "7"),
    # links and LANs
    "tb-set-link-loss": ("$l 0.19", "l a loss", "0.1"),
    "tb-set-lan-loss": ("$lan 0.19", "lan c loss", "0.1"),
    "tb-set-node-lan-delay": ("$c $lan 40ms", "lan c delay", "40000"),
    "tb-set-node-lan-bandwidth": ("$c $lan 5Mb", "lan c rate", "5000"),
    "tb-set-node-lan-loss": ("$c $lan 0.1", "lan c loss", "0.1"),
    "tb-set-node-lan-params": ("$c $lan 40ms 5Mb 0.1", "lan c rate", "5000"),
    "tb-set-link-simplex-params": ("$l $a 30ms 2Mb 0.19", "l a rate", "2000"),
    "tb-set-lan-simplex-params": ("$lan $c 10ms 3Mb 0 20ms 4Mb 0", "lan c rate", "3000"),
    "tb-set-noshaping": ("$l 1", "l a rate", "None"),
    "tb-set-multiplexed": ("$l 2", "l multiplexed", "1"),
    "tb-set-endnodeshaping": ("$l 1", "l endnode_shaping", "1"),
    "tb-set-allowcolocate": ("$l 0", "l allow_colocate", "0"),
    "tb-set-link-failure-action": ("$l nonfatal", "l failure_action", "nonfatal"),
    "tb-set-link-encap": ("$l vlan", "l encapsulation", "vlan"),
    "tb-set-useveth": ("$l 1", "l encapsulation", "veth"),
    "tb-set-link-est-bandwidth": ("$a $b 1Mb", "l b rest_bandwidth", "1000"),
    "tb-set-lan-est-bandwidth": ("$lan 1Mb", "lan c est_bandwidth", "1000"),
    "tb-set-node-lan-est-bandwidth": ("$c $lan 1Mb", "lan c est_bandwidth", "1000"),
    "tb-set-link-backfill": ("$l 1Mb", "l a backfill", "1000"),
    "tb-set-link-simplex-backfill": ("$l $a 1Mb", "l b rbackfill", "1000"),
    "tb-set-lan-backfill": ("$lan 1Mb", "lan c backfill", "1000"),
    "tb-set-node-lan-backfill": ("$c $lan 1Mb", "lan c rbackfill", "1000"),
    "tb-set-lan-simplex-backfill": ("$lan $c 1Mb 2Mb", "lan c rbackfill", "2000"),
    "tb-set-lan-protocol": ("$lan 80211g", "lan protocol", "80211g"),
    "tb-set-link-protocol": ("$l ipv4", "l protocol", "ipv4"),
    "tb-set-switch-fabric": ("$l net", "l setting:switch_fabric", "net"),
    "tb-set-lan-accesspoint": ("$lan $b", "lan b accesspoint", "1"),
    "tb-set-lan-setting": ("$lan jitter 3ms", "lan setting:jitter", "3ms"),
    "tb-set-node-lan-setting": ("$lan $b corrupt 5%", "lan b setting:corrupt", "5%"),
    "tb-set-link-layer": ("$l 1", "l layer", "1"),
    # the experiment
    "tb-set-ip-routing": ("ospf", "routing", "ospf"),
    "tb-make-soft-vtype": ("V {pc600 pc850}", "vtype V", "0.5 pc600 pc850"),
    "tb-make-hard-vtype": ("V {pc600}", "vtype V", "1.0 pc600"),
    "tb-make-weighted-vtype": ("V 0.1 {pc600}", "vtype V", "0.1 pc600"),
    "tb-use-endnodeshaping": ("1", "uselinkdelays", "1"),
    "tb-force-endnodeshaping": ("1", "forcelinkdelays", "1"),
    "tb-set-vlink-emulation": ("vlan", "encap_style", "vlan"),
    "tb-set-encapsulate": ("0", "encap_style", "veth-ne"),
    "tb-set-colocate-factor": ("100", "multiplex_factor", "100"),
    "tb-set-packing-strategy": ("balance", "packing_strategy", "balance"),
    "tb-set-cpu-usage": ("4", "cpu_usage", "4"),
    "tb-set-mem-usage": ("2", "mem_usage", "2"),
    "tb-fix-current-resources": ("0", "allowfixnode", "0"),
    "tb-use-physnaming": ("1", "use_physnaming", "1"),
    "tb-set-jail-os": ("J", "jail_osname", "J"),
    "tb-set-delay-os": ("D", "delay_osname", "D"),
    "tb-set-delay-capacity": ("2", "delay_capacity", "2"),
    "tb-set-nonfs": ("1", "nonfsmounts", "1"),
    "tb-set-dpdb": ("1", "dpdb", "1"),
    "tb-set-security-level": ("Orange", "security_level", "3"),
    "tb-set-uselatestwadata": ("0", "uselatestwadata", "0"),
    "tb-set-usewatunnels": ("1", "usewatunnels", "1"),
    "tb-set-wasolver-weights": ("1 2 3", "wa_plr_solverweight", "3"),
    "tb-use-modelnet": ("1", "modelnet_edges", "1"),
    "tb-set-modelnet-physnodes": ("2 4", "modelnet_edges", "4"),
    "tb-elab-in-elab": ("1", "elab_in_elab", "1"),
    "tb-elab-in-elab-topology": ("xen", "elabinelab_topology", "xen"),
    "tb-set-inner-elab-eid": ("e", "elabinelab_eid", "e"),
    "tb-set-elabinelab-cvstag": ("t", "elabinelab_cvstag", "t"),
    "tb-set-elabinelab-fw-type": ("iptables-vlan", "elabinelab_fw_type", "iptables-vlan"),
    "tb-set-elabinelab-attribute": ("KEY value", "elabinelab:all:KEY:0", "value"),
    "tb-set-elabinelab-role-attribute": ("boss KEY value 2", "elabinelab:boss:KEY:2", "value"),
    "tb-get-elabinelab-role-attribute": ("boss KEY", "", None),
    "tb-unset-elabinelab-attribute": ("KEY", "", None),
    "tb-unset-elabinelab-role-attribute": ("boss KEY", "", None),
    "tb-elabinelab-singlenet": ("", "elabinelab_singlenet", "1"),
    "tb-set-node-service": ("ntp -node a", "", None),
    "tb-add-node-service-hook": ("ntp -script /proj/p/x", "", None),
    "tb-set-use-oml": ("", "", None),
    "tb-set-oml-server": ("$a", "", None),
    "tb-set-oml-mp": ("mp id int", "", None),
    "tb-set-oml-use-control": ("0", "", None),
}


def value_of(topology: Topology, place: str) -> str:
    """What the model has at a place, as text."""
    match place.split():
        case ["vtype", name]:
            (found,) = (one for one in topology.virtual_types if one.name == name)
            return " ".join([str(found.weight), *found.hardware])
        case ["routing"]:
            return topology.routing.value
        case [field]:
            return dict(topology.settings)[field]
        case [name, field]:
            thing = next((lan for lan in topology.lans if lan.name == name), None) or topology.node(name)
            kept = dict(getattr(thing, "settings", ()) or getattr(thing, "attributes", ()))
            return kept[field] if field in kept else str(getattr(thing, field))
        case [lan_name, node_name, field]:
            lan = next(lan for lan in topology.lans if lan.name == lan_name)
            member = next(member for member in lan.members if member.node == node_name)
            halves = {
                "rate": member.into.rate_kbps,
                "delay": member.into.delay_us,
                "loss": round(member.into.loss_ratio, 9),
                "address": member.address,
            }
            return str(halves[field]) if field in halves else dict(member.settings)[field]
        case _:
            raise AssertionError(place)


def test_every_command_has_an_example_here_and_a_row_there() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_command_does_or_keeps_what_it_means(body: Reader, name: str) -> None:
    words, place, value = EXAMPLES[name]
    topology = body(f"{BASE}{name} {words}")
    if place:
        assert value_of(topology, place) == value
    said = [warning.message for warning in topology.warnings]
    expected = {
        Treatment.HONOURED: [],
        Treatment.KEPT: [f"{name} is kept, but changes nothing yet"],
        Treatment.NOTED: [f"{name} has no meaning here"],
    }
    assert said == expected[COMMANDS[name].treatment]


NEEDY = sorted(name for name, command in COMMANDS.items() if command.usage and not command.usage.startswith("?"))


@pytest.mark.parametrize("name", NEEDY)
def test_a_command_without_its_words_ends_the_file(refusal: Callable[[str], str], name: str) -> None:
    said = refusal(f"set ns [new Simulator]\n{BASE}{name}\n$ns run\n")
    assert f'wrong # args: should be "{name} {COMMANDS[name].usage}"' in said


REFUSALS = [
    ("tb-set-ip $a 10.7.1.2", "[tb-set-ip] a does not have a single connection."),
    ("tb-set-ip $one 10.7.1", "[tb-set-ip] 10.7.1 is not a valid IP address."),
    ("tb-set-ip-link $a $lan 10.7.1.2", "[tb-set-ip-link] lan is not a link."),
    ("tb-set-ip-link $c $l 10.7.1.2", "[tb-set-ip-link] c is not connected to l."),
    ("tb-set-ip-lan $a $l 10.7.1.2", "[tb-set-ip-lan] l is not a LAN."),
    ("tb-set-ip-interface $a $c 10.7.1.2", "[tb-set-ip-interface] No connection between a and c."),
    ("tb-set-netmask $a 255.255.255.0", "[tb-set-netmask] a is not a link or a lan."),
    ("tb-set-netmask $l 255.0.0.0", "[tb-set-netmask] 255.0.0.0 is too big."),
    ("tb-request-ip-alias-link $a $l 11", "[tb-request-ip-alias-link] 11 is not a count of addresses."),
    ("tb-add-ip-alias-lan $a $l 10.7.1.2", "[tb-add-ip-alias-lan] l is not a lan."),
    ("tb-use-ipassign 2", "[tb-use-ipassign] 2 must be 0/1"),
    ("tb-fix-node $a $b", "[tb-fix-node] [set-fixed] Improper fix-node a to b!"),
    (
        "tb-set-node-inner-elab-role $a king",
        "type must be one of boss|boss+router|boss+fs+router|router|ops|ops+fs|fs|node",
    ),
    ("tb-set-node-plab-role $a x", "type must be one of plc|node|none"),
    ("tb-set-node-plab-plcnet $a x", 'x must be a link, lan, "control", or "exp".'),
    ("tb-set-node-routable-ip $a 2", "[tb-set-node-routable-ip] 2 must be 0/1"),
    ("tb-set-node-usesharednode $a 1; tb-set-node-usesharednode $a 1", "Desire pcshared on a already exists!"),
    ("tb-fix-interface $c $l eth0", "[set_fixed_iface] c is not the specified link/lan!"),
    ("tb-set-sync-server $l", "[tb-set-sync-server] l is not a node."),
    ("tb-feedback-vnode $a pcvm -scale 0", "Feedback scale is not greater than zero: 0"),
    ("tb-feedback-vlan $a $l", "[tb-feedback-vlan] l is not a LAN."),
    ("tb-feedback-vlink $l -speed 1", "bad option '-speed', should be one of: -scale, -rclass, -alertscale"),
    ("tb-set-link-loss $a $c 0.1", "[tb-set-link-loss] No link between a and c."),
    ("tb-set-lan-loss $l 0.1", "[tb-set-lan-loss] l is not a lan."),
    ("tb-set-lan-loss $lan 1.5", "[tb-set-lan-loss] 1.5 is not a valid loss rate."),
    ("tb-set-node-lan-delay $one $lan 40ms", "[tb-set-node-lan-delay] one is not in lan."),
    ("tb-set-link-simplex-params $lan $a 0 1Mb 0", "[tb-set-link-simplex-params] lan is not a link."),
    ("tb-set-noshaping $l 2", "[tb-set-noshaping] 2 must be 0/1"),
    ("tb-set-multiplexed $a 1", "[tb-set-multiplexed] a is not a link or a lan."),
    ("tb-set-multiplexed $l yes", "[tb-set-multiplexed] yes is not a number."),
    ("tb-set-link-failure-action $l ignore", "[tb-set-link-failure-action] must be one of fatal|nonfatal"),
    ("tb-set-link-encap $l alias", "[tb-set-link-encap] one of: 'veth-ne', 'vlan'"),
    ("tb-set-link-est-bandwidth $a $c 1Mb", "[tb-set-link-est-bandwidth] No link between a and c."),
    ("tb-set-lan-est-bandwidth $lan 1mb", "[tb-set-lan-est-bandwidth] Unknown bandwidth unit mb."),
    ("tb-set-link-backfill $lan 1Mb", "[tb-set-link-backfill] lan is not a link."),
    ("tb-set-lan-protocol $l x", "[tb-set-lan-protocol] l is not a lan."),
    ("tb-set-link-protocol $lan x", "[tb-set-link-protocol] lan is not a link."),
    ("tb-set-lan-accesspoint $lan $one", "set_accesspoint: No such node one in lan lan."),
    ("tb-set-node-lan-setting $lan $one k v", "set_member_setting: No such node one in lan lan."),
    ("tb-make-soft-vtype a/b {pc}", "[tb-make-soft-vtype] a/b cannot name a type."),
    ("tb-make-hard-vtype V {p/c}", "[tb-make-hard-vtype] Invalid hardware type p/c."),
    ("tb-set-vlink-emulation bridge", "[tb-set-vlink-emulation] one of: 'veth-ne', 'vlan'"),
    ("tb-set-encapsulate 2", "[tb-set-encapsulate] 2 must be 0/1"),
    ("tb-set-colocate-factor many", "[tb-set-colocate-factor] factor must be 1 <= factor <= 100"),
    ("tb-set-cpu-usage 6", "[tb-set-cpu-usage] usage must be 1 <= factor <= 5"),
    ("tb-set-mem-usage 0", "[tb-set-mem-usage] usage must be 1 <= factor <= 5"),
    ("tb-set-delay-capacity 3", "[tb-set-delay-capacity] Must be 0 < X <= 2"),
    ("tb-set-security-level Red", "[tb-set-security-level] Red security not implemented yet"),
    ("tb-set-security-level Pink", "[tb-set-security-level] Pink is not a valid level"),
    ("tb-set-wasolver-weights 1 -2 3", "[tb-set-wasolver-weights] Weights must be postive integers."),
    ("tb-set-modelnet-physnodes 0 1", "[tb-set-modelnet-physnodes] cores and edges must be > 0"),
    ("tb-set-elabinelab-role-attribute king K v", '"king" is not a valid elabinelab role'),
    ("tb-set-elabinelab-attribute K {a;b}", '"a;b" is not a valid elabinelab value'),
    ("tb-unset-elabinelab-attribute {a b}", '"a b" is not a valid elabinelab key'),
    ("tb-set-elabinelab-fw-type x", "type must be ipfw2-vlan|iptables-vlan"),
    ("tb-set-oml-mp mp", "[tb-set-oml-mp] tb-set-oml-mp <mp_name> (<metric_id> <metric_type>)+"),
    ("tb-set-oml-server $l", "[tb-set-oml-server] l is not a node."),
]


@pytest.mark.parametrize(("statement", "message"), REFUSALS)
def test_bad_words_are_refused_in_emulabs_words(refusal: Callable[[str], str], statement: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{BASE}{statement}\n$ns run\n")
