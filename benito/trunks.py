"""How LANs are made on each pnode, and how those that are cut continue on the others. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from benito.embedding import Embedding, Partition
from benito.embedding.rules import pnode_number
from benito.errors import TestbedError
from benito.model import Kind, Lan, Member
from benito.names import digest
from benito.plan import Realization
from benito.realization import realization
from benito.site import BridgeStyle, Network, TrunkKind

#: The kernel's limit of ports on one bridge.
MOST_PORTS = 1023
_VLANS = 4094


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where trunks leave a pnode: its interface on the experiment network, and its address there if the site says."""

    pnode: str
    host: str | None
    interface: str
    address: IPv4Address | None


def realizations(
    lans: Sequence[Lan], embedding: Embedding, kinds: Mapping[str, Kind | None], network: Network
) -> Mapping[str, Mapping[str, Realization]]:
    """LAN -> pnode -> how it is made there; the pnodes in the placement's order."""
    order = {partition.pnode: number for number, partition in enumerate(embedding.partitions)}
    home = embedding.pnode_of()
    found: dict[str, dict[str, Realization]] = {}
    ports: Counter[str] = Counter()
    for lan in lans:
        here: dict[str, list[Member]] = {}
        for member in lan.members:
            here.setdefault(home[member.node], []).append(member)
        found[lan.name] = {
            pnode: realization(
                [(member.into, member.out_of, kinds[member.node]) for member in here[pnode]], is_cut=len(here) > 1
            )
            for pnode in sorted(here, key=order.__getitem__)
        }
        for pnode, how in found[lan.name].items():
            ports[pnode] += (len(here[pnode]) + (len(here) > 1)) * (how is Realization.BRIDGE)
    if network.bridges is BridgeStyle.VLAN_AWARE:
        for made in found.values():
            for pnode, how in made.items():
                if how is Realization.BRIDGE and ports[pnode] <= MOST_PORTS:
                    made[pnode] = Realization.AWARE
    return found


def endpoints(partitions: Iterable[Partition], network: Network) -> Mapping[str, Endpoint]:
    """pnode -> where trunks leave it. Hosts count by their place in the site file, others by their pnode's number."""
    return {
        each.pnode: Endpoint(
            pnode=each.pnode,
            host=each.host,
            interface=each.type.interface or network.interface,
            address=each.type.address(_number(each)),
        )
        for each in partitions
    }


def _number(partition: Partition) -> int:
    if partition.host is not None and partition.host in partition.type.names:
        return partition.type.names.index(partition.host)
    return pnode_number(partition.pnode) or 0


def trunk_refusal(embedding: Embedding, network: Network) -> TestbedError | None:
    """Why LANs cannot continue from one pnode to the other; None if they can."""
    if network.trunk is TrunkKind.VLAN or not embedding.cut_lans:
        return None
    without = [
        each.host or each.pnode for each in endpoints(embedding.partitions, network).values() if not each.address
    ]
    if not without:
        return None
    names = f"{', '.join(without[:5])}{' ...' if len(without) > 5 else ''}"
    return TestbedError(
        f"LANs continue by VXLAN, but the site file gives no experiment address of {names}",
        hint='give that type of pnode addresses or a (larger) subnet, or write trunk = "vlan" under [network]',
    )


def access_vlans(lans: Iterable[str]) -> Mapping[str, int]:
    """LAN -> its VLAN on a pnode's VLAN-aware bridge. Few change when LANs come and go."""
    found: dict[str, int] = {}
    taken: set[int] = set()
    for lan in sorted(lans):
        number = int.from_bytes(digest("access", lan)[:4]) % _VLANS + 1
        while number in taken:
            number = number % _VLANS + 1
        taken.add(number)
        found[lan] = number
    return found
