"""A machine that looks like OpenVZ's to libvirt, with stand-ins for its programs: no such kernel exists here."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parent / "openvz"


class World:
    """Commands run in its namespaces; all that runs there ends with it."""

    def __init__(self, first: int, state: Path) -> None:
        self._enter = ["nsenter", f"--target={first}", "--mount", "--net", "--pid", "--"]
        self._state = state

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a program there."""
        return subprocess.run([*self._enter, *words], capture_output=True, text=True, timeout=300, check=False)

    def step(self, verb: str, *words: str) -> Any:
        """One verb of the driver, by a process of its own: what it returned, or {"refused": why}, or None if killed."""
        done = self.run(sys.executable, str(SUPPORT / "steps.py"), str(self._state), verb, *words)
        if done.returncode in (-9, 137):
            return None
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        return said.get("done", said)

    def shell(self, text: str) -> str:
        """What a shell there prints."""
        done = self.run("sh", "-c", text)
        assert done.returncode == 0, (text, done.stderr)
        return done.stdout

    def calls(self) -> list[list[str]]:
        """How the stand-ins were called, in order."""
        return [json.loads(line) for line in self.shell("cat /run/vz/calls 2>/dev/null || true").splitlines()]

    def cut(self, *words: str) -> None:
        """The next call of a stand-in that has these words kills whoever called it (`before`, `after` its work)."""
        self.shell(f"echo '{' '.join(words)}' > /run/vz/cut")


@contextmanager
def world(state: Path) -> Iterator[World]:
    """While it is open, the machine is there."""
    spaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"]
    words = [*spaces, sys.executable, str(SUPPORT / "world.py")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as made:
        assert made.stdout is not None
        try:
            assert made.stdout.readline() == "ready\n"
            (first,) = Path(f"/proc/{made.pid}/task/{made.pid}/children").read_text().split()
            yield World(int(first), state)
        finally:
            made.kill()
