"""What a picture of an experiment shows: nodes, the nets between them, and the boxes that nodes stand in.

Nothing here knows where things come from (see `adapters`) or where they go on the page (see `layout`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureNode:
    """A node. `kind` is the word in the legend, `box` the label of the box round it (None: it stands free).

    `notes` are more lines of what a mouse over it shows, below name and kind.
    """

    name: str
    kind: str
    box: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a net is attached to a node, and the address it has there (empty: none)."""

    node: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A link or LAN. `crossing`: its members stand in several boxes; `load` is what is then written on it."""

    name: str
    ends: tuple[End, ...]
    crossing: bool = False
    load: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_line(self) -> bool:
        """Whether it is drawn as one line from node to node; every other net is a small box with a line per member."""
        return len(self.ends) == 2 and self.ends[0].node != self.ends[1].node

    @property
    def said(self) -> tuple[str, ...]:
        """All that is known of it, a line each."""
        return (self.name, *self.notes, *(f"{end.node} {end.address}".rstrip() for end in self.ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All of a picture. Every end names one of `nodes`; names are unique among nodes, and among nets.

    `shows_addresses`: whether addresses stand at the ends of lines; a mouse over a node shows them anyhow.
    """

    title: str
    nodes: tuple[PictureNode, ...]
    nets: tuple[Net, ...]
    shows_addresses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect:
    """A rectangle by its centre and its sides, in picture units (1 unit is 1 pixel at 100 %)."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """Its smallest x."""
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        """Its smallest y."""
        return self.y - self.height / 2


Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box round nodes; its label is written `letters` units high."""

    rect: Rect
    letters: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything is on a page of `width` by `height` units.

    `hubs` has the nets that are no lines. Where such a net crosses and has several members in a box, they are joined
    to a branch in it, and the branch to the hub: `branches`, by net and box. `ways` has the bends of the line from hub
    or branch to a member, by net and node, where it is not straight: without the centres that it begins and ends at.
    """

    width: float
    height: float
    nodes: Mapping[str, Rect]
    hubs: Mapping[str, Rect]
    boxes: Mapping[str, Box]
    branches: Mapping[tuple[str, str], Rect] = field(default_factory=dict)
    ways: Mapping[tuple[str, str], tuple[Point, ...]] = field(default_factory=dict)
