"""What people see: rich tables of plans, statuses and experiments."""

from collections.abc import Iterable, Sequence

from rich.console import Console

from benito.errors import Problem
from benito.model import Lan
from benito.nodereport import NodeReport
from benito.planner import Experiment
from benito.status import BootStatus, StartState
from benito.store import ExperimentState, Record
from benito.testbeds.local import refusal
from benito.trunks import trunk_refusal
from benito_cli import nodesettings, placed, shapingtext
from benito_cli.documents import node_count
from benito_cli.grid import add_row, new_table, print_columns
from benito_cli.made import Made
from benito_cli.text import plain

#: A longer status is printed without a table.
_MOST_ROWS = 300
_MOST_NAMES = 5
_STYLE = {BootStatus.BOOTED: "green", BootStatus.RUNNING: "yellow", BootStatus.DEAD: "red", None: "magenta"}


def print_plan(console: Console, experiment: Experiment) -> None:
    """Nodes with their places and addresses, links with their shaping, then the warnings."""
    topology, home = experiment.topology, experiment.embedding.pnode_of()
    title = f"{experiment.id}: {len(topology.nodes)} nodes"
    told = nodesettings.told(experiment)
    nodes = new_table(title, "node", "kind", "pnode", *(["runs"] if told else []), "interfaces", "start command")
    interfaces, made = experiment.interfaces(), Made(experiment)
    for node in topology.nodes:
        lines = [
            f"eth{member.port} {experiment.addresses[node.name, member.port]} {lan}{made.mtu_text(lan)}"
            for lan, member in interfaces[node.name]
        ]
        runs = [told[node.name]] if told else []
        add_row(nodes, node.name, node.kind, home[node.name], *runs, "\n".join(lines), node.start_command or "")
    console.print(nodes)
    if topology.lans:
        links = new_table(f"{len(topology.lans)} links and LANs", "link", "members", "rate", "delay", "loss", "made as")
        for lan in topology.lans:
            members = " ".join(member.node for member in lan.members)
            add_row(links, lan.name, members, *_shaping_cells(lan), made.text(lan))
        console.print(links)
    placed.print_placement(console, experiment)
    print_warnings(console, experiment.warnings)
    if (unjoined := trunk_refusal(experiment.embedding, experiment.site.network)) is not None:
        console.print(plain(f"{unjoined.message} ({unjoined.hint})", "yellow"))
    if (error := refusal(experiment)) is not None:
        console.print(plain(f"`benito up` would refuse this: {error.message} ({error.hint})", "yellow"))


def print_warnings(console: Console, warnings: Iterable[Problem]) -> None:
    """One line each; the same message on many elements is said once, with how many."""
    merged: dict[str, list[Problem]] = {}
    for warning in warnings:
        merged.setdefault(warning.message, []).append(warning)
    for same in merged.values():
        more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
        console.print(plain(f"warning: {same[0]}{more}", "yellow"))


def _shaping_cells(lan: Lan) -> tuple[str, str, str]:
    """Rate, one-way delay and loss from member to member."""
    ways = shapingtext.ways(lan.members)
    return (
        shapingtext.cell(ways, shapingtext.rate),
        shapingtext.cell(ways, shapingtext.delay),
        shapingtext.cell(ways, shapingtext.loss),
    )


def print_status(console: Console, reports: Sequence[NodeReport]) -> None:
    """A table per experiment, a row per node."""
    for experiment in dict.fromkeys(report.experiment for report in reports):
        mine = [report for report in reports if report.experiment == experiment]
        columns = ["node", "kind", "pnode", "address", "status", "start command"]
        columns += ["restarts"] if any(report.restarts for report in mine) else []
        rows = [_status_cells(report)[: len(columns)] for report in mine]
        if len(mine) > _MOST_ROWS:
            print_columns(console, str(experiment), columns, rows)
        else:
            table = new_table(str(experiment), *columns)
            for report, row in zip(mine, rows, strict=True):
                styles = ["", "", "", "", _style(report), "", ""]
                table.add_row(*map(plain, row, styles))
            console.print(table)
        _print_reasons(console, mine)


def _print_reasons(console: Console, reports: Sequence[NodeReport]) -> None:
    """Why nodes are dead or unknown, each reason once."""
    by_reason: dict[str, list[NodeReport]] = {}
    for report in reports:
        if report.status.reason:
            by_reason.setdefault(report.status.reason, []).append(report)
    for reason, same in by_reason.items():
        names = ", ".join(report.node for report in same[:_MOST_NAMES])
        more = f" and {len(same) - _MOST_NAMES} more" if len(same) > _MOST_NAMES else ""
        console.print(plain(f"{names}{more}: {reason}", _style(same[0])), soft_wrap=True)


def _style(report: NodeReport) -> str:
    """The colour of how a node is; what is so on purpose is no alarm."""
    if report.is_stopped or report.state is ExperimentState.SWAPPED:
        return "cyan"
    return _STYLE[report.status.boot]


def _status_word(report: NodeReport) -> str:
    if report.state is ExperimentState.SWAPPED:
        return report.state
    return "stopped" if report.is_stopped else report.status.boot or "unknown"


def _status_cells(report: NodeReport) -> list[str]:
    kind = report.kind.value if report.kind.value == report.hypervisor else f"{report.kind} ({report.hypervisor})"
    addresses = report.addresses
    more = f" +{len(addresses) - 1}" if len(addresses) > 1 else ""
    return [
        report.node,
        kind,
        report.pnode,
        f"{addresses[0]}{more}" if addresses else "",
        _status_word(report),
        _start_cell(report),
        str(report.restarts or ""),
    ]


def _start_cell(report: NodeReport) -> str:
    status = report.status
    if report.start is StartState.WAITING:
        return "waits for all nodes" if report.is_held else "waiting" if status.boot is BootStatus.BOOTED else ""
    if report.start is not StartState.ENDED:
        return report.start or ""
    seconds = "" if status.start_seconds is None else f" after {status.start_seconds:g} s"
    return f"exit {status.exit_code}{seconds}"


def print_experiments(console: Console, records: Sequence[Record]) -> None:
    """A row per experiment."""
    table = new_table(None, "experiment", "state", "nodes", "file", "since")
    for record in records:
        add_row(table, record.id, record.state, node_count(record), record.source, record.created)
    console.print(table)
