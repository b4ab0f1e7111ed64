"""Asked against measured: a verdict for each quantity of a way. Pure.

What a busy machine can do (make some packets late, a flood slower) is no fault of the link while the machine was busy,
nor are shares of packets while some were lost to the watching: then they count as not measured. What a machine cannot
do is a fault at any time.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from benito.linktest.figures import EARLY_US, ProbeFigures, binomial_bounds, half_spread, overtaking, quantile
from benito.linktest.results import Finding, Outcome, Quantity, WayResult
from benito.linktest.ways import Probes, Way, flood
from benito.model import Kind

_LATE_US, _LATE_RATIO = 1000, 0.05
_JITTER_US, _JITTER_RATIO = 500, 0.1
_RATE_RATIO = 0.05
#: What is too little to be a load: with less, a low rate says nothing of the link.
_OFFERED_RATIO = 1.05
_WAITED_RATIO = 0.02
_MET_RATIO = 0.02
_FEWEST_DELAYS = 20
#: So many standard deviations of a median or quartile are chance.
_DEVIATIONS = 4
_BUSY_RATIO = 0.9
#: The part of probes that a busy machine, too, lets pass in time.
_SOON = 0.1
#: Headers and token, in which damage is not told from what was sent.
_HEADER_BYTES = 54
#: Of these, the bits that a probe is known by: a wrong one makes it a stranger. Ethernet's type; IP's header length,
#: fragment offset and protocol; UDP's port; the token and the number.
_KNOWN_BITS = 16 + 4 + 13 + 8 + 16 + 64 + 32


def judge_probes(way: Way, probes: Probes, seen: ProbeFigures, *, dropped: int, busy_ratio: float) -> WayResult:
    """The verdicts on all but the rate. `dropped` packets were lost to the watching."""
    result = WayResult(link=way.link, sender=way.sender.node, receiver=way.receiver.node)
    if seen.sent < max(1, probes.count // 2):
        return replace(result, why_not=f"{seen.sent} of {probes.count} probes left {way.sender.node}")
    lost = _lost(dropped)
    return replace(
        result,
        sent=seen.sent,
        arrived=seen.arrived,
        p95_us=quantile(seen.delays_us, 0.95) if seen.delays_us else None,
        findings=(*_times(way, probes, seen, _busy(busy_ratio)), *_shares(way, probes, seen, lost, _busy(busy_ratio))),
    )


def judge_flood(way: Way, rate_kbps: float, *, offered_kbps: float, waited_ratio: float, busy_ratio: float) -> Finding:
    """The verdict on the rate that was measured. `offered_kbps` is what the sender gave to its interface, and could not
    give more for `waited_ratio` of its time."""
    asked = way.rate_kbps
    found = Finding(quantity=Quantity.RATE, outcome=Outcome.INFO, measured=rate_kbps)
    if asked is None:
        enough = rate_kbps < offered_kbps * (1 - _RATE_RATIO)
        return found if enough else replace(found, note="at least: all that was sent")
    singles = way.single_queues(flood(way).size_bytes)
    # A queue of one frame is idle until the next one comes, at most for as long as there is between two.
    idle_ratio = asked / (asked + offered_kbps) if singles else 0.0
    # Copies may be made after the queue.
    doubled = way.asked.duplicate_ratio
    low, high = asked * (1 - idle_ratio) * (1 - _RATE_RATIO), asked * (1 + doubled) * (1 + _RATE_RATIO)
    allowed = asked * doubled if rate_kbps > asked else -asked * idle_ratio
    found = replace(found, outcome=Outcome.OK, asked=asked, low=low, high=high, allowed=allowed or None)
    if rate_kbps > high:
        return replace(found, outcome=Outcome.OFF, note=_off_by(rate_kbps - asked, Quantity.RATE))
    # A full queue may make the sender wait, and is known by that; but a machine also waits for itself.
    is_full = waited_ratio >= _WAITED_RATIO and way.sender.kind is not Kind.QEMU
    # A sender that is no faster than the link by accident is less likely than a link that limits it.
    is_full = is_full or abs(rate_kbps - asked) <= _MET_RATIO * asked
    if not is_full and offered_kbps * (1 - way.asked.loss_ratio) < _OFFERED_RATIO * asked:
        note = f"{way.sender.node} sent {offered_kbps / 1000:.0f} Mb/s, too little to fill the link"
        return replace(found, outcome=Outcome.NOT_MEASURED, note=note)
    if rate_kbps >= low:
        return found
    # The second of two may be met at the very moment when its frame leaves: then it takes every other one.
    doubt = "two queues of one packet, one behind the other" if singles > 1 else _busy(busy_ratio)
    return replace(
        found,
        outcome=Outcome.NOT_MEASURED if doubt else Outcome.OFF,
        note=doubt or _off_by(rate_kbps - asked, Quantity.RATE),
    )


def _lost(dropped: int) -> str:
    return f"{dropped} packets came too fast to be watched" if dropped else ""


def _busy(busy_ratio: float) -> str:
    return f"this machine was busy, {busy_ratio:.0%} of its cores" if busy_ratio >= _BUSY_RATIO else ""


def _times(way: Way, probes: Probes, seen: ProbeFigures, busy: str) -> Iterator[Finding]:
    asked, count = way.asked, len(seen.delays_us)
    if count < _FEWEST_DELAYS:
        # Where all are to be lost there is no delay to be judged.
        if asked.loss_ratio < 1:
            why = f"{count} probes came to {way.receiver.node} by themselves, too few"
            for quantity in (Quantity.DELAY, *((Quantity.JITTER,) if asked.jitter_us else ())):
                wanted = asked.delay_us if quantity is Quantity.DELAY else asked.jitter_us
                yield Finding(quantity=quantity, outcome=Outcome.NOT_MEASURED, asked=wanted, note=why)
        return
    chance_us = _DEVIATIONS * asked.jitter_us / math.sqrt(count)
    at_rate_us = way.serialization_us(probes.size_bytes)
    slack_us = max(_LATE_US, _LATE_RATIO * asked.delay_us) + at_rate_us
    latest_us = asked.delay_us + slack_us + chance_us
    # A busy machine makes some probes late, not all.
    all_late = quantile(seen.delays_us, _SOON) > latest_us - asked.jitter_us
    yield _bounded(
        Quantity.DELAY,
        asked.delay_us,
        quantile(seen.delays_us, 0.5),
        (max(0.0, asked.delay_us - EARLY_US - chance_us), latest_us),
        above="" if all_late else busy,
        allowed=at_rate_us,
    )
    if asked.jitter_us:
        spread = (quantile(seen.delays_us, 0.75) - quantile(seen.delays_us, 0.25)) / 2
        slack_us = max(_JITTER_US, _JITTER_RATIO * asked.jitter_us) + chance_us
        yield _bounded(
            Quantity.JITTER,
            asked.jitter_us,
            spread * asked.jitter_us / half_spread([half.jitter_us for half in way.halves]),
            (max(0.0, asked.jitter_us - slack_us), asked.jitter_us + slack_us),
            above=busy,
        )


def _shares(way: Way, probes: Probes, seen: ProbeFigures, dropped: str, busy: str) -> Iterator[Finding]:
    asked = way.asked
    # What two things at once make of a packet depends on their order: then chances lie between two bounds.
    # A damaged probe may be a stranger then, and counts as lost; or be known, but not as damaged.
    bits = 8 * probes.size_bytes
    told = 1 - _HEADER_BYTES / probes.size_bytes
    strange = asked.corrupt_ratio * _KNOWN_BITS / bits * (1 - asked.duplicate_ratio)
    # At worst it is damaged once in each half.
    whole, intact = told ** len(way.halves), (1 - asked.corrupt_ratio * (1 - told)) ** len(way.halves)
    missing = (
        asked.loss_ratio * (1 - asked.duplicate_ratio),
        min(1.0, asked.loss_ratio + (1 - asked.loss_ratio) * (1 - intact)),
    )
    found = _share(Quantity.LOSS, asked.loss_ratio, (seen.sent - seen.arrived, seen.sent), missing, dropped)
    yield replace(found, allowed=(1 - asked.loss_ratio) * strange or None)
    # With a wrong bit in its number, a probe is taken for another one's copy.
    mistaken = asked.corrupt_ratio * (probes.count - 1).bit_length() / bits
    doubled = (
        asked.duplicate_ratio * ((1 - asked.loss_ratio) * intact) ** 2,
        min(1.0, asked.duplicate_ratio + mistaken),
    )
    if asked.duplicate_ratio or seen.doubled:
        found = _share(Quantity.DUPLICATE, asked.duplicate_ratio, (seen.doubled, seen.arrived), doubled, dropped)
        yield replace(found, allowed=-asked.duplicate_ratio * asked.corrupt_ratio * _KNOWN_BITS / bits or None)
    # Of a probe and its copy either may be damaged, and that one lost later.
    damaged = (
        asked.corrupt_ratio * whole * (1 - asked.loss_ratio * asked.duplicate_ratio),
        min(1.0, asked.corrupt_ratio * (1 + asked.duplicate_ratio)),
    )
    if asked.corrupt_ratio or seen.damaged:
        found = _share(Quantity.CORRUPT, asked.corrupt_ratio, (seen.damaged, seen.arrived), damaged, dropped)
        yield replace(found, allowed=asked.corrupt_ratio * (told / (1 - strange) - 1) or None)
    if asked.reorder_ratio:
        early = overtaking(way)[1:]
        finding = _share(Quantity.REORDER, asked.reorder_ratio, (seen.overtook, seen.timed), early, dropped)
        # On a busy machine, some that overtake are not early enough to be told.
        is_less = finding.outcome is Outcome.OFF and (finding.measured or 0) < asked.reorder_ratio
        yield replace(finding, outcome=Outcome.NOT_MEASURED, note=busy) if is_less and busy else finding


def _share(
    quantity: Quantity, asked: float, counted: tuple[int, int], chances: tuple[float, float], dropped: str
) -> Finding:
    number, of = counted
    if of == 0:
        return Finding(quantity=quantity, outcome=Outcome.NOT_MEASURED, asked=asked, note="no probe came")
    least, most = binomial_bounds(of, *chances)
    return _bounded(quantity, asked, number / of, (least / of, most / of), below=dropped, above=dropped)


def _bounded(
    quantity: Quantity,
    asked: float,
    measured: float,
    bounds: tuple[float, float],
    *,
    below: str = "",
    above: str = "",
    allowed: float = 0.0,
) -> Finding:
    """OK within the bounds; `below` and `above` say why less and more than they allow may mean nothing, if so."""
    low, high = bounds
    found = Finding(
        quantity=quantity,
        outcome=Outcome.OK,
        asked=asked,
        measured=measured,
        low=low,
        high=high,
        allowed=allowed or None,
    )
    if low <= measured <= high:
        return found
    doubt = below if measured < low else above
    if doubt:
        return replace(found, outcome=Outcome.NOT_MEASURED, note=doubt)
    return replace(found, outcome=Outcome.OFF, note=_off_by(measured - asked, quantity))


def _off_by(difference: float, quantity: Quantity) -> str:
    way = "more" if difference > 0 else "less"
    return f"{_text(abs(difference), quantity)} {way} than asked"


def _text(value: float, quantity: Quantity) -> str:
    if quantity in (Quantity.DELAY, Quantity.JITTER):
        return f"{value / 1000:.3g} ms"
    return f"{value / 1000:.3g} Mb/s" if quantity is Quantity.RATE else f"{value * 100:.3g} %"
