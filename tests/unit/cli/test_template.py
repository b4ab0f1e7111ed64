"""`benito template`: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benito_cli.main import app
from benito_domains.render import builtin_skeleton


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("BENITO_CONFIG", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 4711)  # libvirt is asked in tests/contract
    return CliRunner()


def test_what_is_in_force_is_printed_as_it_was_written(run: CliRunner) -> None:
    shown = run.invoke(app, ["template", "show", "qemu"])
    assert shown.stdout.encode() == builtin_skeleton("qemu")
    assert shown.stderr == "<!-- Benito's own -->\n"


def test_all_are_listed_with_whose_they_are(run: CliRunner) -> None:
    found = json.loads(run.invoke(app, ["template", "show", "--json"]).stdout)
    assert {(one["kind"], one["origin"]) for one in found} >= {("qemu", "benito"), ("lxc", "benito")}


@pytest.mark.parametrize("name", ["qemu", "lxc"])
def test_what_is_printed_can_be_used(name: str, run: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "own.xml"
    file.write_bytes(builtin_skeleton(name))
    found = run.invoke(app, ["template", "check", str(file), "--experiment", "--json"])
    document = json.loads(found.stdout)
    assert (found.exit_code, document["ok"], document["kind"], document["problems"]) == (0, True, name, [])


def test_problems_are_a_document_and_exit_code_5(run: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "own.xml"
    file.write_bytes(builtin_skeleton("lxc").replace(b"<uuid/>", b""))
    found = run.invoke(app, ["template", "check", str(file), "--json"])
    assert found.exit_code == 5
    (problem,) = json.loads(found.stdout)["problems"]
    assert problem["element"] == "uuid"
