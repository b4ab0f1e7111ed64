"""What a site has for its experiments: its pnodes and how full they may be, and what a node takes of one.

The site file is TOML; `docs/placement.md` describes it. What it leaves out stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benito.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one node takes of its pnode where its file does not say."""

    memory_kib: int = 0
    cores_milli: int = 0
    disk_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PnodeType:
    """Pnodes that are alike. `count` is how many there are, None as many as are asked for; `names` are the hosts' own.

    What is None is not limited. `most_nodes` limits nodes by kind, and altogether under the key None.
    """

    name: str
    count: int | None = None
    names: tuple[str, ...] = ()
    memory_mib: int | None = None
    cores: float | None = None
    disk_mib: int | None = None
    uplink_kbps: int | None = None
    most_nodes: Mapping[Kind | None, int] = field(default_factory=dict)
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overcommit:
    """How many times what a pnode has may be promised. `uplink` None: without limit."""

    memory: float = 1.0
    cores: float = 8.0
    disk: float = 1.0
    uplink: float | None = 1.0


#: What a node of a kind takes where neither its file nor the site says: the image `micro` with a small start command.
DEFAULT_NEEDS: Mapping[Kind, Need] = {
    Kind.QEMU: Need(memory_kib=192 * 1024, cores_milli=1000, disk_mib=64),
    Kind.OPENVZ: Need(memory_kib=16 * 1024, cores_milli=50, disk_mib=8),
    Kind.PROCESS: Need(memory_kib=256),
    Kind.EMBEDDED_PNODE: Need(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All pnodes that may be used, in the order in which they are preferred, and the site's rules.

    `unlimited_kbps` is what a link without a rate is taken to promise; nodes of two kinds in `may_not_share` never
    stand on one pnode.
    """

    name: str
    pnode_types: tuple[PnodeType, ...]
    needs: Mapping[Kind, Need] = field(default_factory=lambda: DEFAULT_NEEDS)
    overcommit: Overcommit = Overcommit()
    unlimited_kbps: int = 1_000_000
    may_not_share: tuple[tuple[Kind, Kind], ...] = ()
