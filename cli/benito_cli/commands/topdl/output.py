"""Where a verb's topology goes: to standard output, to a file, or back to where it came from."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benito_cli.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benito.errors import Problem
    from benito.model import Topology
    from benito.topology.formats import Format

#: More than these are counted, not listed.
_MOST_LOSSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the options say of the output."""

    output: Path | None = None
    to: "Format | None" = None
    in_place: bool = False
    force: bool = False
    diff: bool = False
    dry_run: bool = False

    @property
    def is_stdout(self) -> bool:
        """Whether no file is named."""
        return not self.in_place and self.output in (None, Path("-"))


def edited(before: "Topology", after: "Topology", file: Path, target: Target) -> None:
    """Shows the difference if it is asked for, and writes the edited file unless it is a dry run. Raises UsageError."""
    from benito.topology.formats import difference, format_of

    destination = _destination(file, target)
    if target.diff or target.dry_run or target.in_place:
        # A file on standard output stays a file.
        to_stdout = target.dry_run or not target.is_stdout
        console = Console(stderr=not to_stdout, highlight=False, soft_wrap=True)
        shown = difference(before, after)
        console.print(plain(shown.rstrip("\n") if shown else "nothing changes"))
    known = set(before.warnings)
    warn(warning for warning in after.warnings if warning not in known)
    if not target.dry_run:
        language = target.to or format_of(file if target.is_stdout else destination or file)
        write(after, language, destination)


def write(topology: "Topology", language: "Format", destination: Path | None) -> None:
    """Writes a topology, whole or not at all; says what the language cannot. Raises UsageError."""
    from benito.errors import UsageError
    from benito.topology.formats import render

    rendered = render(topology, language)
    say(rendered.losses)
    if destination is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(rendered.data)
        sys.stdout.buffer.flush()
        return
    try:
        _put(destination, rendered.data)
    except OSError as error:
        raise UsageError(f"{destination} cannot be written: {error.strerror}") from error


def _put(destination: Path, data: bytes) -> None:
    """The file with other bytes, its owner and permissions as they were; devices and pipes are written to."""
    from benito.paths import write_atomically

    if destination.exists() and not destination.is_file():
        destination.write_bytes(data)
        return
    destination = destination.resolve()  # through a link, to the file that it names
    if not destination.exists():
        mask = os.umask(0)
        os.umask(mask)
        write_atomically(destination, data, 0o666 & ~mask)
        return
    before = destination.stat()
    write_atomically(destination, data, before.st_mode & 0o777)
    if os.geteuid() == 0:
        os.chown(destination, before.st_uid, before.st_gid)


def warn(problems: "Iterable[Problem]") -> None:
    """Warnings on standard error, the same ones once."""
    from benito_cli.tables import print_warnings

    print_warnings(Console(stderr=True, highlight=False, soft_wrap=True), problems)


def say(losses: "Sequence[str]") -> None:
    """What could not be said in the language that is written, on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for loss in losses[:_MOST_LOSSES]:
        console.print(plain(f"warning: NS2 cannot say it: {loss}", "yellow"))
    if len(losses) > _MOST_LOSSES:
        more = len(losses) - _MOST_LOSSES
        console.print(plain(f"warning: {more} more of these; the file has a comment for each", "yellow"))


def _destination(file: Path, target: Target) -> Path | None:
    """The file to write; None for standard output. An NS2 file is only replaced when that is forced."""
    from benito.errors import UsageError
    from benito.topology.formats import Format, format_of

    if target.in_place and target.output is not None:
        raise UsageError("--in-place and -o contradict", hint="FILE is written anew, or OUT is written")
    if target.is_stdout:
        return None
    output = file if target.in_place else target.output
    replaces = output is not None and output.exists() and file.exists() and output.samefile(file)
    if replaces and target.to not in (None, format_of(file)):
        raise UsageError(f"{file} is not {target.to} by its name", hint="write to another file with -o")
    if replaces and format_of(file) is Format.NS and not target.force and not target.dry_run:
        raise UsageError(
            f"{file} is a program: written anew it says the same, but without its loops and comments",
            hint="write to another file with -o, or add --force",
        )
    return output
