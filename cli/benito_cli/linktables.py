"""Links that are up, as tables and documents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from benito.linkcontrol import Done
from benito.linkedit import ports_of
from benito.model import DEFAULT_QUEUE, Queue, QueueKind, Shaping
from benito.plan import ExperimentPlan, LinkPlan, PortPlan
from benito.seams import LinksHealth, Passed
from benito_cli import shapingtext
from benito_cli.documents import health_document
from benito_cli.grid import add_row, new_table
from benito_cli.text import plain

_SHOWN = 3


def links_of(plan: ExperimentPlan, only: str | None = None) -> dict[str, list[tuple[str, LinkPlan]]]:
    """LAN -> its parts, each with its pnode."""
    found: dict[str, list[tuple[str, LinkPlan]]] = {}
    for part in plan.pnodes:
        for link in part.links:
            if only is None or link.lan == only:
                found.setdefault(link.lan, []).append((part.pnode, link))
    return found


def print_links(console: Console, plan: ExperimentPlan, health: LinksHealth, only: str | None = None) -> None:
    """A row per link, or all about one."""
    table = new_table(str(plan.experiment), "link", "members", "rate", "delay", "loss and more", "made as", "state")
    for lan, parts in links_of(plan, only).items():
        ports = [port for _, link in parts for port in link.ports]
        ways = shapingtext.ways(ports)
        texts = (shapingtext.rate, shapingtext.delay, shapingtext.shares)
        columns = (shapingtext.cell(ways, text) for text in texts)
        members = " ".join(port.node for port in ports)
        add_row(table, lan, members, *columns, _made(lan, parts, health), _state(parts, health))
    console.print(table)
    if only is not None:
        _print_ways(console, ports_of(plan, only), only)
        _print_passed(console, health.passed.get(only, ()))
    for lan, said in health.broken.items():
        if only in (None, lan):
            for words in said if only else said[:_SHOWN]:
                console.print(plain(f"{lan}: {words}", "red"), soft_wrap=True)
    for words in health.others if only is None else ():
        console.print(plain(words, "red"), soft_wrap=True)
    if health.broken or health.others:
        console.print(plain(f"`benito repair {plan.experiment}` mends it", "bold"), soft_wrap=True)
    _print_doubts(console, health)


def _print_passed(console: Console, passed: Sequence[Passed]) -> None:
    if not passed:
        return
    table = new_table(None, "node", "sent", "bytes", "received", "bytes")
    for each in passed:
        counters = (each.sent_packets, each.sent_bytes, each.received_packets, each.received_bytes)
        add_row(table, f"{each.node}:{each.interface}", *(f"{counter:,}" for counter in counters))
    console.print(table)


def _print_ways(console: Console, ports: Sequence[PortPlan], lan: str) -> None:
    table = new_table(None, "from", "to", "rate", "delay", "loss and more", "queue")
    for sender, receiver, way, queue in _ways(ports, lan):
        waits = "" if way.rate_kbps is None else _waits(way, queue)
        add_row(table, sender, receiver, shapingtext.rate(way), shapingtext.delay(way), shapingtext.shares(way), waits)
    console.print(table)


def _ways(ports: Sequence[PortPlan], lan: str) -> Iterator[tuple[str, str, Shaping, Queue]]:
    """From member to member of a link; of a LAN, whose pairs may be many, each member's way in and its way out."""
    if len(ports) == 2:
        for sender, receiver in (ports, ports[::-1]):
            yield sender.node, receiver.node, sender.into.then(receiver.out_of), sender.queue
        return
    for port in ports:
        yield port.node, lan, port.into, port.queue
        yield lan, port.node, port.out_of, DEFAULT_QUEUE


def _waits(way: Shaping, queue: Queue) -> str:
    packets = queue.limit if way.queue_packets is None else way.queue_packets
    kind = "" if queue.kind is QueueKind.DROP_TAIL else f", {queue.kind}"
    return (f"{queue.limit:,} bytes" if queue.in_bytes else f"{packets:,} packets") + kind


def _made(lan: str, parts: Sequence[tuple[str, LinkPlan]], health: LinksHealth) -> str:
    words = list(dict.fromkeys(str(link.realization) for _, link in parts))
    words += dict.fromkeys(f"{link.trunk.kind.upper()} {link.trunk.id}" for _, link in parts if link.trunk is not None)
    by = health.shapers.get(lan, ())
    return " + ".join(words) + (f", {' and '.join(by)}" if by else "")


def _state(parts: Sequence[tuple[str, LinkPlan]], health: LinksHealth) -> str:
    lan = parts[0][1].lan
    down = [node for _, link in parts for node in link.down]
    count = sum(len(link.ports) for _, link in parts)
    words = "down" if len(down) == count and down else f"down at {' '.join(down)}" if down else "up"
    return f"{words}, broken" if lan in health.broken else words


def links_document(plan: ExperimentPlan, health: LinksHealth, only: str | None = None) -> Mapping[str, object]:
    """All that the tables say, and how the kernel's things are called."""
    return {
        "experiment": str(plan.experiment),
        "links": [
            {
                "name": lan,
                "parts": [_part(pnode, link) for pnode, link in parts],
                "ways": [
                    {"from": sender, "to": receiver, **_way(way, queue)}
                    for sender, receiver, way, queue in _ways([port for _, link in parts for port in link.ports], lan)
                ],
                "shaped_by": list(health.shapers.get(lan, ())),
                "relayed": lan in health.relayed,
                "passed": [asdict(each) for each in health.passed.get(lan, ())],
                "down": [node for _, link in parts for node in link.down],
                "broken": list(health.broken.get(lan, ())),
            }
            for lan, parts in links_of(plan, only).items()
        ],
        "health": health_document(health),
    }


def _part(pnode: str, link: LinkPlan) -> Mapping[str, object]:
    trunk = link.trunk
    return {
        "pnode": pnode,
        "realization": link.realization,
        "bridge": link.bridge if link.realization.is_bridged else None,
        "trunk": None if trunk is None else {"kind": trunk.kind, "id": trunk.id, "device": trunk.device},
        "members": [
            {"node": port.node, "interface": port.interface, "device": port.device, "address": str(port.address)}
            for port in link.ports
        ],
    }


def _way(way: Shaping, queue: Queue) -> Mapping[str, object]:
    return {
        "rate_kbps": way.rate_kbps,
        "delay_us": way.delay_us,
        "jitter_us": way.jitter_us,
        "loss_ratio": way.loss_ratio,
        "reorder_ratio": way.reorder_ratio,
        "duplicate_ratio": way.duplicate_ratio,
        "corrupt_ratio": way.corrupt_ratio,
        "queue": queue.kind,
        "queue_limit": queue.limit if queue.in_bytes or way.queue_packets is None else way.queue_packets,
        "queue_in_bytes": queue.in_bytes,
    }


def print_health(console: Console, experiment: str, health: LinksHealth) -> None:
    """A line on links in a status, with what is wrong below."""
    mends = f"; `benito repair {experiment}` mends that"
    if health.broken:
        words = f"links: {len(health.broken)} of {health.count} broken: {_examples(health)}{mends}"
        console.print(plain(words, "red"), soft_wrap=True)
    elif health.count and not health.unknown:
        relay = f", {len(health.relayed)} by the relay" if health.relayed else ""
        pulled = f", {len(health.down)} with pulled cables" if health.down else ""
        console.print(plain(f"links: {health.count} as planned{relay}{pulled}"), soft_wrap=True)
    if health.others:
        more = f" and {len(health.others) - 1} more" if len(health.others) > 1 else ""
        console.print(plain(f"besides: to {health.others[0]}{more}{mends}", "red"), soft_wrap=True)
    _print_doubts(console, health)


def _examples(health: LinksHealth) -> str:
    shown = [f"{lan}: to {said[0]}" for lan, said in list(health.broken.items())[:_SHOWN]]
    return "; ".join(shown) + (" ..." if len(health.broken) > _SHOWN else "")


def _print_doubts(console: Console, health: LinksHealth) -> None:
    for words in health.suspect:
        console.print(plain(f"suspect: {words}", "yellow"), soft_wrap=True)
    for words in health.unknown:
        console.print(plain(f"links: {words}", "magenta"), soft_wrap=True)


def print_done(
    console: Console, done: Sequence[Done], *, experiment: str, dry_run: bool, nothing: str = "all is as planned"
) -> None:
    """Each change with its reason; with several pnodes, where. `nothing` is said where there is none."""
    for each in done:
        where = f"{each.pnode}: " if len(done) > 1 else ""
        for op in each.ops:
            console.print(plain(f"{where}{op} ({op.reason})"), soft_wrap=True)
        for node in each.nodes:
            console.print(plain(f"{where}start {node} again (it is dead)"), soft_wrap=True)
        for node, devices in _lost(each).items():
            lost = f"its device {devices[0]} is" if len(devices) == 1 else f"its devices {', '.join(devices)} are"
            console.print(plain(f"{where}start {node} again ({lost} gone)"), soft_wrap=True)
        for words in each.left:
            console.print(
                plain(f"{where}still to do: {words}; `benito repair {experiment}` does that", "red"), soft_wrap=True
            )
    if all(each.is_nothing for each in done):
        console.print(plain(nothing))
    elif dry_run:
        console.print(plain("nothing was touched", "bold"))


def _lost(done: Done) -> dict[str, list[str]]:
    """Node -> its devices that are gone."""
    found: dict[str, list[str]] = {}
    for absent in done.cut_off:
        found.setdefault(absent.node, []).append(absent.device)
    return found


def done_document(done: Sequence[Done], *, dry_run: bool) -> Mapping[str, object]:
    """The same."""
    return {
        "dry_run": dry_run,
        "pnodes": [
            {
                "pnode": each.pnode,
                "changes": [{"change": str(op), "reason": op.reason} for op in each.ops],
                "nodes": [*each.nodes, *(node for node in _lost(each) if node not in each.nodes)],
                "left": list(each.left),
            }
            for each in done
        ],
    }
