"""`benito topdl validate`: all that is wrong with files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options as common
from benito_cli.text import plain

if TYPE_CHECKING:
    from benito.validation import Verdict

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Topologies, NS2 and TopDL.")]


def validate(files: Files, json: common.Json = False) -> None:
    """Check FILEs as far as that needs no testbed; tell all that is wrong. Exit code 2 if any has an error."""
    from benito.errors import TopologyError
    from benito.validation import judge
    from benito_cli import documents

    verdicts = [judge(file) for file in files]
    if json:
        typer.echo(documents.to_text([_document(verdict) for verdict in verdicts]))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for verdict in verdicts:
            for problem in verdict.problems:
                console.print(
                    plain(f"{problem.severity}: {problem}", "red" if problem.severity == "error" else "yellow")
                )
            size = f"{verdict.nodes} nodes, {verdict.lans} links and LANs"
            console.print(plain(f"{verdict.file}: {size}" if verdict.is_good else f"{verdict.file}: not usable"))
    if not all(verdict.is_good for verdict in verdicts):
        sys.exit(TopologyError.exit_code)


def _document(verdict: "Verdict") -> dict[str, object]:
    return {
        "file": verdict.file,
        "ok": verdict.is_good,
        "nodes": verdict.nodes,
        "links": verdict.lans,
        "problems": [
            {
                "severity": problem.severity,
                "line": problem.line,
                "element": problem.element,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in verdict.problems
        ],
    }
