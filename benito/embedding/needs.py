"""What a node takes of a pnode, and what a LAN promises to carry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benito.model import Kind, Lan, Node
from benito.site import Need, Site
from benito.topology.quantities import disk_mib


class Resource(StrEnum):
    """What a pnode can run out of, beside its uplink."""

    NODES = "nodes"
    MEMORY = "memory"
    CORES = "cores"
    DISK = "disk"


#: Unit of the amounts, and how many of them make the unit that people read.
UNITS: Mapping[Resource, tuple[str, int]] = {
    Resource.NODES: ("", 1),
    Resource.MEMORY: ("MiB", 1024),
    Resource.CORES: ("", 1000),
    Resource.DISK: ("MiB", 1),
}

#: Resource -> how much, in whole KiB, thousandths of a core, MiB, or nodes.
Amounts = Mapping[Resource, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one node asks of its pnode: amounts, and features that the pnode must have."""

    amounts: Amounts
    features: frozenset[str]


def demand_of(node: Node, site: Site) -> Demand:
    """By the node's own attributes, else by what the site says of its kind."""
    kind = node.kind or Kind.OPENVZ
    usual = site.needs.get(kind, Need())
    memory_kib = usual.memory_kib if node.memory_mib is None else node.memory_mib * 1024
    cores_milli = usual.cores_milli if node.vcpus is None else node.vcpus * 1000
    percent = attribute(node, "cpu_limit")
    if percent is not None and percent.strip().isdecimal():
        cores_milli = min(cores_milli, int(percent) * 10)
    space = attribute(node, "openvz_diskspace") if kind is Kind.OPENVZ else None
    disk_mib = _disk_mib(attribute(node, "disk") or space)
    return Demand(
        amounts={
            Resource.NODES: 1,
            Resource.MEMORY: memory_kib,
            Resource.CORES: cores_milli,
            Resource.DISK: usual.disk_mib if disk_mib is None else disk_mib,
        },
        features=frozenset(words(attribute(node, "requires"))),
    )


def attribute(node: Node, name: str) -> str | None:
    """The value of `containers:NAME` or `benito:NAME`; None where the node has neither."""
    held = dict(node.attributes)
    return held.get(f"containers:{name}", held.get(f"benito:{name}"))


def words(value: str | None) -> list[str]:
    """The words of a list that is separated by commas or spaces."""
    return (value or "").replace(",", " ").split()


def _disk_mib(value: str | None) -> int | None:
    return None if value is None else disk_mib(value.strip())


def shown(resource: Resource, amount: float) -> str:
    """An amount for people: `2048 MiB of memory`, `3.5 cores`, `7 nodes`."""
    unit, scale = UNITS[resource]
    number = f"{amount / scale:.10g}"
    if unit:
        return f"{number} {unit} of {resource}"
    return f"{number} {resource.removesuffix('s')}" if number == "1" else f"{number} {resource}"


def counted(count: int, word: str) -> str:
    """`1 pnode`, `2 pnodes`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def promised_kbps(lan: Lan, unlimited_kbps: int) -> int:
    """What the LAN's trunk carries where it crosses pnodes: the highest rate that any two members may have."""

    def rate(kbps: int | None) -> int:
        return unlimited_kbps if kbps is None else kbps

    if len(lan.members) < 2:
        return 0
    into = _two_highest([rate(member.into.rate_kbps) for member in lan.members])
    out_of = _two_highest([rate(member.out_of.rate_kbps) for member in lan.members])
    pairs = [min(sent, received) for sent, sender in into for received, receiver in out_of if sender != receiver]
    return max(pairs)


def _two_highest(rates: Sequence[int]) -> list[tuple[int, int]]:
    return sorted(((rate, -at) for at, rate in enumerate(rates)), reverse=True)[:2]


def rate(kbps: float) -> str:
    """A rate for people: `1.5 Gb/s`, `100 Mb/s`, `64 kb/s`."""
    for unit, scale in (("Gb/s", 1_000_000), ("Mb/s", 1000)):
        if kbps >= scale:
            return f"{kbps / scale:.10g} {unit}"
    return f"{kbps:.10g} kb/s"
