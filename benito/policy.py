"""What a user asks for beside the file, and what stands where neither says anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from benito.model import Kind
from benito.nodesettings import NO_RESTART, Restart

if TYPE_CHECKING:
    from benito.plan import TemplatePlan


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

    `default_images` are for nodes whose file names none: by kind, else under None. With `strict_images` a name that is
    no image is an error, not a warning. `openvz_diskspace_mib` is the file system of an openvz node whose file does not
    say, `restart` what happens to such nodes when they die. `templates` are the experiment's own skeletons of domains;
    with `barrier` all start commands begin at one moment.
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
    default_images: Mapping[Kind | None, str] = field(default_factory=dict)
    strict_images: bool = False
    openvz_diskspace_mib: int | None = None
    restart: Restart = NO_RESTART
    templates: "tuple[TemplatePlan, ...]" = ()
    barrier: bool = False


#: Memory of a node whose file does not say: enough for the image `micro` and a start command of its size.
MEMORY_MIB: Mapping[Kind, int] = {Kind.QEMU: 128, Kind.OPENVZ: 256, Kind.PROCESS: 0, Kind.EMBEDDED_PNODE: 0}

DEFAULT_IMAGE = "micro"
#: The images that every pnode can build.
BUILT_IN = (DEFAULT_IMAGE, "debian-12", "debian-13")
#: Memory of a node that runs one of Debian's images, or of a machine that runs an imported one.
_DEBIAN_MEMORY_MIB: Mapping[Kind, int] = {**MEMORY_MIB, Kind.QEMU: 512}
_IMPORTED_MEMORY_MIB: Mapping[Kind, int] = {**MEMORY_MIB, Kind.QEMU: 1024}
#: Processes and threads that a node may have where its file does not say: a fork bomb stays in its container.
PIDS: Mapping[Kind, int | None] = {Kind.OPENVZ: 4096, Kind.PROCESS: 4096}


def default_memory_mib(kind: Kind, image: str) -> int:
    """What a node gets whose file does not say."""
    if image in ("", DEFAULT_IMAGE):
        return MEMORY_MIB[kind]
    return (_DEBIAN_MEMORY_MIB if image in BUILT_IN else _IMPORTED_MEMORY_MIB)[kind]


#: How many experiments a controller can keep apart by user ids.
SLOTS = 4096
