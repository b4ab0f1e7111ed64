"""Reads NS2 files as Emulab and DETER users write them: Tcl programs that describe a topology."""

import re
from pathlib import Path

from benito.topology.draft import Draft
from benito.topology.findings import Findings
from benito.topology.limits import ReadLimits
from benito.topology.ns.child import interpret
from benito.topology.ns.commands import COMMANDS
from benito.topology.ns.methods import METHODS
from benito.topology.ns.objects import CLASSES
from benito.topology.ns.replay import replay
from benito.topology.ns.table import rules_of
from benito.topology.source import read_text, syntax_error

_MARKUP = re.compile(r"<(?:!doctype|html|\?xml|experiment|[a-z]+:experiment)\b", re.IGNORECASE)


def read_ns(path: Path, limits: ReadLimits, findings: Findings) -> Draft:
    """The draft of an NS file; errors of meaning are in `findings`. Raises TopologySyntaxError."""
    text = read_text(path, most_bytes=limits.ns_bytes)
    for line, content in enumerate(text.split("\n"), 1):
        statement = content.strip()
        if not statement or statement.startswith("#"):
            continue
        if found := _MARKUP.match(statement):
            what = "an HTML page" if "html" in statement.lower() else "XML"
            hint = "download the file itself, not the page that shows it" if "HTML" in what else "name it .xml"
            raise syntax_error(path, f"this is {what}, not an NS file: {found[0]}", line=line, hint=hint)
        break
    else:
        raise syntax_error(path, "the file has nothing but comments")
    records = interpret(path, text, limits, rules_of(COMMANDS.values(), METHODS.values(), CLASSES))
    return replay(path, text, records, findings, limits)
