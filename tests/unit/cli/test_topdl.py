"""`benito topdl` as a user types it. Logic is tested beside it; here is what the verbs themselves promise."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import topology
from commandline import BENITO

from benito.model import ManualRoute
from benito.topology.generate import Shape
from benito.topology.writers import write_topdl
from benito_cli import main
from benito_cli.commands.topdl import app

PAIR = """<experiment>
 <version>1.0</version>
 <substrates><name>wire</name></substrates>
 <!-- a comment -->
 <elements><computer><name>alice</name><interface><substrate>wire</substrate></interface></computer></elements>
 <elements><computer><name>bob</name><interface><substrate>wire</substrate></interface></computer></elements>
</experiment>
"""
LOOP = """set ns [new Simulator]
set members ""
for {set i 0} {$i < 3} {incr i} {
    set n($i) [$ns node]
    append members "$n($i) "
}
set office [$ns make-lan $members 100Mb 10ms]
$ns run
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb in a folder with two files, in this process, and looks at its exit code."""
    (tmp_path / "pair.xml").write_text(PAIR)
    (tmp_path / "loop.ns").write_text(LOOP)
    monkeypatch.chdir(tmp_path)

    def typed(*words: str, code: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["benito", "topdl", *words])
        with pytest.raises(SystemExit) as ended:
            main.run()
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, out + err
        return Done(out, err)

    return typed


def test_a_whole_command_writes_its_file_to_standard_output(tmp_path: Path) -> None:
    argv = [BENITO, "topdl", "generate", "ring", "3", "--to", "ns"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    (tmp_path / "ring.ns").write_text(done.stdout)
    subprocess.run([BENITO, "topdl", "validate", "ring.ns"], cwd=tmp_path, timeout=60, check=True, capture_output=True)


def test_show_prints_nodes_links_and_halves(run: Run) -> None:
    shown = run("show", "loop.ns").stdout
    for word in ("3 nodes", "office", "n-2", "100 Mb/s, 5 ms"):
        assert word in shown


def test_show_prints_the_published_document(run: Run) -> None:
    document = json.loads(run("show", "loop.ns", "--json").stdout)
    assert [node["name"] for node in document["nodes"]] == ["n-0", "n-1", "n-2"]


def test_convert_goes_by_the_ending_and_back(run: Run, tmp_path: Path) -> None:
    run("convert", "loop.ns", "-o", "loop.xml")
    run("convert", "loop.xml", "-o", "again.ns")
    first = json.loads(run("show", "loop.ns", "--json").stdout)
    again = json.loads(run("show", "again.ns", "--json").stdout)
    assert [node["name"] for node in again["nodes"]] == [node["name"] for node in first["nodes"]]
    assert (tmp_path / "loop.xml").read_text().startswith("<?xml")


def test_convert_without_a_file_writes_the_other_language(run: Run) -> None:
    assert run("convert", "pair.xml").stdout.endswith("$ns run\n")
    assert run("convert", "loop.ns", "-o", "-").stdout.startswith("<?xml")
    assert run("convert", "pair.xml", "--to", "topdl").stdout.startswith("<?xml")


def test_validate_tells_all_problems_of_all_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.ns").write_text("set ns [new Simulator]\nset a_b [$ns node]\nset c_d [$ns node]\n$ns run\n")
    done = run("validate", "pair.xml", "bad.ns", "loop.ns", code=2)
    assert done.stdout.count("error: ") == 2
    assert "pair.xml: 2 nodes, 1 links and LANs" in done.stdout
    assert "bad.ns: not usable" in done.stdout


def test_validate_prints_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<experiment/>")
    good, bad = json.loads(run("validate", "pair.xml", "bad.xml", "--json", code=2).stdout)
    assert (good["ok"], good["nodes"], bad["ok"]) == (True, 2, False)
    assert bad["problems"][0]["severity"] == "error"


def test_validate_finds_what_only_routes_show(run: Run, tmp_path: Path) -> None:
    routes = (ManualRoute(node="a", destination="far", next_hop="c"),)
    (tmp_path / "routes.xml").write_bytes(write_topdl(topology({"near": "a b", "far": "b c"}, routes=routes)))
    assert "c is no neighbour of a" in run("validate", "routes.xml", code=2).stdout


def test_set_changes_the_selected_nodes_and_prints_the_file(run: Run, tmp_path: Path) -> None:
    done = run("set", "pair.xml", "kind=qemu", "memory=512", "--node", "a*")
    assert done.stdout.count("containers:node_type") == 1
    assert (tmp_path / "pair.xml").read_text() == PAIR


def test_set_keeps_the_language_of_the_file(run: Run) -> None:
    assert "tb-add-node-attribute" in run("set", "loop.ns", "kind=qemu").stdout
    assert run("set", "loop.ns", "kind=qemu", "--to", "topdl").stdout.startswith("<?xml")


def test_diff_shows_what_changes_beside_the_file(run: Run) -> None:
    done = run("set", "pair.xml", "start=date", "--near", "bob", "--hops", "0", "--diff")
    assert "+        <value>date</value>" in done.stderr
    assert done.stdout.startswith("<?xml")


def test_dry_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("set-kind", "pair.xml", "process", "--in-place", "--dry-run")
    assert "+        <value>process</value>" in done.stdout
    assert (tmp_path / "pair.xml").read_text() == PAIR


def test_in_place_shows_the_difference_and_keeps_permissions(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pair.xml").chmod(0o640)
    done = run("set-partition", "pair.xml", "4", "--in-place")
    assert "containers:partition" in done.stdout
    assert "containers:partition" in (tmp_path / "pair.xml").read_text()
    assert (tmp_path / "pair.xml").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop.ns", "pair.xml"]


def test_in_place_goes_through_a_link_to_the_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "link.xml").symlink_to("pair.xml")
    run("set", "link.xml", "kind=qemu", "--in-place")
    assert (tmp_path / "link.xml").is_symlink()
    assert "qemu" in (tmp_path / "pair.xml").read_text()


@pytest.mark.parametrize("how", [["--in-place"], ["-o", "loop.ns"], ["-o", "./loop.ns"]])
def test_a_program_is_not_replaced_unless_that_is_forced(run: Run, tmp_path: Path, how: list[str]) -> None:
    done = run("set", "loop.ns", "kind=qemu", *how, code=1)
    assert "loops" in done.stderr
    assert (tmp_path / "loop.ns").read_text() == LOOP
    run("set", "loop.ns", "kind=qemu", *how, "--force")
    assert "for {" not in (tmp_path / "loop.ns").read_text()


def test_unset_takes_away_what_set_gave(run: Run) -> None:
    run("set", "pair.xml", "color=red", "-o", "red.xml")
    plain = run("set", "pair.xml", "kind=qemu", "--to", "topdl").stdout
    run("set", "red.xml", "kind=qemu", "-o", "red.xml")
    assert run("unset", "red.xml", "color").stdout == plain


def test_rename_swaps_nodes(run: Run) -> None:
    run("rename", "pair.xml", "alice=bob", "bob=alice", "wire=cable", "-o", "new.xml")
    document = json.loads(run("show", "new.xml", "--json").stdout)
    assert [node["name"] for node in document["nodes"]] == ["bob", "alice"]


def test_scale_multiplies(run: Run) -> None:
    assert run("scale", "loop.ns", "3", "--node", "n-0", "--to", "topdl").stdout.count("<computer>") == 5
    assert run("scale", "pair.xml", "3").stdout.count("<computer>") == 6


def test_merge_tells_clashes_and_prefixes_end_them(run: Run) -> None:
    done = run("merge", "pair.xml", "pair.xml", "loop.ns", code=2)
    assert done.stderr.count("error: ") == 3
    assert run("merge", "pair.xml", "pair.xml", "--prefix", "x-").stdout.count("<computer>") == 4


def test_generate_writes_topdl_or_what_the_ending_says(run: Run) -> None:
    assert run("generate", "star", "4").stdout.count("<computer>") == 5
    run("generate", "grid", "2", "3", "--rate", "10Mb", "--delay", "4ms", "--loss", "0.01", "-o", "grid.ns")
    assert "6 nodes, 7 links" in run("validate", "grid.ns").stdout


def test_import_says_what_it_changed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lab.clab.yml").write_text(
        "topology:\n  nodes: {a_1: {ports: ['80:80']}, b: {}}\n  links:\n    - endpoints: ['a_1:eth1', 'b:eth1']\n"
    )
    done = run("import", "lab.clab.yml", "--kind", "process", "-o", "lab.xml")
    assert "ports is left out" in done.stderr
    assert "is called a-1" in done.stderr
    assert (tmp_path / "lab.xml").read_text().count("process") == 2


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["set", "pair.xml", "kind"], 1, "write KEY=VALUE"),
        (["set", "pair.xml", "kind=quemu"], 2, "did you mean qemu?"),
        (["set", "pair.xml", "kind=qemu", "--node", "x*"], 1, "the nodes are alice, bob"),
        (["set", "pair.xml", "kind=qemu", "--kind", "x"], 1, "known kinds"),
        (["set", "pair.xml", "kind=qemu", "--in-place", "-o", "x.xml"], 1, "contradict"),
        (["set", "pair.xml", "kind=qemu", "-o", "no/such/folder.xml"], 1, "cannot be written"),
        (["set", "absent.xml", "kind=qemu"], 2, "cannot be opened"),
        (["set", "pair.xml", "k\x1b[2J=x"], 1, "\\x1b[2J"),
        (["rename", "pair.xml", "alice=a_b"], 2, "cannot name a node"),
        (["rename", "pair.xml", "alise=a"], 1, "did you mean alice?"),
        (["scale", "pair.xml", "0"], 1, "1 or more"),
        (["merge", "pair.xml"], 1, "two or more"),
        (["merge", "pair.xml", "loop.ns", "--prefix", "a", "--prefix", "b", "--prefix", "c"], 1, "3 prefixes"),
        (["convert", "pair.xml", "--to", "xml"], 1, "ns or topdl"),
        (["generate", "start", "3"], 1, "did you mean star?"),
        (["generate", "star", "3", "--rate", "100MB"], 1, "did you mean Mb?"),
        (["generate", "ring", "2"], 1, "at least 3"),
        (["import", "pair.gml"], 2, "cannot be imported"),
        (["import", "pair.xml"], 2, "TopDL needs no import"),
    ],
)
def test_a_mistake_is_one_clear_message(run: Run, words: list[str], code: int, says: str) -> None:
    done = run(*words, code=code)
    assert says in done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr


def test_every_verb_explains_itself(run: Run) -> None:
    listed = run("--help").stdout
    verbs = "show validate convert set unset set-kind set-partition rename scale merge generate import"
    for verb in verbs.split():
        assert verb in listed
        assert "Usage" in run(verb, "--help").stdout


def test_the_manual_names_every_verb_and_every_shape() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "topdl.md").read_text()
    verbs = [command.name or "" for command in app.registered_commands]
    assert [word for word in [*verbs, *Shape] if f"`{word}" not in manual] == []


def test_help_loads_neither_xml_nor_yaml() -> None:
    script = (
        "import sys; sys.argv = ['benito', 'topdl', '--help']\n"
        "from benito_cli.main import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', sorted({'lxml', 'yaml', 'networkx'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True)
    assert "HEAVY []" in done.stdout
