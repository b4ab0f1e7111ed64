"""Reads TopDL, DETER's XML for topologies, as tolerantly as its real files need: version 1, and 2 with its regions.

What Benito does not interpret is kept: attributes as settings of what they stand at, elements without a field of the
model as settings `topdl:NAME`. Which version a file calls itself is of no account, as in DETER's own readers.
"""

from pathlib import Path

from benito.topology.draft import Draft
from benito.topology.findings import Findings
from benito.topology.limits import ReadLimits
from benito.topology.topdl.build import build
from benito.topology.topdl.parse import parse
from benito.topology.topdl.regions import expand
from benito.topology.xmltree import XmlDocument


def read_topdl(path: Path, limits: ReadLimits, findings: Findings) -> Draft:
    """The draft of a TopDL file; errors of meaning are in `findings`. Raises TopologySyntaxError."""
    document = XmlDocument(path, limits)
    file = parse(document, findings, limits)
    return build(str(path), file, expand(file, findings, limits), findings)
