"""`benito doctor`: what this machine can do, and what may break experiments on it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from benito_cli import options
from benito_cli.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benito.checkup import Finding

_STYLE = {"ok": "green", "note": "yellow", "problem": "red"}


def doctor(json: options.Json = False) -> None:
    """Try what this machine can do, how it does without the rest, and what may break experiments.

    Exit code 0 unless there is a problem; a note is none.
    """
    from benito.checkup import problems
    from benito.errors import TestbedError
    from benito_cli import documents, wiring

    findings = wiring.examine_machine()
    if json:
        typer.echo(documents.to_text([asdict(finding) for finding in findings]))
    else:
        _print(Console(highlight=False), findings)
    if found := problems(findings):
        words = f"{len(found)} problems" if len(found) > 1 else "a problem"
        raise TestbedError(f"this machine has {words}: {', '.join(finding.subject for finding in found)}")


def _print(console: Console, findings: "Sequence[Finding]") -> None:
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        line = plain(f"{finding.verdict:<8}", _STYLE[finding.verdict])
        console.print(line.append(plain(f"{finding.subject:<{width}}  {finding.said}")), soft_wrap=True)
        if finding.hint:
            console.print(plain(f"{'':<8}{'':<{width}}  hint: {finding.hint}"), soft_wrap=True)
