"""`benito node`, `logs`, `console`, `cp`, `down --keep-state` and `resume`, over nodes that remember."""

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builders import STAR
from fakes import FakeLinks, FakeNodes

from benito.controller import Controller
from benito.model import Kind
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.restarts import Tries, write_tries
from benito.seams import NodeLog
from benito.status import BootStatus, NodeStatus, StartState
from benito.store import Store
from benito.testbeds.local import LocalTestbed
from benito_cli import main, wiring
from benito_cli.logtext import Printer


@dataclass(frozen=True)
class Said:
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class HereNodes(FakeNodes):
    """Commands in nodes are run on this machine."""

    def argv(self, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool) -> list[str]:
        return list(command)


class Typed:
    """An experiment lab/star is up; called with words, types them after `benito`."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capfd = patch, capfd
        self.paths = StatePaths(root / "state")
        self.nodes = HereNodes(Kind.OPENVZ)
        manager = NodeManager(self.paths, FakeLinks(), {Kind.OPENVZ: self.nodes}, lambda: None)
        self.controller = Controller(self.paths, Store(self.paths.store), LocalTestbed(manager))
        self.file = root / "star.ns"
        self.file.write_text(
            "set ns [new Simulator]\nset center [$ns node]\nset n-0 [$ns node]\nset n-1 [$ns node]\n"
            'tb-set-node-startcmd ${n-0} "true"\n'
            "set link0 [$ns duplex-link $center ${n-0} 1Mb 4ms DropTail]\n"
            "set link1 [$ns duplex-link $center ${n-1} 1Mb 4ms DropTail]\n$ns run\n"
        )
        patch.setattr(wiring, "local_controller", lambda: self.controller)
        patch.setenv("COLUMNS", "200")
        self("up", str(self.file))

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

    def status(self) -> dict[str, dict[str, Any]]:
        return {node["node"]: node for node in self("status", "star", "--json").document["nodes"]}


@pytest.fixture
def benito(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    return Typed(tmp_path, monkeypatch, capfd)


class TestNode:
    def test_nodes_are_named_by_experiment_pattern_or_name(self, benito: Typed) -> None:
        assert benito("node", "stop", "star", "n-*").lines == ["n-0: stopped", "n-1: stopped"]
        assert benito("node", "stop", "N-0.star").lines == ["n-0: is stopped already"]
        assert benito("node", "start", "lab/star", "n-0", "center").lines == ["center: runs already", "n-0: started"]
        assert benito("node", "restart", "star", "--all").lines == [
            "center: restarted", "n-0: restarted", "n-1: restarted",
        ]  # fmt: skip
        assert "fits 'x'" in benito("node", "rebuild", "star", "x", code=1).err
        assert "no running experiment has a node star" in benito("node", "restart", "star", code=1).err
        assert "contradict" in benito("node", "stop", "star", "n-0", "--all", code=1).err

    def test_status_says_who_is_stopped(self, benito: Typed) -> None:
        benito("node", "stop", "star", "n-0")
        found = benito.status()["n-0"]
        assert (found["status"], found["stopped"], found["reason"]) == ("dead", True, "stopped by `benito node stop`")
        said = benito("status", "star")
        assert "│ stopped │" in said.out
        assert "n-0: stopped by `benito node stop`" in said.lines
        assert "all is as planned" in benito("repair", "star").out

    def test_a_dry_run_and_a_document_say_the_same(self, benito: Typed) -> None:
        assert benito("node", "rebuild", "star", "n-0", "--dry-run").lines == ["would rebuild n-0"]
        said = benito("node", "stop", "star", "n-*", "--dry-run", "--json")
        assert said.document == {"change": "stop", "nodes": ["n-0", "n-1"], "dry_run": True}
        assert set(benito.nodes.alive) == {"center", "n-0", "n-1"}

    def test_a_node_that_does_not_boot_in_time_is_an_error(self, benito: Typed) -> None:
        benito.nodes.first = BootStatus.RUNNING
        said = benito("node", "restart", "star", "n-0", "--timeout", "0", code=5)
        assert said.lines == ["n-0: restarted"]
        assert "1 of 1 nodes are not up: n-0.star.lab" in said.err
        benito("node", "stop", "star", "n-0")

    def test_status_counts_restarts_and_tells_how_far_start_commands_are(self, benito: Typed) -> None:
        assert "restarts" not in benito("status", "star").out
        write_tries(benito.paths, STAR, {"n-0": Tries(count=2, total=5, last=1.0)})
        benito.nodes.alive["n-0"] = NodeStatus(boot=BootStatus.BOOTED, start=StartState.RUNNING)
        found = benito.status()
        assert {name: (node["restarts"], node["start_command"]) for name, node in found.items()} == {
            "center": (0, None),
            "n-0": (5, "running"),
            "n-1": (0, None),
        }
        assert "│ running       │ 5        │" in benito("status", "star").out
        ended = NodeStatus(boot=BootStatus.BOOTED, start=StartState.ENDED, exit_code=3, start_seconds=1.5)
        benito.nodes.alive["n-0"] = ended
        assert "│ exit 3 after 1.5 s │" in benito("status", "star").out


class TestSwapping:
    def test_it_goes_on_by_name_or_by_the_same_file(self, benito: Typed) -> None:
        said = benito("down", "star", "--keep-state")
        assert "lab/star is swapped out" in said.err
        assert "`benito resume lab/star` goes on" in said.err
        assert {node["experiment_state"] for node in benito.status().values()} == {"swapped"}
        said = benito("status", "star")
        assert said.out.count("│ swapped │") == 3
        assert said.out.count("swapped out: `benito resume lab/star` goes on") == 1
        assert "lab/star is up again: 3 nodes" in benito("resume", "star").err
        assert {node["status"] for node in benito.status().values()} == {"booted"}
        benito("down", "star", "--keep-state")
        benito("up", str(benito.file))
        assert benito.nodes.files == {"center": 3, "n-0": 3, "n-1": 3}

    def test_another_file_is_refused(self, benito: Typed) -> None:
        benito("down", "star", "--keep-state")
        benito.file.write_text(benito.file.read_text().replace("1Mb", "2Mb"))
        said = benito("up", str(benito.file), code=8)
        assert "is swapped out, and was made from another file" in said.err
        assert "`benito resume lab/star`" in said.err
        assert "lab/star is down" in benito("down", "star").err
        assert "has no state that is kept" not in benito("resume", "star", code=8).err

    def test_what_is_up_needs_no_resume(self, benito: Typed) -> None:
        assert "lab/star is active" in benito("resume", "star", code=1).err


class TestConsole:
    def test_the_words_are_the_drivers(self, benito: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        run: list[list[str]] = []
        monkeypatch.setattr(os, "execvpe", lambda program, argv, environment: run.append([program, *argv]))
        assert "needs a terminal" in benito("console", "star", "n-0", code=1).err
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        for words in (("star", "N-0"), ("n-0.star.lab",)):
            benito("console", *words)
        assert run == [["echo", "echo", "console", "n-0"]] * 2
        assert "fits 2 nodes: n-0, n-1" in benito("console", "star", "n-*", code=1).err


class TestLogs:
    @pytest.fixture(autouse=True)
    def logs(self, benito: Typed) -> None:
        benito.nodes.logs = {
            ("n-0", NodeLog.OUT): b"one\ntwo\nthree\xff\x1b[2J",
            ("n-0", NodeLog.ERR): b"bad\n",
            ("n-0", NodeLog.LOG): b"started\n",
            ("n-0", NodeLog.CONSOLE): b"Linux\r\n",
        }

    def test_output_and_errors_are_told_apart(self, benito: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        self.raw(benito, monkeypatch, ["logs", "star", "n-0"], b"one\ntwo\nthree\xff\x1b[2J", b"bad\n")
        self.raw(benito, monkeypatch, ["logs", "n-0.star", "--err"], b"bad\n", b"")
        self.raw(benito, monkeypatch, ["logs", "star", "n-0", "--out", "--tail", "2"], b"two\nthree\xff\x1b[2J", b"")
        self.raw(benito, monkeypatch, ["logs", "star", "n-0", "--console"], b"Linux\r\n", b"")
        self.raw(benito, monkeypatch, ["logs", "star", "n-0", "--log", "--tail", "0"], b"", b"")
        self.raw(benito, monkeypatch, ["logs", "star", "n-1"], b"", b"")
        assert "--console stands by itself" in benito("logs", "star", "n-0", "--console", "--err", code=1).err

    @staticmethod
    def raw(benito: Typed, patch: pytest.MonkeyPatch, words: list[str], out: bytes, err: bytes) -> None:
        """Bytes as they come, which are no text."""
        files = [io.BytesIO(), io.BytesIO()]
        streams = [io.TextIOWrapper(file, encoding="utf-8") for file in files]
        with patch.context() as patched:
            patched.setattr(sys, "stdout", streams[0])
            patched.setattr(sys, "stderr", streams[1])
            benito(*words)
        assert tuple(file.getvalue() for file in files) == (out, err)

    def test_a_dead_nodes_can_be_read(self, benito: Typed) -> None:
        benito("node", "stop", "star", "n-0")
        assert benito("logs", "star", "n-0", "--log").out == "started\n"

    def test_it_follows_until_told_to_end(self, benito: Typed) -> None:
        def work() -> None:
            while not benito.nodes.watchers:
                time.sleep(0.001)
            benito.nodes.logs["n-0", NodeLog.LOG] = b"started\nended\n"
            for changed in benito.nodes.watchers:
                changed()
            time.sleep(0.1)
            benito.nodes.logs["n-0", NodeLog.LOG] = b"anew\n"  # a start command that begins again
            time.sleep(0.7)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=work)
        thread.start()
        said = benito("logs", "star", "n-0", "--log", "--follow")
        thread.join()
        assert said.out == "started\nended\nanew\n"


class Terminal(io.TextIOWrapper):
    """A standard output that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_obeys_nothing_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal(io.BytesIO(), encoding="utf-8"))
    monkeypatch.setenv("TERM", "dumb")
    printer = Printer()
    for piece in (b"[bold]a\x1b]0;x\x07b \xc3", b"\xa4\r\n\x9b2J", b"\xff\n", b"last"):
        printer.write(piece)
    printer.close()
    sys.stdout.flush()
    written = sys.stdout.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert written == "[bold]a\\x1b]0;x\\x07b \N{LATIN SMALL LETTER A WITH DIAERESIS}\n\ufffd2J\ufffd\nlast\n"


class TestCp:
    def test_both_ways(self, benito: Typed, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("hello")
        benito("cp", str(tmp_path / "a"), f"n-0:{tmp_path / 'b'}")
        assert (tmp_path / "b").read_text() == "hello"
        (tmp_path / "into").mkdir()
        benito("cp", "-r", f"n-0.star:{tmp_path / 'a'}", f"n-0.star:{tmp_path / 'b'}", str(tmp_path / "into"))
        assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["a", "b"]

    def test_what_is_left_out_is_said(self, benito: Typed, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        os.mkfifo(tmp_path / "d" / "pipe")
        assert "left out: d/pipe: no file" in benito("cp", f"n-0:{tmp_path / 'd'}", str(tmp_path / "e"), code=1).err
        assert (tmp_path / "e").is_dir()

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["a"], "name what to copy, and where to"),
            (["a", "b"], "one side has to be a node"),
            (["n-0:a", "n-1:b"], "one side has to be a node"),
            (["n-0:a", "n-1:b", "c"], "one side has to be a node"),
            (["n-0:a", "b", "c"], "one side has to be a node"),
            (["nobody:a", "b"], "no running experiment has a node nobody"),
            (["./gone:x", "n-0:"], "gone:x is not there"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, benito: Typed, words: list[str], said: str) -> None:
        assert said in benito("cp", *words, code=1).err
