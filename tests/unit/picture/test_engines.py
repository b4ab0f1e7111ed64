"""What places things: pushing apart, packing, graphviz."""

import random
import shutil
from itertools import combinations

import pytest
from pictures import drawing, overlap

from benito.errors import UsageError
from benito.picture import graphviz
from benito.picture.groups import bus, rings
from benito.picture.layout import lay_out
from benito.picture.model import Point, Rect
from benito.picture.separate import Size, pack, separate

Sizes = list[Size]


def rects(places: list[Point], sizes: Sizes) -> list[Rect]:
    return [Rect(x=x, y=y, width=w, height=h) for (x, y), (w, h) in zip(places, sizes, strict=True)]


def overlaps(found: list[Rect]) -> int:
    return sum(overlap(*pair) for pair in combinations(found, 2))


@pytest.mark.parametrize("spread", [0.0, 1.0, 300.0])
@pytest.mark.parametrize("largest", [20, 2000])
def test_rectangles_come_apart_also_from_one_point(spread: float, largest: int) -> None:
    dice = random.Random(1)  # noqa: S311 - no secret
    sizes = [(dice.uniform(5, largest), dice.uniform(5, largest / 3)) for _ in range(80)]
    places = [(dice.uniform(0, spread), dice.uniform(0, spread)) for _ in sizes]
    assert overlaps(rects(separate(places, sizes), sizes)) == 0


def test_what_does_not_overlap_stays() -> None:
    places = [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)]
    assert separate(places, [(50.0, 50.0)] * 3) == places


def test_a_pack_fills_its_page() -> None:
    sizes: Sizes = [(40.0, 20.0)] * 90 + [(200.0, 150.0)]
    places, (width, height) = pack(sizes)
    assert overlaps(rects(places, sizes)) == 0
    assert width * height < 1.6 * sum(w * h for w, h in sizes)


@pytest.mark.parametrize("count", [3, 9, 40, 500])
@pytest.mark.parametrize("make", [rings, bus])
def test_blocks_hold_all_leaves_without_overlaps(make: type, count: int) -> None:
    sizes: Sizes = [(30.0 + at % 7 * 10, 20.0) for at in range(count)]
    block = make((60.0, 20.0), sizes, 70.0)
    found = rects([block.middle, *block.leaves], [(60.0, 20.0), *sizes])
    assert len(block.leaves) == count
    if count <= 40:
        assert overlaps(found) == 0
    assert all(abs(rect.x) <= block.size[0] / 2 and abs(rect.y) <= block.size[1] / 2 for rect in found)


def test_an_unknown_program_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        graphviz.engine_of("rm -rf")
    assert "fdp" in (caught.value.hint or "")


def test_an_absent_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *words, **more: None)
    with pytest.raises(UsageError) as caught:
        graphviz.engine_of("fdp")
    assert "apt-get install graphviz" in (caught.value.hint or "")


def test_graphviz_gets_numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(argv: list[str], *, data: bytes, **more: object) -> bytes:
        asked.append(data.decode())
        return b"graph 1 2 2\nnode 0 0 0 1 1\nnode 1 1 1 1 1\nstop\n"

    monkeypatch.setattr(shutil, "which", lambda *words, **more: "/usr/bin/fdp")
    monkeypatch.setattr(graphviz, "run", run)
    of = drawing(["evil]", "b"], {"l": "evil] b"})
    layout = lay_out(of, graphviz.engine_of("fdp"), blocks=False)
    assert "evil" not in asked[0]
    assert layout.nodes["b"].x > layout.nodes["evil]"].x
    assert layout.nodes["b"].y < layout.nodes["evil]"].y


@pytest.mark.skipif(shutil.which("fdp") is None, reason="graphviz is not installed")
@pytest.mark.parametrize("program", list(graphviz.Program))
def test_what_graphviz_places_does_not_overlap(program: str) -> None:
    names = [f"n-{at}" for at in range(20)]
    of = drawing(names, {"lan": " ".join(names[:8]), **{f"l{at}": f"n-{at} n-{at + 5}" for at in range(15)}})
    layout = lay_out(of, graphviz.engine_of(program), blocks=False)
    assert overlaps(list(layout.nodes.values())) == 0
