"""Kept settings of nodes, links, members and the experiment as the NS commands that they came from."""

import re
from collections.abc import Mapping, Sequence

from benito.model import Lan, Member, Topology
from benito.topology import kept
from benito.topology.writers import tcl
from benito.topology.writers.nstext import Out

_MOST_VALUE = 4096
_TYPE = re.compile(r"[-_.A-Za-z0-9]{1,32}", re.ASCII)
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)

#: Field of the experiment -> command with one word.
_EXPERIMENT: Mapping[str, str] = {
    "use_ipassign": "tb-use-ipassign",
    "ipassign_args": "tb-set-ipassign-args",
    "uselinkdelays": "tb-use-endnodeshaping",
    "forcelinkdelays": "tb-force-endnodeshaping",
    "multiplex_factor": "tb-set-colocate-factor",
    "packing_strategy": "tb-set-packing-strategy",
    "cpu_usage": "tb-set-cpu-usage",
    "mem_usage": "tb-set-mem-usage",
    "allowfixnode": "tb-fix-current-resources",
    "use_physnaming": "tb-use-physnaming",
    "jail_osname": "tb-set-jail-os",
    "delay_osname": "tb-set-delay-os",
    "delay_capacity": "tb-set-delay-capacity",
    "nonfsmounts": "tb-set-nonfs",
    "dpdb": "tb-set-dpdb",
    "uselatestwadata": "tb-set-uselatestwadata",
    "usewatunnels": "tb-set-usewatunnels",
    "elab_in_elab": "tb-elab-in-elab",
    "elabinelab_topology": "tb-elab-in-elab-topology",
    "elabinelab_eid": "tb-set-inner-elab-eid",
    "elabinelab_cvstag": "tb-set-elabinelab-cvstag",
    "elabinelab_fw_type": "tb-set-elabinelab-fw-type",
    "elabinelab_singlenet": "tb-elabinelab-singlenet",
    "description": "$ns description",
    "instructions": "$ns instructions",
}
_WEIGHTS = {0.5: "tb-make-soft-vtype", 1.0: "tb-make-hard-vtype"}
_LEVELS = ("Green", "Blue", "Yellow", "Orange")
_SOLVER = ("wa_delay_solverweight", "wa_bw_solverweight", "wa_plr_solverweight")
_MODELNET = ("modelnet_cores", "modelnet_edges")

#: Field of a link or LAN -> command with one word.
_LINKS: Mapping[str, str] = {
    "multiplexed": "tb-set-multiplexed",
    "endnode_shaping": "tb-set-endnodeshaping",
    "allow_colocate": "tb-set-allowcolocate",
    "failure_action": "tb-set-link-failure-action",
    "no_bw_shaping": "tb-set-noshaping",
}
_QUEUES = {
    "q_bytes": "bytes_",
    "q_meanpsize": "mean_pktsize_",
    "q_wait": "wait_",
    "q_setbit": "setbit_",
    "q_droptail": "drop-tail_",
}
_TRACES = ("traced", "trace_type", "trace_expr", "trace_snaplen")
#: Set for all members at once only.
_TRACES_OF_ALL = {"trace_endnode": "trace_endnode", "trace_db": "trace_mysql"}
_SETTING = "setting:"


# --- nodes ------------------------------------------------------------------------------------------------------------

#: Attribute of a node -> command with one word.
NODE: Mapping[str, str] = {
    "loadlist": "tb-set-node-loadlist",
    "kernel_cmdline": "tb-set-node-cmdline",
    "sharing_mode": "tb-set-node-sharingmode",
    "inner_elab_role": "tb-set-node-inner-elab-role",
    "plab_role": "tb-set-node-plab-role",
    "numeric_id": "tb-set-node-id",
}


def write_late_node_settings(out: Out, topology: Topology) -> None:
    """What names links or LANs."""
    for node in topology.nodes:
        place = dict(node.attributes).get("plab_plcnet")
        if place in ("control", "exp"):
            out.command("tb-set-node-plab-plcnet", out.node(node.name), place)
        elif place in out.lans:
            out.say(f"tb-set-node-plab-plcnet {out.node(node.name)} {out.lan(place)}")
        elif place is not None:
            out.lose(f"{node.name}: the attribute plab_plcnet")


def is_late(key: str) -> bool:
    """Whether `write_late_node_settings` writes the node's attribute."""
    return key == "plab_plcnet"


# --- links and LANs ---------------------------------------------------------------------------------------------------


def write_lan_settings(out: Out, lan: Lan) -> None:
    """What is kept of a link or LAN and its members."""
    word = out.lan(lan.name)
    is_link = lan.is_link and len(lan.members) == 2
    settings = dict(lan.settings)
    for key, value in settings.items():
        if not _write_lan_setting(out, word, key, value, settings, is_link=is_link):
            out.lose(f"{lan.name}: the setting {key}={value}")
    for key, method in _TRACES_OF_ALL.items():
        values = {dict(member.settings).get(key, "") for member in lan.members}
        if len(values) == 1 and values != {""}:
            out.command(word, method, max(values))
    for place, member in enumerate(lan.members):
        others = [other for at, other in enumerate(lan.members) if at != place]
        _write_member(out, lan, member, others, is_link=is_link)


def _write_lan_setting(
    out: Out, word: str, key: str, value: str, settings: Mapping[str, str], *, is_link: bool
) -> bool:
    if not value.isprintable() or len(value) > _MOST_VALUE:
        return False
    if key in _LINKS:
        out.command(_LINKS[key], word, value)
    elif key == "encapsulation" and value in ("veth", "default"):
        out.command("tb-set-useveth", word, str(int(value == "veth")))
    elif key == "encapsulation":
        out.command("tb-set-link-encap", word, value)
    elif key == "must_delay":
        out.say(f"{word} mustdelay")
    elif key == "ofcontroller":
        out.command(word, "enable_openflow", value)
    elif key == "protocol":
        if settings.get(f"{_SETTING}switch_fabric") != value:
            out.command("tb-set-link-protocol" if is_link else "tb-set-lan-protocol", word, value)
    elif key == f"{_SETTING}switch_fabric" and settings.get("protocol") == value:
        out.command("tb-set-switch-fabric", word, value)
    elif key == "layer" and is_link:
        out.command("tb-set-link-layer", word, value)
    elif key.startswith(_SETTING) and not is_link:
        out.command("tb-set-lan-setting", word, key.removeprefix(_SETTING), value)
    else:
        # What tells average rates from greatest ones means nothing to NS; carriers come when all links are made.
        return key in kept.KINDS or key.startswith("implemented_by_")
    return True


def _write_member(out: Out, lan: Lan, member: Member, others: Sequence[Member], *, is_link: bool) -> None:
    word, node = out.lan(lan.name), out.node(member.node)
    settings = dict(member.settings)
    done = {kept.NAME, *kept.KINDS}
    done |= {
        key for key in _TRACES_OF_ALL if all(dict(other.settings).get(key) == settings.get(key) for other in others)
    }
    done |= _write_rates(out, lan, member, others, settings, is_link=is_link)
    done |= _write_trace(out, word, node, settings)
    kind = "link" if is_link else "lan"
    for key, value in settings.items():
        if key in done:
            continue
        if key == "fixed_iface":
            out.command("tb-fix-interface", f"{node} {word}", value)
        elif key == "accesspoint" and not is_link:
            out.say(f"tb-set-lan-accesspoint {word} {node}")
        elif key == "ip_aliases":
            for alias in value.split(","):
                out.command(f"tb-add-ip-alias-{kind}", f"{node} {word}", alias)
        elif key == "wanted_ip_aliases":
            out.command(f"tb-request-ip-alias-{kind}", f"{node} {word}", value)
        elif key in _QUEUES:
            out.command(f"[{word} Queue {node}]", "set", _QUEUES[key], value)
        elif key.startswith(_SETTING) and not is_link and value.isprintable():
            out.command("tb-set-node-lan-setting", f"{word} {node}", key.removeprefix(_SETTING), value)
        else:
            out.lose(f"{lan.name}: the setting {key}={value} of {member.node}")


def _rate_word(value: str) -> str | None:
    if value == "0":
        return "*"
    return f"{value}kb" if value.isascii() and value.isdecimal() else None


def _write_rates(
    out: Out, lan: Lan, member: Member, others: Sequence[Member], settings: Mapping[str, str], *, is_link: bool
) -> set[str]:
    """Estimated bandwidths and background traffic; the names of the settings that are said."""
    word, node, done = out.lan(lan.name), out.node(member.node), set[str]()
    estimate = settings.get("est_bandwidth")
    if estimate is not None and estimate == settings.get("rest_bandwidth") and (rate := _rate_word(estimate)):
        same = all(dict(other.settings).get("est_bandwidth") == estimate for other in others)
        if not is_link:
            out.command("tb-set-node-lan-est-bandwidth", f"{node} {word}", rate)
            done |= {"est_bandwidth", "rest_bandwidth"}
        elif same:
            if member is lan.members[0]:
                out.command("tb-set-link-est-bandwidth", word, rate)
            done |= {"est_bandwidth", "rest_bandwidth"}
    to, back = settings.get("backfill"), settings.get("rbackfill")
    if is_link and to is not None and (rate := _rate_word(to)):
        out.command("tb-set-link-simplex-backfill", f"{word} {node}", rate)
        done.add("backfill")
    if is_link and back is not None and all(dict(other.settings).get("backfill") == back for other in others):
        done.add("rbackfill")
    if not is_link and to is not None and back is not None and _rate_word(to) and _rate_word(back):
        out.command("tb-set-lan-simplex-backfill", f"{word} {node}", _rate_word(to) or "*", _rate_word(back) or "*")
        done |= {"backfill", "rbackfill"}
    return done


def _write_trace(out: Out, word: str, node: str, settings: Mapping[str, str]) -> set[str]:
    if settings.get("traced") != "1" or "trace_type" not in settings:
        return set()
    length = settings.get("trace_snaplen", "0")
    out.command(f"{word} SetTraceParams {node}", settings["trace_type"], length, settings.get("trace_expr", ""))
    return set(_TRACES)


# --- the experiment ---------------------------------------------------------------------------------------------------


def write_topology_settings(out: Out, topology: Topology) -> None:
    """What is kept of the whole, but for what names nodes."""
    settings = dict(topology.settings)
    for key, value in settings.items():
        if not value.isprintable() or len(value) > _MOST_VALUE:
            out.lose(f"the setting {key}")
        elif key in _EXPERIMENT:
            out.command(_EXPERIMENT[key], tcl.word(value))
        elif not _write_special(out, key, value, settings):
            out.lose(f"the setting {key}={value}")
    for kind in topology.virtual_types:
        types = " ".join(kind.hardware)
        if not all(map(_TYPE.fullmatch, (kind.name, *kind.hardware))) or not 0 < round(kind.weight, 9) <= 1:
            out.lose(f"the virtual type {kind.name}")
        elif kind.weight in _WEIGHTS:
            out.command(_WEIGHTS[kind.weight], kind.name, types)
        else:
            out.command("tb-make-weighted-vtype", kind.name, f"{kind.weight:.9f}", types)


def _write_special(out: Out, key: str, value: str, settings: Mapping[str, str]) -> bool:
    """The settings that are more than a command with a word."""
    if key == "encap_style":
        if value == "default":
            out.say("tb-set-encapsulate 1")
        else:
            out.command("tb-set-vlink-emulation", value)
    elif key == "security_level" and value in "0123":
        out.command("tb-set-security-level", _LEVELS[int(value)])
    elif key in _SOLVER:
        if key == _SOLVER[0]:
            out.command("tb-set-wasolver-weights", *(settings.get(name, "0") for name in _SOLVER))
    elif key in _MODELNET:
        if key == _MODELNET[0] and value == "0":
            out.say("tb-use-modelnet 0")
        elif key == _MODELNET[0]:
            out.command("tb-set-modelnet-physnodes", value, settings.get(_MODELNET[1], "1"))
    elif key.startswith("elabinelab:") and key.count(":") == 3:
        _, role, name, order = key.split(":")
        out.command("tb-set-elabinelab-role-attribute", role, name, value, order)
    elif key.startswith("parameter:") and _PARAMETER.fullmatch(key.removeprefix("parameter:")):
        name = key.removeprefix("parameter:")
        if out.names.is_variable(name):
            return False
        out.command("$ns define-template-parameter", name, value)
    else:
        return key == "sync_server" or key.startswith(("firewall:", "blockstore:"))
    return True


def write_late_settings(out: Out, topology: Topology) -> None:
    """What names nodes: the server of barriers, firewalls, block stores."""
    settings = dict(topology.settings)
    server = settings.get("sync_server")
    if server in out.nodes:
        out.say(f"tb-set-sync-server {out.node(server)}")
    elif server is not None:
        out.lose(f"the setting sync_server={server}")
    for name, values in _grouped(settings, "firewall:").items():
        _write_firewall(out, name, values)
    for name, values in _grouped(settings, "blockstore:").items():
        _write_store(out, name, values)


def _grouped(settings: Mapping[str, str], prefix: str) -> dict[str, dict[str, str]]:
    """`prefix:NAME:field` by name and field."""
    found: dict[str, dict[str, str]] = {}
    for key, value in settings.items():
        if key.startswith(prefix):
            name, _, field = key.removeprefix(prefix).partition(":")
            found.setdefault(name, {})[field] = value
    return found


def _write_firewall(out: Out, wanted: str, values: Mapping[str, str]) -> None:
    word = out.store(wanted, "new Firewall $ns")
    if word is None:
        return
    for field, value in values.items():
        if field.startswith("rule:"):
            out.command(word, "add-numbered-rule", field.removeprefix("rule:"), value)
        else:
            out.command(word, f"set-{field}", value)


def _write_store(out: Out, wanted: str, values: Mapping[str, str]) -> None:
    word = out.store(wanted, "$ns blockstore") if values.get("node") in out.nodes else None
    if word is None:
        out.lose(f"the block store {wanted}")
        return
    out.say(f"{word} set-node {out.node(values['node'])}")
    if values.get("lease"):
        out.command(word, "set-lease", values["lease"])
        return
    for field, value in values.items():
        match field:
            case "size":
                if value != "0":
                    out.command(word, "set-size", f"{value}MiB")
            case "mountpoint":
                out.command(word, "set-mount-point", value)
            case "dataset":
                out.command(word, "load-dataset", value)
            case "node":
                continue
            case _:
                out.command(word, f"set-{field}", value)


def store_wishes(topology: Topology) -> dict[tuple[str, str], int]:
    """What local block stores add to their nodes' desires, in MiB, by node and attribute: making them adds it again."""
    kinds = {"ANY": "?+disk_any", "SYSVOL": "?+disk_sysvol", "NONSYSVOL": "?+disk_nonsysvol"}
    found: dict[tuple[str, str], int] = {}
    for values in _grouped(dict(topology.settings), "blockstore:").values():
        size = values.get("size", "")
        if values.get("class") == "local" and size.isdecimal():
            key = values.get("node", ""), f"desire:{kinds.get(values.get('placement', 'ANY'), '')}"
            found[key] = found.get(key, 0) + (int(size) or 1)
    return found
