"""Emulab's rule of addresses: 10.B.C.0 subnets, hosts from .2, and the order in which links get their subnets.

Emulab's parser keeps the links and LANs in a Tcl array and goes through it as the array is stored. The order therefore
follows from the names, from the names that Tcl gave them before their variables did, and from how a Tcl array grows.
People's scripts know the numbers that come of it, so they are kept exactly.

One thing is better here: the subnets that the file gives are set aside before any other is handed out. Emulab learns
of them link by link, and can give the same subnet to two links; the numbers differ in such files only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from benito.model import Lan, network_of

DEFAULT_PREFIX_LENGTH = 24
_SHORTEST_PREFIX = 16
_FIRST_BUCKETS = 4
_MOST_PER_BUCKET = 3
_GROWTH = 4
_FIRST_HOST = 2
_MOST_LETTERS = 256


class TclArray:
    """The keys of a Tcl array, in the order in which Tcl goes through them."""

    def __init__(self) -> None:
        # The head of a bucket is its newest key: the last of the dict.
        self._buckets: list[dict[str, None]] = [{} for _ in range(_FIRST_BUCKETS)]
        self._size = 0

    def add(self, key: str) -> None:
        """A new key; adding one that is there changes nothing."""
        bucket = self._bucket(key)
        if key in bucket:
            return
        bucket[key] = None
        self._size += 1
        if self._size >= _MOST_PER_BUCKET * len(self._buckets):
            self._grow()

    def remove(self, key: str) -> None:
        """Takes a key out; the array never shrinks."""
        bucket = self._bucket(key)
        if key in bucket:
            del bucket[key]
            self._size -= 1

    def __iter__(self) -> Iterator[str]:
        return (key for bucket in self._buckets for key in reversed(bucket))

    def _bucket(self, key: str) -> dict[str, None]:
        return self._buckets[_hash(key) & (len(self._buckets) - 1)]

    def _grow(self) -> None:
        old = self._buckets
        self._buckets = [{} for _ in range(len(old) * _GROWTH)]
        for bucket in old:
            for key in reversed(bucket):
                self._bucket(key)[key] = None


def _hash(key: str) -> int:
    """Tcl's hash of a string; names that are longer than any that is allowed are not read to their end."""
    value = 0
    for byte in key[:_MOST_LETTERS].encode("utf-8", "surrogatepass"):
        value = (value * 9 + byte) & 0xFFFFFFFF
    return value


def subnet_order(names: Iterable[tuple[str, str]]) -> Sequence[str]:
    """The order in which links get their subnets; each link is (the name that it was made under, its name)."""
    array = TclArray()
    for made, name in names:
        array.add(made)
        if name != made:
            array.remove(made)
            array.add(name)
    return list(array)


def emulab_networks(lans: Sequence[Lan]) -> Mapping[str, IPv4Network | None]:
    """The subnet of every LAN by name; None where none is left.

    LANs that have a turn of their own come first. The others (TopDL, or added later) follow as if Emulab had
    read them in this order under their names.
    """
    found: dict[str, IPv4Network | None] = {}
    subnets = _Subnets()
    for lan in lans:
        given = [member.address for member in lan.members if member.address is not None]
        if given:
            found[lan.name] = network_of(given[-1], _prefix_length(lan))
            subnets.reserve(network_of(given[-1], _prefix_length(lan)))
    turn = 0
    for lan in _in_turn(lans):
        while lan.turn is not None and turn < lan.turn and subnets.next(DEFAULT_PREFIX_LENGTH):
            turn += 1  # the turn of a link without members: Emulab gives it a subnet all the same
        turn += 1
        if lan.name not in found:
            found[lan.name] = subnets.next(_prefix_length(lan))
    return found


def emulab_hosts(network: IPv4Network) -> Iterator[IPv4Address]:
    """The addresses for members, in order: from .2; .1 last, where Emulab gives up."""
    first = int(network.network_address)
    last = int(network.broadcast_address)
    for number in range(first + _FIRST_HOST, last):
        yield IPv4Address(number)
    if last - first > 1:
        yield IPv4Address(first + 1)


def _prefix_length(lan: Lan) -> int:
    return DEFAULT_PREFIX_LENGTH if lan.prefix_length is None else lan.prefix_length


def _in_turn(lans: Sequence[Lan]) -> Sequence[Lan]:
    order = subnet_order((lan.name, lan.name) for lan in lans if lan.turn is None)
    place = {name: number for number, name in enumerate(order)}
    return sorted(lans, key=lambda lan: (lan.turn is None, place[lan.name] if lan.turn is None else lan.turn))


class _Subnets:
    """Hands out subnets of 10.0.0.0/8 in Emulab's order, around those that are taken."""

    def __init__(self) -> None:
        self._candidates: dict[int, Iterator[int]] = {}
        self._taken: dict[int, set[int]] = {}
        #: The supernets of everything taken, by their length: a candidate among them would hold a taken one.
        self._around: dict[int, set[int]] = {length: set() for length in range(1, 33)}

    def reserve(self, network: IPv4Network) -> None:
        address, length = int(network.network_address), network.prefixlen
        self._taken.setdefault(length, set()).add(address)
        for shorter in range(1, length + 1):
            self._around[shorter].add(_cut(address, shorter))

    def next(self, length: int) -> IPv4Network | None:
        candidates = self._candidates.setdefault(length, _candidates(length))
        for address in candidates:
            if self._is_free(address, length):
                network = IPv4Network((address, length))
                self.reserve(network)
                return network
        return None

    def _is_free(self, address: int, length: int) -> bool:
        if address in self._around[length]:
            return False
        return not any(_cut(address, taken) in networks for taken, networks in self._taken.items() if taken < length)


def _cut(address: int, length: int) -> int:
    return address & (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF


def _candidates(length: int) -> Iterator[int]:
    """10.B.C.D with B from 1 to 253; C and D step by the mask and leave out 0 and 255, as Emulab's parser does.

    Emulab knows no mask shorter than 16.
    """
    if length < _SHORTEST_PREFIX:
        return
    mask = 0xFFFFFFFF << (32 - length)
    third, fourth = (mask >> 8) & 0xFF, mask & 0xFF
    thirds = range(256 - third, 255, 256 - third) if third else range(1)
    fourths = range(256 - fourth, 255, 256 - fourth) if fourth else range(1)
    for second in range(1, 254):
        for c in thirds:
            for d in fourths:
                yield 10 << 24 | second << 16 | c << 8 | d
