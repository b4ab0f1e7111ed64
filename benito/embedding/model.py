"""What an embedding is: partitions of nodes, each on a pnode, and the LANs that reach over more than one."""

from collections.abc import Mapping
from dataclasses import dataclass

from benito.site import PnodeType


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The nodes that share one pnode, which the experiment knows as `pnode` (`pnode-0000`).

    `type` is the kind of pnode that was counted on, `host` the machine's own name where the site names its pnodes;
    `whole` marks a machine that is itself a node of the experiment.
    """

    pnode: str
    nodes: tuple[str, ...]
    type: PnodeType
    host: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """All partitions, the names of the LANs that reach over more than one, and why there are so many partitions."""

    partitions: tuple[Partition, ...]
    cut_lans: tuple[str, ...]
    reasons: tuple[str, ...] = ()

    def pnode_of(self) -> Mapping[str, str]:
        """node -> pnode."""
        return {node: partition.pnode for partition in self.partitions for node in partition.nodes}
