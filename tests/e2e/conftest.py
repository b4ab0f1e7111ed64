"""The command as a user types it, on real libvirt: each test has a project of its own and must leave the machine as it was."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machine import Snapshot, snapshot

ROOT = Path(__file__).resolve().parents[2]
BENITO = str(Path(sys.executable).parent / "benito")
#: Emulated guests on a busy machine are slow; a hung test is worse than a late one.
SECONDS = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@dataclass(frozen=True)
class Project:
    """The command line, within one project."""

    name: str

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [BENITO, *(str(word) for word in words)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        if check:
            assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, file: str | Path, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("up", file, "--project", self.name, "--name", name, *words, check=check)

    def down(self, name: str) -> None:
        self.run("down", f"{self.name}/{name}")

    def status(self, name: str) -> dict[str, dict[str, Any]]:
        nodes = json.loads(self.run("status", f"{self.name}/{name}", "--json").stdout)
        return {node["node"]: node for node in nodes}

    def inside(self, name: str, node: str, *command: str) -> str:
        """What a command prints in a node."""
        return self.run("ssh", f"{node}.{name}.{self.name}", "--", *command).stdout

    def exec(self, name: str, *words: str) -> dict[str, dict[str, Any]]:
        outcomes = json.loads(self.run("exec", "--json", f"{self.name}/{name}", *words, check=False).stdout)
        return {outcome["node"]: outcome for outcome in outcomes}


@pytest.fixture
def before() -> Snapshot:
    return snapshot()


@pytest.fixture
def project(before: Snapshot) -> Iterator[Project]:
    made = Project(f"t{secrets.token_hex(4)}")
    try:
        yield made
    finally:
        left = json.loads(made.run("list", "--json").stdout)
        for record in left:
            if record["experiment"].startswith(f"{made.name}/"):
                made.run("down", record["experiment"], check=False)
    assert snapshot() == before
