"""Asked against measured: what is ok, what is off, and what nobody can say."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkways import passed, seen, way_of

from benito.linktest.figures import probe_figures
from benito.linktest.results import Outcome, Quantity, WayResult
from benito.linktest.verdicts import judge_flood, judge_probes
from benito.linktest.ways import Way, probes
from benito.model import Kind, Shaping
from benito.seams import Sighting

OK, OFF, NOT = Outcome.OK, Outcome.OFF, Outcome.NOT_MEASURED


def judged(
    way: Way,
    delays_us: list[float | None],
    *,
    dropped: int = 0,
    busy_ratio: float = 0.2,
    more: list[Sighting] | None = None,
) -> WayResult:
    order = replace(probes(way), count=len(delays_us))
    sightings = [*passed(way, delays_us, order.interval_us), *(more or [])]
    figures = probe_figures(way, sightings, order.size_bytes)
    return judge_probes(way, order, figures, dropped=dropped, busy_ratio=busy_ratio)


def of(result: WayResult, quantity: Quantity) -> Outcome:
    finding = result.finding(quantity)
    assert finding is not None
    return finding.outcome


@pytest.mark.parametrize(
    ("asked_us", "measured_us", "outcome"),
    [
        (0, 5, OK),
        (0, 990, OK),
        (0, 1100, OFF),
        (10_000, 9_960, OK),
        (10_000, 9_900, OFF),
        (10_000, 10_990, OK),
        (10_000, 11_100, OFF),
        (100_000, 104_900, OK),
        (100_000, 105_100, OFF),
        (100_000, 0, OFF),
    ],
)
def test_a_delay_may_be_a_little_late_and_hardly_early(asked_us: int, measured_us: float, outcome: Outcome) -> None:
    result = judged(way_of(Shaping(delay_us=asked_us)), [float(measured_us)] * 200)
    assert (of(result, Quantity.DELAY), result.outcome) == (outcome, outcome)


def test_a_probe_may_take_its_time_at_the_rate() -> None:
    slow = Shaping(rate_kbps=64, delay_us=10_000)  # 12.5 ms for a probe
    assert of(judged(way_of(slow), [23_000.0] * 50), Quantity.DELAY) is OK
    assert of(judged(way_of(slow), [24_000.0] * 50), Quantity.DELAY) is OFF
    assert of(judged(way_of(slow, slow, lan=True), [46_000.0] * 50), Quantity.DELAY) is OK


def test_what_is_off_is_told_by_how_much() -> None:
    finding = judged(way_of(Shaping(delay_us=10_000)), [15_000.0] * 200).finding(Quantity.DELAY)
    assert finding is not None
    assert (finding.note, finding.asked, finding.measured) == ("5 ms more than asked", 10_000, 15_000)


@pytest.mark.parametrize(
    ("asked", "lost", "outcome"),
    [
        (0.0, 0, OK),
        (0.0, 1, OFF),
        (0.05, 30, OK),
        (0.05, 14, OK),
        (0.05, 13, OFF),
        (0.05, 49, OK),
        (0.05, 50, OFF),
        (1.0, 600, OK),
    ],
)
def test_losses_may_be_what_chance_makes_them(asked: float, lost: int, outcome: Outcome) -> None:
    delays = [None] * lost + [5.0] * (600 - lost)
    result = judged(way_of(Shaping(loss_ratio=asked)), delays)
    assert (of(result, Quantity.LOSS), result.outcome) == (outcome, outcome)


def test_a_link_that_lets_nothing_through_is_off() -> None:
    result = judged(way_of(), [None] * 200)
    assert (of(result, Quantity.LOSS), of(result, Quantity.DELAY), result.outcome) == (OFF, NOT, OFF)


class TestDoubt:
    late, early = [15_000.0] * 200, [5_000.0] * 200
    way = way_of(Shaping(delay_us=10_000))

    def test_a_busy_machine_is_no_proof_against_the_link(self) -> None:
        result = judged(self.way, [*self.late[:150], *[10_000.0] * 50], busy_ratio=0.97)
        finding = result.finding(Quantity.DELAY)
        assert finding is not None
        assert (finding.outcome, finding.note) == (NOT, "this machine was busy, 97% of its cores")
        assert result.outcome is NOT

    def test_but_it_makes_no_delay_shorter_nor_all_longer_nor_loses(self) -> None:
        assert judged(self.way, self.early, busy_ratio=0.97).outcome is OFF
        assert judged(self.way, self.late, busy_ratio=0.97).outcome is OFF
        assert of(judged(self.way, [None] * 9 + [10_000.0] * 191, busy_ratio=0.97), Quantity.LOSS) is OFF

    def test_what_was_not_seen_is_no_proof_either(self) -> None:
        result = judged(way_of(), [None] * 5 + [5.0] * 195, dropped=5)
        assert (of(result, Quantity.LOSS), of(result, Quantity.DELAY)) == (NOT, OK)

    def test_what_is_ok_in_spite_of_it_is_ok(self) -> None:
        assert judged(self.way, [10_000.0] * 200, busy_ratio=1.0, dropped=3).outcome is OK

    def test_probes_that_hardly_left_are_no_test(self) -> None:
        order = probes(way_of())
        figures = probe_figures(way_of(), passed(way_of(), [5.0] * 60), 100)
        result = judge_probes(way_of(), order, figures, dropped=0, busy_ratio=0)
        assert (result.outcome, result.why_not) == (NOT, "60 of 200 probes left a")


def drawn(way: Way, count: int, seed: int) -> list[float]:
    generator = random.Random(seed)  # noqa: S311 - no secret
    return [
        way.asked.delay_us + sum(generator.uniform(-half.jitter_us, half.jitter_us) for half in way.halves)
        for _ in range(count)
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0, max_value=10**6), st.sampled_from([2, 3]))
def test_even_jitter_is_as_asked(seed: int, members: int) -> None:
    half = Shaping(delay_us=20_000, jitter_us=8_000)
    way = way_of(half, half, lan=members > 2)
    result = judged(way, list(drawn(way, 500, seed)))
    assert (of(result, Quantity.JITTER), of(result, Quantity.DELAY)) == (OK, OK)


def test_no_jitter_and_too_much_are_off() -> None:
    way = way_of(Shaping(delay_us=20_000, jitter_us=8_000))
    assert of(judged(way, [20_000.0] * 500), Quantity.JITTER) is OFF
    assert of(judged(way, [20_000 + 2 * (each - 20_000) for each in drawn(way, 500, 1)]), Quantity.JITTER) is OFF


def test_overtaking_is_counted_where_it_is_asked() -> None:
    way = way_of(Shaping(delay_us=10_000, reorder_ratio=0.25))
    for share, outcome in ((0.25, OK), (0.0, OFF), (0.6, OFF)):
        early = int(400 * share)
        result = judged(way, [5.0] * early + [10_000.0] * (400 - early))
        assert (of(result, Quantity.REORDER), of(result, Quantity.DELAY)) == (outcome, OK)
    assert judged(way_of(Shaping(delay_us=10_000)), [5.0] * 150 + [10_000.0] * 50).outcome is OFF


@pytest.mark.parametrize(("asked", "copies", "outcome"), [(0.0, 0, None), (0.0, 3, OFF), (0.1, 20, OK), (0.1, 0, OFF)])
def test_copies_are_a_fault_unless_asked(asked: float, copies: int, outcome: Outcome | None) -> None:
    way = way_of(Shaping(duplicate_ratio=asked))
    again = [seen(way, number, 10**10, inbound=True) for number in range(copies)]
    finding = judged(way, [5.0] * 200, more=again).finding(Quantity.DUPLICATE)
    assert (finding.outcome if finding else None) is outcome


@pytest.mark.parametrize(("asked", "share", "outcome"), [(0.2, 0.19, OK), (0.2, 0.0, OFF), (0.0, 0.1, OFF)])
def test_damage_is_found(asked: float, share: float, outcome: Outcome) -> None:
    way = way_of(Shaping(corrupt_ratio=asked))
    order = probes(way)
    sightings = [
        replace(one, is_whole=not (one.inbound and one.number < share * order.count))
        for one in passed(way, [5.0] * order.count)
    ]
    figures = probe_figures(way, sightings, order.size_bytes)
    assert of(judge_probes(way, order, figures, dropped=0, busy_ratio=0), Quantity.CORRUPT) is outcome


def damaged(way: Way, count: int, seed: int, *, sees: bool = True) -> WayResult:
    """One wrong bit in each first copy, as the relay has it; its twin is whole. A stranger is not seen at all."""
    generator = random.Random(seed)  # noqa: S311 - no secret
    order = replace(probes(way), count=count)
    sightings = []
    for one in passed(way, [5.0] * count, order.interval_us):
        at = generator.randrange(8 * order.size_bytes)
        if not one.inbound or generator.random() >= way.asked.corrupt_ratio:
            sightings.append(one)
        elif at >= 8 * 54:
            sightings.append(replace(one, is_whole=not sees))
        elif at >= 153:
            sightings.append(one)
    twins = generator.sample(range(count), round(count * way.asked.duplicate_ratio))
    sightings += [seen(way, number, 10**11, inbound=True) for number in twins]
    figures = probe_figures(way, sightings, order.size_bytes)
    return judge_probes(way, order, figures, dropped=0, busy_ratio=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(min_value=0, max_value=10**6), st.sampled_from([0.05, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_damage_loses_some_and_hides_some(seed: int, corrupt: float, duplicate: float) -> None:
    way = way_of(Shaping(corrupt_ratio=corrupt, duplicate_ratio=duplicate))
    assert damaged(way, 400, seed).outcome is OK


def test_damage_that_is_not_done_is_missed_even_where_all_is_asked() -> None:
    for duplicate in (0.0, 1.0):
        way = way_of(Shaping(corrupt_ratio=1, duplicate_ratio=duplicate))
        assert of(damaged(way, 400, 1, sees=False), Quantity.CORRUPT) is OFF


def test_what_damage_loses_is_allowed_for_and_no_more() -> None:
    way = way_of(Shaping(corrupt_ratio=0.5))
    finding = damaged(way, 2000, 1).finding(Quantity.LOSS)
    assert finding is not None
    assert finding.allowed == pytest.approx(0.5 * 153 / 8000)
    delays = [None] * 100 + [5.0] * 1900
    assert of(judged(way, delays), Quantity.LOSS) is OFF


TEN = Shaping(rate_kbps=10_000)


@pytest.mark.parametrize(
    ("measured", "offered", "waited", "busy", "outcome"),
    [
        pytest.param(9_980, 30_000, 0.0, 0.3, OK, id="as asked"),
        pytest.param(9_510, 30_000, 0.0, 0.3, OK, id="nearly"),
        pytest.param(9_400, 30_000, 0.0, 0.3, OFF, id="too little"),
        pytest.param(10_600, 30_000, 0.0, 1.0, OFF, id="too much, whatever the machine does"),
        pytest.param(9_400, 30_000, 0.0, 0.95, NOT, id="too little of a busy machine"),
        pytest.param(9_600, 9_700, 0.0, 0.3, NOT, id="a sender that is no faster"),
        pytest.param(5_000, 5_000, 0.0, 0.3, NOT, id="a slow sender"),
        pytest.param(9_990, 9_995, 0.0, 0.3, OK, id="a rate that is met is its own proof"),
        pytest.param(9_600, 9_700, 0.5, 0.3, OK, id="a full link that makes its sender wait"),
        pytest.param(5_000, 5_000, 0.5, 0.3, OFF, id="a link that makes its sender wait too long"),
    ],
)
def test_a_rate_needs_a_load(measured: float, offered: float, waited: float, busy: float, outcome: Outcome) -> None:
    way = way_of(TEN)
    found = judge_flood(way, measured, offered_kbps=offered, waited_ratio=waited, busy_ratio=busy)
    assert (found.quantity, found.outcome, found.measured) == (Quantity.RATE, outcome, measured)
    assert (found.low, found.high) == (9_500, 10_500)
    assert bool(found.note) == (outcome is not OK)


@pytest.mark.parametrize(
    ("second", "queue", "measured", "outcome"),
    [
        (0, 50, 900, OFF),
        (0, 1, 900, OK),
        (0, 1, 700, OFF),
        (0, 1, 1_100, OFF),
        (1, 1, 500, NOT),
    ],
)
def test_a_queue_of_one_packet_leaves_gaps(second: int, queue: int, measured: float, outcome: Outcome) -> None:
    half = Shaping(rate_kbps=1_000, queue_packets=queue)
    found = judge_flood(
        way_of(half, half if second else Shaping(), lan=bool(second)),
        measured,
        offered_kbps=6_250,
        waited_ratio=0,
        busy_ratio=0.1,
    )
    assert found.outcome is outcome
    assert (found.allowed is not None) == (queue == 1 and measured < 1_000)


def test_copies_may_come_behind_the_queue() -> None:
    way = way_of(replace(TEN, duplicate_ratio=0.5))
    outcomes = [
        judge_flood(way, rate, offered_kbps=30_000, waited_ratio=0, busy_ratio=0.1).outcome
        for rate in (10_000, 15_000, 16_000, 9_000)
    ]
    assert outcomes == [OK, OK, OFF, OFF]


def test_a_machine_that_waits_for_itself_proves_nothing() -> None:
    way = way_of(TEN)
    way = replace(way, sender=replace(way.sender, kind=Kind.QEMU))
    found = judge_flood(way, 5_000, offered_kbps=5_000, waited_ratio=0.9, busy_ratio=0.1)
    assert (found.outcome, found.note) == (NOT, "a sent 5 Mb/s, too little to fill the link")


def test_without_an_asked_rate_it_is_only_told() -> None:
    found = judge_flood(way_of(), 900_000, offered_kbps=910_000, waited_ratio=0, busy_ratio=1)
    assert (found.outcome, found.asked, found.note) == (Outcome.INFO, None, "at least: all that was sent")
    assert judge_flood(way_of(), 500_000, offered_kbps=910_000, waited_ratio=0, busy_ratio=1).note == ""
