"""What a user asks for beside the file, and what stands where neither says anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from benito.model import Kind


class AddressRule(StrEnum):
    """By which rule interfaces get the addresses that the file does not give (see `benito.addressing`)."""

    CONTAINERS = "containers"
    EMULAB = "emulab"


class Strategy(StrEnum):
    """What comes first: few pnodes, or all of them with even loads (`tb-set-packing-strategy`)."""

    PACK = "pack"
    BALANCE = "balance"


class Effort(StrEnum):
    """How long the embedder looks. `default` takes about a second for 1,000 nodes, under 5 for 10,000, on two cores."""

    QUICK = "quick"
    DEFAULT = "default"
    THOROUGH = "thorough"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPolicy:
    """How the nodes of one packing pass are placed; None leaves it to the experiment's policy."""

    packing: int | None = None
    size: int | None = None
    pnode_types: tuple[str, ...] | None = None
    nodes_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of DETER's `containerize` that say how nodes are placed, and ours.

    `packing` is the most nodes that may share a pnode, None lets the pnodes' capacities decide; `size` how many pnodes
    to use, which beats `packing`. `nodes_only` places without regard to the network. `pins` are nodes and the pnode
    each must be on; the nodes of a group in `together` share a pnode, those of one in `apart` share none. `strategy`
    None leaves it to the file, else packs.
    """

    default_kind: Kind = Kind.OPENVZ
    packing: int | None = None
    size: int | None = None
    nodes_only: bool = False
    pnode_types: tuple[str, ...] | None = None
    passes: Mapping[int, PassPolicy] = field(default_factory=dict)
    force_partition: bool = False
    strategy: Strategy | None = None
    pins: tuple[tuple[str, str], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    apart: tuple[tuple[str, ...], ...] = ()
    effort: Effort = Effort.DEFAULT
    seed: int = 0
    allow_unshaped: bool = False
    addressing: AddressRule = AddressRule.CONTAINERS


#: Memory of a node whose file does not say: enough for the image `micro` and a start command of its size.
MEMORY_MIB: Mapping[Kind, int] = {Kind.QEMU: 128, Kind.OPENVZ: 256, Kind.PROCESS: 0, Kind.EMBEDDED_PNODE: 0}

DEFAULT_IMAGE = "micro"

#: How many experiments a controller can keep apart by user ids.
SLOTS = 4096
