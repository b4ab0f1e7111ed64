"""`benito link`, `repair`, `status` and `doctor` as a user types them, over links that remember."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from builders import STAR, experiment, topology
from fakes import FakeLinks, FakeNodes

from benito.checkup import Finding, Verdict
from benito.controller import Controller
from benito.linkedit import LinkChange
from benito.model import Kind, Shaping
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.plan import ExperimentPlan
from benito.seams import LinksHealth, Passed
from benito.store import ExperimentState, Store
from benito.testbeds.local import LocalTestbed
from benito_cli import linkwords, main, wiring

LEG = Shaping(rate_kbps=8000, delay_us=5000)
SENT = Passed(node="a", interface="eth0", sent_packets=12_345, sent_bytes=987_654, received_packets=7, received_bytes=8)


@dataclass(frozen=True)
class Said:
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Typed:
    """An experiment lab/star is up; called with words, types them after `benito`."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capfd = patch, capfd
        paths = StatePaths(root)
        self.links, self.nodes, self.store = FakeLinks(), FakeNodes(Kind.PROCESS), Store(paths.store)
        manager = NodeManager(paths, self.links, {Kind.PROCESS: self.nodes}, lambda: None)
        controller = Controller(paths, self.store, LocalTestbed(manager))
        base = topology({"link": "a b", "lan": "a b c"}, shaping=LEG)
        controller.up(experiment(base, default_kind=Kind.PROCESS), data=b"")
        patch.setattr(wiring, "local_controller", lambda: controller)
        patch.setenv("COLUMNS", "200")

    @property
    def plan(self) -> ExperimentPlan:
        return ExperimentPlan(experiment=STAR, pnodes=self.store.get(STAR).parts())

    def finds(self, health: LinksHealth) -> None:
        self._patch.setattr(self.links, "health", lambda _: health)

    def __call__(self, *words: str, code: int = 0) -> Said:
        self._patch.setattr(sys, "argv", ["benito", *words])
        ended = 0
        try:
            main.run()
        except SystemExit as left:
            ended = int(left.code or 0)
        said = self._capfd.readouterr()
        assert ended == code, said.err
        return Said(said.out, said.err)


@pytest.fixture
def benito(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    return Typed(tmp_path, monkeypatch, capfd)


def rows(said: Said) -> list[list[str]]:
    """The cells of each table's rows."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.out.splitlines() if line.startswith("│")]


class TestShow:
    def test_a_row_for_each_link(self, benito: Typed) -> None:
        benito("link", "down", "star", "lan", "--node", "c")
        benito.finds(LinksHealth(count=2, broken={"lan": ("plug x (it is out)",)}, shapers={"link": ("htb", "netem")}))
        said = benito("link", "show", "star")
        assert rows(said) == [
            ["link", "a b", "8 Mb/s", "10 ms", "", "wire, htb and netem", "up"],
            ["lan", "a b c", "8 Mb/s", "10 ms", "", "bridge", "down at c, broken"],
        ]
        assert said.out.splitlines()[-2:] == ["lan: plug x (it is out)", "`benito repair lab/star` mends it"]

    def test_both_ways_of_one_link_with_what_passed(self, benito: Typed) -> None:
        benito("link", "set", "star", "link", "--from", "a", "--loss", "1%", "--jitter", "0.5", "--queue", "7")
        benito.finds(LinksHealth(count=2, passed={"link": (SENT,)}, others=("add namespace x (it is not there)",)))
        said = benito("link", "show", "star", "LINK")
        assert [cells[3] for cells in rows(said)[:2]] == ["a > b: 10 ms +- 0.5 ms", "b > a: 10 ms"]
        assert rows(said)[2:] == [
            ["a", "b", "8 Mb/s", "10 ms +- 0.5 ms", "loss 1 %", "7 packets"],
            ["b", "a", "8 Mb/s", "10 ms", "", "50 packets"],
            ["a:eth0", "12,345", "987,654", "7", "8"],
        ]
        assert "namespace" not in said.out

    def test_each_members_halves_of_a_lan(self, benito: Typed) -> None:
        benito("link", "set", "star", "lan", "--to", "b", "--rate", "unlimited")
        assert rows(benito("link", "show", "star", "lan"))[1:5] == [
            ["a", "lan", "8 Mb/s", "5 ms", "", "50 packets"],
            ["lan", "a", "8 Mb/s", "5 ms", "", "50 packets"],
            ["b", "lan", "8 Mb/s", "5 ms", "", "50 packets"],
            ["lan", "b", "unlimited", "5 ms", "", ""],
        ]

    def test_json_has_units_and_the_kernels_names(self, benito: Typed) -> None:
        benito.finds(
            LinksHealth(count=2, broken={"link": ("x",)}, shapers={"link": ("htb",)}, passed={"link": (SENT,)})
        )
        document = benito("link", "show", "star", "link", "--json").document
        (link,) = document["links"]
        (part,) = link["parts"]
        assert (part["pnode"], part["realization"], len(part["members"])) == ("pnode-0000", "wire", 2)
        assert {way["from"]: (way["to"], way["rate_kbps"], way["delay_us"]) for way in link["ways"]} == {
            "a": ("b", 8000, 10_000),
            "b": ("a", 8000, 10_000),
        }
        assert (link["shaped_by"], link["broken"], link["down"]) == (["htb"], ["x"], [])
        assert link["passed"][0]["sent_packets"] == 12_345
        assert document["health"]["broken"] == {"link": ["x"]}

    def test_a_wrong_name_is_answered_with_the_nearest(self, benito: Typed) -> None:
        said = benito("link", "show", "star", "lnik", code=1)
        assert said.err.splitlines() == ["error: lab/star has no link lnik", "hint: it has link, lan"]

    def test_a_large_lan_is_shown_in_no_time(self, benito: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        counted = []
        then = Shaping.then
        monkeypatch.setattr(Shaping, "then", lambda one, other: counted.append(1) or then(one, other))
        names = " ".join(f"n{number}" for number in range(500))
        large = experiment(
            topology({"large": names}, shaping=LEG), replace(STAR, eid="large"), default_kind=Kind.PROCESS
        )
        wiring.local_controller().up(large, data=b"")
        counted.clear()
        benito("link", "show", "large")
        benito("link", "set", "large", "large", "--delay", "4ms", "--dry-run")
        assert len(counted) < 10


class TestChange:
    def test_set_says_what_it_did_and_does_it(self, benito: Typed) -> None:
        assert benito("link", "set", "star", "link", "--delay", "20ms").out == "link (it differs)\n"
        assert {port.into.delay_us for port in benito.links.made["link"].ports} == {20_000}
        said = benito("link", "set", "star", "link", "--delay", "20ms").out
        assert said == "nothing to change: link is so already\n"

    def test_a_dry_run_only_says_it(self, benito: Typed) -> None:
        said = benito("link", "set", "star", "link", "--delay", "20ms", "--dry-run")
        assert said.out.splitlines() == ["link (it differs)", "nothing was touched"]
        assert {port.into.delay_us for port in benito.links.made["link"].ports} == {5000}
        document = benito("link", "down", "star", "link", "--dry-run", "--json").document
        assert document == {
            "dry_run": True,
            "pnodes": [
                {
                    "pnode": "pnode-0000",
                    "changes": [{"change": "link", "reason": "it differs"}],
                    "nodes": [],
                    "left": [],
                }
            ],
        }

    def test_cables_are_pulled_and_plugged(self, benito: Typed) -> None:
        benito("link", "down", "star", "lan", "--node", "b")
        assert benito.links.made["lan"].down == ("b",)
        benito("link", "up", "star", "lan")
        assert benito.links.made["lan"].down == ()

    @pytest.mark.parametrize(
        ("words", "errors"),
        [
            (
                ("--delay", "soon", "--loss", "120", "--queue", "0", "--rate", "fast", "--jitter", "-1ms"),
                ("--rate: ", "--delay: 'soon' is no time", "--jitter: ", "--loss: '120' is no share", "--queue: "),
            ),
            (("--rate", "fast", "--from", "nobody"), ("--rate: ", "nobody is no member of link")),
            ((), ("nothing is to be changed",)),
            (("--delay", "1ms", "--from", "x", "--to", "y"), ("x is no member of link; y is no member of link",)),
            (("--jitter", "11ms"), ("from a: jitter 11000 us is more than the delay, 10000 us",)),
            (("--delay", "0", "--reorder", "1%"), ("overtake",)),
        ],
    )
    def test_all_mistakes_are_said_at_once_and_nothing_is_done(
        self, benito: Typed, words: tuple[str, ...], errors: tuple[str, ...]
    ) -> None:
        before = benito.plan
        said = benito("link", "set", "star", "link", *words, code=1)
        assert all(error in said.err for error in errors), said.err
        assert (said.out, benito.plan) == ("", before)

    def test_what_is_not_up_is_refused(self, benito: Typed) -> None:
        benito.store.begin(STAR, ExperimentState.SWAPPING)
        assert "lab/star is swapping, not up" in benito("link", "up", "star", "link", code=1).err

    @pytest.mark.parametrize(
        ("words", "change"),
        [
            ({"rate": "10Mb"}, LinkChange(link="lan", rate_kbps=10_000)),
            ({"rate": "1.5Mb"}, LinkChange(link="lan", rate_kbps=1500)),
            ({"rate": "unlimited"}, LinkChange(link="lan", rate_kbps=0)),
            ({"rate": "*"}, LinkChange(link="lan", rate_kbps=0)),
            ({"delay": "20ms", "jitter": "500us"}, LinkChange(link="lan", delay_us=20_000, jitter_us=500)),
            ({"delay": "0.25"}, LinkChange(link="lan", delay_us=250)),
            ({"loss": "1%", "corrupt": "0.5"}, LinkChange(link="lan", loss_ratio=0.01, corrupt_ratio=0.5)),
            ({"reorder": "2%", "duplicate": "0"}, LinkChange(link="lan", reorder_ratio=0.02, duplicate_ratio=0)),
            ({"queue": "100"}, LinkChange(link="lan", queue_packets=100)),
        ],
    )
    def test_values_are_those_of_files(self, benito: Typed, words: dict[str, str | None], change: LinkChange) -> None:
        assert linkwords.link_change(benito.plan, "lan", None, None, words) == change


class TestRepair:
    def test_it_says_what_it_does_and_why(self, benito: Typed) -> None:
        benito.links.plugged.remove("lan")
        del benito.nodes.alive["c"]
        lines = ["lan (it differs)", "start c again (it is dead)"]
        assert benito("repair", "star", "--dry-run").out.splitlines() == [*lines, "nothing was touched"]
        assert benito("repair", "star").out.splitlines() == lines
        assert benito("repair", "star").out == "all is as planned\n"
        assert set(benito.nodes.alive) == {"a", "b", "c"}

    def test_of_links_only_it_leaves_nodes(self, benito: Typed) -> None:
        benito.links.plugged.remove("lan")
        del benito.nodes.alive["c"]
        document = benito("repair", "star", "--links", "--json").document
        assert [(len(each["changes"]), each["nodes"]) for each in document["pnodes"]] == [(1, [])]
        assert "c" not in benito.nodes.alive
        said = benito("repair", "star", "--links").out
        assert said == "still to do: start c again (it is dead); `benito repair lab/star` does that\n"


class TestStatus:
    def test_links_as_planned_are_a_line(self, benito: Typed) -> None:
        assert benito("status", "star").out.splitlines()[-1] == "links: 2 as planned"
        benito.finds(LinksHealth(count=2, relayed=("link",), down=("lan",)))
        assert benito("status").out.splitlines()[-1] == "links: 2 as planned, 1 by the relay, 1 with pulled cables"

    def test_broken_links_are_named_with_the_way_out(self, benito: Typed) -> None:
        benito.finds(
            LinksHealth(
                count=12,
                broken={"lan0": ("add bridge b1 (it is not there)", "more"), "lan1": ("bring p up (it is down)",)},
                others=("add route (it is not there)",),
                suspect=("pnode-0000: too busy",),
                unknown=("pnode-0001 knows nothing",),
            )
        )
        mends = "; `benito repair lab/star` mends that"
        assert benito("status", "star").out.splitlines()[-4:] == [
            f"links: 2 of 12 broken: lan0: to add bridge b1 (it is not there); lan1: to bring p up (it is down){mends}",
            f"besides: to add route (it is not there){mends}",
            "suspect: pnode-0000: too busy",
            "links: pnode-0001 knows nothing",
        ]

    def test_json_has_nodes_and_links(self, benito: Typed) -> None:
        benito.links.plugged.remove("lan")
        document = benito("status", "star", "--json").document
        assert [node["node"] for node in document["nodes"]] == ["a", "b", "c"]
        links = document["links"]["lab/star"]
        assert (links["links"], links["broken"], links["suspect"]) == (2, {"lan": ["it is not there"]}, [])


class TestDoctor:
    @pytest.fixture
    def findings(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        def found(*verdicts: Verdict) -> None:
            made = [Finding(subject=f"thing {each}", verdict=each, said="so", hint="do") for each in verdicts]
            monkeypatch.setattr(wiring, "examine_machine", lambda: made)

        return found

    def test_notes_are_no_problem(self, benito: Typed, findings: Callable[..., None]) -> None:
        findings(Verdict.OK, Verdict.NOTE)
        assert benito("doctor").out.splitlines()[:2] == ["ok      thing ok    so", "                    hint: do"]

    def test_a_problem_is_an_exit_code(self, benito: Typed, findings: Callable[..., None]) -> None:
        findings(Verdict.PROBLEM, Verdict.OK)
        assert benito("doctor", code=4).err == "error: this machine has a problem: thing problem\n"
        document = benito("doctor", "--json", code=4).document
        assert [(each["subject"], each["verdict"]) for each in document] == [
            ("thing problem", "problem"),
            ("thing ok", "ok"),
        ]
