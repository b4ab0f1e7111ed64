"""Which ways of which links are measured, with what."""

from dataclasses import replace

import pytest
from builders import STAR
from hypothesis import given, settings
from hypothesis import strategies as st
from linkways import plan_of, way_of

from benito.errors import UsageError
from benito.linktest.ways import choose, flood, probes, ways_of
from benito.model import Shaping
from benito.plan import PnodePlan

TEN = Shaping(rate_kbps=10_000)
LOSSY = Shaping(loss_ratio=0.1)


def ends(plan: PnodePlan, lan: str) -> list[tuple[str, str]]:
    link = next(link for link in plan.links if link.lan == lan)
    return [(way.sender.node, way.receiver.node) for way in ways_of(plan, link)]


def test_a_link_is_measured_both_ways_and_a_lan_around() -> None:
    plan = plan_of({"link": "a b", "lan": "a b c d"})
    assert ends(plan, "link") == [("a", "b"), ("b", "a")]
    assert ends(plan, "lan") == [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]


@settings(deadline=None)
@given(st.integers(min_value=2, max_value=40))
def test_each_half_of_a_lan_is_met_once(members: int) -> None:
    names = " ".join(f"n{index}" for index in range(members))
    found = ends(plan_of({"lan": names}), "lan")
    assert sorted(sender for sender, _ in found) == sorted(receiver for _, receiver in found) == sorted(names.split())


def test_a_lan_with_one_member_here_has_no_way() -> None:
    plan = plan_of({"lan": "a b c"})
    (link,) = plan.links
    assert ways_of(replace(plan, nodes=plan.nodes[:1]), link) == []


def test_a_pulled_cable_is_said() -> None:
    plan = plan_of({"lan": "a b c"})
    link = replace(plan.links[0], down=("b",))
    assert [way.why_not for way in ways_of(plan, link)] == ["the cable of b is pulled"] * 2 + [""]


class TestChoice:
    plan = plan_of({f"link{index}": f"center n{index}" for index in range(20)})

    def names(self, *names: str, sample: int | None = None, seed: int = 0) -> list[str]:
        return [link.lan for _, link in choose(STAR, [self.plan], names, sample=sample, seed=seed)]

    def test_all_or_those_named_in_any_case(self) -> None:
        assert len(self.names()) == 20
        assert self.names("LINK3", "link1") == ["link1", "link3"]

    def test_a_sample_depends_on_the_seed_alone(self) -> None:
        first = self.names(sample=5)
        assert len(set(first)) == 5
        assert first == self.names(sample=5)
        assert any(first != self.names(sample=5, seed=seed) for seed in range(1, 5))
        assert self.names(sample=50) == self.names()

    def test_a_name_of_no_link_is_refused(self) -> None:
        with pytest.raises(UsageError, match="has no link lnik3") as refused:
            self.names("lnik3")
        assert "link3" in (refused.value.hint or "")

    def test_all_names_of_no_link_are_told(self) -> None:
        with pytest.raises(UsageError) as refused:
            self.names("lnik3", "link1", "nolink")
        assert refused.value.message == "lab/star has no link lnik3; lab/star has no link nolink"

    def test_no_links_at_all_is_refused(self) -> None:
        with pytest.raises(UsageError, match="has no links"):
            choose(STAR, [replace(self.plan, links=())], (), sample=None, seed=0)


@pytest.mark.parametrize(
    ("into", "out_of", "members", "rate_kbps"),
    [
        pytest.param(Shaping(), Shaping(), 2, None, id="unlimited"),
        pytest.param(TEN, replace(TEN, rate_kbps=4000), 3, 4000, id="the lower of a LAN's halves"),
        pytest.param(replace(TEN, loss_ratio=0.1), LOSSY, 2, 10_000, id="a link loses before its one queue"),
        pytest.param(replace(TEN, loss_ratio=0.1), LOSSY, 3, 9000, id="a LAN's second half loses after it"),
        pytest.param(replace(TEN, loss_ratio=1), Shaping(), 2, 0, id="all is lost before the queue"),
        pytest.param(TEN, replace(LOSSY, loss_ratio=1), 3, 0, id="all is lost after it"),
        pytest.param(Shaping(loss_ratio=1), Shaping(), 2, None, id="all is lost and no rate asked"),
        pytest.param(TEN, replace(TEN, duplicate_ratio=0.5), 3, 10_000, id="copies do not pass the second queue"),
    ],
)
def test_the_rate_that_should_come_out(into: Shaping, out_of: Shaping, members: int, rate_kbps: int | None) -> None:
    assert way_of(into, out_of, lan=members > 2).rate_kbps == rate_kbps


class TestDatagrams:
    def test_plain_links_get_few_probes_and_losing_ones_enough(self) -> None:
        assert probes(way_of()).count == 200
        assert probes(way_of(Shaping(loss_ratio=0.05))).count == 600
        assert probes(way_of(Shaping(loss_ratio=0.0001))).count == 2000

    @settings(deadline=None)
    @given(st.integers(min_value=8, max_value=10_000_000))
    def test_no_probe_waits_for_another_nor_the_user_for_minutes(self, rate_kbps: int) -> None:
        way = way_of(Shaping(rate_kbps=rate_kbps), lan=True)
        order = probes(way)
        assert order.interval_us >= 2 * way.serialization_us(order.size_bytes)
        assert order.count >= 20
        assert order.seconds <= 10 or order.count == 20

    @settings(deadline=None)
    @given(st.integers(min_value=64, max_value=10_000_000), st.sampled_from([0.0, 0.2]))
    def test_a_flood_is_more_than_the_link_takes(self, rate_kbps: int, loss_ratio: float) -> None:
        order = flood(way_of(Shaping(rate_kbps=rate_kbps, loss_ratio=loss_ratio)))
        assert order.rate_kbps * (1 - loss_ratio) > 1.2 * rate_kbps
        assert 100 <= order.size_bytes <= 1514
        frames = order.milliseconds * rate_kbps / 8 / order.size_bytes
        assert frames > 60 or order.milliseconds == 5000

    def test_damage_is_looked_for_in_large_probes(self) -> None:
        assert probes(way_of(Shaping(corrupt_ratio=0.1))).size_bytes == 1000
