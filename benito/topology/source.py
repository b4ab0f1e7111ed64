"""Opens an input file without being held up or fed without end by it."""

import os
import re
import stat
from pathlib import Path

from benito.errors import Problem, TopologySyntaxError

_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f]")


def syntax_error(path: Path, message: str, *, line: int | None = None, hint: str | None = None) -> TopologySyntaxError:
    """The error of a file that one problem makes unreadable."""
    return TopologySyntaxError([Problem(message=message, file=str(path), line=line, hint=hint)])


def read_text(path: Path, *, most_bytes: int) -> str:
    """The text of a regular file of at most `most_bytes` bytes of UTF-8, without a byte order mark.

    Raises TopologySyntaxError: nothing else may come from a file that its user named.
    """
    data = _read(path, most_bytes).removeprefix(_BOM)
    if not data.strip():
        raise syntax_error(path, "the file is empty")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise syntax_error(
            path, f"the text is not UTF-8 (byte {error.start})", line=line, hint="save the file as UTF-8"
        ) from error
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise syntax_error(
            path, f"the file holds the control character {ord(found[0]):#04x}", line=line, hint="is it a text file?"
        )
    return text.replace("\r\n", "\n")


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise syntax_error(path, f"the file cannot be opened: {reason}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise syntax_error(path, "this is not a regular file", hint="give the path of a topology file")
    with os.fdopen(handle, "rb") as file:
        try:
            data = file.read(most_bytes + 1)
        except OSError as error:
            raise syntax_error(path, f"the file cannot be read: {error.strerror}") from error
    if len(data) > most_bytes:
        raise syntax_error(path, f"the file is larger than {most_bytes / (1 << 20):g} MiB")
    return data
