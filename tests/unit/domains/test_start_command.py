"""guest/start.sh, run as every node runs it, in a folder of the test's own."""

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from benito.status import parse_report

SCRIPT = str(files("benito_domains").joinpath("guest", "start.sh"))
LIMIT_BYTES = 64 * 1024 * 1024


class Node:
    def __init__(self, folder: Path) -> None:
        self.config, self.log, self.report = folder / "config", folder / "log", folder / "report"
        self.config.mkdir()

    def run(self, command: str, environment: str = "") -> None:
        (self.config / "start_command").write_text(f"{command}\n")
        (self.config / "environment").write_text(environment)
        subprocess.run(["/bin/sh", SCRIPT, self.config, self.log, self.report], check=True, timeout=60, env={})

    def text(self, name: str) -> str:
        return (self.log / f"start_command.{name}").read_text()

    @property
    def exit_code(self) -> int | None:
        return parse_report(self.report.read_text()).exit_code


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("true", 0), ("kill -9 $$", 137), ("nothing-such", 127)])
def test_the_exit_status_is_reported(node: Node, command: str, code: int) -> None:
    node.run(command)
    assert node.exit_code == code
    assert f"exit status {code}" in node.text("log")


def test_output_and_errors_are_kept_apart(node: Node) -> None:
    node.run("echo good; echo bad >&2")
    assert (node.text("out"), node.text("err")) == ("good\n", "bad\n")


def test_the_environment_is_there(node: Node) -> None:
    node.run('printf %s "$NAME"', "export NAME='a  b'\n")
    assert node.text("out") == "a  b"


def test_redirections_of_the_command_work(node: Node, tmp_path: Path) -> None:
    node.run(f"echo hello > {tmp_path}/made; exec 2>&1; echo both >&2")
    assert (tmp_path / "made").read_text() == "hello\n"
    assert node.text("out") == "both\n"


def test_output_is_cut_at_64_mib_and_the_command_goes_on(node: Node) -> None:
    node.run(f"head -c {LIMIT_BYTES + 9_000_000} /dev/zero; exit 5")
    path = node.log / "start_command.out"
    assert node.exit_code == 5
    with path.open("rb") as file:
        file.seek(LIMIT_BYTES - 1)
        assert file.read() == b"\0\ntruncated\n"


def test_a_command_that_leaves_a_daemon_is_reported_at_once(node: Node) -> None:
    node.run("sleep 2 & exit 4")
    assert node.exit_code == 4
    assert "ended after 0 s" in node.text("log") or "ended after 1 s" in node.text("log")


def test_a_second_boot_writes_the_output_anew_and_adds_to_the_log(node: Node) -> None:
    node.run("echo one")
    node.run("echo two")
    assert node.text("out") == "two\n"
    assert node.text("log").count("started") == 2


def test_without_a_start_command_nothing_is_written(node: Node) -> None:
    (node.config / "start_command").write_text("")
    subprocess.run(["/bin/sh", SCRIPT, node.config, node.log, node.report], check=True, timeout=10)
    assert not node.report.exists()
