"""Which address every interface gets where the file gives none: the rule of DETER's Containers.

Each LAN gets a block of 10.0.0.0/8 of at least a /24, the largest LANs first, then in the file's order; hosts count
from .1 in member order. What the file gives is kept, and its subnets are set aside before any block is handed out.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from benito.errors import Problem, TopologyMeaningError
from benito.model import Lan, Topology, network_of

POOL = IPv4Network("10.0.0.0/8")
_LONGEST_PREFIX = 24

#: (node, port) -> its address and mask
Addresses = Mapping[tuple[str, int], IPv4Interface]


def assign_addresses(topology: Topology) -> Addresses:
    """An address for every member of every LAN. Raises TopologyMeaningError with all LANs that find no room."""
    problems: list[Problem] = []
    networks: dict[str, IPv4Network] = {}
    for lan in topology.lans:
        given = [member.address for member in lan.members if member.address is not None]
        if given:
            networks[lan.name] = network_of(given[-1], lan.prefix_length or _LONGEST_PREFIX)
    blocks = _Blocks(list(networks.values()))
    for lan in sorted(topology.lans, key=lambda lan: -len(lan.members)):
        if lan.name not in networks:
            block = blocks.take(lan.prefix_length or _prefix_for(len(lan.members)))
            if block is None:
                problems.append(_no_room(topology, lan, f"{POOL} has no block left for it"))
                continue
            networks[lan.name] = block
    addresses: dict[tuple[str, int], IPv4Interface] = {}
    for lan in topology.lans:
        if lan.name in networks and not _number_members(lan, networks[lan.name], addresses):
            size = networks[lan.name].num_addresses - 2
            problems.append(
                _no_room(topology, lan, f"{networks[lan.name]} has {size} addresses, it has {len(lan.members)} members")
            )
    if problems:
        raise TopologyMeaningError(problems)
    return addresses


def _number_members(lan: Lan, network: IPv4Network, addresses: dict[tuple[str, int], IPv4Interface]) -> bool:
    taken = {member.address for member in lan.members}
    free: Iterator[IPv4Address] = (host for host in network.hosts() if host not in taken)
    for member in lan.members:
        address = member.address if member.address is not None else next(free, None)
        if address is None:
            return False
        addresses[member.node, member.port] = IPv4Interface((address, network.prefixlen))
    return True


def _prefix_for(members: int) -> int:
    return min(_LONGEST_PREFIX, 32 - (members + 1).bit_length())


def _no_room(topology: Topology, lan: Lan, why: str) -> Problem:
    return Problem(
        file=topology.source,
        line=lan.line,
        element=lan.name,
        message=why,
        hint="give it a shorter mask with tb-set-netmask",
    )


class _Blocks:
    """Hands out blocks of the pool from its start, around the subnets that are set aside."""

    def __init__(self, reserved: list[IPv4Network]) -> None:
        self._reserved = sorted(reserved)
        self._next = int(POOL.network_address)

    def take(self, prefix_length: int) -> IPv4Network | None:
        size = 1 << (32 - prefix_length)
        start = -(-self._next // size) * size
        while start + size - 1 <= int(POOL.broadcast_address):
            block = IPv4Network((start, prefix_length))
            in_the_way = next((network for network in self._reserved if network.overlaps(block)), None)
            if in_the_way is None:
                self._next = start + size
                return block
            start = max(start + size, -(-(int(in_the_way.broadcast_address) + 1) // size) * size)
        return None
