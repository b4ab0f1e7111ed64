"""`benito topdl picture` and the helper that `benito plan --picture` calls, as a user meets them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import STAR, experiment, star
from fakes import FakeLinks, FakeNodes
from pictures import drawing, having, parse, texts

from benito.controller import Controller
from benito.errors import UsageError
from benito.model import Kind
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.picture import png
from benito.store import Store
from benito.testbeds.local import LocalTestbed
from benito_cli import main, wiring
from benito_cli.pictures import write_picture

LAB = """set ns [new Simulator]
set members ""
for {set i 0} {$i < 4} {incr i} {
    set n($i) [$ns node]
    append members "$n($i) "
    tb-add-node-attribute $n($i) containers:partition [expr $i / 2]
    tb-add-node-attribute $n($i) containers:node_type process
}
set office [$ns make-lan $members 100Mb 0ms]
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
    """Runs the verb in a folder with a file, in this process, and looks at its exit code."""
    (tmp_path / "lab.ns").write_text(LAB)
    monkeypatch.chdir(tmp_path)

    def typed(*words: str, code: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["benito", "topdl", "picture", *words])
        with pytest.raises(SystemExit) as ended:
            main.run()
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, out + err
        return Done(out, err)

    return typed


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Controller:
    """The command's controller, over drivers that remember."""
    paths = StatePaths(tmp_path / "state")
    manager = NodeManager(paths, FakeLinks(()), {Kind.OPENVZ: FakeNodes(Kind.OPENVZ, frozenset())})
    made = Controller(paths, Store(paths.store), LocalTestbed(manager))
    monkeypatch.setattr(wiring, "local_controller", lambda: made)
    return made


@pytest.mark.parametrize(
    "words",
    [
        ["lab.ns", "out.svg"],
        ["--topo", "lab.ns", "out.svg"],
        ["lab.ns", "--out", "out.svg"],
        ["--topo=lab.ns", "--out=out.svg"],
    ],
)
def test_topology_and_output_are_words_or_options(run: Run, tmp_path: Path, words: list[str]) -> None:
    assert run(*words) == Done("", "")
    said = texts(parse((tmp_path / "out.svg").read_bytes()))
    for word in ("n-0", "n-3", "office", "10.0.0.4", "process (4)", "lab.ns: 4 nodes, 1 links and LANs"):
        assert word in said


def test_partitions_are_boxes(run: Run, tmp_path: Path) -> None:
    run("lab.ns", "plain.svg")
    run("lab.ns", "boxes.svg", "--partitions")
    plain, boxes = (texts(parse((tmp_path / name).read_bytes())) for name in ("plain.svg", "boxes.svg"))
    assert "partition 0" not in plain
    assert {"partition 0", "partition 1", "office 100 Mb/s"} <= set(boxes)


def test_partitions_that_are_not_there_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bare.ns").write_text("set ns [new Simulator]\nset a [$ns node]\n$ns run\n")
    assert "no node has a partition" in run("bare.ns", "out.svg", "--partitions").stderr


def test_a_png_is_one(run: Run, tmp_path: Path) -> None:
    run("lab.ns", "out.PNG")
    assert (tmp_path / "out.PNG").read_bytes().startswith(b"\x89PNG")


def test_the_old_prefix_is_taken_with_a_warning(run: Run, tmp_path: Path) -> None:
    assert "deprecated" in run("lab.ns", "out.svg", "--attr-prefix", "benito").stderr
    assert (tmp_path / "out.svg").exists()


def test_an_old_picture_is_replaced_whole_and_keeps_its_permissions(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out.svg").write_text("old")
    (tmp_path / "out.svg").chmod(0o640)
    run("lab.ns", "out.svg")
    assert parse((tmp_path / "out.svg").read_bytes()).tag.endswith("svg")
    assert (tmp_path / "out.svg").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab.ns", "out.svg"]


def test_a_known_experiment_is_drawn_from_the_store(run: Run, controller: Controller, tmp_path: Path) -> None:
    controller.up(experiment(star(3)), data=b"")
    controller.nodes.wait_booted(STAR, seconds=5)
    run("--experiment", "LAB/star", "out.svg", "--partitions")
    root = parse((tmp_path / "out.svg").read_bytes())
    assert {"center", "n-2", "pnode-0000", "10.0.2.2", "lab/star: 4 nodes, 3 links and LANs"} <= set(texts(root))
    assert "booted" in texts(root, "title")[-1]
    assert len(having(root, "node")) == 4


def test_an_experiment_without_a_plan_is_told(run: Run, controller: Controller) -> None:
    controller._store.add(STAR, source="star.ns", data=b"")
    assert "no plan yet" in run("--experiment", "star", "out.svg", code=8).stderr


@pytest.mark.skipif(shutil.which("fdp") is None, reason="graphviz is not installed")
def test_a_program_of_graphviz_places_nodes(run: Run, tmp_path: Path) -> None:
    run("lab.ns", "ours.svg")
    run("lab.ns", "theirs.svg", "--program", "fdp")
    ours, theirs = ((tmp_path / name).read_bytes() for name in ("ours.svg", "theirs.svg"))
    assert ours != theirs
    assert sorted(texts(parse(ours))) == sorted(texts(parse(theirs)))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 1, "nothing to draw"),
        (["lab.ns"], 1, "no file to write to"),
        (["--topo", "lab.ns"], 1, "no file to write to"),
        (["lab.ns", "out.svg", "more.svg"], 1, "'more.svg' is one word too many"),
        (["--topo", "lab.ns", "--experiment", "lab/x", "out.svg"], 1, "contradict"),
        (["lab.ns", "out.gif"], 1, "ends in .svg or .png"),
        (["lab.ns", "out"], 1, "ends in .svg or .png"),
        (["lab.ns", "no/such/out.svg"], 1, "cannot be written: No such file"),
        (["lab.ns", "folder.svg"], 1, "cannot be written: Is a directory"),
        (["absent.ns", "out.svg"], 2, "cannot be opened"),
        (["lab.ns", "out.svg", "--program", "f\x1bdp"], 1, "known programs: dot"),
        (["--experiment", "lab/absent", "out.svg"], 8, "there is no experiment lab/absent"),
        (["--experiment", "a/b/c", "out.svg"], 1, "cannot name a project"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Run, controller: Controller, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    (tmp_path / "folder.svg").mkdir()
    done = run(*words, code=code)
    assert says in done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert not (tmp_path / "out.svg").exists()


def test_a_program_that_is_not_there_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *words, **more: None)
    assert "apt-get install graphviz" in run("lab.ns", "out.svg", "--program", "fdp", code=1).stderr


def test_a_font_that_is_not_there_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "FONTS", ())
    assert "fonts-dejavu-core" in run("lab.ns", "out.png", code=1).stderr
    assert not (tmp_path / "out.png").exists()


def test_a_pipe_is_written_to(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.svg")
    reader = os.open(tmp_path / "pipe.svg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        run("lab.ns", "pipe.svg")
        assert os.read(reader, 65536).startswith(b"<?xml")
    finally:
        os.close(reader)


def test_the_helper_writes_what_it_is_given(tmp_path: Path) -> None:
    write_picture(drawing(["a", "b"], {"l": "a b"}), tmp_path / "x.svg")
    assert len(having(parse((tmp_path / "x.svg").read_bytes()), "node")) == 2
    with pytest.raises(UsageError, match="does not say what to write"):
        write_picture(drawing(["a"], {}), tmp_path / "x.pdf")


def test_help_loads_nothing_that_draws() -> None:
    script = (
        "import sys; sys.argv = ['benito', 'topdl', 'picture', '--help']\n"
        "from benito_cli.main import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', sorted({'lxml', 'resvg_py', 'networkx', 'benito.picture'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
