"""What `benito linktest` shows: a row per way of a link, asked against measured."""

from rich.console import Console

from benito.linktest import Finding, LinkTest, Outcome, Quantity, WayResult
from benito_cli.documents import Document
from benito_cli.grid import new_table
from benito_cli.text import plain

_STYLE = {Outcome.OK: "green", Outcome.OFF: "red", Outcome.NOT_MEASURED: "yellow", Outcome.INFO: ""}
#: In microseconds and as a share: what is less is nothing to wonder at.
_LEAST_ALLOWED = {Quantity.DELAY: 500, Quantity.LOSS: 0.0001, Quantity.DUPLICATE: 0.001, Quantity.CORRUPT: 0.001}
_COLUMNS = (Quantity.DELAY, Quantity.LOSS, Quantity.RATE)
_SHARES = (Quantity.LOSS, Quantity.REORDER, Quantity.DUPLICATE, Quantity.CORRUPT)
_UNITS = {
    Quantity.DELAY: "delay_us",
    Quantity.JITTER: "jitter_us",
    Quantity.RATE: "rate_kbps",
    Quantity.LOSS: "loss_ratio",
    Quantity.REORDER: "reorder_ratio",
    Quantity.DUPLICATE: "duplicate_ratio",
    Quantity.CORRUPT: "corrupt_ratio",
}


def print_linktest(console: Console, done: LinkTest) -> None:
    """A row per way, measured / asked; then a line for everything that is off or was not measured."""
    title = f"{done.experiment}: {done.links} of {done.of_links} links, {done.started}, {done.seconds:g} s"
    rows = [_row(way) for way in done.ways]
    columns = ["link", "way", "delay ms", "95 % ms", "loss %", "rate Mb/s", "verdict"]
    if any(more for _, more in rows):
        columns.insert(-1, "more")
    table = new_table(title, *columns, whole=columns[2:6])
    for way, (cells, more) in zip(done.ways, rows, strict=True):
        shown = (*cells, more) if "more" in columns else cells
        table.add_row(*map(plain, shown), plain(way.outcome, _STYLE[way.outcome]))
    console.print(table)
    wrong = {way.link: way.not_as_planned for way in done.ways if way.not_as_planned}
    for link, words in wrong.items():
        mended = f"`benito repair {done.experiment}` mends it"
        console.print(plain(f"{link} is not as planned: {words}; {mended}", "red"), soft_wrap=True)
    for way in done.ways:
        if way.why_not:
            console.print(plain(f"{way.link}, {_way(way)}: not measured: {way.why_not}", "yellow"), soft_wrap=True)
        for finding in way.findings:
            if finding.outcome in (Outcome.OFF, Outcome.NOT_MEASURED):
                text = f"{way.link}, {_way(way)}: {finding.quantity} {finding.outcome}: {finding.note}"
                console.print(plain(text, _STYLE[finding.outcome]), soft_wrap=True)


def _row(way: WayResult) -> tuple[tuple[str, ...], str]:
    delay, loss, rate = (_of(way, quantity) for quantity in _COLUMNS)
    late = "" if way.p95_us is None else _number(way.p95_us, Quantity.DELAY)
    more = [_cell(finding) for finding in way.findings if finding.quantity not in _COLUMNS]
    return (way.link, _way(way), delay, late, loss, rate), "\n".join(more)


def _way(way: WayResult) -> str:
    return f"{way.sender} > {way.receiver}" if way.receiver else way.sender


def _of(way: WayResult, quantity: Quantity) -> str:
    finding = way.finding(quantity)
    return "" if finding is None else _cell(finding)


def _cell(finding: Finding) -> str:
    """`10.04 / 10`: measured and asked; with its name and unit where it has no column. Below, `+ 80`: what comes to
    what is asked by the measuring itself, where it is seen."""
    asked, more = "-" if finding.asked is None else _number(finding.asked, finding.quantity), ""
    if finding.allowed is not None and abs(finding.allowed) >= _LEAST_ALLOWED.get(finding.quantity, 0):
        sign = "+" if finding.allowed > 0 else "-"
        more = f"\n{sign} {_number(abs(finding.allowed), finding.quantity)}"
    measured = "?" if finding.measured is None else _number(finding.measured, finding.quantity)
    if finding.quantity in _COLUMNS:
        return f"{measured} / {asked}{more}"
    unit = "ms" if finding.quantity is Quantity.JITTER else "%"
    return f"{finding.quantity} {measured} / {asked}{more} {unit}"


def _number(value: float, quantity: Quantity) -> str:
    """In milliseconds, Mb/s or percent, with three digits or so."""
    scaled = value * 100 if quantity in _SHARES else value / 1000
    digits = 3 if scaled < 1 else 2 if scaled < 10 else 1 if scaled < 100 else 0
    text = f"{scaled:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def linktest_document(done: LinkTest) -> Document:
    """The same as a document, with the units in the keys."""
    return {
        "experiment": done.experiment,
        "started": done.started,
        "seconds": done.seconds,
        "links": done.links,
        "of_links": done.of_links,
        "outcome": done.outcome,
        "ways": [_way_document(way) for way in done.ways],
    }


def _way_document(way: WayResult) -> Document:
    return {
        "link": way.link,
        "sender": way.sender,
        "receiver": way.receiver or None,
        "outcome": way.outcome,
        "why_not": way.why_not or None,
        "not_as_planned": way.not_as_planned or None,
        "probes_sent": way.sent,
        "probes_arrived": way.arrived,
        "delay_p95_us": way.p95_us,
        "findings": {
            _UNITS[finding.quantity]: {
                "outcome": finding.outcome,
                "asked": finding.asked,
                "measured": finding.measured,
                "low": finding.low,
                "high": finding.high,
                "allowed": finding.allowed,
                "note": finding.note or None,
            }
            for finding in way.findings
        },
    }
