"""What `benito linktest` prints of a result, and how it ends."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from benito.errors import LinkError
from benito.linktest import Finding, LinkTest, Outcome, Quantity, WayResult
from benito_cli.commands.linktest import complaint
from benito_cli.linktesttables import linktest_document, print_linktest


def finding(
    quantity: Quantity, outcome: Outcome, asked: float | None, measured: float | None, note: str = ""
) -> Finding:
    return Finding(quantity=quantity, outcome=outcome, asked=asked, measured=measured, note=note)


GOOD = WayResult(
    link="link0",
    sender="center",
    receiver="n-0",
    sent=200,
    arrived=199,
    p95_us=10_250,
    findings=(
        finding(Quantity.DELAY, Outcome.OK, 10_000, 10_041.7),
        finding(Quantity.JITTER, Outcome.OK, 2_000, 1_950),
        finding(Quantity.LOSS, Outcome.OK, 0.01, 0.005),
        finding(Quantity.RATE, Outcome.INFO, None, 1_234_000),
    ),
)
OFF = WayResult(
    link="link1",
    sender="a",
    receiver="b",
    sent=200,
    arrived=200,
    p95_us=12,
    findings=(
        finding(Quantity.DELAY, Outcome.OK, 0, 8),
        finding(Quantity.LOSS, Outcome.OK, 0, 0),
        finding(Quantity.RATE, Outcome.OFF, 64, 32, "0.032 Mb/s less than asked"),
    ),
)
DEAD = WayResult(link="link2", sender="a", receiver="[red]c", why_not="[red]c is dead")


def result(*ways: WayResult) -> LinkTest:
    return LinkTest(
        experiment="lab/star",
        started="2026-01-02T03:04:05Z",
        seconds=12.3,
        links=len({way.link for way in ways}),
        of_links=9,
        ways=ways,
    )


def shown(done: LinkTest, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_linktest(console, done)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cells(text: str, link: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"│ {link} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_a_row_says_measured_and_asked() -> None:
    text = shown(result(GOOD, OFF, DEAD))
    assert "lab/star: 3 of 9 links, 2026-01-02T03:04:05Z, 12.3 s" in text
    row = ["link0", "center > n-0", "10 / 10", "10.2", "0.5 / 1", "1234 / -", "jitter 1.95 / 2 ms", "ok"]
    assert cells(text, "link0") == row
    assert cells(text, "link1") == ["link1", "a > b", "0.008 / 0", "0.012", "0 / 0", "0.032 / 0.064", "", "off"]


def test_what_is_wrong_is_said_below_and_no_name_is_markup() -> None:
    lines = shown(result(GOOD, OFF, DEAD)).splitlines()
    assert "link1, a > b: rate off: 0.032 Mb/s less than asked" in lines
    assert "link2, a > [red]c: not measured: [red]c is dead" in lines


def test_what_the_measuring_adds_stands_beside_what_is_asked() -> None:
    slow = replace(
        OFF,
        findings=(
            Finding(quantity=Quantity.DELAY, outcome=Outcome.OK, asked=1_000, measured=81_100, allowed=80_000),
            Finding(quantity=Quantity.LOSS, outcome=Outcome.OK, asked=0, measured=0.02, allowed=0.0191),
            Finding(quantity=Quantity.RATE, outcome=Outcome.OK, asked=1_000, measured=900, allowed=-138),
            Finding(quantity=Quantity.CORRUPT, outcome=Outcome.OK, asked=1, measured=0.95, allowed=-0.036),
        ),
    )
    lines = shown(result(slow)).splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("│ link1 "))
    first, second = ([cell.strip() for cell in line.strip("│").split("│")] for line in lines[at : at + 2])
    assert (first[2], *first[4:7]) == ("81.1 / 1", "2 / 0", "0.9 / 1", "corrupt 95 / 100")
    assert (second[2], *second[4:7]) == ("+ 80", "+ 1.91", "- 0.138", "- 3.6 %")
    quick = replace(slow, findings=(replace(slow.findings[0], measured=1_080, allowed=80),))
    assert cells(shown(result(quick)), "link1")[2] == "1.08 / 1"


def test_a_link_that_is_not_as_planned_is_said_to_be_mended() -> None:
    broken = replace(OFF, not_as_planned="set the pipe from v1 to v2 (it is not there)")
    done = result(broken, replace(broken, sender="b", receiver="a"))
    said = "link1 is not as planned: set the pipe from v1 to v2 (it is not there); `benito repair lab/star` mends it"
    assert shown(done).splitlines().count(said) == 1
    assert complaint(done).hint == "benito repair lab/star"
    assert complaint(result(OFF)).hint is None


def test_a_narrow_terminal_shows_the_common_columns_whole() -> None:
    text = shown(result(OFF), 80)
    assert "more" not in text
    assert cells(text, "link1")[5] == "0.032 / 0.064"


def test_the_document_has_units_in_its_keys() -> None:
    document = json.loads(json.dumps(linktest_document(result(GOOD, DEAD))))
    assert (document["outcome"], document["links"], document["of_links"]) == ("not measured", 2, 9)
    good, dead = document["ways"]
    assert good["findings"]["delay_us"] == {
        "outcome": "ok", "asked": 10_000, "measured": 10_041.7, "low": None, "high": None, "allowed": None,
        "note": None,
    }  # fmt: skip
    assert set(good["findings"]) == {"delay_us", "jitter_us", "loss_ratio", "rate_kbps"}
    assert (good["probes_sent"], good["probes_arrived"], good["delay_p95_us"]) == (200, 199, 10_250)
    assert (dead["outcome"], dead["why_not"], dead["findings"]) == ("not measured", "[red]c is dead", {})


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        ((OFF,), "not as asked: 1 of 1 links, link1"),
        ((GOOD, DEAD), "not measured in full: 1 of 2 links, link2"),
        ((GOOD, OFF, DEAD), "not as asked: 1 of 3 links, link1; not measured in full: 1 of 3 links, link2"),
    ],
)
def test_the_exit_says_which_links(ways: tuple[WayResult, ...], words: str) -> None:
    error = complaint(result(*ways))
    assert isinstance(error, LinkError)
    assert (error.message, error.exit_code) == (words, 6)


def test_many_links_are_not_all_named() -> None:
    many = [WayResult(link=f"l{number}", sender="a", receiver="b", why_not="x") for number in range(9)]
    assert complaint(result(*many)).message == "not measured in full: 9 of 9 links, l0, l1, l2, l3, l4 ..."
