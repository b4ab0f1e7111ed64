"""An NS file is a program. None of these may hang, kill or cheat the reader."""

import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benito.errors import TopologySyntaxError
from benito.model import Topology
from benito.topology import ReadLimits, read_topology
from benito.topology.ns import child
from benito.topology.ns.records import MalformedRecord, parse_records

LIMITS = ReadLimits(cpu_seconds=1, wall_seconds=3)
TIME = "runs longer than [13] s"
MEMORY = "uses more than 256 MiB of memory"
ENDLESS = f"{TIME}|{MEMORY}|more than [0-9]+ Tcl commands|does more than 32 MiB can tell|makes more than 100000 nodes"

ATTACKS = {
    "loop": ("while 1 {}", ENDLESS),
    "caught loop": ("while 1 {catch {while 1 {incr i}}}", ENDLESS),
    "recursion": ("proc f {} {f}\nf", "too many nested evaluations"),
    "recursion in expr": ("proc f {} {expr {[f]+1}}\nf", "too many nested evaluations"),
    "uplevel": ("proc f args {uplevel 1 f $args}\nf a", "too many nested evaluations"),
    "unknown": ("proc unknown args {while 1 {}}\nnosuch", ENDLESS),
    "coroutine": ("coroutine c while 1 {yield}", "command not allowed: coroutine"),
    "vwait": ("vwait forever", "command not allowed: vwait"),
    "after": ("after 60000", "command not allowed: after"),
    "update": ("update", "command not allowed: update"),
    "trace": ("trace add variable x read {while 1 {}}", "command not allowed: trace"),
    "power": ("expr {9**9**7}", TIME),
    "match": ("string match [string repeat *a 40]b [string repeat a 200]", TIME),
    "format": ("format %1000000000d 1", f"{TIME}|{MEMORY}"),
    "doubling": ("set s x\nwhile 1 {append s $s}", f"{TIME}|{MEMORY}"),
    "lrepeat": ("lrepeat 500000000 x", MEMORY),
    "shift": ("expr {1<<1000000000}", MEMORY),
    "binary": ("binary format a1000000000 x", MEMORY),
    "repeat": ("string repeat abcdefgh 100000000", MEMORY),
    "list doubling": ("set l a\nwhile 1 {set l [concat $l $l]}", f"{TIME}|{MEMORY}"),
    "nested lists": ("set l x\nwhile 1 {set l [list $l]}", ENDLESS),
    "procedures": ("for {set i 0} {1} {incr i} {proc p$i {} {}}", ENDLESS),
    "subst": ("subst [string repeat {[subst } 5000]x[string repeat {]} 5000]", "too many nested"),
    "exec": ("exec id", "FILE:1: command not allowed: exec"),
    "open": ("open /etc/passwd", "command not allowed: open"),
    "pipe": ("open |id", "command not allowed: open"),
    "source": ("source /etc/passwd", "command not allowed: source /etc/passwd"),
    "socket": ("socket 127.0.0.1 80", "command not allowed: socket"),
    "glob": ("glob *", "command not allowed: glob"),
    "file": ("file delete /tmp/x", "command not allowed: file"),
    "cd": ("cd /", "command not allowed: cd"),
    "load": ("load libx.so", "command not allowed: load"),
    "exit": ("exit 0", "command not allowed: exit"),
    "environment": ("set x $env(HOME)", 'can\'t read "env\\(HOME\\)": no such variable'),
    "package": ("package require http", "command not allowed: package"),
    "interp": ("interp invokehidden {} exec id", "command not allowed: interp"),
    "host name": ("info hostname", "command not allowed: info hostname"),
    "renamed": ("rename unknown u\nrename set s\nexec id", "FILE:3: command not allowed: exec"),
    "objects": ("oo::class create X {}", "Unknown: oo::class create X"),
    "forged answer": ('puts stdout {["end"]}\nputs {["new","1","1","Node","a","node","1"]}', "has no nodes"),
    "nodes": ("set ns [new Simulator]\nwhile 1 {$ns node}", ENDLESS),
    "links": ("set ns [new Simulator]\nset a [$ns node]\nwhile 1 {$ns duplex-link a a 1Mb 0 DropTail}", ENDLESS),
    "flood": (
        "set s [string repeat x 1000000]\nset ns [new Simulator]\nwhile 1 {$ns $s}",
        ENDLESS,
    ),
    "braces": ("set x {", "missing close-brace"),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_an_attack_ends_soon_with_a_clear_message(refusal: Callable[..., str], attack: str) -> None:
    text, message = ATTACKS[attack]
    start = time.monotonic()
    said = refusal(text, limits=LIMITS)
    assert time.monotonic() - start < 10
    assert re.search(message, said)


def test_nodes_are_counted_while_they_are_made(refusal: Callable[..., str]) -> None:
    said = refusal("set ns [new Simulator]\nwhile 1 {$ns node}", limits=ReadLimits(nodes=50))
    assert "makes more than 50 nodes" in said


def test_a_limit_that_is_caught_holds_all_the_same(refusal: Callable[..., str]) -> None:
    text = "set ns [new Simulator]\nfor {set i 0} {$i < 60} {incr i} {catch {$ns node}}\n$ns run\n"
    assert "makes more than 50 nodes" in refusal(text, limits=ReadLimits(nodes=50))


def test_what_a_file_does_is_bounded(refusal: Callable[..., str]) -> None:
    text = "set s [string repeat x 1000000]\nset ns [new Simulator]\nwhile 1 {$ns $s}"
    assert "does more than 1 MiB can tell" in refusal(text, limits=ReadLimits(output_bytes=1 << 20))


def test_a_child_that_sleeps_is_ended_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the interpreter is: here one that ignores what it is told."""
    program = tmp_path / "tclsh"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    said = _with_program(tmp_path, monkeypatch)
    assert re.search(TIME, said)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "the NS interpreter ended before the file did"),
        ("hello", "answer cannot be understood"),
        ("new 1 1 Node", "answer cannot be understood"),
        ("new 1 9 Node a node 7", "answer cannot be understood"),
        ("tb 1 rm -rf", "answer cannot be understood"),
        ("tb 1 tb-set-ip", "answer cannot be understood"),
        ("call 1 5 run", "answer cannot be understood"),
        ("new 1 1 Sock a new Agent/UDP", "answer cannot be understood"),
    ],
)
def test_a_child_that_lies_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, message: str
) -> None:
    program = tmp_path / "tclsh"
    said = "\n".join(line.replace(" ", "\x1f") for line in (answer, "end"))
    program.write_text(f"#!/bin/sh\ncat <<'EOF'\n{said}\nEOF\n" if answer else "#!/bin/sh\n")
    program.chmod(0o755)
    assert message in _with_program(tmp_path, monkeypatch)


def _with_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said when the programs of `folder` stand in for Tcl, as the user that we are."""
    argv = child._argv

    def plain(program: str, *rest: object) -> tuple[list[str], tuple[int, int]]:
        _, handles = argv(program, *rest)  # type: ignore[arg-type]
        return [program], handles

    monkeypatch.setattr(child, "_argv", plain)
    monkeypatch.setenv("PATH", str(folder))
    path = folder / "t.ns"
    path.write_text("set a 1\n")
    with pytest.raises(TopologySyntaxError) as caught:
        read_topology(path, limits=ReadLimits(cpu_seconds=1, wall_seconds=1))
    return str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nosuch\n",
        b"end\x1fmore\n",
        b"end",
        b"limit\n",
        b"name\x1fx\x1f1\x1fa\n",
        b"name\x1f1\x1f99999999999\x1fa\n",
        b"name\x1f\xc2\xb2\x1f1\x1fa\n",
        b"name\x1f1\x1f1\x1f\xed\xa0\x80\n",
        b"name\x1f1\x1f1\x1fa\\n\n",
        b"name\x1f1\x1f1\x1fa\\x5\n",
        b"\xff\n",
    ],
)
def test_a_line_that_we_do_not_write_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedRecord):
        parse_records(line)


@pytest.mark.parametrize(
    "word", ["plain", "", "a\\b", "two\nlines", "\r", "unit\x1fparted", "\\x41", "caf\u00e9", "x\x01y"]
)
def test_every_word_comes_through_as_it_is(read: Callable[..., Topology], word: str) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in word)
    topology = read(f'set ns [new Simulator]\nset a [$ns node]\nset opt(X) "{escaped}"\n$ns run\n')
    assert topology.options == (("X", word),)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_the_interpreter_has_no_rights_and_no_network(tmp_path: Path) -> None:
    path = tmp_path / "t.ns"
    path.write_text("while 1 {}\n")
    ours = Path("/proc/self/ns/net").readlink()
    before = _children()
    reader = threading.Thread(target=_ignore_refusal, args=(path,))
    reader.start()
    try:
        uids, network = _watch(before)
    finally:
        reader.join()
    assert uids == {"65534"}
    assert network != ours


def _children() -> set[str]:
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def _watch(before: set[str]) -> tuple[set[str], Path]:
    """User ids and network of the new child once it runs Tcl."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for pid in _children() - before:
            try:
                if Path(f"/proc/{pid}/comm").read_text().startswith("tclsh"):
                    status = Path(f"/proc/{pid}/status").read_text()
                    line = next(line for line in status.splitlines() if line.startswith("Uid:"))
                    return set(line.split()[1:]), Path(f"/proc/{pid}/ns/net").readlink()
            except FileNotFoundError:
                continue
        time.sleep(0.005)
    raise AssertionError("no interpreter was seen")


def _ignore_refusal(path: Path) -> None:
    with pytest.raises(TopologySyntaxError):
        read_topology(path, limits=LIMITS)
