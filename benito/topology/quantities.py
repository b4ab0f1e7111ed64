"""Words into numbers: NS2's bandwidths, delays and losses as Emulab's parser reads them (its units, their case, its
limits), TopDL's plain numbers, and addresses.
"""

import re
from decimal import Decimal
from ipaddress import IPv4Address

_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?)\s*(\S*)\s*")
_LOSS = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,30})?|\.[0-9]{1,30}", re.ASCII)

_BITS_PER_SECOND = {"": 1, "b": 1, "bps": 1}
_BITS_PER_SECOND |= dict.fromkeys(("k", "kb", "kbps", "K", "Kb", "Kbps"), 10**3)
_BITS_PER_SECOND |= dict.fromkeys(("M", "Mb", "Mbps"), 10**6)
_BITS_PER_SECOND |= dict.fromkeys(("G", "Gb", "Gbps"), 10**9)

#: Milliseconds in a unit of delay. Emulab's parser takes `ns` for microseconds; files rely on it.
_MILLISECONDS = {"": Decimal(1000), "s": Decimal(1000), "ms": Decimal(1), "ns": Decimal("0.001")}

LEAST_RATE_KBPS = 10
MOST_RATE_KBPS = 10_000_000
#: The shortest delay but none: what the testbed's delay nodes could keep. To be relaxed here and nowhere else.
LEAST_DELAY_MS = 2
#: Emulab's parser has no upper limit; a delay of more than an hour is a slip.
MOST_DELAY_MS = 3_600_000
LEAST_LOSS = Decimal("0.000005")


class Rejection(Exception):
    """A call that cannot be meant: why, and what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def bandwidth_kbps(word: str) -> int | None:
    """Whole kbit/s, cut off, of `100Mb` and the like; None for `*`, no limit. Raises Rejection."""
    if word.strip() == "*":
        return None
    found = _NUMBER.fullmatch(word)
    if found is None:
        raise Rejection(f"{word[:80]!r} is not a bandwidth.", "write a number and a unit: 100Mb, 512kbps")
    unit = found[2]
    if unit not in _BITS_PER_SECOND:
        raise Rejection(f"Unknown bandwidth unit {unit[:40]}.", _unit_hint(unit, _BITS_PER_SECOND))
    rate = int(Decimal(found[1]) * _BITS_PER_SECOND[unit] / 1000)
    if rate < LEAST_RATE_KBPS:
        raise Rejection(
            f"Bandwidth of {rate} Kbs is too low.",
            f"at least {LEAST_RATE_KBPS} kbit/s; a number without a unit is bit/s, * is no limit",
        )
    if rate > MOST_RATE_KBPS:
        raise Rejection(
            f"Bandwidth requested ({rate}) exceeds maximum of {MOST_RATE_KBPS} kbps!", "write * for no limit"
        )
    return rate


def delay_ms(word: str) -> int:
    """Whole milliseconds, cut off, of `10ms` and the like. Raises Rejection."""
    found = _NUMBER.fullmatch(word)
    if found is None:
        raise Rejection(f"{word[:80]!r} is not a delay.", "write a number and a unit: 10ms, 0.5s")
    unit = found[2]
    if unit not in _MILLISECONDS:
        raise Rejection(f"Unknown delay unit {unit[:40]}.", _unit_hint(unit, _MILLISECONDS))
    delay = Decimal(found[1]) * _MILLISECONDS[unit]
    if delay != 0 and delay < LEAST_DELAY_MS:
        raise Rejection(
            f"The delay of {float(delay)}ms is invalid, it must be either 0 or at least {LEAST_DELAY_MS}ms.",
            "a number without a unit is seconds" if not unit else None,
        )
    if delay > MOST_DELAY_MS:
        raise Rejection(f"The delay of {float(delay)}ms is longer than an hour.")
    return int(delay)


def loss_ratio(word: str) -> float:
    """A loss from 0 to 1. Raises Rejection."""
    if _LOSS.fullmatch(word) is not None:
        loss = Decimal(word)
        if loss == 0 or LEAST_LOSS <= loss <= 1:
            return float(loss)
    raise Rejection(f"{word[:80]} is not a valid loss rate.", f"0, or from {LEAST_LOSS:f} to 1")


def address(word: str) -> IPv4Address:
    """An IPv4 address. Raises Rejection."""
    try:
        return IPv4Address(word)
    except ValueError:
        raise Rejection(f"{word[:80]} is not a valid IP address.", "four numbers up to 255: 10.1.2.3") from None


def prefix_length(word: str) -> int:
    """The length of a netmask of 16 to 30 ones. Raises Rejection."""
    mask = int(address(word))
    length = mask.bit_count()
    if mask != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise Rejection(f"{word} is not a netmask: its ones must come first.", "for instance 255.255.255.0")
    if length < 16:
        raise Rejection(f"{word} is too big.", "at least 255.255.0.0")
    if length > 30:
        raise Rejection(f"{word} has no room for two members.", "at most 255.255.255.252")
    return length


def integer(word: str, *, least: int, most: int, what: str) -> int:
    """A whole number in a range. Raises Rejection."""
    if len(word) <= 12 and word.isascii() and word.removeprefix("-").isdecimal() and least <= int(word) <= most:
        return int(word)
    raise Rejection(f"{word[:80]} is not {what}.", f"a whole number from {least} to {most}")


_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12}", re.ASCII)
_CLOCK = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?", re.ASCII)


def seconds(word: str) -> float:
    """The seconds of `12.5`, `1h2m3s` or parts of it, as Emulab's event system has them. Raises Rejection."""
    if _SECONDS.fullmatch(word) is not None:
        return float(word)
    clock = _CLOCK.fullmatch(word)
    if not word or clock is None:
        raise Rejection(f"Invalid time spec: {word[:80]}", "seconds, or hours, minutes and seconds: 90, 1m30s")
    hours, minutes, rest = (int(part or 0) for part in clock.groups())
    return float(hours * 3600 + minutes * 60 + rest)


_DISK = re.compile(r"([0-9]{1,9})(?:([GM])(?:i?B)?)?", re.ASCII)
#: OpenVZ counts disk blocks of 1 KiB where a size has no unit.
_BLOCKS_PER_MIB = 1024


def disk_mib(word: str) -> int | None:
    """The MiB, rounded up, of a size of a disk as DETER's Containers write it: `2G`, `512M`, or a number of blocks of
    1 KiB. None for anything else."""
    found = _DISK.fullmatch(word.strip())
    if found is None:
        return None
    amount = int(found[1])
    return amount * 1024 if found[2] == "G" else amount if found[2] == "M" else -(-amount // _BLOCKS_PER_MIB)


_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII)


def mac_address(word: str) -> str:
    """A MAC address of one interface, in lower case. Raises Rejection."""
    mac = word.strip().lower().replace("-", ":")
    if _MAC.fullmatch(mac) is None:
        raise Rejection(f"{word[:80]} is not a MAC address.", "six pairs of hexadecimal digits: 02:be:00:00:00:01")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise Rejection(f"{mac} is not the address of one interface.", "the second digit is even: 02:be:00:00:00:01")
    return mac


def decimal(word: str, *, least: str, most: str, what: str) -> Decimal:
    """A plain number in a range that includes both ends. Raises Rejection."""
    found = _NUMBER.fullmatch(word)
    if found is not None and not found[2] and Decimal(least) <= Decimal(found[1]) <= Decimal(most):
        return Decimal(found[1])
    raise Rejection(f"{word.strip()[:80]!r} is not {what}.", f"a plain number from {least} to {most}")


def _unit_hint(unit: str, known: "dict[str, int] | dict[str, Decimal]") -> str:
    alike = next((name for name in known if name and name.casefold() == unit.casefold()), None)
    if alike:
        return f"did you mean {alike}? upper and lower case differ"
    return "known units: " + " ".join(name for name in known if name)
