"""What is measured of which links, and with which datagrams. Pure."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from benito.captures import Subject, find_subject
from benito.errors import UsageError
from benito.model import Shaping
from benito.names import ExperimentId
from benito.plan import LinkPlan, PnodePlan, PortPlan

#: A full Ethernet frame as queues count it.
FRAME_BYTES = 1514
_PROBE_BYTES = 100
#: Large enough that few wrong bits hit what a probe is known by.
_LARGE_PROBE_BYTES = 1000
_FEWEST_PROBES, _MOST_PROBES = 200, 2000
_PROBES_FOR_JITTER = 500
#: So many probes are to meet with what happens to a share of them.
_WANTED_EVENTS = 30
_INTERVAL_US = 2000
#: A probe has left the slowest queue for long when the next comes.
_ROOM = 4
_LONGEST_PROBING_US = 10_000_000

_FLOOD_MS, _LONGEST_FLOOD_MS = 1000, 5000
_FEWEST_FLOOD_FRAMES = 100
_SMALLEST_FLOOD_BYTES = 100
_OVERLOAD, _SINGLE_OVERLOAD, _OVERLOAD_KBPS = 1.25, 8, 5_000
#: What a link without a rate is given: as much as a sender has, in a moment.
_FREE_FLOOD_MS, _FREE_FLOOD_KBPS = 200, 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From one member of a LAN to another on the same pnode. `halves` are what packets meet one after the other: both
    halves of the members in a LAN with a bridge, both in one elsewhere."""

    link: str
    pnode: str
    sender: PortPlan
    receiver: PortPlan
    halves: tuple[Shaping, ...]
    why_not: str = ""

    @property
    def asked(self) -> Shaping:
        """All that is asked of the way."""
        return self.sender.into.then(self.receiver.out_of)

    @property
    def rate_kbps(self) -> int | None:
        """What should come out of a way that is given more: losses after a queue leave gaps. None: unlimited."""
        if self.asked.rate_kbps is None:
            return None
        if self.loses_all:
            return 0
        rate = math.inf
        for half in self.halves:
            rate *= (1 - half.loss_ratio) * (1 + half.duplicate_ratio)
            rate = min(rate, math.inf if half.rate_kbps is None else half.rate_kbps)
        return max(1, round(rate))

    @property
    def loses_all(self) -> bool:
        """Whether nothing is to arrive."""
        return self.asked.loss_ratio >= 1

    def single_queues(self, frame_bytes: int) -> int:
        """How many of its halves have a queue that takes one such frame, and the next when that has left."""
        queue = self.sender.queue
        in_bytes = queue.in_bytes and queue.limit < 2 * frame_bytes
        return sum(
            half.rate_kbps is not None and (in_bytes if index == 0 and queue.in_bytes else half.queue_packets == 1)
            for index, half in enumerate(self.halves)
        )

    def serialization_us(self, frame_bytes: int) -> float:
        """How long the way's rates take for a frame."""
        return sum(frame_bytes * 8000 / half.rate_kbps for half in self.halves if half.rate_kbps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """So many frames of that size, one each interval."""

    size_bytes: int
    count: int
    interval_us: int

    @property
    def seconds(self) -> float:
        """How long sending them takes."""
        return self.count * self.interval_us / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """Frames of that size at that rate, for so long."""

    size_bytes: int
    milliseconds: int
    rate_kbps: int


def choose(
    experiment: ExperimentId, parts: Sequence[PnodePlan], names: Sequence[str], *, sample: int | None, seed: int
) -> list[tuple[PnodePlan, LinkPlan]]:
    """The links called so, or all; of those `sample` at random, where given. In the plan's order.

    Raises UsageError that tells every name that is no link's.
    """
    wanted, wrong = set(), []
    for name in names:
        try:
            wanted.add(find_subject(experiment, parts, name, Subject.LINK).lan)
        except UsageError as error:
            wrong.append(error)
    if wrong:
        hints = dict.fromkeys(error.hint for error in wrong if error.hint)
        raise UsageError("; ".join(error.message for error in wrong), hint="; ".join(hints) or None)
    found = [(part, link) for part in parts for link in part.links if not names or link.lan in wanted]
    if not found:
        raise UsageError(f"{experiment} has no links")
    if sample is None or sample >= len(found):
        return found
    chosen = random.Random(seed).sample(range(len(found)), sample)  # noqa: S311 - no secret
    return [found[index] for index in sorted(chosen)]


def ways_of(part: PnodePlan, link: LinkPlan) -> list[Way]:
    """Both ways of a link; in a LAN from each member to the next, so that each half is met once.

    A LAN with one member on this pnode has none.
    """
    here = {node.name for node in part.nodes}
    ports = [port for port in link.ports if port.node in here]
    if len(ports) < 2:
        return []
    return [_way(part, link, one, other) for one, other in zip(ports, [*ports[1:], ports[0]], strict=True)]


def _way(part: PnodePlan, link: LinkPlan, sender: PortPlan, receiver: PortPlan) -> Way:
    both = (sender.into, receiver.out_of)
    pulled = [port.node for port in (sender, receiver) if port.node in link.down]
    return Way(
        link=link.lan,
        pnode=part.pnode,
        sender=sender,
        receiver=receiver,
        halves=both if link.realization.is_bridged else (sender.into.then(receiver.out_of),),
        why_not=f"the cable of {' and '.join(pulled)} is pulled" if pulled else "",
    )


def probes(way: Way) -> Probes:
    """Small frames, far enough apart that the rate does not queue them, and enough to judge what is asked."""
    asked = way.asked
    size = _LARGE_PROBE_BYTES if asked.corrupt_ratio else _PROBE_BYTES
    shares = [ratio for ratio in asked.ratios if ratio > 0]
    count = _PROBES_FOR_JITTER if asked.jitter_us else _FEWEST_PROBES
    count = max([count, *(min(_MOST_PROBES, math.ceil(_WANTED_EVENTS / ratio)) for ratio in shares)])
    slowest = min((half.rate_kbps for half in way.halves if half.rate_kbps), default=None)
    interval = _INTERVAL_US if slowest is None else max(_INTERVAL_US, math.ceil(_ROOM * size * 8000 / slowest))
    return Probes(size_bytes=size, count=max(20, min(count, _LONGEST_PROBING_US // interval)), interval_us=interval)


def flood(way: Way) -> Flood:
    """More than the way lets through, for long enough to tell its rate; little where it has none."""
    rate, asked = way.rate_kbps, way.asked
    if not rate:
        return Flood(size_bytes=FRAME_BYTES, milliseconds=_FREE_FLOOD_MS, rate_kbps=_FREE_FLOOD_KBPS)
    size = _flood_bytes(rate)
    # A queue of one frame is idle from when that has left until the next comes.
    overload = _SINGLE_OVERLOAD if way.single_queues(size) else _OVERLOAD
    wanted_ms = max(_FLOOD_MS, _FEWEST_FLOOD_FRAMES * size * 8 // rate, asked.jitter_us // 50)
    return Flood(
        size_bytes=size,
        milliseconds=min(_LONGEST_FLOOD_MS, wanted_ms),
        rate_kbps=round(rate * overload / max(1 - asked.loss_ratio, 0.1)) + _OVERLOAD_KBPS,
    )


def _flood_bytes(rate_kbps: int) -> int:
    return max(_SMALLEST_FLOOD_BYTES, min(FRAME_BYTES, rate_kbps * 125 // _FEWEST_FLOOD_FRAMES))
