"""What `--json` prints: plain documents with the units in their keys."""

import json
from collections.abc import Mapping, Sequence

from benito.execute import Outcome
from benito.model import Shaping
from benito.nodereport import NodeReport
from benito.planner import Experiment
from benito.seams import LinksHealth
from benito.store import Record
from benito.testbeds.local import refusal
from benito_cli.made import Made
from benito_cli.nodesettings import settings_document
from benito_cli.placed import placement_document

Document = Mapping[str, object]


def to_text(document: object) -> str:
    """Indented JSON."""
    return json.dumps(document, indent=1)


def plan_document(experiment: Experiment) -> Document:
    """The whole plan: nodes with their places, interfaces and routes, links with both halves of every member."""
    topology, home, made = experiment.topology, experiment.embedding.pnode_of(), Made(experiment)
    error, interfaces = refusal(experiment), experiment.interfaces()
    return {
        "experiment": str(experiment.id),
        "source": topology.source,
        "nodes": [
            {
                "name": node.name,
                "dns_name": experiment.id.dns_name(node.name),
                "kind": node.kind,
                "pnode": home[node.name],
                "start_command": node.start_command,
                **settings_document(experiment, node),
                "interfaces": [
                    {
                        "name": f"eth{member.port}",
                        "lan": lan,
                        "address": str(experiment.addresses[node.name, member.port]),
                        "mac": experiment.macs[node.name, member.port],
                        "mtu_bytes": made.mtus_bytes[lan],
                    }
                    for lan, member in interfaces[node.name]
                ],
                "routes": [
                    {"destination": str(route.destination), "via": str(route.via)}
                    for route in experiment.routes[node.name]
                ],
            }
            for node in topology.nodes
        ],
        "links": [
            {
                "name": lan.name,
                "is_link": lan.is_link,
                **made.document(lan),
                "members": [
                    {
                        "node": member.node,
                        "interface": f"eth{member.port}",
                        "into": _shaping(member.into),
                        "out_of": _shaping(member.out_of),
                    }
                    for member in lan.members
                ],
            }
            for lan in topology.lans
        ],
        **placement_document(experiment),
        "refused_by_local": error.message if error else None,
        "warnings": [str(warning) for warning in experiment.warnings],
    }


def _shaping(shaping: Shaping) -> Document:
    return {
        "rate_kbps": shaping.rate_kbps,
        "delay_us": shaping.delay_us,
        "loss_ratio": shaping.loss_ratio,
        "queue_packets": shaping.queue_packets,
    }


def status_document(reports: Sequence[NodeReport], health: Mapping[str, LinksHealth]) -> Document:
    """All nodes, each with how it is; by experiment, how the links are as a whole."""
    return {
        "nodes": [
            {
                "experiment": str(report.experiment),
                "node": report.node,
                "dns_name": report.dns_name,
                "kind": report.kind,
                "hypervisor": report.hypervisor,
                "pnode": report.pnode,
                "addresses": [str(address) for address in report.addresses],
                "status": report.status.boot,
                "experiment_state": report.state,
                "stopped": report.is_stopped,
                "restarts": report.restarts,
                "start_command": report.start,
                "exit_code": report.status.exit_code,
                "start_command_seconds": report.status.start_seconds,
                "reason": report.status.reason,
            }
            for report in reports
        ],
        "links": {experiment: health_document(links) for experiment, links in health.items()},
    }


def health_document(health: LinksHealth) -> Document:
    """How many links there are, which are not as planned, and why what was measured may be wrong."""
    return {
        "links": health.count,
        "broken": {lan: list(said) for lan, said in health.broken.items()},
        "others": list(health.others),
        "relayed": list(health.relayed),
        "down": list(health.down),
        "suspect": list(health.suspect),
        "unknown": list(health.unknown),
    }


def list_document(records: Sequence[Record]) -> list[Document]:
    """A list of experiments."""
    return [
        {
            "experiment": str(record.id),
            "state": record.state,
            "nodes": node_count(record),
            "source": record.source,
            "created": record.created,
        }
        for record in records
    ]


def node_count(record: Record) -> int:
    """How many nodes the experiment has on all pnodes."""
    return sum(len(part.nodes) for part in record.parts(lenient=True))


def outcomes_document(outcomes: Sequence[Outcome]) -> list[Document]:
    """A list of nodes, each with how the command ended there."""
    return [
        {"node": one.node, "exit_code": one.exit_code, "output": one.output, "errors": one.errors} for one in outcomes
    ]
