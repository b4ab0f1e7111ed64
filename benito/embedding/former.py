"""An earlier placement, and what has to move when the nodes are placed anew after a change or the loss of a pnode."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from benito.embedding.model import Embedding
from benito.embedding.offers import Stock


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """Where nodes were: node -> pnode; of each pnode the name of its type and, where it is known, its host.

    `lost` are pnodes that are not to be had any more.
    """

    home: Mapping[str, str]
    types: Mapping[str, str]
    hosts: Mapping[str, str]
    lost: frozenset[str] = frozenset()

    @property
    def kept(self) -> frozenset[str]:
        """The pnodes that are still there."""
        return frozenset(self.types) - self.lost

    def withdraw_lost(self, stock: Stock) -> None:
        """Takes the lost pnodes from what there is."""
        for pnode in self.lost & self.types.keys():
            stock.withdraw(self.types[pnode], self.hosts.get(pnode))


def former_of(embedding: Embedding, lost: Collection[str] = ()) -> Former:
    """An embedding as a former one."""
    return Former(
        home=dict(embedding.pnode_of()),
        types={one.pnode: one.type.name for one in embedding.partitions},
        hosts={one.pnode: one.host for one in embedding.partitions if one.host is not None},
        lost=frozenset(lost),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A node that goes to another pnode than it was on; `origin` None: it is new."""

    node: str
    origin: str | None
    target: str
    reason: str


def moves(former: Former, embedding: Embedding) -> tuple[Move, ...]:
    """What the new placement changes, in the order of its pnodes."""
    found = []
    for node, target in embedding.pnode_of().items():
        origin = former.home.get(node)
        if origin == target:
            continue
        if origin is None:
            reason = "it is new"
        elif origin in former.lost:
            reason = f"{origin} is lost"
        else:
            reason = f"{origin} cannot hold it any more"
        found.append(Move(node=node, origin=origin, target=target, reason=reason))
    return tuple(found)
