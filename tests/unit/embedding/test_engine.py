"""The search in C against trying everything, and at the edges of what it can be asked."""

import math
import random
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benito.embedding.engine import Instance, Placement, fits, loads_of, search
from benito.policy import Effort

MANY = settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))


def quick(instance: Instance, seed: int = 0, start: Sequence[Sequence[int]] = ()) -> Placement:
    found = search(instance, seed=seed, effort=Effort.QUICK, start=start)
    assert len(found.part) == len(instance.needs)
    assert found.cut == cut_of(instance, found.part)
    assert found.fits == (broken(instance, found.part) == 0)
    return found


def cut_of(instance: Instance, part: Sequence[int]) -> int:
    return sum(weight * (len({part[pin] for pin in pins}) - 1) for pins, weight in instance.nets)


def broken(instance: Instance, part: Sequence[int]) -> int:
    """How many rules a placement breaks, counted here and not by the engine."""
    count = 0
    for at, limits in enumerate(instance.capacity):
        here = [vertex for vertex, where in enumerate(part) if where == at]
        held = [
            sum(amount for v in here for what, amount in instance.needs[v] if what == r) for r in range(len(limits))
        ]
        count += sum(amount > most for amount, most in zip(held, limits, strict=True))
        count += sum(held[one] > 0 and held[other] > 0 for one, other in instance.conflicts)
        over = sum(
            weight
            for pins, weight in instance.nets
            if any(part[pin] == at for pin in pins) and any(part[pin] != at for pin in pins)
        )
        count += over > instance.uplink[at]
    for vertex, where in enumerate(part):
        count += bool(instance.fixed) and instance.fixed[vertex] not in (-1, where)
        count += bool(instance.allowed) and not instance.allowed[instance.color[vertex]][where]
    return count


def best_cut(instance: Instance) -> int | None:
    every = product(range(len(instance.capacity)), repeat=len(instance.needs))
    return min((cut_of(instance, part) for part in every if broken(instance, part) == 0), default=None)


@st.composite
def instances(draw: st.DrawFn, *, most: int = 6) -> Instance:
    count, parts = draw(st.integers(1, most)), draw(st.integers(1, 3))
    resources = draw(st.integers(1, 3))
    vertex = st.integers(0, count - 1)
    weights = st.one_of(st.integers(0, 5), st.integers(0, 10**7))
    pins = st.lists(vertex, min_size=min(2, count), max_size=5, unique=True).map(tuple)
    amount = st.tuples(st.integers(0, resources - 1), st.integers(0, 5))
    colors = draw(st.integers(1, 2))
    most_there = st.one_of(st.integers(0, 20), st.just(math.inf))
    return Instance(
        nets=draw(st.lists(st.tuples(pins, weights), max_size=8)),
        needs=[draw(st.lists(amount, max_size=2, unique_by=lambda pair: pair[0])) for _ in range(count)],
        capacity=[[draw(most_there) for _ in range(resources)] for _ in range(parts)],
        uplink=[draw(st.one_of(st.integers(0, 3 * 10**7), st.just(math.inf), st.just(math.inf))) for _ in range(parts)],
        color=[draw(st.integers(0, colors - 1)) for _ in range(count)],
        allowed=[[draw(st.integers(0, 3)) > 0 for _ in range(parts)] for _ in range(colors)],
        fixed=[draw(st.sampled_from([-1, -1, -1, *range(parts)])) for _ in range(count)],
        conflicts=[(0, resources - 1)] if resources > 1 and draw(st.booleans()) else [],
    )


@MANY
@given(instances(most=5))
def test_tiny_instances_are_solved_exactly(instance: Instance) -> None:
    best, found = best_cut(instance), search(instance, seed=0, effort=Effort.DEFAULT)
    assert found.fits == (best is not None)
    if best is not None:
        assert found.cut == best


@MANY
@given(instances(most=12), st.data())
def test_a_start_that_fits_is_never_made_worse(instance: Instance, data: st.DataObject) -> None:
    start = data.draw(st.lists(st.integers(0, len(instance.capacity) - 1), min_size=12, max_size=12))
    start = start[: len(instance.needs)]
    found = quick(instance, start=[start])
    if broken(instance, start) == 0:
        assert found.fits
        assert found.cut <= cut_of(instance, start)


@MANY
@given(instances(most=12))
def test_what_fits_is_what_breaks_no_rule(instance: Instance) -> None:
    for seed in range(3):
        part = random.Random(seed).choices(range(len(instance.capacity)), k=len(instance.needs))  # noqa: S311 - no secret
        assert fits(instance, part) == (broken(instance, part) == 0)
        loads, traffic = loads_of(instance, part)
        assert len(loads) == len(traffic) == len(instance.capacity)


def plain(count: int, nets: Sequence[tuple[Sequence[int], int]], capacity: Sequence[float], **more: object) -> Instance:
    """Vertices that need 1 each."""
    uplink = [math.inf] * len(capacity)
    needs = [[(0, 1)]] * count
    return Instance(nets=nets, needs=needs, capacity=[[most] for most in capacity], **({"uplink": uplink} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_lone_vertex(parts: int) -> None:
    found = quick(plain(1, [], [1] * parts))
    assert found.fits
    assert found.cut == 0


def test_no_vertex_at_all() -> None:
    assert quick(plain(0, [], [1, 1])) == Placement(part=(), cut=0, fits=True)


def test_a_lone_vertex_goes_where_it_must() -> None:
    assert quick(plain(1, [], [1, 1, 1], fixed=[2])).part == (2,)
    assert quick(plain(1, [], [0, 1, 0])).part == (1,)
    assert quick(plain(1, [], [1, 1], color=[0], allowed=[[False, True]])).part == (1,)


def test_without_nets_only_the_room_counts() -> None:
    found = quick(plain(40, [], [10] * 4))
    assert found.fits
    assert sorted(found.part.count(at) for at in range(4)) == [10] * 4


def test_more_parts_than_vertices() -> None:
    assert quick(plain(3, [((0, 1), 5), ((1, 2), 1)], [2] * 50)) == quick(
        plain(3, [((0, 1), 5), ((1, 2), 1)], [2] * 50)
    )
    assert quick(plain(3, [((0, 1), 5), ((1, 2), 1)], [2] * 50)).cut == 1


def test_a_vertex_in_a_thousand_nets_draws_its_neighbours() -> None:
    star = [((0, 1 + at % 20), 1) for at in range(1000)]
    found = quick(plain(21, star, [11, 11]))
    assert found.fits
    assert found.cut == 500


def test_a_net_with_all_vertices_costs_by_the_parts_it_touches() -> None:
    everything = (tuple(range(30)), 7)
    assert quick(plain(30, [everything], [30, 30, 30])).cut == 0
    assert quick(plain(30, [everything], [10, 10, 10])).cut == 14
    assert (
        quick(plain(30, [everything], [0, 30, 30])).part == (quick(plain(30, [everything], [0, 30, 30])).part[0],) * 30
    )


def test_nets_that_weigh_nothing() -> None:
    nets = [((at, (at * 7 + 1) % 24), 0) for at in range(24)]
    found = quick(plain(24, nets, [6] * 4))
    assert found.fits
    assert found.cut == 0


@pytest.mark.parametrize("count", [2, 8, 40])
def test_many_nets_with_all_vertices_that_weigh_nothing(count: int) -> None:
    nothing = [(tuple(range(count)), 0)] * 40
    found = quick(plain(count, nothing, [count] * 3))
    assert found.fits
    assert found.cut == 0


def test_no_limit_at_all_cuts_nothing() -> None:
    nets = [((at, at + 1), 10**7) for at in range(50)]
    assert quick(plain(51, nets, [math.inf] * 5)).cut == 0


def test_parts_without_any_room_stay_empty() -> None:
    found = quick(plain(10, [((at, at + 1), 3) for at in range(9)], [0, 5, 0, 5, 0]))
    assert found.fits
    assert set(found.part) == {1, 3}
    assert found.cut == 3


def test_no_room_anywhere_is_said() -> None:
    found = quick(plain(5, [((0, 1), 3)], [0, 0]))
    assert not found.fits


def test_a_net_of_one_vertex_and_nets_side_by_side() -> None:
    nets = [((0,), 9), ((0, 1), 2), ((0, 1), 2), ((1, 2), 3)]
    found = quick(plain(3, nets, [2, 2]))
    assert found.cut == 3


def test_weights_near_the_limit_are_exact() -> None:
    big = 2**50
    found = quick(plain(4, [((0, 1), big), ((2, 3), big), ((1, 2), big - 1), ((0, 3), 1)], [2, 2]))
    assert found.cut == big


def test_uplinks_decide_where_they_are_narrow() -> None:
    nets = [((0, 1), 10), ((2, 3), 10), ((0, 2), 1), ((1, 3), 1)]
    narrow = plain(4, nets, [2, 2], uplink=[2, 2])
    assert quick(narrow).cut == 2
    assert not quick(plain(4, nets, [2, 2], uplink=[1, 9])).fits


@pytest.mark.parametrize("seed", range(4))
def test_an_uplink_that_carries_nothing_is_found_out(seed: int) -> None:
    nets = [((0, 1), 2), ((0, 1, 2, 3), 1)]
    shut = plain(4, nets, [9, 9], uplink=[0, math.inf], fixed=[-1, -1, -1, 1])
    assert search(shut, seed=seed, effort=Effort.DEFAULT) == Placement(part=(1, 1, 1, 1), cut=0, fits=True)


def test_a_good_start_survives_many_others() -> None:
    draw = random.Random(3)  # noqa: S311 - an example, not a secret
    nets = [((at, at + 1), 1) for at in range(59)]
    good = [at // 15 for at in range(60)]
    others = [draw.sample(good, 60) for _ in range(12)]
    assert quick(plain(60, nets, [15] * 4), start=[*others, good]).cut == 3


def test_the_same_seed_finds_the_same() -> None:
    draw = random.Random(8)  # noqa: S311 - an example, not a secret
    nets = [(draw.sample(range(200), draw.choice([2, 2, 3, 9])), draw.randint(1, 1000)) for _ in range(400)]
    instance = plain(200, nets, [25] * 9)
    first, again, other = (quick(instance, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.fits
    assert other.part != first.part
