"""Writes pictures to files. Imported by the verbs only when a picture is asked for."""

import os
from pathlib import Path

from benito.errors import UsageError
from benito.paths import write_atomically
from benito.picture import Drawing, check_size
from benito.picture.graphviz import engine_of
from benito.picture.layout import lay_out
from benito.picture.png import to_png
from benito.picture.svg import render

_ENDINGS = (".svg", ".png")


def check_path(path: Path) -> None:
    """Raises UsageError where the file's name does not say SVG or PNG; for a look before long work."""
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError(f"{path.name!r} does not say what to write", hint="a picture's name ends in .svg or .png")


def write_picture(drawing: Drawing, path: Path, *, program: str | None = None) -> None:
    """Draws and writes SVG or PNG, as the file's name ends, whole or not at all.

    `program` is a layout program of graphviz; None is Benito's own. Raises UsageError for another ending, a file that
    cannot be written, a drawing that is too large, a program that is unknown, absent or fails, and a PNG without a
    font.
    """
    check_path(path)
    check_size(drawing)
    layout = lay_out(drawing) if program is None else lay_out(drawing, engine_of(program), blocks=False)
    page = render(drawing, layout)
    data = page.svg
    if path.suffix.lower() == ".png":
        data = to_png(page.svg, page.width, page.height)
    try:
        _put(path, data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _put(path: Path, data: bytes) -> None:
    """A new file as the umask has it; an old one keeps its permissions, a pipe is written to."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()  # through a link, to the file that it names
    mask = os.umask(0)
    os.umask(mask)
    write_atomically(path, data, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~mask)
