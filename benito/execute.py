"""One command in many nodes at once."""

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase

from benito.controller import Controller
from benito.errors import UsageError
from benito.launch import ENVIRONMENT
from benito.names import ExperimentId

_WORKERS = 16
#: What `timeout` and shells say of a command that ran out of time.
_TIMED_OUT = 124


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended in one node."""

    node: str
    exit_code: int
    output: str
    errors: str


def execute(
    controller: Controller, experiment: ExperimentId, pattern: str, command: Sequence[str], *, seconds: float
) -> list[Outcome]:
    """Runs `command` in the nodes whose names fit the shell pattern, in the file's order.

    Raises UsageError if none fits.
    """
    names = [report.node for report in controller.report(experiment)]
    chosen = [name for name in names if fnmatchcase(name.lower(), pattern.lower())]
    if not chosen:
        raise UsageError(f"no node of {experiment} fits {pattern!r}", hint=f"it has {', '.join(names[:10])}")

    def one(node: str, argv: list[str]) -> Outcome:
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False, env=dict(ENVIRONMENT)
            )
        except subprocess.TimeoutExpired as late:
            said = [(part or b"").decode(errors="replace") for part in (late.stdout, late.stderr)]
            errors = f"{said[1]}not done within {seconds:g} s\n"
            return Outcome(node=node, exit_code=_TIMED_OUT, output=said[0], errors=errors)
        return Outcome(
            node=node,
            exit_code=done.returncode,
            output=done.stdout.decode(errors="replace"),
            errors=done.stderr.decode(errors="replace"),
        )

    ways = [controller.nodes.argv(experiment, node, command, terminal=False) for node in chosen]
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return list(pool.map(one, chosen, ways))
