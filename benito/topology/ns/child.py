"""Runs an NS file, which is a program, where it can harm nobody: a Tcl interpreter in a child process.

The child has no network, no user's rights (when started by root), no environment, and bounds on time, memory, files and
processes; inside it, the file runs in a safe interpreter. What it prints is bounded, and checked word by word.
"""

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benito.errors import TopologySyntaxError
from benito.topology.limits import ReadLimits
from benito.topology.ns.records import MalformedRecord, Record, parse_records
from benito.topology.source import syntax_error

_HERE = Path(__file__).parent
_INTERPRETER_NAMES = ("tclsh", "tclsh8.6")
_ERROR_BYTES = 65536
_CHUNK_BYTES = 1 << 16
#: How long the child's processes may take to go once they were told to.
_REAP_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How many words a command or method takes; `most` is -1 where any number will do.

    `owner` is the class that a method belongs to, `*` for all, `new` for classes that can be made; None for commands.
    """

    owner: str | None
    name: str
    least: int
    most: int
    usage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    output: bytes
    errors: bytes
    exit_code: int
    stopped: str | None


def interpret(path: Path, text: str, limits: ReadLimits, rules: Sequence[Rule]) -> list[Record]:
    """What the file does when it runs, in order. Raises TopologySyntaxError."""
    program = next((found for name in _INTERPRETER_NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise syntax_error(
            path, "reading NS files needs the program tclsh, which is not installed", hint="apt install tcl"
        )
    script = (_HERE / "interpreter.tcl").read_bytes()
    with _MemoryFile("interpreter", script) as script_file, _MemoryFile("ns", text.encode()) as ns_file:
        try:
            outcome = _run(_argv(os.path.realpath(program), script_file, ns_file, limits, rules), limits)
        except OSError as error:
            raise syntax_error(path, f"the NS interpreter cannot be started: {error.strerror}") from error
    _explain(path, outcome, limits)
    try:
        records = parse_records(outcome.output)
    except MalformedRecord as error:
        raise syntax_error(path, f"the NS interpreter's answer cannot be understood: {error}") from error
    return records


class _MemoryFile:
    """A file without a place, that a child of another user may open by its number."""

    def __init__(self, name: str, data: bytes) -> None:
        self.handle = os.memfd_create(name)
        with os.fdopen(os.dup(self.handle), "wb") as file:
            file.write(data)

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self.handle}"

    def __enter__(self) -> "_MemoryFile":
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self.handle)


def _argv(
    program: str, script: _MemoryFile, text: _MemoryFile, limits: ReadLimits, rules: Sequence[Rule]
) -> tuple[list[str], tuple[int, int]]:
    settings = {"cpu_seconds": limits.cpu_seconds, "memory_bytes": limits.memory_mib << 20}
    argv = [sys.executable, "-I", "-S", str(_HERE / "launcher.py"), json.dumps(settings), program, script.path]
    argv += [text.path, str(limits.nodes), str(limits.cpu_seconds), str(limits.commands)]
    argv += [_tcl_list(rule for rule in rules if rule.owner is None)]
    argv += [_tcl_list(rule for rule in rules if rule.owner is not None)]
    return argv, (script.handle, text.handle)


def _tcl_list(rules: Iterable[Rule]) -> str:
    words: list[str] = []
    for rule in rules:
        words += [] if rule.owner is None else [rule.owner]
        words += [rule.name, str(rule.least), str(rule.most), f"{{{rule.usage}}}"]
    return " ".join(words)


def _run(call: tuple[list[str], tuple[int, int]], limits: ReadLimits) -> _Outcome:
    """Runs the child to its end, which comes: by itself, by its limits, or by ours."""
    argv, handles = call
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=handles,
        env={},
        cwd="/",
        start_new_session=True,
    )
    try:
        output, errors, stopped = _collect(child, limits)
        if stopped is None:
            try:
                child.wait(_REAP_SECONDS)
            except subprocess.TimeoutExpired:
                stopped = "time"
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return _Outcome(output=output, errors=errors, exit_code=child.returncode, stopped=stopped)


def _collect(child: subprocess.Popen[bytes], limits: ReadLimits) -> tuple[bytes, bytes, str | None]:
    """Both outputs until they end, and which of our limits ended them."""
    deadline = time.monotonic() + limits.wall_seconds
    assert child.stdout is not None  # noqa: S101 - both are pipes
    assert child.stderr is not None  # noqa: S101
    output, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, output)
        selector.register(child.stderr, selectors.EVENT_READ, errors)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if time.monotonic() >= deadline:
                return bytes(output), bytes(errors), "time"
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.data is output:
                    output += chunk
                elif len(errors) < _ERROR_BYTES:
                    errors += chunk
            if len(output) > limits.output_bytes:
                return b"", bytes(errors), "output"
    return bytes(output), bytes(errors), None


def _explain(path: Path, outcome: _Outcome, limits: ReadLimits) -> None:
    """Raises TopologySyntaxError where the child did not end by itself."""
    if outcome.stopped == "time":
        raise limit_error(path, "clock", limits)
    if outcome.exit_code == -signal.SIGXCPU:
        raise limit_error(path, "time", limits)
    if outcome.stopped == "output":
        raise limit_error(path, "output", limits)
    said = outcome.errors.decode("utf-8", errors="replace").strip()
    if outcome.exit_code in (-signal.SIGABRT, -signal.SIGSEGV) or "unable to alloc" in said:
        raise limit_error(path, "memory", limits)
    if outcome.exit_code == -signal.SIGKILL:
        raise syntax_error(path, "the NS interpreter was killed from outside", hint="is the machine short of memory?")
    if outcome.exit_code != 0:
        raise syntax_error(path, f"the NS interpreter failed (exit code {outcome.exit_code}): {said[-500:]}")


def limit_error(path: Path, what: str, limits: ReadLimits) -> TopologySyntaxError:
    """The error of a file that passed one of its limits."""
    match what:
        case "clock":
            message = f"the NS file runs longer than {limits.wall_seconds:g} s"
        case "time":
            message = f"the NS file runs longer than {limits.cpu_seconds} s"
        case "commands":
            message = f"the NS file runs more than {limits.commands} Tcl commands"
        case "memory":
            message = f"the NS file uses more than {limits.memory_mib} MiB of memory"
        case "nodes":
            return syntax_error(path, f"the NS file makes more than {limits.nodes} nodes")
        case _:
            return syntax_error(path, f"the NS file does more than {limits.output_bytes >> 20} MiB can tell")
    return syntax_error(path, message, hint="is there a loop that does not end?")
