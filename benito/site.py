"""What a site has for its experiments: its pnodes and how full they may be, and what a node takes of one.

The site file is TOML; `docs/placement.md` describes it. What it leaves out stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from benito.model import Kind

#: What a node sends at most in one packet on a LAN that stands on one pnode: Ethernet's own.
ETHERNET_MTU_BYTES = 1500
#: What VXLAN puts around each frame: IPv4 20, UDP 8, VXLAN 8, and the frame's own Ethernet header 14.
VXLAN_OVERHEAD_BYTES = 50
#: Ids from first to last, both among them.
Ranges = tuple[tuple[int, int], ...]


class TrunkKind(StrEnum):
    """How a LAN continues on other pnodes."""

    VLAN = "vlan"
    VXLAN = "vxlan"


class BridgeStyle(StrEnum):
    """What LANs with several members on a pnode are made of."""

    PER_LAN = "per-lan"
    VLAN_AWARE = "vlan-aware"  # one bridge for all LANs of an experiment, each a VLAN of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The experiment network, which joins the pnodes.

    `interface` is the pnodes' own on it, `mtu_bytes` what that carries. LANs that are cut get an id of `vlans` or of
    `vnis`, whichever `trunk` needs.
    """

    trunk: TrunkKind = TrunkKind.VXLAN
    vlans: Ranges = ((100, 999),)
    vnis: Ranges = ((1_000_000, 1_999_999),)
    interface: str = "eth1"
    mtu_bytes: int = ETHERNET_MTU_BYTES
    bridges: BridgeStyle = BridgeStyle.PER_LAN

    @property
    def ids(self) -> Ranges:
        """The ids that a trunk may have."""
        return self.vlans if self.trunk is TrunkKind.VLAN else self.vnis

    @property
    def cut_lan_mtu_bytes(self) -> int:
        """What fits whole through a trunk, never more than on a LAN that is not cut."""
        around = VXLAN_OVERHEAD_BYTES if self.trunk is TrunkKind.VXLAN else 0
        return min(ETHERNET_MTU_BYTES, self.mtu_bytes - around)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one node takes of its pnode where its file does not say."""

    memory_kib: int = 0
    cores_milli: int = 0
    disk_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PnodeType:
    """Pnodes that are alike. `count` is how many there are, None as many as are asked for; `names` are the hosts' own.

    What is None is not limited. `most_nodes` limits nodes by kind, and altogether under the key None. `interface` is
    on the experiment network; None: the network's. There the hosts have `addresses`, in the order of `names`, or they
    are counted through in `subnet`.
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
    interface: str | None = None
    addresses: tuple[IPv4Address, ...] = ()
    subnet: IPv4Network | None = None

    def address(self, number: int) -> IPv4Address | None:
        """The experiment address of the pnode of that number, from 0; None where the site gives none."""
        if self.addresses:
            return self.addresses[number] if number < len(self.addresses) else None
        if self.subnet is None or number >= self.subnet.num_addresses - 2:
            return None
        return self.subnet[number + 1]


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
class SiteImages:
    """What files ask for and the site has: `instead` maps names and URLs to images, `default` kinds to theirs.

    An image is a name, a URL or an absolute path.
    """

    default: Mapping[Kind, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)


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
    network: Network = Network()
    images: SiteImages = SiteImages()
