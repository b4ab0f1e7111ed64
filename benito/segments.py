"""Which id each trunk has: VLANs of the experiment network, or VXLAN's network identifiers. Pure.

An id belongs to one LAN of one experiment. When it is given back it stays in quarantine until every pnode of that
experiment has said that nothing there carries it any more: a trunk that was left over would join two experiments.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benito.errors import TestbedError
from benito.site import Network, Ranges, TrunkKind

_NAMES = {TrunkKind.VLAN: ("VLANs", "vlans"), TrunkKind.VXLAN: ("VXLAN identifiers", "vnis")}


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A trunk's id: which VLAN, or which VXLAN network."""

    kind: TrunkKind
    id: int


def assign(
    lans: Sequence[str],
    network: Network,
    *,
    had: Mapping[str, int] | None = None,
    taken: Collection[int] = frozenset(),
    quarantined: Collection[int] = frozenset(),
) -> Mapping[str, int]:
    """An id for each of `lans`: the one it `had` if it may still be used, else the lowest that is neither other
    experiments' (`taken`) nor in quarantine. Raises TestbedError where there are not enough.
    """
    before = had or {}
    barred = frozenset(taken) | frozenset(quarantined)
    kept = {lan: before[lan] for lan in lans if lan in before and _holds(network.ids, before[lan])}
    kept = {lan: number for lan, number in kept.items() if number not in barred}
    fresh = _free(network.ids, barred | frozenset(before.values()))
    found: dict[str, int] = {}
    for lan in lans:
        number = kept[lan] if lan in kept else next(fresh, None)
        if number is None:
            raise _exhausted(lans, network, quarantined)
        found[lan] = number
    return found


def _holds(ranges: Ranges, number: int) -> bool:
    return any(first <= number <= last for first, last in ranges)


def _free(ranges: Ranges, barred: Collection[int]) -> Iterator[int]:
    for first, last in ranges:
        for number in range(first, last + 1):
            if number not in barred:
                yield number


def _exhausted(lans: Sequence[str], network: Network, quarantined: Collection[int]) -> TestbedError:
    name, key = _NAMES[network.trunk]
    there = sum(last - first + 1 for first, last in network.ids)
    waiting = sum(_holds(network.ids, number) for number in quarantined)
    quarantine = f", {waiting} of them until all pnodes have said that they are free again" if waiting else ""
    return TestbedError(
        f"{len(lans)} LANs are cut and need {name} of their own, too many of the site's {there} are in use{quarantine}",
        hint=f"give the site file a larger range of {key}, take experiments down, or place so that fewer LANs are cut",
    )
