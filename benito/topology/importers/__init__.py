"""Reads other people's network descriptions as topologies: GraphML maps and containerlab's labs.

What is changed or left out on the way is in the topology's `warnings`: nothing is dropped in silence.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from benito.errors import TopologyMeaningError, TopologySyntaxError
from benito.model import Topology
from benito.topology.findings import Findings
from benito.topology.importers.containerlab import read_containerlab
from benito.topology.importers.graphml import read_graphml
from benito.topology.limits import ReadLimits
from benito.topology.source import syntax_error

__all__ = ["import_topology"]

_READERS: Mapping[str, Callable[[Path, ReadLimits, Findings], Topology]] = {
    ".graphml": read_graphml,
    ".xml": read_graphml,
    ".yml": read_containerlab,
    ".yaml": read_containerlab,
}


def import_topology(path: Path, *, limits: ReadLimits | None = None) -> Topology:
    """The topology that a foreign file describes, known by its ending: GraphML or containerlab.

    Raises TopologySyntaxError where the file cannot be read, TopologyMeaningError with every problem where it can be
    read but not be meant.
    """
    limits = ReadLimits.from_environment() if limits is None else limits
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise syntax_error(
            path,
            f"files that end in {path.suffix[:20] or 'nothing'} cannot be imported",
            hint=".graphml and .xml are GraphML, .yml and .yaml containerlab; NS2 and TopDL need no import",
        )
    findings = Findings(path)
    topology = reader(path, limits, findings)
    if not topology.nodes:
        findings.error("there is no node in it")
    if len(topology.nodes) > limits.nodes:
        findings.error(f"more than {limits.nodes} nodes")
    interfaces = sum(len(lan.members) for lan in topology.lans)
    if interfaces > limits.interfaces:
        findings.error(f"{interfaces} interfaces are more than the {limits.interfaces} that one experiment may have")
    findings.raise_errors(TopologySyntaxError if findings.has_syntax_error else TopologyMeaningError)
    return replace(topology, warnings=findings.warnings)
