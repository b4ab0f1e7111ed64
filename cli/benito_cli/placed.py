"""What people and programs see of a placement: pnodes and what is used of them, what crosses, why a node is there."""

import math
from collections.abc import Mapping

from rich.console import Console

from benito.embedding.needs import UNITS, Resource, rate
from benito.embedding.report import Explanation, PnodeUse, Report, Use, explain
from benito.errors import UsageError
from benito.planner import Experiment
from benito.topology.findings import nearest
from benito_cli.grid import add_row, new_table
from benito_cli.text import plain

_MOST_ROWS = 40


def print_placement(console: Console, experiment: Experiment) -> None:
    """Per pnode what is used of what there is; each LAN that crosses and what it costs; why so many pnodes."""
    found = experiment.report()
    pnodes = new_table(
        f"{len(found.pnodes)} pnodes",
        "pnode",
        "type",
        "nodes",
        "memory",
        "cores",
        "disk",
        "uplink",
        whole=("pnode", "type"),
    )
    for use in found.pnodes:
        add_row(pnodes, *_cells(use))
    console.print(pnodes)
    for reason in experiment.embedding.reasons:
        console.print(plain(reason))
    if found.crossings:
        _print_crossings(console, found)
    if experiment.former is not None:
        _print_moves(console, experiment)


def _cells(use: PnodeUse) -> tuple[str, ...]:
    amounts = {one.resource: one for one in use.uses}
    count, most = amounts[Resource.NODES].used, amounts[Resource.NODES].most
    kinds = ", ".join(f"{number} {kind}" for kind, number in use.kinds.items())
    nodes = kinds if math.isinf(most) else f"{count} of {most:g}: {kinds}"
    host = f"{use.partition.host} ({use.partition.type.name})" if use.partition.host else use.partition.type.name
    uplink = (
        rate(use.uplink_kbps)
        if math.isinf(use.uplink_most_kbps)
        else f"{rate(use.uplink_kbps)} of {rate(use.uplink_most_kbps)}"
    )
    return (
        use.partition.pnode,
        host,
        nodes,
        *(_of(amounts[one]) for one in (Resource.MEMORY, Resource.CORES, Resource.DISK)),
        uplink,
    )


def _of(use: Use) -> str:
    unit, scale = UNITS[use.resource]
    most = "" if math.isinf(use.most) else f" of {use.most / scale:.6g}"
    return f"{use.used / scale:.6g}{most} {unit}".rstrip()


def _print_crossings(console: Console, found: Report) -> None:
    title = f"{len(found.crossings)} links and LANs cross pnodes, {rate(found.cost_kbps)} in all"
    table = new_table(title, "link", "pnodes", "promises", "costs")
    dear = sorted(found.crossings, key=lambda one: -one.cost_kbps)
    for one in dear[:_MOST_ROWS]:
        add_row(table, one.lan, " ".join(one.pnodes), rate(one.rate_kbps), rate(one.cost_kbps))
    console.print(table)
    if len(dear) > _MOST_ROWS:
        console.print(plain(f"and {len(dear) - _MOST_ROWS} more; --json has them all"))


def _print_moves(console: Console, experiment: Experiment) -> None:
    moves = experiment.moves()
    table = new_table(f"{len(moves)} nodes move", "node", "from", "to", "because")
    for move in moves[:_MOST_ROWS]:
        add_row(table, move.node, move.origin or "", move.target, move.reason)
    console.print(table)
    if len(moves) > _MOST_ROWS:
        console.print(plain(f"and {len(moves) - _MOST_ROWS} more; --json has them all"))


def placement_document(experiment: Experiment) -> Mapping[str, object]:
    """The same as a document; null where nothing limits something."""
    found = experiment.report()
    return {
        "pnodes": [
            {
                "pnode": use.partition.pnode,
                "type": use.partition.type.name,
                "host": use.partition.host,
                "whole": use.partition.whole,
                "nodes": list(use.partition.nodes),
                "kinds": dict(use.kinds),
                "used": {_key(one): {"used": _plain(one, one.used), "most": _plain(one, one.most)} for one in use.uses},
                "uplink_kbps": {"used": use.uplink_kbps, "most": _finite(use.uplink_most_kbps)},
            }
            for use in found.pnodes
        ],
        "reasons": list(experiment.embedding.reasons),
        "crossings": [
            {"link": one.lan, "pnodes": list(one.pnodes), "rate_kbps": one.rate_kbps, "cost_kbps": one.cost_kbps}
            for one in found.crossings
        ],
        "cost_kbps": found.cost_kbps,
        "moves": [
            {"node": one.node, "from": one.origin, "to": one.target, "reason": one.reason} for one in experiment.moves()
        ],
    }


def _key(use: Use) -> str:
    unit, _ = UNITS[use.resource]
    return f"{use.resource}_{unit.lower()}" if unit else str(use.resource)


def _plain(use: Use, amount: float) -> float | None:
    return None if math.isinf(amount) else amount / UNITS[use.resource][1]


def _finite(amount: float) -> float | None:
    return None if math.isinf(amount) else amount


def explanation(experiment: Experiment, node: str) -> Explanation:
    """Why the node is where it is. Raises UsageError for a node that is not there."""
    names = [one.name for one in experiment.topology.nodes]
    if node not in names:
        raise UsageError(f"--explain: there is no node {node[:80]!r}", hint=nearest(node, names))
    topology = experiment.topology
    return explain(node, topology.nodes, topology.lans, experiment.embedding, experiment.policy, experiment.site)


def print_explanation(console: Console, why: Explanation) -> None:
    """What ties the node to where it is, then every other pnode with its cost and what forbids it."""
    tied = why.ties_kbps.get(why.pnode, 0)
    console.print(plain(f"{why.node} is on {why.pnode}, to whose nodes its links promise {rate(tied)}.", "bold"))
    if not why.elsewhere:
        console.print(plain("There is no other pnode."))
        return
    table = new_table("elsewhere", "pnode", "its links there", "costs more", "what forbids it")
    for one in why.elsewhere[:_MOST_ROWS]:
        cost = rate(one.cost_kbps) if one.cost_kbps >= 0 else f"-{rate(-one.cost_kbps)}"
        add_row(table, one.pnode, rate(why.ties_kbps.get(one.pnode, 0)), cost, "; ".join(one.obstacles))
    console.print(table)
    if len(why.elsewhere) > _MOST_ROWS:
        console.print(plain(f"and {len(why.elsewhere) - _MOST_ROWS} dearer ones; --json has them all"))


def explanation_document(why: Explanation) -> Mapping[str, object]:
    """The same as a document."""
    return {
        "node": why.node,
        "pnode": why.pnode,
        "ties_kbps": dict(why.ties_kbps),
        "elsewhere": [
            {"pnode": one.pnode, "cost_kbps": one.cost_kbps, "obstacles": list(one.obstacles)} for one in why.elsewhere
        ],
    }
