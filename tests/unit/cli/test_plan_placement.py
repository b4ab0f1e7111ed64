"""`benito plan` as a user types it, where it speaks of places: options, tables, documents and messages."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benito_cli import main

GOLDEN = Path(__file__).parents[2] / "golden" / "placement"
CHAIN = """set ns [new Simulator]
foreach name {a b c d e f} { set $name [$ns node] }
$ns duplex-link $a $b 100Mb 0ms DropTail
$ns duplex-link $b $c 1Mb 0ms DropTail
$ns duplex-link $c $d 100Mb 0ms DropTail
$ns duplex-link $d $e 2Mb 0ms DropTail
$ns duplex-link $e $f 100Mb 0ms DropTail
MORE
$ns run
"""
SITE = """name = "rack"
[overcommit]
uplink = 2
[kinds.openvz]
memory = "10MiB"
[[pnodes]]
type = "pc"
names = ["pc1", "pc2", "pc3"]
memory = "25MiB"
cores = 1
uplink = "10Mb"
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    stdout: str
    stderr: str

    def document(self) -> Any:
        return json.loads(self.stdout)


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Plans a chain of six nodes in a folder with a site file, in this process."""
    (tmp_path / "chain.ns").write_text(CHAIN.replace("MORE", ""))
    (tmp_path / "balance.ns").write_text(CHAIN.replace("MORE", "tb-set-packing-strategy balance"))
    (tmp_path / "site.toml").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("BENITO_SITE", raising=False)

    def typed(*words: str, code: int = 0, file: str = "chain.ns") -> Done:
        monkeypatch.setattr(sys, "argv", ["benito", "plan", file, "--effort", "quick", *words])
        ended = 0
        try:
            main.run()
        except SystemExit as left:
            ended = int(left.code or 0)
        said = capsys.readouterr()
        assert ended == code, said.err
        return Done(said.out, said.err)

    return typed


def on(document: Any) -> dict[str, list[str]]:
    """pnode -> its nodes."""
    found: dict[str, list[str]] = {one["pnode"]: [] for one in document["pnodes"]}
    for node in document["nodes"]:
        found[node["pnode"]].append(node["name"])
    return found


BETWEEN = ({"b", "c"}, {"d", "e"})
S = ("--site", "site.toml")
WRONG = {
    "packing-word": (1, ("--packing", "ten")),
    "packing-nothing": (3, (*S, "--packing", "0")),
    "size-nothing": (3, (*S, "--size", "0")),
    "pass-pack-nothing": (3, (*S, "--pass-pack", "0:0")),
    "pass-pack-word": (1, ("--pass-pack", "0:x")),
    "pass-pack-no-pass": (1, ("--pass-pack", "10")),
    "pass-size-empty": (1, ("--pass-size", "0:")),
    "pass-pnodes-no-name": (1, ("--pass-pnodes", "0:p c")),
    "pass-nodes-only-word": (1, ("--pass-nodes-only", "one")),
    "pnode-types-no-name": (1, ("--pnode-types", "-x")),
    "pnode-types-unknown": (3, (*S, "--pnode-types", "pc,mac")),
    "pin-no-pnode": (1, ("--pin", "a")),
    "pin-no-node": (1, (*S, "--pin", "aa=pc1")),
    "pin-unknown-pnode": (3, (*S, "--pin", "a=pc9")),
    "pin-twice": (1, ("--pin", "a=pc1", "--pin", "a=pc2")),
    "together-lone": (1, ("--together", "a")),
    "together-unknown": (1, (*S, "--together", "a,bb")),
    "apart-unknown": (1, (*S, "--apart", "a,zebra")),
    "apart-too-many": (3, (*S, "--apart", "a,b,c,d")),
    "apart-and-together": (3, (*S, "--apart", "a,b", "--together", "a,b")),
    "pinned-and-together": (3, (*S, "--pin", "a=pc1,b=pc2", "--together", "a,b")),
    "all-reasons-at-once": (
        3,
        (*S, "--pin", "a=pc9", "--apart", "c,d,e,f", "--together", "a,b,c", "--pnode-types", "pc,mac"),
    ),
    "explain-unknown": (1, (*S, "--explain", "aa")),
    "lost-alone": (1, (*S, "--lost", "pnode-0000")),
    "was-nothing": (1, (*S, "--was", "chain.ns")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_told(name: str, run: Run, golden: Callable[[str, Path], None]) -> None:
    code, words = WRONG[name]
    done = run(*words, code=code)
    assert done.stdout == ""
    golden(done.stderr, GOLDEN / f"{name}.expected")


def test_every_golden_message_is_asked_for() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(WRONG) | {"table", "explain"}


def test_an_uplink_that_is_too_narrow_for_what_is_kept_apart_is_refused(run: Run) -> None:
    assert run(*S, "--apart", "a,b", code=3).stderr.startswith("error: pc")
    assert len(run(*S, "--apart", "b,c", "--json").document()["pnodes"]) == 3


def test_a_site_that_is_not_there_is_told(run: Run) -> None:
    assert "other.toml" in run("--site", "other.toml", code=4).stderr


def test_the_document_says_what_is_used_and_what_crosses(run: Run) -> None:
    document = run(*S, "--json").document()
    assert on(document) == {"pnode-0000": ["a", "b"], "pnode-0001": ["c", "d"], "pnode-0002": ["e", "f"]}
    assert document["cost_kbps"] == 3000
    first, second = (one["name"] for one in document["links"] if {m["node"] for m in one["members"]} in BETWEEN)
    assert document["crossings"] == [
        {"link": first, "pnodes": ["pnode-0000", "pnode-0001"], "rate_kbps": 1000, "cost_kbps": 1000},
        {"link": second, "pnodes": ["pnode-0001", "pnode-0002"], "rate_kbps": 2000, "cost_kbps": 2000},
    ]
    middle = document["pnodes"][1]
    assert {"pnode", "type", "host", "whole"} <= set(middle)
    assert (middle["pnode"], middle["type"], middle["whole"]) == ("pnode-0001", "pc", False)
    assert middle["host"] in ("pc1", "pc2", "pc3")
    assert document["reasons"] == ["60 MiB of memory, at most 25 MiB of memory on a pnode: 3 pnodes"]
    assert document["moves"] == []


def test_the_table_mentions_every_pnode_and_every_crossing(
    run: Run, tmp_path: Path, golden: Callable[[str, Path], None]
) -> None:
    (tmp_path / "alike.toml").write_text(SITE.replace('names = ["pc1", "pc2", "pc3"]', "count = 3"))
    text = run("--site", "alike.toml").stdout
    for word in ("pnode-0000", "pnode-0001", "pnode-0002", "pc", "3 pnodes", "2 Mb/s", "20 Mb/s"):
        assert word in text
    golden(text[text.index("3 pnodes") :], GOLDEN / "table.expected")


def test_an_explanation_says_what_it_would_cost_elsewhere(run: Run, golden: Callable[[str, Path], None]) -> None:
    golden(run(*S, "--explain", "c").stdout, GOLDEN / "explain.expected")
    (why,) = run(*S, "--explain", "c", "--json").document()
    assert (why["node"], why["pnode"]) == ("c", "pnode-0001")
    assert why["ties_kbps"] == {"pnode-0000": 1000, "pnode-0001": 100_000}
    assert [(one["pnode"], one["cost_kbps"]) for one in why["elsewhere"]] == [
        ("pnode-0000", 99_000),
        ("pnode-0002", 100_000),
    ]
    assert all(one["obstacles"] for one in why["elsewhere"])


def test_a_packing_of_auto_is_what_the_capacities_hold(run: Run) -> None:
    assert on(run(*S, "--packing", "auto", "--json").document()) == on(run(*S, "--json").document())
    assert len(on(run("--packing", "auto", "--json").document())) == 1
    assert len(on(run("--packing", "3", "--json", code=0).document())) == 2


def test_options_keep_pin_and_part(run: Run) -> None:
    document = run(*S, "--pin", "a=pc3,e=pc1", "--json").document()
    hosts = {one["pnode"]: one["host"] for one in document["pnodes"]}
    home = {node["name"]: hosts[node["pnode"]] for node in document["nodes"]}
    assert (home["a"], home["e"]) == ("pc3", "pc1")
    pair = on(run("--packing", "3", "--apart", "c,d", "--together", "a,f", "--json").document()).values()
    assert any({"a", "f"} <= set(nodes) for nodes in pair)
    assert not any({"c", "d"} <= set(nodes) for nodes in pair)


def test_the_table_names_hosts(run: Run) -> None:
    text = run(*S).stdout
    assert all(f"{host} (pc)" in text for host in ("pc1", "pc2", "pc3"))


def roomy(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "roomy.toml").write_text('name = "r"\n[[pnodes]]\ntype = "pc"\ncount = 3\n')
    return ("--site", "roomy.toml")


def test_to_balance_uses_all_pnodes_evenly(run: Run, tmp_path: Path) -> None:
    where = roomy(tmp_path)
    assert [len(nodes) for nodes in on(run(*where, "--json").document()).values()] == [6]
    by_option = on(run(*where, "--strategy", "balance", "--json").document())
    by_file = on(run(*where, "--json", file="balance.ns").document())
    assert by_option == by_file
    assert [len(nodes) for nodes in by_file.values()] == [2, 2, 2]
    packed = on(run(*where, "--strategy", "pack", "--json", file="balance.ns").document())
    assert [len(nodes) for nodes in packed.values()] == [6]


def test_the_environments_site_is_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENITO_SITE", "site.toml")
    assert len(run("--json").document()["pnodes"]) == 3


def test_of_a_lost_pnode_only_its_nodes_move(run: Run, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE.replace('"pc3"', '"pc3", "pc4"'))
    before = run(*S, "--json")
    (tmp_path / "was.json").write_text(before.stdout)
    stays = run(*S, "--was", "was.json", "--json").document()
    assert stays["moves"] == []
    assert on(stays) == on(before.document())
    after = run(*S, "--was", "was.json", "--lost", "pnode-0001", "--json").document()
    assert on(after) == {"pnode-0000": ["a", "b"], "pnode-0002": ["e", "f"], "pnode-0003": ["c", "d"]}
    assert after["moves"] == [
        {"node": name, "from": "pnode-0001", "to": "pnode-0003", "reason": "pnode-0001 is lost"} for name in "cd"
    ]
    hosts = {one["pnode"]: one["host"] for one in before.document()["pnodes"]}
    assert {one["pnode"]: one["host"] for one in after["pnodes"]} == {
        "pnode-0000": hosts["pnode-0000"],
        "pnode-0002": hosts["pnode-0002"],
        "pnode-0003": "pc4",
    }
    table = run(*S, "--was", "was.json", "--lost", "pnode-0001").stdout
    assert "2 nodes move" in table
    assert "pnode-0001 is lost" in table
    unknown = run(*S, "--was", "was.json", "--lost", "pnode-0009", code=1).stderr
    assert "pnode-0009" in unknown
    assert "pnode-0000, pnode-0001, pnode-0002" in unknown
