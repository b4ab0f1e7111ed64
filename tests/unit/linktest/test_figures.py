"""Numbers of what was seen, and what chance allows."""

import math
import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkways import counted, passed, seen, way_of

from benito.linktest.figures import (
    CONFIDENCE,
    binomial_bounds,
    flood_rate_kbps,
    half_spread,
    overtaking,
    probe_figures,
    quantile,
)
from benito.model import Shaping


def exactly(count: int, chance: Fraction, low: int, high: int) -> Fraction:
    """How likely it is that from `low` to `high` of `count` happen."""
    return sum(
        (
            math.comb(count, number) * chance**number * (1 - chance) ** (count - number)
            for number in range(low, high + 1)
        ),
        start=Fraction(0),
    )


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=60), st.integers(min_value=1, max_value=99))
def test_bounds_hold_as_sure_as_promised_and_are_no_wider(count: int, percent: int) -> None:
    chance, tail = Fraction(percent, 100), Fraction(1 - CONFIDENCE).limit_denominator(10**6) / 2
    least, most = binomial_bounds(count, percent / 100, percent / 100)
    tiny = Fraction(1, 10**9)
    assert exactly(count, chance, 0, least - 1) <= tail + tiny
    assert exactly(count, chance, most + 1, count) <= tail + tiny
    assert exactly(count, chance, 0, least) > tail - tiny
    assert exactly(count, chance, most, count) > tail - tiny


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=2000), st.floats(min_value=0, max_value=1))
def test_bounds_lie_around_what_is_expected(count: int, chance: float) -> None:
    least, most = binomial_bounds(count, chance, chance)
    assert 0 <= least <= count * chance + 1
    assert count * chance - 1 <= most <= count
    assert least <= most


@given(st.floats(min_value=0, max_value=1), st.floats(min_value=0, max_value=1))
def test_an_unsure_chance_only_widens_bounds(one: float, other: float) -> None:
    low, high = sorted((one, other))
    least, most = binomial_bounds(200, low, high)
    assert least == binomial_bounds(200, low, low)[0]
    assert most == binomial_bounds(200, high, high)[1]


def test_nothing_and_all_leave_no_room() -> None:
    assert binomial_bounds(200, 0, 0) == (0, 0)
    assert binomial_bounds(200, 1, 1) == (200, 200)


@pytest.mark.parametrize("jitters", [(10.0,), (5.0, 5.0), (8.0, 2.0), (9.0, 0.0), (7.0, 3.5)])
def test_the_spread_of_one_or_two_even_values(jitters: tuple[float, ...]) -> None:
    generator = random.Random(1)  # noqa: S311 - no secret
    drawn = sorted(sum(generator.uniform(-each, each) for each in jitters) for _ in range(40_000))
    found = (quantile(drawn, 0.75) - quantile(drawn, 0.25)) / 2
    assert half_spread(jitters) == pytest.approx(found, rel=0.03)


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1), st.floats(min_value=0, max_value=1))
def test_a_quantile_lies_within(values: list[float], share: float) -> None:
    ordered = sorted(values)
    assert ordered[0] - 1e-6 <= quantile(ordered, share) <= ordered[-1] + 1e-6


class TestProbes:
    way = way_of(Shaping(delay_us=10_000))

    def test_delays_and_losses(self) -> None:
        found = probe_figures(self.way, passed(self.way, [10_000, None, 10_500, 9_900]), 100)
        assert (found.sent, found.arrived, found.timed) == (4, 3, 3)
        assert found.delays_us == (9_900, 10_000, 10_500)

    def test_copies_and_damage(self) -> None:
        probes = passed(self.way, [10_000, 10_000])
        probes += [seen(self.way, 0, 11_000_000, inbound=True), seen(self.way, 5, 11_000_000, inbound=True)]
        probes = [replace(one, is_whole=not (one.inbound and one.number == 0)) for one in probes]
        found = probe_figures(self.way, probes, 100)
        assert (found.sent, found.arrived, found.doubled, found.damaged) == (2, 2, 1, 1)

    def test_other_members_of_the_lan_do_not_count(self) -> None:
        way = way_of(lan=True)
        third = seen(way, 0, 500, inbound=True)
        third = replace(third, node="c")
        assert probe_figures(way, [seen(way, 0, 0, inbound=False), third], 100).arrived == 0

    def test_who_waited_behind_another_is_not_timed(self) -> None:
        slow = way_of(Shaping(rate_kbps=800))  # 1 ms for a probe
        close = passed(slow, [1000, 1500, 1000], interval_us=1500)
        assert probe_figures(slow, close, 100).delays_us == (1000,)
        assert probe_figures(slow, passed(slow, [1000, 1000], interval_us=4000), 100).timed == 2

    def test_who_overtakes_is_no_delay(self) -> None:
        way = way_of(Shaping(delay_us=10_000, jitter_us=1000, reorder_ratio=0.5))
        found = probe_figures(way, passed(way, [10_000, 5, 9_100, 8]), 100)
        assert (found.overtook, found.timed, found.delays_us) == (2, 4, (9_100, 10_000))

    @pytest.mark.parametrize("members", [2, 3])
    @pytest.mark.parametrize("jitter_us", [0, 4_000, 9_000])
    @pytest.mark.parametrize("reorder_ratio", [0.05, 0.4])
    def test_how_many_are_told_to_overtake(self, members: int, jitter_us: int, reorder_ratio: float) -> None:
        half = Shaping(delay_us=10_000, jitter_us=jitter_us, reorder_ratio=reorder_ratio)
        way = way_of(half, half, lan=members > 2)
        generator = random.Random(2)  # noqa: S311 - no secret

        def delay(of: Shaping) -> float:
            overtakes = generator.random() < of.reorder_ratio
            return 0.0 if overtakes else of.delay_us + generator.uniform(-of.jitter_us, of.jitter_us)

        count = 20_000
        floor_us, low, high = overtaking(way)
        share = sum(sum(map(delay, way.halves)) < floor_us for _ in range(count)) / count
        assert low - 0.012 <= share <= high + 0.012
        assert high - low < (0.1 if jitter_us < 9_000 or members == 2 else 0.4)


class TestFloods:
    def test_a_steady_one(self) -> None:
        assert flood_rate_kbps(counted([10_000.0] * 50), 1000, 1000) == pytest.approx(10_000, rel=0.01)

    def test_the_first_burst_does_not_count(self) -> None:
        assert flood_rate_kbps(counted([90_000.0, *[10_000.0] * 49]), 1000, 1000) == pytest.approx(10_000, rel=0.01)

    def test_moments_of_silence_do_not_count(self) -> None:
        rates = [100_000.0 if index % 7 else 0.0 for index in range(50)]
        assert flood_rate_kbps(counted(rates), 1000, 1514) == pytest.approx(100_000, rel=0.01)

    def test_something_small_before_it_does_not_begin_it(self) -> None:
        early = counted([50.0, *[0.0] * 60, *[10_000.0] * 50])
        assert flood_rate_kbps(early, 1000, 1000) == pytest.approx(10_000, rel=0.01)

    def test_a_look_that_came_late_is_no_beginning(self) -> None:
        counts = counted([10_000.0] * 50)
        assert flood_rate_kbps(counts[:25] + counts[45:], 1000, 1000) == pytest.approx(10_000, rel=0.01)

    def test_a_slow_one_is_told_from_all_of_it(self) -> None:
        assert flood_rate_kbps(counted([64.0] * 50), 1000, 100) == pytest.approx(64, rel=0.05)

    def test_what_a_slow_node_did_not_take_has_come_too(self) -> None:
        counts = counted([5_000.0] * 50)
        more = [replace(one, refused_packets=one.total_bytes // 1000) for one in counts]
        assert flood_rate_kbps(more, 1000, 1000) == pytest.approx(10_000, rel=0.02)

    def test_nothing(self) -> None:
        assert flood_rate_kbps(counted([]), 1000, 1000) == 0
        assert flood_rate_kbps([], 1000, 1000) == 0
