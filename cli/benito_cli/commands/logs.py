"""`benito logs`: what a node's start command and console have said."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benito.seams import NodeLog

Words = Annotated[
    list[str], typer.Argument(metavar="[EXP] NODE", help="star n-0, or n-0.star.lab, or n-0 where one node bears it.")
]


def logs(
    words: Words,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    out: Annotated[bool, typer.Option("--out", help="Only the start command's standard output.")] = False,
    err: Annotated[bool, typer.Option("--err", help="Only its standard error.")] = False,
    log: Annotated[bool, typer.Option("--log", help="When it began and how it ended.")] = False,
    console: Annotated[bool, typer.Option("--console", help="What the node printed on its console.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, metavar="N", help="Begin with the last N lines.  [default: all]")
    ] = None,
) -> None:
    """Print what NODE's start command wrote: its output on standard output, its errors on standard error (in red).

    Works for dead nodes too, but for machines, of which only the console is left. Into a pipe or file all bytes go as
    they are; on a terminal, control characters are shown instead of sent.
    """
    from benito.errors import UsageError
    from benito.nodelogs import LogReader
    from benito.nodelogs import follow as followed
    from benito.seams import NodeLog
    from benito_cli import wiring
    from benito_cli.logtext import Printer
    from benito_cli.nodewords import one_node
    from benito_cli.packetfile import told_to_end

    asked = {NodeLog.OUT: out, NodeLog.ERR: err, NodeLog.LOG: log, NodeLog.CONSOLE: console}
    chosen = [each for each, wanted in asked.items() if wanted] or [NodeLog.OUT, NodeLog.ERR]
    if NodeLog.CONSOLE in chosen and len(chosen) > 1:
        raise UsageError("--console stands by itself")
    controller = wiring.local_controller()
    experiment, node = one_node(controller, words)

    def reader(which: "NodeLog") -> LogReader:
        made = LogReader(lambda offset, most: controller.nodes.read_log(experiment, node, which, offset, most))
        if tail is not None:
            made.skip_to_last(tail)
        return made

    readers = {each: reader(each) for each in chosen}
    # Errors alone are what was asked for, not a complaint beside it.
    printers = {each: Printer(to_errors=each is NodeLog.ERR and len(chosen) > 1) for each in chosen}
    try:
        if follow:
            with told_to_end() as stop, controller.nodes.watching_one(experiment, node) as changed:
                for each, piece in followed(readers, changed, stop):
                    printers[each].write(piece)
        else:
            for each, opened in readers.items():
                for piece in opened.rest():
                    printers[each].write(piece)
    finally:
        for printer in printers.values():
            printer.close()
        sys.stdout.flush()
