"""Which address every interface gets where the file gives none, by one of two rules. What the file gives is kept.

The rule of DETER's Containers: each LAN gets a block of 10.0.0.0/8 of at least a /24, the largest LANs first, then in
the file's order; hosts count from .1 in member order. The file's own subnets are set aside before any block is handed
out.

Emulab's rule: see `benito.emulab_addressing`.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import pairwise

from benito.emulab_addressing import emulab_hosts, emulab_networks
from benito.errors import Problem, Severity, TopologyMeaningError
from benito.model import Lan, Topology, network_of
from benito.policy import AddressRule

POOL = IPv4Network("10.0.0.0/8")
_LONGEST_PREFIX = 24

#: (node, port) -> its address and mask
Addresses = Mapping[tuple[str, int], IPv4Interface]


def assign_addresses(topology: Topology, rule: AddressRule = AddressRule.CONTAINERS) -> Addresses:
    """An address for every member of every LAN. Raises TopologyMeaningError with all LANs that find no room."""
    problems: list[Problem] = []
    is_emulab = rule is AddressRule.EMULAB
    networks = emulab_networks(topology.lans) if is_emulab else _containers_networks(topology.lans)
    addresses: dict[tuple[str, int], IPv4Interface] = {}
    taken = {member.address for lan in topology.lans for member in lan.members if member.address is not None}
    for lan in topology.lans:
        network = networks[lan.name]
        if is_emulab:  # it looks no further than the link at hand
            taken = {member.address for member in lan.members if member.address is not None}
        if network is None:
            problems.append(_no_room(topology, lan, "Ran out of subnets." if is_emulab else f"{POOL} is used up"))
            continue
        hosts = emulab_hosts(network) if is_emulab else network.hosts()
        if not _number_members(lan, network, iter(hosts), taken, addresses):
            size = network.num_addresses - 2
            problems.append(
                _no_room(topology, lan, f"{network} has {size} addresses, it has {len(lan.members)} members")
            )
    if problems:
        raise TopologyMeaningError(problems)
    return addresses


def overlaps(topology: Topology, addresses: Addresses) -> list[Problem]:
    """Warnings of LANs whose subnets the file lets overlap: no route can tell them apart."""
    networks = {
        lan.name: addresses[lan.members[0].node, lan.members[0].port].network for lan in topology.lans if lan.members
    }
    placed = [(networks[lan.name], lan) for lan in topology.lans if lan.name in networks]
    placed.sort(key=lambda pair: (pair[0].network_address, pair[0].prefixlen))
    return [
        Problem(
            file=topology.source,
            line=second.line,
            element=second.name,
            message=f"its subnet {other} overlaps {network} of {first.name}: no route can tell them apart",
            hint="give each link and LAN a subnet of its own",
            severity=Severity.WARNING,
        )
        for (network, first), (other, second) in pairwise(placed)
        if network.overlaps(other)
    ]


def _containers_networks(lans: Sequence[Lan]) -> Mapping[str, IPv4Network | None]:
    networks: dict[str, IPv4Network | None] = {}
    reserved: list[IPv4Network] = []
    for lan in lans:
        given = [member.address for member in lan.members if member.address is not None]
        if given:
            networks[lan.name] = network_of(given[-1], lan.prefix_length or _LONGEST_PREFIX)
            reserved.append(network_of(given[-1], lan.prefix_length or _LONGEST_PREFIX))
    blocks = _Blocks(reserved)
    for lan in sorted(lans, key=lambda lan: -len(lan.members)):
        if lan.name not in networks:
            networks[lan.name] = blocks.take(lan.prefix_length or _prefix_for(len(lan.members)))
    return networks


def _number_members(
    lan: Lan,
    network: IPv4Network,
    hosts: Iterator[IPv4Address],
    taken: set[IPv4Address],
    addresses: dict[tuple[str, int], IPv4Interface],
) -> bool:
    free = (host for host in hosts if host not in taken)
    for member in lan.members:
        address = member.address if member.address is not None else next(free, None)
        if address is None:
            return False
        taken.add(address)
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
        self._passed = 0  # the first of them that may still be in the way
        self._next = int(POOL.network_address)

    def take(self, prefix_length: int) -> IPv4Network | None:
        size = 1 << (32 - prefix_length)
        start = -(-self._next // size) * size
        while start + size - 1 <= int(POOL.broadcast_address):
            block = IPv4Network((start, prefix_length))
            in_the_way = self._in_the_way(block)
            if in_the_way is None:
                self._next = start + size
                return block
            start = max(start + size, -(-(int(in_the_way.broadcast_address) + 1) // size) * size)
        return None

    def _in_the_way(self, block: IPv4Network) -> IPv4Network | None:
        reserved = self._reserved
        while self._passed < len(reserved) and int(reserved[self._passed].broadcast_address) < self._next:
            self._passed += 1
        for place in range(self._passed, len(reserved)):
            if reserved[place].network_address > block.broadcast_address:
                return None
            if reserved[place].overlaps(block):
                return reserved[place]
        return None
