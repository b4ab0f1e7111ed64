"""The values of a site file: sizes, rates, numbers and names, each from what TOML made of it.

Every function raises `Rejection`, which says what was expected and what to do.
"""

import math
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TypeVar

from benito.model import Kind
from benito.names import is_label
from benito.site import VXLAN_OVERHEAD_BYTES, BridgeStyle, Ranges, TrunkKind
from benito.topology import nodewords
from benito.topology.findings import nearest
from benito.topology.quantities import LEAST_RATE_KBPS, Rejection

#: Larger numbers are slips, and the embedding computes with 64 bits.
_MOST_KIB, _MOST_KBPS, _MOST_COUNT, _MOST_FACTOR = 1 << 50, 10**11, 10**6, 10**6
_MOST_HOST_LETTERS = 253

_NUMBER = r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"
_SIZE = re.compile(rf"{_NUMBER}\s*([KMGT])i?B?", re.ASCII)
#: The units of `benito.topology.quantities`, without the upper limit of Emulab's own links.
_RATE = re.compile(rf"{_NUMBER}\s*([kKMG]?)(?:b(?:ps)?)?", re.ASCII)
_KIB = {"K": 1, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30}
_BITS_PER_SECOND = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
#: The highest ids: 12 bits without the two that mean something else, 24 bits. VLAN 1 is every switch's own.
_VLANS, _VNIS = (2, 4094), (1, (1 << 24) - 1)
_RANGE = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", re.ASCII)
_MOST_RANGES = 1000
#: The least that IPv4 asks of every link, with what VXLAN puts around it.
_LEAST_MTU, _MOST_MTU = 576 + VXLAN_OVERHEAD_BYTES, 65535
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)


def shown(value: object) -> str:
    """A value as an error message shows it: short, and as TOML spells it."""
    if isinstance(value, str):
        return f'"{value[:60]}..."' if len(value) > 60 else f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a number of more than 18 digits"
    if isinstance(value, float):
        return str(value)
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "a date or a time"


def list_of(value: object) -> list[object]:
    """A list."""
    if not isinstance(value, list):
        raise Rejection(f"a list is expected, not {shown(value)}", 'write ["A", "B"]')
    return value


def title(value: object) -> str:
    """A name that is only printed: 1 to 64 printable characters."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value.strip()) <= 64:
        raise Rejection(f"a name is expected, not {shown(value)}", "write 1 to 64 printable characters in quotes")
    return value.strip()


def word(value: object) -> str:
    """The name of a pnode type or a feature."""
    if not isinstance(value, str) or _WORD.fullmatch(value) is None:
        hint = "write 1 to 64 letters, digits, hyphens, dots, underscores or plus signs in quotes"
        raise Rejection(f"a name is expected, not {shown(value)}", hint)
    return value


def host(value: object) -> str:
    """A host name: labels as `benito.names` has them, with dots between them."""
    if isinstance(value, str) and len(value) <= _MOST_HOST_LETTERS and all(map(is_label, value.split("."))):
        return value
    hint = "write 1 to 32 letters, digits and inner hyphens, or several such with dots between them"
    raise Rejection(f"a host name is expected, not {shown(value)}", hint)


def kind(value: object) -> Kind:
    """A kind of node."""
    if isinstance(value, str) and value in tuple(Kind):
        return Kind(value)
    hint = nearest(value, Kind) if isinstance(value, str) else None
    raise Rejection(f"a kind of node is expected, not {shown(value)}", hint or f"known kinds: {' '.join(Kind)}")


_Word = TypeVar("_Word", bound=StrEnum)


def trunk(value: object) -> TrunkKind:
    """How LANs continue on other pnodes."""
    return _one_of(value, TrunkKind, "a kind of trunk")


def bridges(value: object) -> BridgeStyle:
    """What LANs are made of on a pnode."""
    return _one_of(value, BridgeStyle, "a style of bridges")


def _one_of(value: object, words: type[_Word], what: str) -> _Word:
    if isinstance(value, str) and value in tuple(words):
        return words(value)
    hint = nearest(value, words) if isinstance(value, str) else None
    known = " or ".join(f'"{word}"' for word in words)
    raise Rejection(f"{what} is expected, not {shown(value)}", hint or f"write {known}")


def vlans(value: object) -> Ranges:
    """VLAN ids."""
    return _ranges(value, *_VLANS, 'write ids and ranges from 2 to 4094 in quotes: "100-199, 300"')


def vnis(value: object) -> Ranges:
    """VXLAN network identifiers."""
    return _ranges(value, *_VNIS, f'write ids and ranges from 1 to {_VNIS[1]} in quotes: "5000-5999, 7000"')


def _ranges(value: object, least: int, most: int, hint: str) -> Ranges:
    parts = value.split(",") if isinstance(value, str) else []
    if len(parts) > _MOST_RANGES:
        raise Rejection(f"more than {_MOST_RANGES} ranges", "join them")
    found: list[tuple[int, int]] = []
    for part in parts or [""]:
        match = _RANGE.fullmatch(part)
        if match is None:
            raise Rejection(f"ranges of ids are expected, not {shown(value)}", hint)
        first, last = int(match[1]), int(match[2] or match[1])
        if not least <= first <= last <= most:
            raise Rejection(f"{part.strip()} is no range of ids", hint)
        found.append((first, last))
    for (_, last), (first, _) in zip(sorted(found), sorted(found)[1:], strict=False):
        if first <= last:
            raise Rejection(f"the id {first} stands twice", "let no two ranges overlap")
    return tuple(found)


def interface(value: object) -> str:
    """The name of a network interface, as the kernel takes it."""
    if isinstance(value, str) and _INTERFACE.fullmatch(value) and value != "lo":
        return value
    raise Rejection(f"an interface is expected, not {shown(value)}", 'write its name of at most 15 letters: "eth1"')


def mtu_bytes(value: object) -> int:
    """What an interface carries at most in a packet."""
    if isinstance(value, int) and not isinstance(value, bool) and _LEAST_MTU <= value <= _MOST_MTU:
        return value
    raise Rejection(f"an MTU is expected, not {shown(value)}", f"write a number of bytes from {_LEAST_MTU} to 65535")


def address(value: object) -> IPv4Address:
    """A host's IPv4 address."""
    hint = 'write an IPv4 address of a host in quotes: "192.168.7.1"'
    try:
        found = IPv4Address(value if isinstance(value, str) else "")
    except AddressValueError:
        raise Rejection(f"an address is expected, not {shown(value)}", hint) from None
    if found.is_loopback or found.is_multicast or found.is_unspecified or found.is_reserved:
        raise Rejection(f"{found} is no address of a host", hint)
    return found


def subnet(value: object) -> IPv4Network:
    """An IPv4 network in which pnodes are counted through."""
    hint = 'write an IPv4 network in quotes: "10.200.0.0/16"'
    try:
        found = IPv4Network(value if isinstance(value, str) else "")
    except ValueError:
        raise Rejection(f"a network is expected, not {shown(value)}", hint) from None
    if found.prefixlen > 30:
        raise Rejection(f"{found} has no room for two hosts", hint)
    if found.is_loopback or found.is_multicast or found.is_reserved or found.prefixlen < 8:
        raise Rejection(f"{found} is no network of hosts", hint)
    return found


def pair(value: object) -> tuple[Kind, Kind]:
    """Two different kinds of node."""
    if not isinstance(value, list) or len(value) != 2:
        what = f"a list of {len(value)}" if isinstance(value, list) else shown(value)
        raise Rejection(f"a pair of kinds is expected, not {what}", 'write ["openvz", "qemu"]')
    first, second = kind(value[0]), kind(value[1])
    if first is second:
        raise Rejection(f"both kinds of the pair are {first}", "limit it by most_nodes, or name another kind")
    return first, second


def count(value: object) -> int:
    """A whole number of at least 1."""
    return _count(value, least=1)


def count_or_none(value: object) -> int:
    """A whole number of at least 0."""
    return _count(value, least=0)


def image(value: object) -> str:
    """An image: its name, a URL, or an absolute path."""
    if not isinstance(value, str):
        raise Rejection(
            f"an image is expected, not {shown(value)}", 'write its name, URL or path in quotes: "debian-12"'
        )
    try:
        return nodewords.image(value)
    except Rejection as wrong:
        raise Rejection(f"an image is expected: {wrong.message.removesuffix('.')}", wrong.hint) from wrong


def asked_image(value: str) -> str:
    """What a file may ask for: 1 to 1024 visible letters."""
    if not 0 < len(value) <= 1024 or not value.isprintable() or any(letter.isspace() for letter in value):
        raise Rejection("no file can ask for this", "write the name or URL as files have it, without spaces")
    return value


def factor(value: object) -> float:
    """How many times something may be promised: above 0."""
    return _number(value, _MOST_FACTOR, "write a number above 0: 1.0, 8")


def uplink_factor(value: object) -> float:
    """As `factor`; infinity for the word `unlimited`."""
    return math.inf if value == "unlimited" else _number(value, _MOST_FACTOR, 'write a number above 0, or "unlimited"')


def cores(value: object) -> float:
    """How many cores a pnode has: above 0."""
    return _number(value, _MOST_COUNT, "write a number above 0; without the key cores are not limited")


def need_cores_milli(value: object) -> int:
    """Thousandths of a core that a node takes, rounded up; 0 is allowed."""
    if value == 0 and not isinstance(value, bool):
        return 0
    number = _number(value, _MOST_COUNT, "write a number of cores: 1, 0.05")
    return _whole(Decimal(repr(number)) * 1000, ROUND_CEILING)


def need_kib(value: object) -> int:
    """KiB that a node takes, rounded up; 0 is allowed."""
    return _whole(_size_kib(value), ROUND_CEILING)


def need_mib(value: object) -> int:
    """MiB that a node takes, rounded up; 0 is allowed."""
    return _whole(_size_kib(value) / 1024, ROUND_CEILING)


def capacity_mib(value: object) -> int:
    """MiB that a pnode has, rounded down: at least 1."""
    size = _whole(_size_kib(value) / 1024, ROUND_FLOOR)
    if size == 0:
        raise Rejection(f"{shown(value)} is less than 1 MiB", "without the key it is not limited")
    return size


def rate_kbps(value: object) -> int:
    """Whole kbit/s, cut off."""
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Rejection(
            f"a rate is expected, not {shown(value)}", 'write a number and b, kb, Mb or Gb in quotes: "100Mb", "1Gb"'
        )
    rate = _whole(Decimal(found[1]) * _BITS_PER_SECOND[found[2]] / 1000, ROUND_FLOOR)
    if rate < LEAST_RATE_KBPS:
        hint = f"at least {LEAST_RATE_KBPS} kbit/s; a number without a unit is bit/s"
        raise Rejection(f"the rate of {rate} kbit/s is too low", hint)
    if rate > _MOST_KBPS:
        raise Rejection(f"the rate of {rate} kbit/s is too high", f"at most {_MOST_KBPS} kbit/s")
    return rate


def _size_kib(value: object) -> Decimal:
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        hint = 'write a number and KiB, MiB, GiB or TiB in quotes: "192MiB", "4GiB"'
        raise Rejection(f"a size is expected, not {shown(value)}", hint)
    size = Decimal(found[1]) * _KIB[found[2]]
    if size > _MOST_KIB:
        raise Rejection(f"the size {shown(value)} is too large", f"at most {_MOST_KIB >> 30} TiB")
    return size


def _count(value: object, *, least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST_COUNT:
        return value
    hint = f"write a whole number from {least} to {_MOST_COUNT}"
    raise Rejection(f"a count is expected, not {shown(value)}", hint)


def _number(value: object, most: int, hint: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most:  # nan is not
        return float(value)
    too_much = isinstance(value, int | float) and value > most
    raise Rejection(f"a number above 0 is expected, not {shown(value)}", f"at most {most}" if too_much else hint)


def _whole(number: Decimal, rounding: str) -> int:
    return int(number.to_integral_value(rounding))
