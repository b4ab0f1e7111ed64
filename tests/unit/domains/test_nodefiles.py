"""A node's folder, and what a hostile node may have put into it."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.status import REPORT_BYTES, BootStatus
from benito_domains.config import ConfigFile
from benito_domains.nodefiles import NodeFiles, nodes_on_disk

ONE = ExperimentId("lab", "one")
FILES = {"hosts": ConfigFile(data=b"x\n"), "host_key": ConfigFile(data=b"k", secret=True)}


@pytest.fixture
def files(tmp_path: Path) -> NodeFiles:
    made = NodeFiles(StatePaths(tmp_path).node(ONE, "a"))
    made.make(Kind.OPENVZ, os.getegid())
    return made


def test_a_report_is_read(files: NodeFiles) -> None:
    files.report.write_text("booted\nstart_command 3 12\n")
    status = files.read_status()
    assert (status.boot, status.exit_code, status.start_seconds) == (BootStatus.BOOTED, 3, 12.0)


def test_no_report_is_a_node_that_has_not_booted(files: NodeFiles) -> None:
    assert files.read_status().boot is BootStatus.RUNNING


def test_a_link_in_place_of_the_report_is_not_followed(files: NodeFiles, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("booted\n")
    files.report.symlink_to(tmp_path / "secret")
    assert files.read_status().boot is BootStatus.RUNNING


def test_a_pipe_in_place_of_the_report_does_not_hang(files: NodeFiles) -> None:
    os.mkfifo(files.report)
    assert files.read_status().boot is BootStatus.RUNNING


def test_a_folder_in_place_of_the_report_is_no_report(files: NodeFiles) -> None:
    files.report.mkdir()
    assert files.read_status().boot is BootStatus.RUNNING


def test_only_the_end_of_an_endless_report_is_read(files: NodeFiles) -> None:
    files.report.write_bytes(b"booted\n" + b"\xff" * REPORT_BYTES + b"\nbooted\n")
    assert files.read_status().boot is BootStatus.BOOTED


def test_hold_forgets_what_an_earlier_life_reported(files: NodeFiles) -> None:
    files.report.write_text("booted\n")
    files.release()
    files.hold()
    assert files.read_status().boot is BootStatus.RUNNING
    assert not (files.config / "released").exists()


def test_release_can_be_given_again(files: NodeFiles) -> None:
    files.release()
    files.release()
    assert (files.config / "released").exists()


def test_config_files_are_written_with_their_modes_and_old_ones_go(files: NodeFiles) -> None:
    files.write_config({**FILES, "routes": ConfigFile(data=b"")}, os.geteuid())
    files.release()
    files.write_config(FILES, os.geteuid())
    assert sorted(path.name for path in files.config.iterdir()) == ["host_key", "hosts", "released"]
    assert (files.config / "host_key").stat().st_mode & 0o777 == 0o600


def test_a_configuration_disk_is_a_flag_and_a_tar_file(files: NodeFiles) -> None:
    files.write_disk(FILES)
    before = files.disk.read_bytes()
    files.release()
    after = files.disk.read_bytes()
    assert (before[:8], after[:9], before[512:] == after[512:]) == (b"waiting\n", b"released\n", True)
    with tarfile.open(fileobj=io.BytesIO(after[512:])) as tar:
        assert {member.name: member.mode for member in tar} == {"hosts": 0o644, "host_key": 0o600}


def test_a_node_of_another_kind_is_refused(files: NodeFiles) -> None:
    with pytest.raises(HypervisorError, match="kind openvz, not qemu"):
        files.make(Kind.QEMU)


def test_nodes_are_found_by_who_made_them(files: NodeFiles, tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    NodeFiles(paths.node(ONE, "b")).make(Kind.PROCESS, os.getegid())
    paths.node(ONE, "half-made").mkdir()
    paths.node(ONE, ".strange").mkdir()
    assert [name for name, _ in nodes_on_disk(paths, ONE, Kind.OPENVZ)] == ["a", "half-made"]


def test_removal_does_not_follow_links(files: NodeFiles, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("alive")
    (files.status / "link").symlink_to(canary)
    files.remove()
    files.remove()
    assert not files.folder.exists()
    assert (canary / "file").read_text() == "alive"


def test_a_folder_with_a_mount_in_it_is_not_removed(files: NodeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benito_domains.nodefiles.mounts_below", lambda folder: [f"{folder}/home"])
    with pytest.raises(HypervisorError, match="still mounted"):
        files.remove()
    assert files.folder.exists()


def test_last_words_are_the_consoles_last_lines_without_control_characters(files: NodeFiles) -> None:
    files.console_log.write_text("one\n\ntwo\nthr\x1b\x07ee\nfour\n")
    assert files.last_words() == "two | three | four"


def test_a_link_in_place_of_the_release_mark_is_not_followed(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path / "n")
    files.make(Kind.OPENVZ, os.getegid())
    canary = tmp_path / "canary"
    (files.config / "released").symlink_to(canary)
    files.release()
    assert not canary.exists()


def test_a_pipe_in_place_of_a_config_file_is_replaced_and_not_waited_for(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path / "n")
    files.make(Kind.OPENVZ, os.getegid())
    os.mkfifo(files.config / "hosts")
    files.write_config(FILES, os.geteuid())
    assert (files.config / "hosts").is_file()
