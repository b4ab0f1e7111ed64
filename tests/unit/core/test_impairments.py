"""Jitter, reordering, duplication and corruption, as settings of links and their members ask for them."""

from dataclasses import replace

import pytest
from builders import topology

from benito.errors import TopologyMeaningError
from benito.impairments import ratio, time_us, with_impairments
from benito.model import Shaping, Topology


def delayed(delay_us: int = 5000) -> Topology:
    base = topology({"l": "a b c"})
    (lan,) = base.lans
    half = Shaping(delay_us=delay_us)
    return replace(
        base, lans=(replace(lan, members=tuple(replace(one, into=half, out_of=half) for one in lan.members)),)
    )


def asking(base: Topology, *settings: tuple[str, str], member: int | None = None) -> Topology:
    (lan,) = base.lans
    if member is None:
        return replace(base, lans=(replace(lan, settings=settings),))
    members = list(lan.members)
    members[member] = replace(members[member], settings=settings)
    return replace(base, lans=(replace(lan, members=tuple(members)),))


def test_a_lans_setting_holds_from_member_to_member() -> None:
    asked = asking(delayed(), ("setting:jitter", "2ms"), ("setting:corrupt", "1%"), ("setting:other", "x"))
    first, second, _ = with_impairments(asked).lans[0].members
    way = first.into.then(second.out_of)
    assert (way.delay_us, way.jitter_us) == (10_000, 2000)
    assert way.corrupt_ratio == pytest.approx(0.01)


def test_a_members_setting_holds_on_its_way_in() -> None:
    first, second, _ = with_impairments(asking(delayed(), ("setting:duplicate", "0.5"), member=0)).lans[0].members
    assert first.into.then(second.out_of).duplicate_ratio == 0.5
    assert second.into.then(first.out_of).duplicate_ratio == 0


def test_without_such_settings_the_topology_is_the_same() -> None:
    base = asking(delayed(), ("setting:portvlan", "7"))
    assert with_impairments(base) is base


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((("setting:jitter", "soon"), ("setting:reorder", "most")), ("is no time", "is no share")),
        ((("setting:jitter", "20ms"),), ("more than the delay",)),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(settings: tuple[tuple[str, str], ...], said: tuple[str, ...]) -> None:
    with pytest.raises(TopologyMeaningError) as refused:
        with_impairments(asking(delayed(), *settings))
    text = "\n".join(str(problem) for problem in refused.value.problems)
    assert all(words in text for words in said)


def test_nothing_overtakes_where_there_is_no_delay() -> None:
    with pytest.raises(TopologyMeaningError):
        with_impairments(asking(delayed(0), ("setting:reorder", "1%")))


def test_times_and_shares_are_read_with_their_units() -> None:
    assert [time_us(text) for text in ("2", "2ms", "0.5 ms", "500us", "1s")] == [2000, 2000, 500, 500, 1_000_000]
    assert [ratio(text) for text in ("1%", "0.01", "100 %", "1")] == [0.01, 0.01, 1.0, 1.0]
