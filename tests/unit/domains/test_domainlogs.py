"""Logs of containers and machines, whose roots may have put anything in their place."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from nodeplans import EXPERIMENT

from benito.errors import HypervisorError
from benito.model import Kind
from benito.paths import StatePaths
from benito.seams import NodeLog
from benito_domains import domainlogs
from benito_domains.domainlogs import console_argv, read_container_log, read_machine_log
from benito_domains.nodefiles import NodeFiles

LOG = ("var", "benito", "log")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeFiles:
    monkeypatch.setattr(domainlogs, "libvirt_pid", os.getpid)
    made = NodeFiles(StatePaths(tmp_path / "state").node(EXPERIMENT, "a"))
    made.make(Kind.OPENVZ, os.getegid())
    return made


@pytest.fixture
def log(files: NodeFiles) -> Path:
    """The container's own folder of logs."""
    folder = files.folder.joinpath("root", "upper", *LOG)
    folder.mkdir(parents=True)
    return folder


def read(files: NodeFiles, log: NodeLog = NodeLog.OUT, offset: int = 0, most_bytes: int = 1000) -> bytes:
    return read_container_log(files, files.folder / "root" / "upper", log, offset, most_bytes)


def test_a_part_of_each_log(files: NodeFiles, log: Path) -> None:
    for suffix in ("out", "err", "log"):
        (log / f"start_command.{suffix}").write_text(f"the {suffix}")
    assert [read(files, which) for which in (NodeLog.OUT, NodeLog.ERR, NodeLog.LOG)] == [
        b"the out",
        b"the err",
        b"the log",
    ]
    assert (read(files, offset=2, most_bytes=3), read(files, offset=7), read(files, offset=99)) == (b"e o", b"", b"")


def test_a_containers_console(files: NodeFiles) -> None:
    assert read(files, NodeLog.CONSOLE) == b""
    (files.status / "console").write_text("hello\n")
    assert read(files, NodeLog.CONSOLE, 1, 3) == b"ell"


def test_a_log_that_is_not_there_is_empty(files: NodeFiles, log: Path) -> None:
    assert read(files) == b""
    log.rmdir()
    assert read(files) == b""


@pytest.mark.parametrize("depth", range(5))
def test_no_link_on_the_way_is_followed(files: NodeFiles, tmp_path: Path, depth: int) -> None:
    parts = ("upper", *LOG, "start_command.out")
    secret = tmp_path.joinpath("secret", *parts[depth + 1 :])
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text("secret")
    link = (files.folder / "root").joinpath(*parts[: depth + 1])
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "secret")
    assert (files.folder / "root").joinpath(*parts).read_text() == "secret"
    assert read(files) == b""


def test_a_link_in_place_of_the_console_is_not_followed(files: NodeFiles, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (files.status / "console").symlink_to(tmp_path / "secret")
    assert read(files, NodeLog.CONSOLE) == b""


def test_what_is_no_plain_file_is_empty_and_not_waited_for(files: NodeFiles, log: Path) -> None:
    os.mkfifo(log / "start_command.out")
    (log / "start_command.err").mkdir()
    assert (read(files), read(files, NodeLog.ERR)) == (b"", b"")


def test_the_way_to_the_nodes_folder_may_have_links(files: NodeFiles, log: Path, tmp_path: Path) -> None:
    (log / "start_command.out").write_text("x")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "state")
    linked = NodeFiles(StatePaths(tmp_path / "elsewhere").node(EXPERIMENT, "a"))
    assert read(linked) == b"x"


def test_where_the_root_is_a_copy_it_is_read_there(files: NodeFiles, log: Path) -> None:
    copy = files.folder.joinpath("root", "merged", *LOG)
    copy.mkdir(parents=True)
    (copy / "start_command.out").write_text("of the copy")
    assert read(files) == b"of the copy"


def test_a_file_system_that_is_not_mounted_cannot_be_read(files: NodeFiles) -> None:
    (files.folder / "root").mkdir()
    assert read(files) == b""  # it was never started
    (files.folder / "root.ext4").touch()
    with pytest.raises(HypervisorError, match="not mounted"):
        read(files)


class TestMachines:
    def here(self, folder: Path, words: Sequence[str]) -> list[str]:
        """Runs what would run in the machine, on the files of a folder."""
        assert words[:3] == ["/usr/lib/benito/busybox", "sh", "-c"]
        return ["sh", "-c", words[3].replace("/var/benito/log", str(folder))]

    def test_a_part_of_a_log(self, files: NodeFiles, tmp_path: Path) -> None:
        (tmp_path / "start_command.out").write_text("0123456789")

        def read(log: NodeLog, offset: int, most_bytes: int) -> bytes:
            return read_machine_log(files, lambda words: self.here(tmp_path, words), log, offset, most_bytes)

        assert read(NodeLog.OUT, 0, 100) == b"0123456789"
        assert read(NodeLog.OUT, 3, 4) == b"3456"
        assert read(NodeLog.OUT, 10, 4) == b""
        assert read(NodeLog.ERR, 0, 4) == b""

    def test_its_console_is_read_without_it(self, files: NodeFiles) -> None:
        files.console_log.write_text("hello")
        assert read_machine_log(files, lambda _: ["false"], NodeLog.CONSOLE, 1, 3) == b"ell"

    def test_one_that_does_not_answer_is_an_error(self, files: NodeFiles) -> None:
        with pytest.raises(HypervisorError, match="no route") as caught:
            read_machine_log(files, lambda _: ["sh", "-c", "echo no route >&2; exit 255"], NodeLog.OUT, 0, 10)
        assert "--console" in (caught.value.hint or "")

    def test_one_that_sends_without_end_gives_what_was_asked_for(self, files: NodeFiles) -> None:
        data = read_machine_log(files, lambda _: ["yes"], NodeLog.OUT, 0, 1_000_001)
        assert len(data) == 1_000_001

    def test_one_that_complains_without_end_is_ended(
        self, files: NodeFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(domainlogs, "_ASK_SECONDS", 0.5)
        note = tmp_path / "pid"
        begin = time.monotonic()
        with pytest.raises(HypervisorError, match="did not end within"):
            read_machine_log(files, lambda _: ["sh", "-c", f"echo $$ >{note}; exec yes >&2"], NodeLog.OUT, 0, 10)
        assert time.monotonic() - begin < 60
        assert not Path(f"/proc/{note.read_text().strip()}").exists()


def test_a_console_is_joined_with_virsh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domainlogs, "find_program", lambda _: Path("/usr/bin/virsh"))
    words = ["/usr/bin/virsh", "--connect", "lxc:///system", "console", "--domain", "a.one.lab"]
    assert console_argv("lxc:///system", "a.one.lab") == words
    assert "--force" in console_argv("qemu:///system", "a.one.lab")
    monkeypatch.setattr(domainlogs, "find_program", lambda _: None)
    with pytest.raises(HypervisorError, match="virsh") as caught:
        console_argv("lxc:///system", "a.one.lab")
    assert caught.value.hint == "apt-get install libvirt-clients"
