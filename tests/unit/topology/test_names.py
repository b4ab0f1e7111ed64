"""How objects get their names: by the first global variable that they are stored in."""

from collections.abc import Callable

import pytest

from benito.model import Topology

Reader = Callable[[str], Topology]


def node_names(topology: Topology) -> list[str]:
    return [node.name for node in topology.nodes]


@pytest.mark.parametrize(
    ("statements", "names"),
    [
        ("set router [$ns node]", ["router"]),
        ("set NodeA [$ns node]", ["NodeA"]),
        ("set n(3) [$ns node]", ["n-3"]),
        ("foreach name {p q} { set $name [$ns node] }", ["p", "q"]),
        ("for {set i 0} {$i < 2} {incr i} { set n($i) [$ns node] }", ["n-0", "n-1"]),
        ("$ns node\n$ns node", ["tbnode-n1", "tbnode-n2"]),
        ("set first [$ns node]\nset second $first", ["first"]),
        ("$ns node\nset other 1\nset late [$ns node]", ["tbnode-n1", "late"]),
        ("lappend nodes [$ns node]\nset x [lindex $nodes 0]", ["x"]),
        ("lappend nodes [$ns node]\nset i 1\nset x [lindex $nodes 0]", ["tbnode-n1"]),
        ("proc make {ns} { set inner [$ns node]; return $inner }\nset outer [make $ns]", ["outer"]),
        ("proc make {i} { global ns h; set h($i) [$ns node] }\nmake 1\nmake 2", ["h-1", "h-2"]),
        ("proc make {ns} { set local 1; set kept [$ns node]; set local 2; return $kept }\nset a [make $ns]", ["a"]),
        ("set x 1\nproc make {ns} { set x [$ns node]; return $x }\nset y [make $ns]", ["x"]),
        ("set ::deep [$ns node]", ["deep"]),
        ("set a [$ns node]\nset b [$ns node]\nset c [ns node]", ["a", "b", "c"]),
        ("foreach kind {1 2} { lappend all [$ns node] }", ["tbnode-n1", "tbnode-n2"]),
        ("eval {set e [$ns node]}", ["e"]),
    ],
)
def test_a_node_is_named_by_its_first_global_variable(body: Reader, statements: str, names: list[str]) -> None:
    assert node_names(body(statements)) == names


def test_one_counter_numbers_all_that_has_no_name(body: Reader) -> None:
    topology = body(
        "set a [$ns node]\nset b [$ns node]\n$ns duplex-link $a $b 1Mb 0 DropTail\n$ns unheard-of\n"
        '$ns make-lan "$a $b" 1Mb 0'
    )
    assert [lan.name for lan in topology.lans] == ["tblink-l3", "tblan-lan5"]


def test_links_and_lans_are_named_like_nodes(body: Reader) -> None:
    topology = body(
        "set a [$ns node]\nset b [$ns node]\nset link(0) [$ns duplex-link $a $b 1Mb 0 DropTail]\n"
        'set office [$ns make-lan "$a $b" 1Mb 0]'
    )
    assert [(lan.name, lan.is_link) for lan in topology.lans] == [("link-0", True), ("office", False)]


def test_names_stand_for_their_objects_without_a_dollar(body: Reader) -> None:
    topology = body('set fozzie [$ns node]\nset janice [$ns node]\nns duplex-link "fozzie" "janice" 1Mb 0 DropTail')
    assert [member.node for member in topology.lans[0].members] == ["fozzie", "janice"]


def test_the_simulator_may_have_any_name(read: Reader) -> None:
    assert node_names(read("set sim [new Simulator]\nset a [$sim node]\nset b [sim node]\n$sim run\n")) == ["a", "b"]


def test_only_the_simulator_that_runs_counts(body: Reader) -> None:
    assert node_names(body("set other [new Simulator]\nset a [$other node]\nset b [$ns node]")) == ["b"]


@pytest.mark.parametrize("variable", ["link0", "list", "ns", "exec", "tb-set-ip"])
def test_a_name_that_is_taken_ends_the_file(refusal: Callable[[str], str], variable: str) -> None:
    text = f"set ns [new Simulator]\nset link0 [$ns node]\nset {variable} [$ns node]\n$ns run\n"
    assert refusal(text).startswith(f'FILE:3: can\'t rename to "{variable}": command already exists')


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "set my_node [$ns node]",
            "FILE:2: [run] Invalid node name my_node.  Can only contain [-0-9A-Za-z] due to DNS limitations. (give",
        ),
        (
            "set a [$ns node]; set my_lan [$ns make-lan $a 1Mb 0]",
            "FILE:2: [run] Invalid lan/link name my_lan.  Can only contain [-0-9A-Za-z] for symmetry with node DNS lim",
        ),
        ("set ops [$ns node]", "You may not use the name for 'ops' for a node!"),
        ("set a [$ns node]; set A [$ns node]", "A: differs only in case from a (line 2)"),
        (f"set {'n' * 33} [$ns node]", "1 to 32 letters, digits and hyphens"),
        ("set n(-) [$ns node]", "with no hyphen at either end"),
        ('set "a\\u001b" [$ns node]', "Invalid node name a\\x1b."),
    ],
)
def test_a_name_that_dns_would_not_take_is_refused(refusal: Callable[[str], str], statement: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{statement}\n$ns run\n")


def test_options_are_kept_in_order_with_their_last_value(body: Reader) -> None:
    topology = body("set a [$ns node]\nset opt(B) 1\nset opt(A) {x y}\nset opt(B) 2\nset opt(a.b) no\nset other(C) 1")
    assert topology.options == (("B", "2"), ("A", "x y"))
