"""What is not a topology file is one clear problem, and holds nobody up."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benito.errors import TopologyError, TopologySyntaxError, UsageError
from benito.topology import ReadLimits, read_topology


def refused(path: Path) -> str:
    start = time.monotonic()
    with pytest.raises(TopologySyntaxError) as caught:
        read_topology(path)
    assert time.monotonic() - start < 2
    assert len(caught.value.problems) == 1
    return caught.value.problems[0].message


@pytest.mark.parametrize("name", ["t.ns", "t.xml"])
def test_a_fifo_is_no_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert refused(tmp_path / name) == "this is not a regular file"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "/"])
def test_a_device_or_folder_is_no_file(path: str) -> None:
    assert "not a regular file" in refused(Path(path)) or "cannot be opened" in refused(Path(path))


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.ns") == "the file cannot be opened: No such file or directory"


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "t.ns", "the file is empty"),
        (b"# only\n# comments\n", "t.ns", "the file has nothing but comments"),
        (b"#" * ((1 << 20) + 1), "t.ns", "the file is larger than 1 MiB"),
        (b"set a \xff\xfe\n", "t.ns", "the text is not UTF-8 (byte 6)"),
        (b"\x7fELF\x02\x01\x00", "t.ns", "the file holds the control character 0x02"),
        (b"<!DOCTYPE html>\n<html>", "t.ns", "this is an HTML page, not an NS file: <!DOCTYPE"),
        (b"# c\n<html lang='en'>", "t.tcl", "this is an HTML page, not an NS file: <html"),
        (b"<experiment/>", "t.ns", "this is XML, not an NS file: <experiment"),
        (b"set ns [new Simulator]", "t", "this is not XML"),
    ],
)
def test_a_file_of_another_kind_is_told_so(tmp_path: Path, data: bytes, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert refused(tmp_path / name) == message


def test_line_ends_and_marks_of_other_systems_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.NS"
    path.write_bytes(b"\xef\xbb\xbfset ns [new Simulator]\r\nset a \\\r\n [$ns node]\r\n$ns run\r\n")
    assert [node.name for node in read_topology(path).nodes] == ["a"]


def test_text_beyond_ascii_is_kept(read: Callable[[str], object], tmp_path: Path) -> None:
    path = tmp_path / "t.ns"
    path.write_text('set ns [new Simulator]\nset a [$ns node]\ntb-set-node-startcmd $a "echo grüße 漢字"\n$ns run\n')
    assert read_topology(path).nodes[0].start_command == "echo grüße 漢字"


def test_a_missing_interpreter_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.ns"
    path.write_text("set a 1\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TopologySyntaxError) as caught:
        read_topology(path)
    assert "tclsh" in caught.value.problems[0].message
    assert caught.value.problems[0].hint == "apt install tcl"


def test_more_interfaces_than_one_experiment_may_have_are_refused(refusal: Callable[..., str]) -> None:
    text = 'set ns [new Simulator]\nset a [$ns node]\nset l [$ns make-lan "a a a" 1Mb 0]\n$ns run\n'
    said = refusal(text, limits=ReadLimits(interfaces=2))
    assert "3 interfaces are more than the 2" in said


def test_the_node_limit_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "three.ns"
    file.write_text("set ns [new Simulator]\nset a [$ns node]\nset b [$ns node]\nset c [$ns node]\n$ns run\n")
    assert len(read_topology(file).nodes) == 3
    monkeypatch.setenv("BENITO_NODE_LIMIT", "2")
    with pytest.raises(TopologyError, match="2"):
        read_topology(file)
    monkeypatch.setenv("BENITO_NODE_LIMIT", "many")
    with pytest.raises(UsageError, match="BENITO_NODE_LIMIT is 'many'"):
        read_topology(file)
