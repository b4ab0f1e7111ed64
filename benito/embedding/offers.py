"""The pnodes that a site has, one by one, with what each may be filled with."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benito.embedding.needs import Resource
from benito.model import Kind
from benito.site import PnodeType, Site

Limits = Mapping[Resource, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pnode that may be used; `host` is its own name, where the site names it."""

    type: PnodeType
    host: str | None
    limits: Limits
    uplink_kbps: float

    def most_of(self, kind: Kind) -> float:
        """How many nodes of a kind it may hold."""
        return self.type.most_nodes.get(kind, math.inf)


def limits_of(pnode_type: PnodeType, site: Site) -> Limits:
    """What may be promised of a pnode of that type, overcommitted as the site allows."""

    def limit(amount: float | None, factor: float) -> float:
        return math.inf if amount is None else math.floor(amount * factor)

    memory_kib = None if pnode_type.memory_mib is None else pnode_type.memory_mib * 1024
    cores_milli = None if pnode_type.cores is None else pnode_type.cores * 1000
    return {
        Resource.NODES: pnode_type.most_nodes.get(None, math.inf),
        Resource.MEMORY: limit(memory_kib, site.overcommit.memory),
        Resource.CORES: limit(cores_milli, site.overcommit.cores),
        Resource.DISK: limit(pnode_type.disk_mib, site.overcommit.disk),
    }


def uplink_of(pnode_type: PnodeType, site: Site) -> float:
    """The promises that may cross the uplink of a pnode of that type, in kbit/s."""
    if pnode_type.uplink_kbps is None or site.overcommit.uplink is None:
        return math.inf
    return math.floor(pnode_type.uplink_kbps * site.overcommit.uplink)


class Stock:
    """What is still to be had of a site's pnodes, the preferred ones first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._used: Counter[str] = Counter()
        self._used_hosts: set[str] = set()

    def offers(self, most: int, types: Sequence[str] | None = None) -> list[Offer]:
        """At most `most` pnodes of each type, of these types or all."""
        found = []
        for one in self._site.pnode_types:
            if types is not None and one.name not in types:
                continue
            limits, uplink = limits_of(one, self._site), uplink_of(one, self._site)
            hosts: list[str | None] = [name for name in one.names if name not in self._used_hosts]
            if not one.names:
                left = most if one.count is None else one.count - self._used[one.name]
                hosts = [None] * min(left, most)
            found += [Offer(type=one, host=host, limits=limits, uplink_kbps=uplink) for host in hosts]
        return found

    def withdraw(self, type_name: str, host: str | None) -> None:
        """A pnode of that type is not to be had any more."""
        self._used[type_name] += 1
        if host is not None:
            self._used_hosts.add(host)

    def take(self, offer: Offer) -> None:
        """That pnode is in use now."""
        self.withdraw(offer.type.name, offer.host)
