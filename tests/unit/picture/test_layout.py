"""Where things go: nothing overlaps, nothing is lost, whatever the graph is."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from pictures import drawing, drawings, overlap, within

from benito.errors import UsageError
from benito.picture import Drawing, check_size, stress
from benito.picture.arrange import by_stress
from benito.picture.layout import lay_out
from benito.picture.model import Layout, Rect

NAMES = [f"n-{number}" for number in range(60)]


def check(of: Drawing, layout: Layout) -> None:
    page = Rect(x=layout.width / 2, y=layout.height / 2, width=layout.width, height=layout.height)
    assert set(layout.nodes) == {node.name for node in of.nodes}
    assert set(layout.hubs) == {net.name for net in of.nets if not net.is_line}
    assert set(layout.boxes) == {node.box for node in of.nodes if node.box is not None}
    boxes = {label: box.rect for label, box in layout.boxes.items()}
    for node in of.nodes:
        assert within(layout.nodes[node.name], page if node.box is None else boxes[node.box])
    for (_, label), branch in layout.branches.items():
        assert within(branch, boxes[label])
    small = [*layout.nodes.values(), *layout.hubs.values(), *layout.branches.values()]
    free = [layout.nodes[node.name] for node in of.nodes if node.box is None]
    assert not [pair for pair in combinations(small, 2) if overlap(*pair)]
    assert not [pair for pair in combinations([*boxes.values(), *free], 2) if overlap(*pair)]
    assert all(within(rect, page) for rect in (*small, *boxes.values()))


@given(drawings())
@settings(max_examples=150, deadline=None)
def test_nothing_overlaps_and_nodes_are_in_their_boxes(of: Drawing) -> None:
    check(of, lay_out(of))


SHAPES = {
    "one node": drawing(["a"], {}),
    "no nodes": drawing([], {}),
    "no nets": drawing(NAMES, {}),
    "islands": drawing(NAMES, {f"l{at}": f"n-{at} n-{at + 1}" for at in range(0, 60, 4)}),
    "line": drawing(NAMES, {f"l{at}": f"n-{at} n-{at + 1}" for at in range(59)}, addresses=True),
    "star": drawing(NAMES, {f"l{at}": f"n-0 n-{at}" for at in range(1, 60)}, addresses=True),
    "large LAN": drawing(NAMES, {"lan": " ".join(NAMES)}, addresses=True),
    "LAN over boxes": drawing(NAMES, {"lan": " ".join(NAMES)}, {name: f"p{at % 7}" for at, name in enumerate(NAMES)}),
    "all pairs": drawing(NAMES[:20], {f"{a}{b}": f"{a} {b}" for a, b in combinations(NAMES[:20], 2)}),
    "parallel links": drawing(["a", "b"], {f"l{at}": "a b" for at in range(50)}),
    "long names": drawing([f"{at:02}" + "W" * 30 for at in range(30)], {}, {f"00{'W' * 30}": "P" * 40}),
    "one box for each": drawing(
        NAMES, {f"l{at}": f"n-{at} n-{at + 1}" for at in range(59)}, {name: f"p{name}" for name in NAMES}
    ),
    "a large box and small ones": drawing(
        NAMES,
        {"lan": " ".join(NAMES[:40]), **{f"l{at}": f"n-{at} n-{at + 40}" for at in range(20)}},
        {name: "big" if at < 40 else f"p{at}" for at, name in enumerate(NAMES)},
    ),
    "ends of one node": drawing(["a", "b"], {"loop": "a a", "lan": "a a b", "alone": "b", "nobody": ""}),
}


@pytest.mark.parametrize("of", SHAPES.values(), ids=SHAPES)
def test_usual_shapes_and_odd_ones(of: Drawing) -> None:
    check(of, lay_out(of))


def test_the_same_drawing_gives_the_same_layout() -> None:
    of = SHAPES["a large box and small ones"]
    assert lay_out(of) == lay_out(of)


def test_linked_nodes_are_nearer_than_others() -> None:
    layout = lay_out(SHAPES["line"])
    nodes = layout.nodes

    def distance(one: str, other: str) -> float:
        return ((nodes[one].x - nodes[other].x) ** 2 + (nodes[one].y - nodes[other].y) ** 2) ** 0.5

    near = max(distance(f"n-{at}", f"n-{at + 1}") for at in range(59))
    assert near < distance("n-0", "n-59") / 2


def test_what_leaves_a_box_is_on_the_side_that_it_leaves_to() -> None:
    nodes = [*(f"a{at}" for at in range(9)), "left", "right"]
    home = dict.fromkeys(nodes[:9], "middle") | {"left": "one", "right": "two"}
    layout = lay_out(drawing(nodes, {"l": "a0 left", "r": "a1 right", "m": "left right"}, home))
    box = layout.boxes["middle"].rect
    toward = layout.nodes["left"].x - box.x, layout.nodes["left"].y - box.y
    a0, a1 = layout.nodes["a0"], layout.nodes["a1"]
    assert (a0.x - a1.x) * toward[0] + (a0.y - a1.y) * toward[1] >= 0


def test_a_lan_over_boxes_has_a_branch_where_it_has_several_members() -> None:
    home = {"a": "p", "b": "p", "c": "q", "d": "q", "e": "r"}
    layout = lay_out(drawing(list(home), {"lan": "a b c d e"}, home))
    assert set(layout.branches) == {("lan", "p"), ("lan", "q")}


def test_a_lan_mostly_in_one_box_stands_there() -> None:
    home = {"a": "p", "b": "p", "c": "q"}
    layout = lay_out(drawing(list(home), {"lan": "a b c"}, home))
    assert layout.branches == {}
    assert within(layout.hubs["lan"], layout.boxes["p"].rect)


@pytest.mark.parametrize("count", [200, 1000])
def test_the_work_grows_with_the_nodes_not_with_their_square(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    step = stress._descend

    def counted(x: list[float], y: list[float], terms: list[stress.Term], size: float) -> None:
        done.append(len(terms))
        step(x, y, terms, size)

    monkeypatch.setattr(stress, "_descend", counted)
    springs = [(at, at // 2, 50.0) for at in range(1, count)] + [(at, (at * 7) % count, 50.0) for at in range(2, count)]
    springs = [spring for spring in springs if spring[0] != spring[1]]
    by_stress([(40.0, 20.0)] * count, springs, {})
    assert sum(done) <= 22 * max(45_000, 52 * count)


def test_a_thousand_nodes_find_room() -> None:
    names = [f"n-{at}" for at in range(1000)]
    nets = {f"l{at}": f"n-{at} n-{at // 3}" for at in range(1, 1000)}
    nets |= {f"m{at}": f"n-{at} n-{(at * 37) % 1000}" for at in range(1, 500)}
    layout = lay_out(drawing(names, nets))
    rows = sorted(layout.nodes.values(), key=lambda rect: rect.left)
    for place, one in enumerate(rows):
        for other in rows[place + 1 :]:
            if other.left >= one.left + one.width:
                break
            assert not overlap(one, other)
    used = sum(rect.width * rect.height for rect in rows)
    assert layout.width * layout.height < 25 * used


def test_more_than_anybody_could_look_at_is_refused() -> None:
    with pytest.raises(UsageError, match="10,001 nodes are too many"):
        check_size(drawing([f"n-{at}" for at in range(10_001)], {}))
