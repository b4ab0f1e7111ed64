"""`benito topdl show`: what a file says, as it was understood."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from benito_cli import options as common
from benito_cli.commands.topdl import options
from benito_cli.grid import add_row, new_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benito.model import Event, Node, Shaping, Topology


def show(file: options.File, json: common.Json = False) -> None:
    """Show all that FILE says: nodes, links with both halves of every member, addresses, routes, events, warnings."""
    from benito.topology import read_topology

    topology = read_topology(file)
    if json:
        from benito.topology.document import topology_document
        from benito_cli import documents

        typer.echo(documents.to_text(topology_document(topology)))
        return
    console = Console(highlight=False)
    _print_nodes(console, topology)
    _print_links(console, topology)
    _print_activities(console, topology)
    _print_settings(console, topology)
    from benito_cli.tables import print_warnings

    print_warnings(console, topology.warnings)


def _print_nodes(console: Console, topology: "Topology") -> None:
    table = new_table(f"{topology.source}: {len(topology.nodes)} nodes", "node", "kind", "what the file says of it")
    for node in topology.nodes:
        add_row(table, node.name, node.kind or "", "\n".join(f"{key}={value}" for key, value in _said_of(node)))
    console.print(table)


def _said_of(node: "Node") -> "Iterable[tuple[str, object]]":
    from benito.topology.select import values

    yield from values(node)
    yield from ((f"tarfile {directory}", path) for directory, path in node.tarfiles)


def _print_links(console: Console, topology: "Topology") -> None:
    if not topology.lans:
        return
    table = new_table(
        f"{len(topology.lans)} links and LANs", "link", "member", "address", "into the link", "out of the link"
    )
    for lan in topology.lans:
        netmask = "" if lan.prefix_length is None else f"/{lan.prefix_length}"
        for number, member in enumerate(lan.members):
            first = f"{lan.name}{'' if lan.is_link else ' (LAN)'} {netmask}".rstrip() if number == 0 else ""
            address = " ".join(filter(None, (str(member.address or ""), member.mac)))
            extra = [f"cost {member.cost:g}"] if member.cost != 1 else []
            extra += [f"{key}={value}" for key, value in (*member.settings, *(lan.settings if number == 0 else ()))]
            name = "\n".join([f"{member.node} eth{member.port}", *extra])
            add_row(table, first, name, address, _half(member.into), _half(member.out_of))
    console.print(table)


def _half(half: "Shaping") -> str:
    parts = []
    if half.rate_kbps is not None:
        parts.append(f"{half.rate_kbps / 1000:g} Mb/s" if half.rate_kbps >= 1000 else f"{half.rate_kbps} kb/s")
    if half.delay_us:
        parts.append(f"{half.delay_us / 1000:g} ms")
    if half.loss_ratio:
        parts.append(f"{half.loss_ratio * 100:.4g} % lost")
    if half.queue_packets is not None:
        parts.append(f"queue of {half.queue_packets}")
    return ", ".join(parts) or "ideal"


def _print_activities(console: Console, topology: "Topology") -> None:
    if topology.routes:
        table = new_table(f"{len(topology.routes)} manual routes", "node", "to", "by way of")
        for route in topology.routes:
            add_row(table, route.node, route.destination, route.next_hop)
        console.print(table)
    if topology.programs or topology.traffic:
        table = new_table("agents", "agent", "node", "what it does")
        for program in topology.programs:
            add_row(table, program.name, program.node, program.command)
        for agent in topology.traffic:
            what = f"{agent.generator} {agent.protocol} {agent.role}, port {agent.port}"
            add_row(table, agent.name, agent.node, f"{what}, with {agent.peer_node} port {agent.peer_port}")
        console.print(table)
    if topology.events:
        table = new_table(f"{len(topology.events)} events", "when", "to", "event", "with")
        for event in topology.events:
            add_row(table, _when(event), event.target, event.event, event.arguments)
        console.print(table)


def _when(event: "Event") -> str:
    if event.at_swapout:
        return "at swap-out"
    sequence = f" in {event.sequence}" if event.sequence else ""
    return f"{'next' if event.time_seconds is None else f'{event.time_seconds:g} s'}{sequence}"


def _print_settings(console: Console, topology: "Topology") -> None:
    rows = [("routing", topology.routing.value)]
    rows += [(f"opt({key})", value) for key, value in topology.options]
    rows += list(topology.settings)
    rows += [(f"event group {name}", " ".join(members)) for name, members in topology.groups]
    rows += [(f"virtual type {kind.name}", " ".join(kind.hardware)) for kind in topology.virtual_types]
    table = new_table("experiment", "setting", "value")
    for key, value in rows:
        add_row(table, key, value)
    console.print(table)
