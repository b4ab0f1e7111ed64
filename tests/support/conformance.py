"""Compares a topology with what Emulab's parser said of the same file. Each difference has an aspect and a text."""

import math
from collections.abc import Iterator
from typing import Any

from benito.addressing import Addresses
from benito.model import Lan, Member, Node, Program, QueueKind, Topology

Difference = tuple[str, str]
Json = dict[str, Any]

_EXPERIMENT_DEFAULTS = {
    "mem_usage": "0",
    "cpu_usage": "3",
    "forcelinkdelays": "0",
    "uselinkdelays": "0",
    "usewatunnels": "0",
    "uselatestwadata": "1",
    "wa_delay_solverweight": "1",
    "wa_bw_solverweight": "7",
    "wa_plr_solverweight": "500",
    "encap_style": "default",
    "allowfixnode": "1",
    "use_ipassign": "0",
}
_LAN_DEFAULTS = {
    "protocol": "ethernet",
    "multiplexed": "0",
    "endnode_shaping": "0",
    "no_bw_shaping": "0",
    "encapsulation": "default",
    "allow_colocate": "1",
    "must_delay": "0",
    "failure_action": "fatal",
}
_NODE_FIELDS = ("kernel_cmdline", "sharing_mode", "firewall_style", "inner_elab_role")
_NOT_ATTRIBUTES = (*_NODE_FIELDS, "rpms", "loadlist", "parent_osname")
_MEMBER_FIELDS = ("est_bandwidth", "rest_bandwidth", "traced", "trace_type", "trace_expr", "trace_snaplen")
_START = "(%s ; /usr/local/etc/emulab/startcmddone $?)"


def differences(topology: Topology, addresses: Addresses | None, outcome: Json) -> Iterator[Difference]:
    """All of them; `addresses` are by Emulab's rule, None where it finds no room."""
    yield from _equal("nodes", {node.name for node in topology.nodes}, set(outcome["nodes"]))
    yield from _equal("links", {lan.name for lan in topology.lans}, set(outcome["links"]))
    yield from _equal("options", [list(option) for option in topology.options], outcome.get("opt", []))
    for node in topology.nodes:
        if node.name in outcome["nodes"]:
            yield from _node(topology, node, outcome)
    for lan in topology.lans:
        if lan.name in outcome["links"]:
            yield from _lan(lan, outcome["links"][lan.name])
            yield from _addresses(lan, addresses or {}, outcome["links"][lan.name])
    order = [lan.name for lan in sorted(topology.lans, key=lambda lan: lan.turn or 0)]
    yield from _equal("link order", order, outcome["link_order"])
    yield from _equal("routes", _routes(topology, addresses or {}), _sorted(outcome["routes"]))
    yield from _equal("programs", _programs(topology, outcome), _sorted(outcome["programs"]))
    yield from _events(topology, outcome)
    groups = {name: sorted(members) for name, members in topology.groups}
    theirs = {name: sorted(members) for name, members in outcome["event_groups"].items() if name != "__all_programs"}
    yield from _equal("event groups", groups, theirs)
    yield from _traffic(topology, addresses or {}, outcome)
    types = {one.name: {"weight": one.weight, "types": list(one.hardware)} for one in topology.virtual_types}
    yield from _equal("virtual types", types, outcome.get("vtypes", {}))
    yield from _experiment(topology, outcome)


def _equal(aspect: str, ours: object, theirs: object, what: str = "") -> Iterator[Difference]:
    if ours != theirs:
        yield aspect, f"{what}{': ' if what else ''}{ours} is not {theirs}"


def _sorted(rows: list[Json]) -> list[Json]:
    return sorted(rows, key=str)


def _node(topology: Topology, node: Node, outcome: Json) -> Iterator[Difference]:
    theirs = outcome["nodes"][node.name]
    command = outcome["start_commands"].get(node.name) or theirs["startup_legacy"]
    settings = dict(node.attributes)
    yield from _equal("node types", node.hardware or "pc", theirs["type"], node.name)
    yield from _equal("systems", node.os, theirs["os"], node.name)
    yield from _equal("start commands", node.start_command, command, node.name)
    yield from _equal("routing", topology.routing.value, theirs["routing"], node.name)
    yield from _equal("failure actions", node.failure_action or "fatal", theirs["failure_action"], node.name)
    yield from _equal("fixed nodes", node.fixed_to, theirs["fixed_to"], node.name)
    rpms = settings.get("rpms", "").split(";") if "rpms" in settings else []
    yield from _equal("rpms", rpms, theirs["rpms"], node.name)
    yield from _equal("tarfiles", [list(pair) for pair in node.tarfiles], theirs["tarfiles"], node.name)
    for field in _NODE_FIELDS:
        yield from _equal(field, settings.get(field), theirs.get(field), node.name)
    attributes = {
        key: value
        for key, value in settings.items()
        if key not in _NOT_ATTRIBUTES and not key.startswith(("desire:", "firewall_rule:"))
    }
    yield from _equal("attributes", attributes, theirs.get("attributes", {}), node.name)
    desires = {key.removeprefix("desire:"): float(value) for key, value in settings.items() if "desire:" in key}
    yield from _equal("desires", desires, theirs.get("desires", {}), node.name)


def _lan(lan: Lan, theirs: Json) -> Iterator[Difference]:
    yield from _equal("link kinds", "link" if lan.is_link else "lan", theirs["kind"], lan.name)
    ours = [(member.node, member.port) for member in lan.members]
    yield from _equal("members", ours, [(other["node"], other["port"]) for other in theirs["members"]], lan.name)
    settings = dict(lan.settings)
    for field, default in _LAN_DEFAULTS.items():
        yield from _equal(field, settings.get(field, default), str(theirs[field]), lan.name)
    kept = {key.removeprefix("setting:"): value for key, value in settings.items() if key.startswith("setting:")}
    yield from _equal("settings", kept, theirs.get("settings", {}), lan.name)
    for member, other in zip(lan.members, theirs["members"], strict=False):
        yield from _member(f"{lan.name} {member.node}", member, other, rates=not theirs["no_bw_shaping"])
    for way in theirs.get("end_to_end", []):
        yield from _end_to_end(lan, way)


def _member(what: str, member: Member, theirs: Json, *, rates: bool) -> Iterator[Difference]:
    for half, prefix in ((member.into, ""), (member.out_of, "r")):
        yield from _equal("delays", half.delay_us, float(theirs[f"{prefix}delay_ms"]) * 1000, what)
        if rates:
            yield from _equal("rates", half.rate_kbps or 0, float(theirs[f"{prefix}bandwidth_kbps"]), what)
        if not math.isclose(half.loss_ratio, float(theirs[f"{prefix}loss"]), abs_tol=1e-6):
            yield "losses", f"{what}: {half.loss_ratio} is not {theirs[f'{prefix}loss']}"
    yield from _equal("costs", member.cost, theirs["cost"], what)
    queue = member.queue
    ours = {
        "limit": queue.limit,
        "in_bytes": int(queue.in_bytes),
        "red": int(queue.kind is not QueueKind.DROP_TAIL),
        "gentle": int(queue.kind is QueueKind.GRED),
        "maxthresh": queue.max_threshold,
        "minthresh": queue.min_threshold,
        "weight": queue.weight,
        "linterm": queue.linterm,
    }
    yield from _equal("queues", ours, theirs["queue"], what)
    settings = dict(member.settings)
    for field in _MEMBER_FIELDS:
        yield from _equal(field, settings.get(field), _text(theirs.get(field)), what)
    yield from _equal("accesspoint", "accesspoint" in settings, bool(theirs.get("accesspoint")), what)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _end_to_end(lan: Lan, way: Json) -> Iterator[Difference]:
    ends = [next((member for member in lan.members if member.node == way[end]), None) for end in ("from", "to")]
    first, last = ends
    if first is None or last is None or first is last:
        return
    through = first.into.then(last.out_of)
    yield from _equal("delays", through.delay_us, float(way["delay_ms"]) * 1000, f"{lan.name} end to end")
    if not math.isclose(through.loss_ratio, float(way["loss"]), abs_tol=1e-6):
        yield "losses", f"{lan.name} end to end: {through.loss_ratio} is not {way['loss']}"


def _addresses(lan: Lan, addresses: Addresses, theirs: Json) -> Iterator[Difference]:
    for member, other in zip(lan.members, theirs["members"], strict=False):
        ours = addresses.get((member.node, member.port))
        yield from _equal("addresses", None if ours is None else str(ours.ip), other["ip"], f"{lan.name} {member.node}")
        mask = None if ours is None else str(ours.netmask)
        yield from _equal("masks", mask, theirs["mask"], lan.name)


def _routes(topology: Topology, addresses: Addresses) -> list[Json]:
    lans = {lan.name: lan for lan in topology.lans}
    rows: list[Json] = []
    for route in topology.routes:
        common = [
            (ours, hops)
            for lan in topology.lans
            for ours in lan.members
            for hops in lan.members
            if ours.node == route.node and hops.node == route.next_hop
        ]
        ours, hop = common[0]
        is_net = route.destination in lans
        end = next(
            member
            for lan in topology.lans
            for member in lan.members
            if (lan.name if is_net else member.node) == route.destination
        )
        goal = addresses[end.node, end.port]
        rows.append(
            {
                "vname": route.node,
                "src": str(addresses[ours.node, ours.port].ip),
                "dst": str(goal.ip),
                "nexthop": str(addresses[hop.node, hop.port].ip),
                "dst_type": "net" if is_net else "host",
                "dst_mask": str(goal.netmask),
            }
        )
    return _sorted(rows)


def _programs(topology: Topology, outcome: Json) -> list[Json]:
    rows = [_program(program) for program in topology.programs]
    rows += [
        {"name": f"{node.name}_startcmd", "node": node.name, "command": _START.replace("%s", node.start_command or "")}
        for node in topology.nodes
        if node.name in outcome["start_commands"]
    ]
    return _sorted(rows)


def _program(program: Program) -> Json:
    row: Json = {"name": program.name, "node": program.node, "command": program.command}
    if program.directory is not None:
        row["dir"] = f"{{{program.directory}}}"
    if program.timeout_seconds is not None:
        row["timeout"] = f"{program.timeout_seconds:g}"
    if program.expected_exit_code is not None:
        row["expected_exit_code"] = str(program.expected_exit_code)
    return row


def _events(topology: Topology, outcome: Json) -> Iterator[Difference]:
    ours = [
        (event.target, event.target_kind, event.event, event.arguments, event.time_seconds, event.sequence)
        for event in topology.events
    ]
    theirs = [
        (row["object"], row["object_type"], row["event"], row["arguments"], row["time"], row.get("parent"))
        for row in outcome["events"]
        if row.get("parent") != "__ns_sequence" and not _is_start(row)
    ]
    yield from _equal("events", sorted(ours, key=str), sorted(theirs, key=str))


def _is_start(row: Json) -> bool:
    return bool(row["object"].endswith("_startcmd") and row["event"] == "START" and not row["time"])


def _traffic(topology: Topology, addresses: Addresses, outcome: Json) -> Iterator[Difference]:
    ours = [
        {
            "vnode": one.node,
            "vname": one.name,
            "role": one.role,
            "proto": one.protocol,
            "port": str(one.port),
            "ip": str(addresses[one.node, 0].ip),
            "target_vnode": one.peer_node,
            "target_vname": one.peer,
            "target_port": str(one.peer_port),
            "target_ip": str(addresses[one.peer_node, 0].ip),
            "generator": one.generator,
        }
        for one in topology.traffic
    ]
    yield from _equal("traffic", _sorted(ours), _sorted(outcome.get("traffic_generators", [])))
    parameters = {
        (one.name, one.node, " ".join("=".join(pair) for pair in one.settings))
        for one in topology.traffic
        if one.role == "source" and one.generator == "TG"
    }
    theirs = {
        (row["object"], row["node"], row["arguments"])
        for row in outcome["events"]
        if row.get("parent") == "__ns_sequence" and row["object_type"] == "TRAFGEN"
    }
    yield from _equal("traffic", parameters, theirs, "parameters")


def _experiment(topology: Topology, outcome: Json) -> Iterator[Difference]:
    settings = dict(topology.settings)
    first = min((node.name for node in topology.nodes), default=None)
    defaults = {**_EXPERIMENT_DEFAULTS, "sync_server": first}
    for field, value in outcome["experiment"].items():
        if field != "nseconfigs":
            yield from _equal("experiment", settings.get(field, defaults.get(field)), str(value), field)
