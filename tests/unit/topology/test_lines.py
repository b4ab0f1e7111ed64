"""Problems stand on the line of the user's own statement, wherever Tcl runs it."""

from collections.abc import Callable

import pytest

BAD = "tb-set-ip nobody 1.2.3.4"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BAD, 1),
        (f"\n\n{BAD}", 3),
        (f"for {{set i 0}} {{$i < 1}} {{incr i}} {{\n  set x 1\n  {BAD}\n}}", 3),
        (f"foreach a {{1}} {{\n  if {{$a}} {{\n    {BAD}\n  }}\n}}", 3),
        (f"proc f {{}} {{\n  set x 1\n  {BAD}\n}}\n\nf", 3),
        (f"proc f {{}} {{\n  if {{1}} {{\n    {BAD}\n  }}\n}}\nforeach a {{1}} {{\n  f\n}}", 3),
        (f'set x 1\neval "{BAD}"', 2),
        (f"catch {{\n  {BAD}\n}}", 2),
        ("tb-set-ip \\\n   nobody \\\n  1.2.3.4", 1),
        (f"switch 1 {{\n  1 {{\n    {BAD}\n  }}\n}}", 3),
        (f"# a comment \\\n that goes on\n{BAD}", 3),
    ],
)
def test_a_refused_call_has_its_line(refusal: Callable[[str], str], text: str, line: int) -> None:
    assert refusal(text).startswith(f"FILE:{line}: [tb-set-ip] nobody is not a node.")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("set x $nosuch", 1),
        ("set a 1\nfor {set i 0} {$i < 1} {incr i} {\n  set b 1\n  set x $nosuch\n}", 4),
        ("proc f {} {\n  set b 1\n  set x $nosuch\n}\nset c 1\nf", 3),
        ("proc f {} {\n  foreach b {1} {\n    set x $nosuch\n  }\n}\nset c 1\nf", 3),
        ("foreach a {1} {\n  if {1} {\n    nosuch 1 2\n  }\n}", 3),
        ("set a 1\nset x [lindex {\n} 0 1 2 {]", 2),
        ("proc f {} {\n  error sorry\n}\nproc g {} {\n  f\n}\ng", 2),
    ],
)
def test_an_error_of_tcl_has_its_line(refusal: Callable[[str], str], text: str, line: int) -> None:
    assert refusal(text).startswith(f"FILE:{line}: ")


def test_all_problems_are_told_at_once(refusal: Callable[[str], str]) -> None:
    said = refusal(
        "set ns [new Simulator]\nset my_node [$ns node]\nset b [$ns node]\n"
        "set l [$ns duplex-link $my_node $b 10mb 1ms DropTail]\ntb-set-ip $b 1.2.3\ntb-set-node-os nobody Ubuntu\n"
        "$ns rnu\n$ns run\n"
    )
    assert [line.split(" ")[0] for line in said.splitlines()] == ["FILE:2:", "FILE:4:", "FILE:4:", "FILE:5:", "FILE:6:"]


def test_what_was_wrong_before_a_tcl_error_is_told_with_it(refusal: Callable[[str], str]) -> None:
    assert refusal("tb-set-ip nobody 1.2.3.4\nnosuch").splitlines() == [
        "FILE:1: [tb-set-ip] nobody is not a node.",
        "FILE:2: Unknown: nosuch (no such command or object)",
    ]


def test_a_million_mistakes_are_counted_not_listed(refusal: Callable[[str], str]) -> None:
    said = refusal("for {set i 0} {$i < 5000} {incr i} {tb-set-ip nobody$i 1.2.3.4}").splitlines()
    assert len(said) == 501
    assert said[-1] == "FILE: 4502 more errors are not listed"


def test_the_same_mistake_on_the_same_line_is_told_once(refusal: Callable[[str], str]) -> None:
    said = refusal("for {set i 0} {$i < 50} {incr i} {tb-set-ip nobody 1.2.3.4}")
    assert said.count("nobody is not a node.") == 1
