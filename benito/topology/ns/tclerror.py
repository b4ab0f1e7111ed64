"""Tcl's own errors, with the line of the file where they happened and what to do about them."""

import re
from collections.abc import Iterable

from benito.topology.findings import Findings, nearest
from benito.topology.ns.records import Failed
from benito.topology.ns.world import shown

_FILE_LINE = re.compile(r'\(file "[^"]*" line ([0-9]{1,7})\)')
_BODY_LINE = re.compile(r'\("[^"\n]*" (?:body|arm|script)[^)\n]* line ([0-9]{1,7})\)')
_PROCEDURE_LINE = re.compile(r'\(procedure "([^"\n]+)" line ([0-9]{1,7})\)')
_QUOTED = re.compile(r'^"([^\n]+)', re.MULTILINE)
_NO_VARIABLE = re.compile(r'can\'t read "([^"]*)": no such (?:variable|element in array)')


def report(findings: Findings, text: str, failed: Failed, commands: Iterable[str]) -> None:
    """Adds the error that ended the file."""
    findings.has_syntax_error = True
    findings.error(
        _message(failed.message), line=failed.line or error_line(text, failed.trace), hint=_hint(failed, commands)
    )


def error_line(text: str, trace: str) -> int | None:
    """The line of the innermost statement of the trace, or None.

    Tcl tells the line of the outermost one, and lines inside bodies; procedures count from their own first line.
    The innermost statement that stands in the file, as the trace quotes it, decides among the lines around.
    """
    found = _FILE_LINE.findall(trace)
    if not found:
        return None
    line = int(found[-1])
    lines = text.split("\n")
    inner = trace
    procedures = list(_PROCEDURE_LINE.finditer(trace))
    if procedures:
        # The trace begins with the innermost; what comes before the first procedure happened inside it.
        name, offset = procedures[0][1], int(procedures[0][2])
        start = _definition(lines, name)
        if start is not None:
            line, inner = start + offset - 1, trace[: procedures[0].start()]
    line += sum(int(body) - 1 for body in _BODY_LINE.findall(inner))
    quoted = _QUOTED.search(trace)
    statement = quoted[1].rstrip('"').removesuffix("...").strip() if quoted else ""
    near = [at for at, content in enumerate(lines, 1) if statement and statement in content]
    if near:
        line = min(near, key=lambda at: abs(at - line))
    return min(max(line, 1), len(lines))


def _definition(lines: list[str], name: str) -> int | None:
    bare = name.removeprefix("::")
    start = re.compile(rf"\s*proc\s+(?:::)?{re.escape(bare)}\s")
    return next((at for at, content in enumerate(lines, 1) if start.match(content)), None)


def _message(message: str) -> str:
    first = message.split("\n", 1)[0]
    return shown(first) if len(first) < 4 else first[:300]


def _hint(failed: Failed, commands: Iterable[str]) -> str | None:
    message = failed.message
    if message.startswith("Unknown: "):
        word = message.removeprefix("Unknown: ").split(" ", 1)[0]
        return nearest(word, commands) or "no such command or object"
    if message.startswith("can't rename to "):
        return "two objects, or an object and a Tcl command, cannot have one name: store it in another variable"
    if message.startswith("command not allowed: "):
        return "a topology file has no files, programs or network; plain Tcl is all that it needs"
    variable = _NO_VARIABLE.match(message)
    if variable:
        return f"set {variable[1]} before it is used"
    if message.startswith("too many nested evaluations"):
        return "is there a procedure that calls itself without end?"
    return None
