"""Reads topology files: NS2 as Emulab and DETER users write it, and TopDL.

Both become one model, and an error tells all that is wrong with a file at once.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benito.errors import TopologyMeaningError, TopologySyntaxError
from benito.model import Topology
from benito.topology.attributes import interpret_attributes
from benito.topology.check import Words, check
from benito.topology.findings import Findings
from benito.topology.limits import ReadLimits
from benito.topology.ns import read_ns
from benito.topology.topdl import read_topdl

__all__ = ["ReadLimits", "read_topology"]

_NS_ENDINGS = frozenset({".ns", ".tcl"})
_NS_WORDS = Words(
    bad_node="[run] Invalid node name {name}.  Can only contain [-0-9A-Za-z] due to DNS limitations.",
    bad_lan=(
        "[run] Invalid lan/link name {name}.  Can only contain [-0-9A-Za-z] for symmetry with node DNS limitations."
    ),
    lan="link",
    empty="set NAME [$ns node]",
)
_TOPDL_WORDS = Words(
    bad_node="{name!r} cannot name a node: letters, digits and hyphens only.",
    bad_lan="{name!r} cannot name a substrate: letters, digits and hyphens only.",
    lan="substrate",
    empty="add a <computer> to <elements>",
)


def read_topology(path: Path, *, limits: ReadLimits | None = None) -> Topology:
    """The topology that a file describes: `.ns` and `.tcl` are NS2, anything else is TopDL. Limits that are not given
    are those of the environment.

    Raises TopologySyntaxError where the file cannot be read, TopologyMeaningError where it can be read but not be
    meant; both hold every problem that was found. What a user should know besides is in the topology's `warnings`.
    """
    with _uncollected():
        return _read(path, ReadLimits.from_environment() if limits is None else limits)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: a large topology is all objects that stay, and it would visit them many times."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(path: Path, limits: ReadLimits) -> Topology:
    findings = Findings(path)
    is_ns = path.suffix.lower() in _NS_ENDINGS
    draft = (read_ns if is_ns else read_topdl)(path, limits, findings)
    for node in draft.nodes:
        interpret_attributes(node, findings)
    if not findings.has_syntax_error:
        check(draft, findings, limits, _NS_WORDS if is_ns else _TOPDL_WORDS)
    findings.raise_errors(TopologySyntaxError if findings.has_syntax_error else TopologyMeaningError)
    return draft.finish(findings.warnings)
