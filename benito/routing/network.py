"""An experiment as a graph: nodes and LANs as numbered vertices, steps with whole costs, connected parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from benito.model import Topology

#: Steps that a vertex offers: the vertex that it leads to -> its cost.
Steps = Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Nodes are the vertices from 0, LANs those from `nodes` on, each in the topology's order.

    A step from a node into a LAN costs what the file says (`$ns cost`), one from a LAN to a node nothing. Costs are
    multiplied to whole numbers, so that two ways are equally long exactly where the file's decimals say so.
    """

    nodes: int
    steps: Sequence[Steps]

    def is_lan(self, vertex: int) -> bool:
        """Whether it is a LAN and no node."""
        return vertex >= self.nodes

    def parts(self) -> Iterator[list[int]]:
        """The vertices of each connected part, in order."""
        seen = bytearray(len(self.steps))
        for first in range(len(self.steps)):
            if seen[first]:
                continue
            seen[first] = 1
            part = [first]
            for vertex in part:
                for other in self.steps[vertex]:
                    if not seen[other]:
                        seen[other] = 1
                        part.append(other)
            yield sorted(part)


def network(topology: Topology) -> Network:
    """The graph of a topology."""
    number = {node.name: place for place, node in enumerate(topology.nodes)}
    costs = {member.cost for lan in topology.lans for member in lan.members}
    exact = {cost: Fraction(repr(cost)) for cost in costs}
    scale = lcm(*(cost.denominator for cost in exact.values()))
    whole = {cost: int(value * scale) for cost, value in exact.items()}
    steps: list[dict[int, int]] = [{} for _ in range(len(topology.nodes) + len(topology.lans))]
    for vertex, lan in enumerate(topology.lans, len(topology.nodes)):
        for member in lan.members:
            node = number[member.node]
            steps[node][vertex] = whole[member.cost]
            steps[vertex][node] = 0
    return Network(nodes=len(topology.nodes), steps=steps)
