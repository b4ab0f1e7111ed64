"""Does a test of links: has senders send in nodes and the pnode watch, and what was seen judged."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from benito.errors import BenitoError, HypervisorError, LinkError, NodeManagerError
from benito.linktest.figures import flood_rate_kbps, probe_figures
from benito.linktest.results import Finding, LinkTest, Outcome, Quantity, WayResult
from benito.linktest.senders import Senders, Sent
from benito.linktest.verdicts import judge_flood, judge_probes
from benito.linktest.ways import Flood, Probes, Way, choose, flood, probes, ways_of
from benito.names import ExperimentId
from benito.nodemanager import NodeManager
from benito.plan import PnodePlan
from benito.seams import Count, LinksHealth, Progress, Sighting, Watched, WatchOrder, quiet
from benito.status import BootStatus

#: Discard's port: nothing answers there, and a node says so at most once a second.
_PORT = 9
#: So many ways are measured at once; of floods no more than this in all, so that fast ones have the machine for
#: themselves.
_AT_ONCE = 8
_QUIET_KBPS = 200_000
#: What is not as asked is measured once more, by itself; not where so much is off that it can be no accident.
_MOST_REPEATED = 20
#: How long after the last sender has ended datagrams may still be on their way, beyond what the link asks for.
_SETTLE_SECONDS, _LONGEST_QUEUE_SECONDS = 0.1, 2.0
_QUEUE_FRAMES = 50
_MOST_SAID = 3

Words = Probes | Flood


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was seen of one way: sightings or counts by time, and what its sender says."""

    sightings: tuple[Sighting, ...]
    counts: tuple[Count, ...]
    sent: Sent
    dropped: int
    busy_ratio: float


def run_linktest(
    experiment: ExperimentId,
    parts: Sequence[PnodePlan],
    manager_of: Callable[[str], NodeManager],
    names: Sequence[str] = (),
    *,
    sample: int | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> LinkTest:
    """Tests the links called so, or all, or `sample` of them at random. Raises UsageError for names of no link.

    `manager_of` gives a pnode's node manager.
    """
    started, began = datetime.now(UTC), time.monotonic()
    chosen = choose(experiment, parts, names, sample=sample, seed=seed)
    ways = [way for part, link in chosen for way in ways_of(part, link)]
    alone = [
        WayResult(link=link.lan, sender=port.node, receiver="", why_not="the other members are on other pnodes")
        for part, link in chosen
        for port in link.ports
        if not ways_of(part, link) and _members(parts, link.lan) > 1
    ]
    before = {part.pnode: _health(manager_of(part.pnode), experiment) for part, _ in chosen}
    try:
        results = _Test(experiment, manager_of, progress, before).measure(ways)
    finally:
        # What the test itself did to the machine is not held against the experiment; what it suffered before is.
        for pnode, health in before.items():
            if health is not None and not health.suspect:
                with suppress(BenitoError):  # a relay of an older benito cannot forget; then it says so
                    manager_of(pnode).links.calm(experiment)
    return LinkTest(
        experiment=str(experiment),
        started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(time.monotonic() - began, 1),
        links=len({link.lan for _, link in chosen}),
        of_links=len({link.lan for part in parts for link in part.links}),
        ways=(*results, *alone),
    )


def _health(manager: NodeManager, experiment: ExperimentId) -> LinksHealth | None:
    """None where it cannot be told: the links are measured all the same."""
    try:
        return manager.links.health(experiment)
    except BenitoError:
        return None


def _members(parts: Sequence[PnodePlan], lan: str) -> int:
    return sum(len(link.ports) for part in parts for link in part.links if link.lan == lan)


class _Test:
    def __init__(
        self,
        experiment: ExperimentId,
        manager_of: Callable[[str], NodeManager],
        progress: Progress,
        health: Mapping[str, LinksHealth | None],
    ) -> None:
        self._experiment = experiment
        self._manager_of = manager_of
        self._progress = progress
        self._health = health

    def measure(self, ways: Sequence[Way]) -> list[WayResult]:
        """Every way's result, in order."""
        ways = list(self._with_status(ways))
        able = [index for index, way in enumerate(ways) if not way.why_not]
        results = [
            WayResult(link=way.link, sender=way.sender.node, receiver=way.receiver.node, why_not=way.why_not)
            for way in ways
        ]
        batches = _batches(ways, able, [0] * len(ways))
        for done, batch in enumerate(batches):
            self._progress("probe", done, len(batches))
            for index, result in zip(batch, self._probed([ways[index] for index in batch]), strict=True):
                results[index] = result
        self._progress("probe", len(batches), len(batches))
        loads = [flood(way).rate_kbps for way in ways]
        batches = _batches(ways, [index for index in able if _takes_flood(ways[index], results[index])], loads)
        for done, batch in enumerate(batches):
            self._progress("flood", done, len(batches))
            for index, finding in zip(batch, self._flooded([ways[index] for index in batch]), strict=True):
                results[index] = _with_rate(results[index], finding)
        self._progress("flood", len(batches), len(batches))
        wrong = [self._wrong(way) for way in ways]
        # That a link does not do as asked is no accident where it is not as planned.
        again = [index for index in able if results[index].outcome is not Outcome.OK and not wrong[index]]
        if len(again) <= _MOST_REPEATED:
            for done, index in enumerate(again):
                self._progress("repeat", done, len(again))
                results[index] = self._repeated(ways[index], results[index])
        return [replace(result, not_as_planned=words) for result, words in zip(results, wrong, strict=True)]

    def _wrong(self, way: Way) -> str:
        """What the way's link was other than planned when the test began."""
        health = self._health[way.pnode]
        said = () if health is None else health.broken.get(way.link, ())
        return "; ".join(said[:_MOST_SAID]) + ("; ..." if len(said) > _MOST_SAID else "")

    def _with_status(self, ways: Sequence[Way]) -> Iterator[Way]:
        how: dict[tuple[str, str], str] = {}
        for pnode in dict.fromkeys(way.pnode for way in ways):
            for nodes in self._manager_of(pnode).status(self._experiment).values():
                for node, status in nodes.items():
                    if status.boot is not BootStatus.BOOTED:
                        how[pnode, node] = f"{node} is {status.boot or 'in an unknown state'}"
        for way in ways:
            wrong = [how.get((way.pnode, port.node), "") for port in (way.sender, way.receiver)]
            yield replace(way, why_not=way.why_not or " and ".join(dict.fromkeys(filter(None, wrong))))

    def _repeated(self, way: Way, former: WayResult) -> WayResult:
        """Measured once more, by itself; what was as asked the first time is kept."""
        rate = former.finding(Quantity.RATE)
        result = former
        if former.why_not or any(_is_wrong(finding) for finding in former.findings if finding is not rate):
            (result,) = self._probed([way])
            result = _with_rate(result, rate) if rate else result
        if (rate is None or _is_wrong(rate)) and _takes_flood(way, result):
            (rate,) = self._flooded([way])
            result = _with_rate(result, rate)
        return result

    def _probed(self, ways: Sequence[Way]) -> list[WayResult]:
        orders = [probes(way) for way in ways]
        results = []
        for way, order, seen in zip(ways, orders, self._observe(ways, orders), strict=True):
            if seen.sent.why_not:
                why = f"{way.sender.node}: {seen.sent.why_not}"
                results.append(
                    WayResult(link=way.link, sender=way.sender.node, receiver=way.receiver.node, why_not=why)
                )
                continue
            figures = probe_figures(way, seen.sightings, order.size_bytes)
            result = judge_probes(way, order, figures, dropped=seen.dropped, busy_ratio=seen.busy_ratio)
            results.append(_without_flood(way, result) if way.loses_all else result)
        return results

    def _flooded(self, ways: Sequence[Way]) -> list[Finding]:
        orders = [flood(way) for way in ways]
        return [
            _judged(way, order, seen)
            for way, order, seen in zip(ways, orders, self._observe(ways, orders), strict=True)
        ]

    def _observe(self, ways: Sequence[Way], orders: Sequence[Words]) -> list[_Seen]:
        """Sends as ordered on all of these ways of one pnode at once."""
        manager = self._manager_of(ways[0].pnode)
        run = secrets.randbits(32)
        argvs: dict[int, list[str]] = {}
        failed: dict[int, Sent] = {}
        for number, (way, order) in enumerate(zip(ways, orders, strict=True)):
            try:
                words = _words(way, order, run << 32 | number)
                argvs[number] = manager.links.sender_argv(self._experiment, way.sender.node, words)
            except (HypervisorError, NodeManagerError) as error:
                failed[number] = Sent(why_not=error.message)
        watched = Watched()
        seconds = max(_seconds(order) for order in orders)
        settle = max(_settle_seconds(way, order) for way, order in zip(ways, orders, strict=True))
        with Senders(argvs, seconds=seconds, settle_seconds=settle) as senders:
            try:
                watched = manager.links.watch(
                    self._experiment, _watch_order(ways, orders, run), ready=senders.start, stop=senders.over
                )
                sent = {**failed, **senders.results()}
            except LinkError as error:
                sent = {number: Sent(why_not=_text(error)) for number in range(len(ways))}
        by_way: list[list[Sighting]] = [[] for _ in ways]
        for seen in watched.sightings:
            if seen.way < len(by_way):
                by_way[seen.way].append(seen)
        return [
            _Seen(
                sightings=tuple(sightings),
                counts=tuple(
                    count
                    for count in watched.counts
                    if (count.node, count.interface) == (way.receiver.node, way.receiver.interface)
                ),
                sent=sent[number],
                dropped=watched.dropped,
                busy_ratio=watched.busy_ratio,
            )
            for number, (way, sightings) in enumerate(zip(ways, by_way, strict=True))
        ]


def _judged(way: Way, order: Flood, seen: _Seen) -> Finding:
    if seen.sent.why_not:
        note = f"{way.sender.node}: {seen.sent.why_not}"
        return Finding(quantity=Quantity.RATE, outcome=Outcome.NOT_MEASURED, asked=way.rate_kbps, note=note)
    return judge_flood(
        way,
        flood_rate_kbps(seen.counts, order.milliseconds, order.size_bytes),
        offered_kbps=seen.sent.frames * order.size_bytes * 8000 / max(seen.sent.microseconds, 1),
        waited_ratio=seen.sent.waited_us / max(seen.sent.microseconds, 1),
        busy_ratio=seen.busy_ratio,
    )


def _is_wrong(finding: Finding) -> bool:
    return finding.outcome in (Outcome.OFF, Outcome.NOT_MEASURED)


def _takes_flood(way: Way, result: WayResult) -> bool:
    """Whether its rate can be measured: nothing gets through where all is to be lost."""
    return not result.why_not and not way.loses_all


def _without_flood(way: Way, result: WayResult) -> WayResult:
    asked = way.asked.rate_kbps
    if asked is None or result.why_not:
        return result
    outcome = Outcome.NOT_MEASURED
    return _with_rate(result, Finding(quantity=Quantity.RATE, outcome=outcome, asked=asked, note="nothing arrives"))


def _with_rate(result: WayResult, rate: Finding) -> WayResult:
    return replace(result, findings=(*(each for each in result.findings if each.quantity is not Quantity.RATE), rate))


def _batches(ways: Sequence[Way], able: Sequence[int], loads_kbps: Sequence[int]) -> list[list[int]]:
    """Indexes of ways that are measured at once: of one pnode each, and no more load than leaves it quiet."""
    found: list[list[int]] = []
    load = 0
    for index in able:
        load += loads_kbps[index]
        if (
            not found
            or len(found[-1]) == _AT_ONCE
            or ways[found[-1][0]].pnode != ways[index].pnode
            or load > _QUIET_KBPS
        ):
            found.append([])
            load = loads_kbps[index]
        found[-1].append(index)
    return found


def _watch_order(ways: Sequence[Way], orders: Sequence[Words], run: int) -> WatchOrder:
    """Both ends for probes, one by one; of a flood how much comes out."""
    at = dict.fromkeys((way.receiver.node, way.receiver.interface) for way in ways)
    each = any(isinstance(order, Probes) for order in orders)
    if each:
        at |= dict.fromkeys((way.sender.node, way.sender.interface) for way in ways)
    return WatchOrder(run=run, port=_PORT, at=tuple(at), each=each)


def _words(way: Way, order: Words, token: int) -> list[str]:
    ends = [way.sender.interface, way.receiver.mac, str(way.sender.address.ip), str(way.receiver.address.ip)]
    if isinstance(order, Probes):
        how = ["count", order.size_bytes, order.count, order.interval_us]
    else:
        how = ["flood", order.size_bytes, order.milliseconds, order.rate_kbps]
    return [*ends, str(_PORT), f"{token:016x}", *map(str, how)]


def _seconds(order: Words) -> float:
    return order.seconds if isinstance(order, Probes) else order.milliseconds / 1000


def _settle_seconds(way: Way, order: Words) -> float:
    queued = 0.0 if isinstance(order, Probes) else _QUEUE_FRAMES * way.serialization_us(order.size_bytes) / 1e6
    under_way = (way.asked.delay_us + way.asked.jitter_us) / 1e6
    return _SETTLE_SECONDS + under_way + min(queued, _LONGEST_QUEUE_SECONDS)


def _text(error: BenitoError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
