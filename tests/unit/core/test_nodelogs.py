"""Logs read piece by piece: their last lines, what comes later, and logs that begin anew."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benito import nodelogs
from benito.errors import HypervisorError
from benito.nodelogs import LogReader, follow
from benito.seams import NodeLog


class Log:
    """A log that grows; `piece` is how much of it is read at a time at most."""

    def __init__(self, text: bytes = b"") -> None:
        self.text = text
        self.broken = False

    def read(self, offset: int, most: int) -> bytes:
        if self.broken:
            raise HypervisorError("the node is just being started")
        return self.text[offset : offset + most]


@given(st.binary(max_size=40).map(lambda text: text.replace(b"\x00", b"\n")), st.integers(0, 5), st.integers(3, 9))
def test_the_last_lines_are_those_of_tail(text: bytes, lines: int, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodelogs, "_PIECE_BYTES", piece)
        patch.setattr(nodelogs, "_LAST_BYTES", piece - 1)
        reader = LogReader(Log(text).read)
        reader.skip_to_last(lines)
        rest = b"".join(reader.rest())
    kept = [line + b"\n" for line in text.split(b"\n")]
    kept[-1] = kept[-1][:-1]
    kept = [line for line in kept if line]
    assert rest == b"".join(kept[-lines:] if lines else [])


def test_it_goes_on_where_it_stopped_and_from_the_beginning_of_a_new_log() -> None:
    log = Log(b"one\n")
    reader = LogReader(log.read)
    assert b"".join(reader.rest()) == b"one\n"
    assert b"".join(reader.rest()) == b""
    log.text += b"two\n"
    assert b"".join(reader.rest()) == b"two\n"
    log.text = b"new\n"
    assert b"".join(reader.rest()) == b"new\n"
    log.text = b""
    assert b"".join(reader.rest()) == b""


@pytest.mark.parametrize("tells", [True, False])
def test_following_lasts_through_a_restart(*, tells: bool) -> None:
    log = Log(b"one\n")
    changed = threading.Event()
    steps: list[Callable[[], None]] = [
        lambda: setattr(log, "broken", True),
        lambda: (setattr(log, "broken", False), setattr(log, "text", b"two\n more\n")),  # type: ignore[func-returns-value]
    ]

    def stop() -> bool:
        if got and not steps:
            return len(got) == 2
        if got:
            steps.pop(0)()
            if tells:
                changed.set()
        return False

    got: list[tuple[NodeLog, bytes]] = []
    got.extend(follow({NodeLog.OUT: LogReader(log.read)}, changed, stop))
    assert got == [(NodeLog.OUT, b"one\n"), (NodeLog.OUT, b"two\n more\n")]
