"""`benito capture`: packets of a running experiment's link or node."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from benito.seams import Captured

    Work = Callable[[Callable[[bytes], None], Callable[[], bool]], Captured]

_SNAPLEN_BYTES = 262_144


def capture(
    experiment: Annotated[str, typer.Argument(metavar="EXP", help="lab/star, or star in the project lab.")],
    name: Annotated[str, typer.Argument(metavar="LINK|NODE", help="A link or LAN, or a node for all its interfaces.")],
    expression: Annotated[
        str | None, typer.Option("--filter", metavar="EXPR", help="Only these packets, like 'tcp port 80'.")
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(
            *("-w", "--write"),
            metavar="FILE",
            help="Write pcapng there; - is standard output.  [default: lines on a terminal, else -]",
        ),
    ] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="End after so many packets.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.001, metavar="S", help="End after so long.")
    ] = None,
    snaplen: Annotated[
        int, typer.Option("--snaplen", min=1, max=_SNAPLEN_BYTES, metavar="BYTES", help="Keep so much of each packet.")
    ] = _SNAPLEN_BYTES,
    link: Annotated[bool, typer.Option("--link", help="LINK|NODE is a link.")] = False,
    node: Annotated[bool, typer.Option("--node", help="LINK|NODE is a node.")] = False,
) -> None:
    """Capture packets as they pass, until Ctrl-C: a line for each on a terminal, else a pcapng file for Wireshark."""
    from benito.captures import Subject
    from benito.errors import UsageError
    from benito.names import ExperimentId
    from benito.seams import CaptureOrder
    from benito_cli import wiring
    from benito_cli.packetfile import told_to_end

    if link and node:
        raise UsageError("--link and --node contradict each other")
    if write == "-" and sys.stdout.isatty():
        raise UsageError("standard output is a terminal", hint="pipe it to a program, or leave -w out")
    what = Subject.LINK if link else Subject.NODE if node else None
    identity = ExperimentId.parse(experiment)
    controller = wiring.local_controller()
    order = CaptureOrder(filter=expression, snaplen_bytes=snaplen, count=count, seconds=seconds)
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        complaints.print(plain(text))

    with told_to_end() as stop:

        def work(sink: "Callable[[bytes], None]", stop: "Callable[[], bool]") -> "Captured":
            return controller.capture(identity, name, order, sink, what=what, say=say, stop=stop)

        captured = _to_terminal(work, stop) if write is None and sys.stdout.isatty() else _to_file(work, stop, write)
    if captured is not None:
        dropped = f", {captured.dropped} dropped: they came too fast" if captured.dropped else ""
        say(f"{captured.packets} packets{dropped}")


def _to_terminal(work: "Work", stop: "Callable[[], bool]") -> "Captured":
    from benito_cli.packetlines import PacketLines

    with PacketLines(typer.echo) as lines:
        return work(lines.write, stop)


def _to_file(work: "Work", stop: "Callable[[], bool]", name: str | None) -> "Captured | None":
    """None where the reader had enough and went: then nothing is left to be said."""
    from benito_cli.packetfile import PacketFile

    file = PacketFile(None if name in (None, "-") else Path(str(name)))
    try:
        captured = work(file.write, lambda: stop() or not file.has_reader())
    finally:
        file.close()
    return None if file.broken else captured
