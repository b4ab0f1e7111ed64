"""Where each node goes: partitions of nodes that share a pnode."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benito.errors import EmbeddingError
from benito.model import Kind, Lan, Node
from benito.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The nodes that share one pnode, which the experiment knows as `pnode` (`pnode-0000`)."""

    pnode: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """All partitions, and the names of the LANs that reach over more than one."""

    partitions: tuple[Partition, ...]
    cut_lans: tuple[str, ...]

    def pnode_of(self) -> Mapping[str, str]:
        """node -> pnode."""
        return {node: partition.pnode for partition in self.partitions for node in partition.nodes}


def embed(nodes: Sequence[Node], lans: Sequence[Lan], policy: Policy) -> Embedding:
    """Groups the nodes: as the file places them where it places any, else by growing neighbourhoods up to the packing.

    Raises EmbeddingError for a packing that nothing can satisfy.
    """
    if policy.packing is not None and policy.packing < 1:
        raise EmbeddingError(f"--packing {policy.packing} leaves no room for any node", hint="give 1 or more")
    if any(node.partition is not None for node in nodes) and not policy.force_partition:
        groups = _as_placed(nodes)
    else:
        groups = _grown(nodes, lans, policy.packing)
    partitions = tuple(
        Partition(pnode=f"pnode-{number:04d}", nodes=tuple(group)) for number, group in enumerate(groups)
    )
    home = {node: partition.pnode for partition in partitions for node in partition.nodes}
    cut = tuple(lan.name for lan in lans if len({home[member.node] for member in lan.members}) > 1)
    return Embedding(partitions=partitions, cut_lans=cut)


def _as_placed(nodes: Iterable[Node]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for node in nodes:
        # A whole machine shares with nobody, wherever the file says that it stands.
        alone = node.kind is Kind.EMBEDDED_PNODE or node.partition is None
        groups.setdefault(f"={node.name}" if alone else f"#{node.partition}", []).append(node.name)
    return list(groups.values())


def _grown(nodes: Sequence[Node], lans: Sequence[Lan], packing: int | None) -> list[list[str]]:
    neighbours: dict[str, list[str]] = {node.name: [] for node in nodes}
    for lan in lans:
        members = [member.node for member in lan.members]
        for member in members:
            neighbours[member].extend(members)
    whole = [node.name for node in nodes if node.kind is Kind.EMBEDDED_PNODE]
    order = _breadth_first([node.name for node in nodes if node.kind is not Kind.EMBEDDED_PNODE], neighbours)
    if not order:
        return [[name] for name in whole]
    count = 1 if packing is None else -(-len(order) // packing)
    # Sizes that differ by one at most, as the original's partitioner balanced them.
    bounds = [len(order) * number // count for number in range(count + 1)]
    return [order[start:end] for start, end in pairwise(bounds)] + [[name] for name in whole]


def _breadth_first(names: Sequence[str], neighbours: Mapping[str, Sequence[str]]) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()
    members = set(names)
    for root in names:
        queue = deque([root])
        while queue:
            name = queue.popleft()
            if name in seen:
                continue
            seen.add(name)
            order.append(name)
            queue.extend(other for other in neighbours[name] if other in members and other not in seen)
    return order
