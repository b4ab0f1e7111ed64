"""Blocks of pcapng, byte by byte as the IETF draft draws them."""

import struct

import pytest

from benito_netplan import pcapng
from benito_netplan.capture import tagged

NOW_NS = 1_700_000_000_123_456_789


def options(data: bytes) -> dict[int, bytes]:
    found = {}
    while True:
        code, length = struct.unpack_from("<HH", data)
        if code == 0:
            assert (length, len(data)) == (0, 4)
            return found
        found[code] = data[4 : 4 + length]
        padded = (length + 3) // 4 * 4
        assert data[4 + length : 4 + padded] == bytes(padded - length)
        data = data[4 + padded :]


def body(block: bytes, kind: int) -> bytes:
    """What stands between a block's two lengths."""
    assert struct.unpack_from("<II", block) == (kind, len(block))
    assert struct.unpack("<I", block[-4:]) == (len(block),)
    assert len(block) % 4 == 0
    return block[8:-4]


def test_a_section_says_its_byte_order_version_and_who_wrote_it() -> None:
    inside = body(pcapng.section_header(hardware="x86_64", system="Linux 6", application="benito 1"), 0x0A0D0D0A)
    assert inside[:16] == bytes.fromhex("4d3c2b1a 0100 0000 ffffffffffffffff")
    assert options(inside[16:]) == {2: b"x86_64", 3: b"Linux 6", 4: b"benito 1"}


@pytest.mark.parametrize("filter_text", [None, "icmp", "ü"])
def test_an_interface_has_names_snaplen_nanoseconds_and_its_filter(filter_text: str | None) -> None:
    made = pcapng.Interface(name="a:eth0 (l)", description="link l", snaplen_bytes=96, filter=filter_text)
    inside = body(pcapng.interface_block(made), 1)
    assert struct.unpack("<HHI", inside[:8]) == (1, 0, 96)
    expected = {2: b"a:eth0 (l)", 3: b"link l", 9: b"\x09"}
    assert options(inside[8:]) == expected | ({11: b"\0" + filter_text.encode()} if filter_text else {})


def test_a_filter_that_is_longer_than_an_option_may_be_is_cut() -> None:
    made = pcapng.Interface(name="a", description="", snaplen_bytes=96, filter="x" * 70_000)
    assert len(options(body(pcapng.interface_block(made), 1)[8:])[11]) == 0xFFFC


@pytest.mark.parametrize("size", range(5))
@pytest.mark.parametrize(("inbound", "flags"), [(True, 1), (False, 2)])
def test_a_packet_has_its_interface_time_lengths_and_direction(size: int, inbound: bool, flags: int) -> None:  # noqa: FBT001
    data = b"\xaa" * size
    inside = body(pcapng.packet_block(3, time_ns=NOW_NS, inbound=inbound, data=data, length=1500), 6)
    number, high, low, kept, length = struct.unpack("<IIIII", inside[:20])
    assert (number, high << 32 | low, kept, length) == (3, NOW_NS, size, 1500)
    padded = (size + 3) // 4 * 4
    assert inside[20 : 20 + padded] == data.ljust(padded, b"\0")
    assert options(inside[20 + padded :]) == {2: struct.pack("<I", flags)}


def test_statistics_tell_what_was_received_and_dropped_from_when_to_when() -> None:
    made = pcapng.statistics_block(2, time_ns=NOW_NS, start_ns=NOW_NS - 5, received=1 << 33, dropped=7)
    inside = body(made, 5)
    halves = struct.pack("<II", NOW_NS >> 32, NOW_NS & 0xFFFFFFFF)
    assert inside[:12] == struct.pack("<I", 2) + halves
    found = options(inside[12:])
    assert (found[3], found[2]) == (halves, struct.pack("<II", NOW_NS >> 32, (NOW_NS - 5) & 0xFFFFFFFF))
    assert [struct.unpack("<Q", found[code])[0] for code in (4, 5, 7)] == [1 << 33, 7, 7]


def test_a_tag_stands_behind_the_addresses() -> None:
    frame = bytes(range(12)) + b"\x08\x00rest"
    assert tagged(frame, 0x2005, 0x88A8) == bytes(range(12)) + b"\x88\xa8\x20\x05\x08\x00rest"
