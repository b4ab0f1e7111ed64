"""The command as a user types it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BENITO = str(Path(sys.executable).parent / "benito")
#: Emulated guests on a busy machine are slow; a hung test is worse than a late one.
SECONDS = 400


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
        document = json.loads(self.run("status", f"{self.name}/{name}", "--json").stdout)
        return {node["node"]: node for node in document["nodes"]}

    def inside(self, name: str, node: str, *command: str) -> str:
        """What a command prints in a node."""
        return self.run("ssh", f"{node}.{name}.{self.name}", "--", *command).stdout

    def exec(self, name: str, *words: str) -> dict[str, dict[str, Any]]:
        outcomes = json.loads(self.run("exec", "--json", f"{self.name}/{name}", *words, check=False).stdout)
        return {outcome["node"]: outcome for outcome in outcomes}
