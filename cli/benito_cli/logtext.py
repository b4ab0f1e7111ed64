"""A node's bytes, written where they go: as they are, or on a terminal so that nothing in them is obeyed."""

import codecs
import sys

from rich.console import Console

from benito_cli.text import plain


class Printer:
    """Writes one stream of a node's to standard output, or to standard error."""

    def __init__(self, *, to_errors: bool = False) -> None:
        self._stream = sys.stderr if to_errors else sys.stdout
        self._console = Console(stderr=to_errors, highlight=False, soft_wrap=True) if self._stream.isatty() else None
        self._style = "red" if to_errors else ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_open_line = False

    def write(self, data: bytes) -> None:
        """More of it; a letter may be cut anywhere."""
        if self._console is None:
            self._stream.buffer.write(data)
            self._stream.buffer.flush()
        else:
            self._show(self._decoder.decode(data))

    def close(self) -> None:
        """There is no more: what is half a letter is shown, and a line that has no end gets one."""
        if self._console is not None:
            self._show(self._decoder.decode(b"", final=True))
            if self._is_open_line:
                self._console.print()
                self._is_open_line = False

    def _show(self, text: str) -> None:
        if text and self._console is not None:
            self._is_open_line = not text.endswith("\n")
            self._console.print(plain(text.replace("\r\n", "\n"), self._style), end="")
