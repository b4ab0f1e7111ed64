"""Whether a topology file could be swapped in: everything that is known before a testbed is asked."""

from dataclasses import dataclass, replace
from pathlib import Path

from benito.addressing import assign_addresses
from benito.errors import Problem, Severity, TopologyError
from benito.model import Routing
from benito.routing import compute_routes
from benito.topology import read_topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found in a file. `nodes` and `lans` are 0 where it cannot be read."""

    file: str
    nodes: int
    lans: int
    problems: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether no problem is an error."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)


def judge(path: Path) -> Verdict:
    """Reads a file, gives out its addresses and looks its manual routes up: every problem on the way."""
    nodes = lans = 0
    problems: tuple[Problem, ...] = ()
    try:
        topology = read_topology(path)
        nodes, lans, problems = len(topology.nodes), len(topology.lans), topology.warnings
        addresses = assign_addresses(topology)
        # Only routes that the file gives can be wrong.
        compute_routes(replace(topology, routing=Routing.MANUAL), addresses)
    except TopologyError as error:
        problems = (*error.problems, *problems)
    return Verdict(file=str(path), nodes=nodes, lans=lans, problems=problems)
