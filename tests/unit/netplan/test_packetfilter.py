"""Filters are compiled by the real tcpdump; what is no filter is refused in its words."""

import shutil
import struct

import pytest

from benito.errors import UsageError
from benito_netplan import packetfilter
from benito_netplan.packetfilter import compiled

needs_tcpdump = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="no tcpdump")


def instructions(code: bytes) -> list[tuple[int, ...]]:
    return list(struct.iter_unpack("=HBBI", code))


def test_without_a_filter_everything_passes_cut_to_the_snaplen() -> None:
    assert instructions(compiled(None, 96).code) == [(6, 0, 0, 96)]


@needs_tcpdump
def test_a_filter_asks_and_ends_with_the_snaplen_or_nothing() -> None:
    assert instructions(compiled("ip", 96).code) == [(40, 0, 0, 12), (21, 0, 1, 0x800), (6, 0, 0, 96), (6, 0, 0, 0)]


@needs_tcpdump
@pytest.mark.parametrize("expression", ["tcp prot 80", "-w /x", "'; true", "tcpdump: x", "host\n("])
def test_what_is_no_filter_is_refused_once(expression: str) -> None:
    with pytest.raises(UsageError) as refused:
        compiled(expression, 96)
    assert repr(expression) in refused.value.message
    assert refused.value.message.endswith("can't parse filter expression: syntax error")


def test_a_zero_byte_is_refused() -> None:
    with pytest.raises(UsageError, match="zero byte"):
        compiled("ip\0", 96)


def test_without_tcpdump_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packetfilter, "ENVIRONMENT", {"PATH": "/nowhere"})
    with pytest.raises(UsageError, match="not installed") as refused:
        compiled("ip", 96)
    assert refused.value.hint == "apt-get install tcpdump"
