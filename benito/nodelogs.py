"""A node's logs: read piece by piece, from their last lines on, and further while they grow."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from benito.errors import HypervisorError
from benito.seams import NodeLog

_PIECE_BYTES = 1 << 20
#: So much of what was read last tells whether the log is still the same.
_LAST_BYTES = 256
#: Where no event tells that a log has grown, it is looked at so often.
_POLL_SECONDS = 0.5

#: What a log holds from an offset on, at most so many bytes, and fewer only at its end.
Read = Callable[[int, int], bytes]


class LogReader:
    """Reads one log from where it stopped."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._offset = 0
        self._last = b""

    def skip_to_last(self, lines: int) -> None:
        """Goes on with the last so many lines; one without an end counts."""
        starts = deque([0], maxlen=lines + 1)
        size = 0
        while piece := self._read(size, _PIECE_BYTES):
            at = piece.find(b"\n")
            while at >= 0:
                starts.append(size + at + 1)
                at = piece.find(b"\n", at + 1)
            size += len(piece)
        if starts[-1] != size:  # the last line has no end: it begins at the last start
            starts.append(size)
        self._offset = starts[0]
        known = min(self._offset, _LAST_BYTES)
        self._last = self._read(self._offset - known, known) if known else b""

    def rest(self) -> Iterator[bytes]:
        """What has come since. A log that is no longer what was read of it was begun anew, and is read from there."""
        while True:
            known = len(self._last)
            piece = self._read(self._offset - known, _PIECE_BYTES)
            if piece[:known] != self._last:
                self._offset, self._last = 0, b""
                continue
            if len(piece) > known:
                self._offset += len(piece) - known
                self._last = piece[-_LAST_BYTES:]
                yield piece[known:]
            if len(piece) < _PIECE_BYTES:
                return


def follow(
    readers: Mapping[NodeLog, LogReader], changed: threading.Event, stop: Callable[[], bool]
) -> Iterator[tuple[NodeLog, bytes]]:
    """What comes into the logs, until `stop` says so; `changed` is set when something may have.

    Raises HypervisorError where they can't be read at first; later on, the node may just be starting again.
    """
    is_read = False
    while not stop():
        changed.clear()
        for log, reader in readers.items():
            try:
                for piece in reader.rest():
                    if stop():
                        return
                    yield log, piece
            except HypervisorError:
                if not is_read:
                    raise
        is_read = True
        changed.wait(_POLL_SECONDS)
