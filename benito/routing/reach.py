"""Which subnets lie nearest behind each step of the network.

Sets of subnets are whole numbers with a bit for each, so that one operation treats thousands of them. The network is
taken apart where the loss of a single vertex would cut it; each piece in which nothing cuts (a mesh; mostly a single
step) is searched on its own, and all that lies behind a vertex of it counts as one destination there. A tree thus
costs a few operations a node, however deep it is.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from benito.routing.mesh import Mesh
from benito.routing.network import Network

#: vertex -> the vertex stepped to -> the subnets that are nearest that way
Reach = Sequence[Mapping[int, int]]
_Edges = list[tuple[int, int]]


def reach(network: Network, part: Sequence[int], subnets: Mapping[int, int]) -> Mapping[int, Mapping[int, int]]:
    """For a connected part: vertex -> the vertex stepped to -> the subnets to which no way is shorter.

    `subnets` gives the bit of each LAN that is a destination. Steps from a LAN of two members are left out: what enters
    at one end leaves at the other. A subnet with several shortest ways stands behind each of them.

    Cost: near-linear for trees and rings. In a mesh, each vertex takes a few operations on the bits of all subnets for
    every distance at which it meets something, or, where there are many, one shortest-path search a subnet is made.
    A grid of 100 x 100 takes about 20 s of CPU, a mesh of 1,500 routers and 3,000 links whose costs all differ about
    10 s; the latter grows with routers times links.
    """
    meshes = _meshes(network, part)
    order, entry = _rooted(part[0], meshes)
    # What lies behind a vertex, seen from the mesh that it is entered by; complete once all meshes behind it are done.
    behind = {vertex: subnets.get(vertex, 0) for vertex in part}
    below = [0] * len(meshes)
    for mesh in reversed(order):
        for vertex in _vertices(meshes[mesh]) - {entry[mesh]}:
            below[mesh] |= behind[vertex]
        behind[entry[mesh]] |= below[mesh]
    everything = behind[part[0]]
    found: dict[int, dict[int, int]] = {vertex: {} for vertex in part}
    for mesh in order:
        outside = everything ^ below[mesh]
        if len(meshes[mesh]) == 1:
            ((one, other),) = meshes[mesh]
            inner = other if entry[mesh] == one else one
            _note(network, found, entry[mesh], inner, below[mesh])
            _note(network, found, inner, entry[mesh], outside)
            continue
        inside = {vertex: behind[vertex] for vertex in _vertices(meshes[mesh])} | {entry[mesh]: outside}
        for (vertex, other), bits in Mesh(network, meshes[mesh], inside).solve().items():
            _note(network, found, vertex, other, bits)
    return found


def _meshes(network: Network, part: Sequence[int]) -> list[_Edges]:
    import networkx as nx  # noqa: PLC0415 - takes longer than the rest of most commands, which need it not

    graph: nx.Graph[int] = nx.Graph()
    graph.add_edges_from(
        (vertex, lan) for vertex in part if not network.is_lan(vertex) for lan in network.steps[vertex]
    )
    return list(nx.biconnected_component_edges(graph))


def _vertices(edges: _Edges) -> set[int]:
    return set(chain.from_iterable(edges))


def _rooted(root: int, meshes: Sequence[_Edges]) -> tuple[list[int], list[int]]:
    """The meshes from the root outwards, and the vertex that each is entered by."""
    of: dict[int, list[int]] = {root: []}
    for mesh, edges in enumerate(meshes):
        for vertex in _vertices(edges):
            of.setdefault(vertex, []).append(mesh)
    entry = [-1] * len(meshes)
    order: list[int] = []
    vertices = [root]
    for vertex in vertices:
        for mesh in of[vertex]:
            if entry[mesh] < 0:
                entry[mesh] = vertex
                order.append(mesh)
                vertices.extend(_vertices(meshes[mesh]) - {vertex})
    return order, entry


def _note(network: Network, found: dict[int, dict[int, int]], vertex: int, other: int, bits: int) -> None:
    if bits and not (network.is_lan(vertex) and len(network.steps[vertex]) == 2):
        found[vertex][other] = bits
