"""Links that are up, as tables and documents."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from benito.linkcontrol import Done
from benito.linkedit import ways
from benito.model import Shaping
from benito.plan import ExperimentPlan, LinkPlan
from benito.seams import LinksHealth
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
        shapings = list(dict.fromkeys(way for _, _, way in ways(plan, lan)))
        columns = (_span(map(_rate, shapings)), _span(map(_delay, shapings)), _span(map(_rest, shapings)))
        members = " ".join(port.node for _, link in parts for port in link.ports)
        add_row(table, lan, members, *columns, _made(lan, parts, health), _state(parts, health))
    console.print(table)
    if only is not None:
        _print_ways(console, plan, only)
    for lan, said in health.broken.items():
        if only in (None, lan):
            for words in said if only else said[:_SHOWN]:
                console.print(plain(f"{lan}: {words}", "red"), soft_wrap=True)
    for words in (*health.suspect, *health.unknown):
        console.print(plain(words, "yellow"), soft_wrap=True)


def _print_ways(console: Console, plan: ExperimentPlan, lan: str) -> None:
    table = new_table(None, "from", "to", "rate", "delay", "loss and more", "queue")
    for sender, receiver, way in ways(plan, lan):
        waiting = f"{way.queue_packets} packets" if way.queue_packets is not None else f"{sender.queue.limit} packets"
        if sender.queue.in_bytes:
            waiting = f"{sender.queue.limit} bytes"
        kind = "" if sender.queue.kind == "DropTail" else f", {sender.queue.kind}"
        cells = (_rate(way), _delay(way), _rest(way), f"{waiting}{kind}" if way.rate_kbps is not None else "")
        add_row(table, sender.node, receiver.node, *cells)
    console.print(table)


def _made(lan: str, parts: Sequence[tuple[str, LinkPlan]], health: LinksHealth) -> str:
    words = list(dict.fromkeys(str(link.realization) for _, link in parts))
    words += dict.fromkeys(f"{link.trunk.kind.upper()} {link.trunk.id}" for _, link in parts if link.trunk is not None)
    return " + ".join(words) + (", relay" if lan in health.relayed else "")


def _state(parts: Sequence[tuple[str, LinkPlan]], health: LinksHealth) -> str:
    lan = parts[0][1].lan
    down = [node for _, link in parts for node in link.down]
    count = sum(len(link.ports) for _, link in parts)
    words = "down" if len(down) == count and down else f"down at {' '.join(down)}" if down else "up"
    return f"{words}, broken" if lan in health.broken else words


def _rate(way: Shaping) -> str:
    if way.rate_kbps is None:
        return "unlimited"
    return f"{way.rate_kbps / 1000:g} Mb/s" if way.rate_kbps >= 1000 else f"{way.rate_kbps} kb/s"


def _delay(way: Shaping) -> str:
    return f"{way.delay_us / 1000:g} ms" + (f" +- {way.jitter_us / 1000:g} ms" if way.jitter_us else "")


def _rest(way: Shaping) -> str:
    words = ("loss", "reorder", "duplicate", "corrupt")
    return ", ".join(f"{word} {value * 100:.3g} %" for word, value in zip(words, way.ratios, strict=True) if value > 0)


def _span(texts: Iterator[str]) -> str:
    found = list(dict.fromkeys(text for text in texts if text))
    return " / ".join(found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else "")


def links_document(plan: ExperimentPlan, health: LinksHealth, only: str | None = None) -> Mapping[str, object]:
    """All that the tables say, and how the kernel's things are called."""
    return {
        "experiment": str(plan.experiment),
        "links": [
            {
                "name": lan,
                "parts": [_part(pnode, link) for pnode, link in parts],
                "ways": [
                    {"from": sender.node, "to": receiver.node, **_way(way)} for sender, receiver, way in ways(plan, lan)
                ],
                "relayed": lan in health.relayed,
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


def _way(way: Shaping) -> Mapping[str, object]:
    return {
        "rate_kbps": way.rate_kbps,
        "delay_us": way.delay_us,
        "jitter_us": way.jitter_us,
        "loss_ratio": way.loss_ratio,
        "reorder_ratio": way.reorder_ratio,
        "duplicate_ratio": way.duplicate_ratio,
        "corrupt_ratio": way.corrupt_ratio,
        "queue_packets": way.queue_packets,
    }


def health_document(health: LinksHealth) -> Mapping[str, object]:
    """How links are as a whole."""
    return {
        "links": health.count,
        "broken": {lan: list(said) for lan, said in health.broken.items()},
        "suspect": list(health.suspect),
        "unknown": list(health.unknown),
    }


def print_health(console: Console, experiment: str, health: LinksHealth) -> None:
    """A line on links in a status, with what is wrong below."""
    if health.broken:
        names = ", ".join(list(health.broken)[:_SHOWN]) + (" ..." if len(health.broken) > _SHOWN else "")
        words = f"links: {len(health.broken)} of {health.count} not as planned: {names}; `benito repair {experiment}`"
        console.print(plain(f"{words} mends them", "red"), soft_wrap=True)
    elif health.count and not health.unknown:
        relay = f", {len(health.relayed)} by the relay" if health.relayed else ""
        console.print(plain(f"links: {health.count} as planned{relay}"), soft_wrap=True)
    for words in health.suspect:
        console.print(plain(f"suspect: {words}", "yellow"), soft_wrap=True)
    for words in health.unknown:
        console.print(plain(f"links: {words}", "magenta"), soft_wrap=True)


def print_done(console: Console, done: Sequence[Done], *, dry_run: bool) -> None:
    """Each change with its reason; with several pnodes, where."""
    for each in done:
        where = f"{each.pnode}: " if len(done) > 1 else ""
        for op in each.ops:
            console.print(plain(f"{where}{op} ({op.reason})"), soft_wrap=True)
        for node in each.nodes:
            console.print(plain(f"{where}start {node} again (it is dead)"), soft_wrap=True)
    if not any(each.ops or each.nodes for each in done):
        console.print(plain("all is as planned"))
    elif dry_run:
        console.print(plain("nothing was touched", "bold"))


def done_document(done: Sequence[Done], *, dry_run: bool) -> Mapping[str, object]:
    """The same."""
    return {
        "dry_run": dry_run,
        "pnodes": [
            {
                "pnode": each.pnode,
                "changes": [{"change": str(op), "reason": op.reason} for op in each.ops],
                "nodes": list(each.nodes),
            }
            for each in done
        ],
    }
