"""Numbers of what was seen at both ends of a way, and what chance allows. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benito.linktest.ways import Way
from benito.model import Shaping
from benito.seams import Count, Sighting

#: How sure a verdict on shares of packets is.
CONFIDENCE = 0.999
#: What times at the two ends may differ without meaning anything.
EARLY_US = 50
#: The part of a flood between the filling of queues and its end.
_STEADY = (0.25, 0.95)
#: What a rate is told from, so that a frame more or less does not matter.
_PART_FRAMES, _PART_NS = 50, 40_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFigures:
    """Probes of one way. Of the `sent`, `arrived` were seen at the other end, `doubled` of them more than once,
    `damaged` otherwise than they were sent. `delays_us`, sorted, are of those that had the way for themselves and did
    not overtake; of the `timed`, `overtook` came before their time."""

    sent: int
    arrived: int
    doubled: int
    damaged: int
    timed: int
    overtook: int
    delays_us: tuple[float, ...]


def probe_figures(way: Way, sightings: Iterable[Sighting], size_bytes: int) -> ProbeFigures:
    """What became of the way's probes, given all sightings of them, by time."""
    sent, arrived, damaged, copies = _by_number(way, sightings)
    # A probe close behind another may have waited for it: then its delay is none of the link's.
    room_ns = 2000 * way.serialization_us(size_bytes)
    # Rates delay a probe by this time or, while they have some to spare, not at all.
    floor_us = overtaking(way)[0] + way.serialization_us(size_bytes) / 2
    delays, overtook = [], 0
    before: int | None = None
    for number, time_ns in sorted(sent.items(), key=lambda item: item[1]):
        alone = before is None or time_ns - before >= room_ns
        before = time_ns
        if number not in arrived or not alone:
            continue
        delay_us = (arrived[number] - time_ns) / 1000
        if way.asked.reorder_ratio > 0 and delay_us < floor_us:
            overtook += 1
        else:
            delays.append(delay_us)
    return ProbeFigures(
        sent=len(sent),
        arrived=len(arrived),
        doubled=sum(count > 1 for count in copies.values()),
        damaged=len(damaged),
        timed=len(delays) + overtook,
        overtook=overtook,
        delays_us=tuple(sorted(delays)),
    )


def _by_number(
    way: Way, sightings: Iterable[Sighting]
) -> tuple[dict[int, int], dict[int, int], set[int], Counter[int]]:
    """Times of leaving and of the first arrival, which were damaged, and how many copies of each came."""
    sent: dict[int, int] = {}
    arrived: dict[int, int] = {}
    damaged: set[int] = set()
    copies: Counter[int] = Counter()
    for seen in sightings:
        if not seen.inbound and _is_at(seen, way.sender.node, way.sender.interface):
            sent.setdefault(seen.number, seen.time_ns)
        elif seen.inbound and _is_at(seen, way.receiver.node, way.receiver.interface) and seen.number in sent:
            arrived.setdefault(seen.number, seen.time_ns)
            copies[seen.number] += 1
            if not seen.is_whole:
                damaged.add(seen.number)
    return sent, arrived, damaged, copies


def flood_rate_kbps(counts: Sequence[Count], milliseconds: int, size_bytes: int) -> float:
    """The rate at the other end, from after the queues have filled until shortly before the sender ends.

    `counts` are those of the receiver. What else comes by the way counts too, since it has its part of the rate. The
    median of many parts, so that moments in which the machine let the sender wait do not count.
    """
    came = [(count.time_ns, count.total_bytes + count.refused_packets * size_bytes) for count in counts]
    grown = [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairwise(came)]
    flowing = sorted(filter(None, grown))
    if not flowing:
        return 0.0
    # Something small may have come earlier: the flood begins where it comes as fast as it mostly does, or nearly.
    begun_ns = came[next(index for index, rate in enumerate(grown) if rate >= quantile(flowing, 0.5) / 2)][0]
    begin_ns, end_ns = (begun_ns + part * milliseconds * 1e6 for part in _STEADY)
    within = [(time_ns, total) for time_ns, total in came if begin_ns <= time_ns <= end_ns]
    rates = []
    since_ns, before = within[0] if within else (0, 0)
    for time_ns, total in within:
        if total - before >= _PART_FRAMES * size_bytes and time_ns - since_ns >= _PART_NS:
            rates.append((total - before) * 8e6 / (time_ns - since_ns))
            since_ns, before = time_ns, total
    if not rates and len(within) > 1:
        rates = [(within[-1][1] - within[0][1]) * 8e6 / (within[-1][0] - within[0][0])]
    return quantile(sorted(rates), 0.5) if rates else 0.0


def _is_at(seen: Sighting, node: str, interface: str) -> bool:
    return seen.node == node and seen.interface == interface


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of `ordered` lie below, between two of them where it has to be."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def half_spread(jitters: Sequence[float]) -> float:
    """Half of the distance between the quartiles of a sum of one or two values that are even within +- each.

    With a >= b the sum is even within +-(a - b) and thins out linearly from there to +-(a + b).
    """
    a, b = sorted((*jitters, 0.0, 0.0), reverse=True)[:2]
    return a / 2 if b <= a / 2 else a + b - math.sqrt(2 * a * b)


def overtaking(way: Way) -> tuple[float, float, float]:
    """In how many microseconds a probe comes that has skipped the delay of a half; and which share of probes comes so
    early, at least and at most: where jitter is large, not every one can be told from those that were quick."""
    halves = [half for half in way.halves if half.delay_us > 0]
    # Each half that may be skipped, with the rest of the way.
    skipping = [
        (half, [*halves[:index], *halves[index + 1 :]]) for index, half in enumerate(halves) if half.reorder_ratio > 0
    ]
    if not skipping:
        return 0.0, 0.0, 0.0
    asked = way.asked
    latest = max(sum(other.delay_us + other.jitter_us for other in rest) for _, rest in skipping)
    floor_us = (asked.delay_us - asked.jitter_us + latest) / 2
    found = kept = 1.0
    for half, rest in skipping:
        found *= 1 - half.reorder_ratio * _chance_below(floor_us, rest)
        kept *= 1 - half.reorder_ratio
    return floor_us, 1 - found, 1 - kept * (1 - _chance_below(floor_us, halves))


def _chance_below(limit_us: float, halves: Sequence[Shaping]) -> float:
    """How likely the delays of one or two halves, none skipped, are together less than the limit."""
    a, b = sorted((*(half.jitter_us for half in halves), 0, 0), reverse=True)[:2]
    over = limit_us - sum(half.delay_us for half in halves)
    if abs(over) >= a + b:
        return float(over > 0)
    # Twice the part of the values beyond the limit's distance from the middle: see `half_spread`.
    beyond = 1 - abs(over) / a if abs(over) <= a - b else (a + b - abs(over)) ** 2 / (4 * a * b)
    return 1 - beyond / 2 if over > 0 else beyond / 2


def binomial_bounds(count: int, low: float, high: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """The fewest and the most of `count` that happen with `confidence`, each with a chance from `low` to `high`."""
    tail = (1 - confidence) / 2
    return _quantile_of(count, low, tail), count - _quantile_of(count, 1 - high, tail)


def _quantile_of(count: int, chance: float, tail: float) -> int:
    """The smallest number that is not exceeded with a chance of more than `tail`."""
    if chance <= 0:
        return 0
    if chance >= 1:
        return count
    total = 0.0
    for number in range(count + 1):
        total += math.exp(
            math.lgamma(count + 1)
            - math.lgamma(number + 1)
            - math.lgamma(count - number + 1)
            + number * math.log(chance)
            + (count - number) * math.log1p(-chance)
        )
        if total > tail:
            return number
    return count
