"""The fewest routes that lead a node's packets to every subnet by a nearest next hop.

The subnets stand in a tree of address blocks: each block is the smallest that holds what is below it. A route stands at
a block and holds for all of it but what longer routes and the node's own subnets take out.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network

#: The first address of a block and the length of its prefix.
Prefix = tuple[int, int]
#: Subnets from the first to before the second, by rank, to which the hops (bits) of the third are right.
Span = tuple[int, int, int]

#: All hops: whichever is taken, it makes no difference.
_ANY = -1
_NEVER = 1 << 40
#: Blocks are measured in /24s: what holds a subnet of the experiment is the experiment's.
_UNIT = 24
_ONES = re.compile("1+")


# Not frozen: what a block holds is known from below, whether it may be covered from above.
@dataclass(eq=False, kw_only=True)
class Block:
    """A block of addresses and the subnets in it, `first` to before `last` by rank.

    `gap`: some of its addresses belong to no subnet below it. `full`: each belongs to a subnet, here or below.
    `around`: the rank of the smallest subnet that holds it, or -1. `units`: how many /24s hold subnets. `may_cover`: it
    may be a route's destination. `plain`: a hop that is right for all its subnets may stand for it without a look at
    what is below.
    """

    address: int
    length: int
    first: int
    last: int
    parts: tuple["Block", ...]
    is_subnet: bool
    gap: bool
    full: bool
    around: int
    units: int
    may_cover: bool = True
    plain: bool = True

    @cached_property
    def destination(self) -> IPv4Network:
        """As a route says it."""
        return IPv4Network((self.address, self.length))


class Surroundings:
    """The subnets of the whole experiment, whichever part they belong to."""

    def __init__(self, subnets: Iterable[Prefix]) -> None:
        self._known = set(subnets)
        self._sorted = sorted(self._known)

    def meet(self, block: Block) -> bool:
        """Whether others than those below it share an address with a block that lies in no subnet of its part."""
        start = bisect_left(self._sorted, (block.address, block.length))
        end = bisect_left(self._sorted, (block.address + (1 << (32 - block.length)), 0))
        if end - start != block.last - block.first:
            return True
        around = ((block.address >> (32 - length) << (32 - length), length) for length in range(block.length))
        return any(prefix in self._known for prefix in around)


def tree(subnets: Sequence[Prefix], surroundings: Surroundings) -> Block:
    """The tree of a part's subnets, which are given in order and each once."""
    root = _Grower(subnets).grow(0, len(subnets), -1)
    blocks = [(root, False)]
    for block, covered in blocks:
        block.may_cover = covered or block.is_subnet or _may_cover(block, surroundings)
        blocks.extend((part, block.may_cover) for part in block.parts)
    for block, _ in reversed(blocks):
        if block.parts:
            block.plain = block.may_cover and block.around < 0 and all(part.plain for part in block.parts)
    return root


def _may_cover(block: Block, surroundings: Surroundings) -> bool:
    if block.length == 0:
        return False
    if block.full or block.around >= 0:
        return True
    return 2 * block.units >= 1 << max(0, _UNIT - block.length) and not surroundings.meet(block)


class _Grower:
    def __init__(self, subnets: Sequence[Prefix]) -> None:
        self._subnets = subnets
        self._addresses = [address for address, _ in subnets]

    def grow(self, first: int, last: int, around: int) -> Block:
        """The smallest block that holds these subnets, and what is below it."""
        address, length = self._subnets[first]
        common = 32 - (address ^ self._addresses[last - 1]).bit_length()
        if common < length:
            address = address >> (32 - common) << (32 - common)
            return self._branch(address, common, self._halves(address, common, first, last, around), around)
        parts: tuple[Block, ...] = ()
        if first + 1 < last:
            inner = self.grow(first + 1, last, first)
            # A block that is the subnet again would be the same destination.
            parts = inner.parts if (inner.address, inner.length) == (address, length) else (inner,)
        units = 1 << max(0, _UNIT - length)
        return Block(
            address=address,
            length=length,
            first=first,
            last=last,
            parts=parts,
            is_subnet=True,
            gap=_leaves_gap(length, parts),
            full=True,
            around=first,
            units=units,
        )

    def _halves(self, address: int, length: int, first: int, last: int, around: int) -> tuple[Block, Block]:
        middle = bisect_left(self._addresses, address | 1 << (31 - length), first, last)
        return self.grow(first, middle, around), self.grow(middle, last, around)

    @staticmethod
    def _branch(address: int, length: int, parts: tuple[Block, Block], around: int) -> Block:
        gap = _leaves_gap(length, parts)
        return Block(
            address=address,
            length=length,
            first=parts[0].first,
            last=parts[1].last,
            parts=parts,
            is_subnet=False,
            gap=gap,
            full=not gap and all(part.full for part in parts),
            around=around,
            units=1 if length >= _UNIT else sum(part.units for part in parts),
        )


def _leaves_gap(length: int, parts: Sequence[Block]) -> bool:
    return [part.length for part in parts] != [length + 1, length + 1]


# --- which blocks get a route -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Fitted:
    """What a block costs, in routes below it: `bare` if no route above it holds there, `cost` if one does.

    The latter for each of `hops`; one route more for the others. `allowed` are those that the block itself may have.
    """

    block: Block
    bare: int
    cost: int
    hops: int
    allowed: int
    parts: Sequence["_Fitted"] = ()


class Cover:
    """A node's table: what every block would cost, then the cheapest from the top down.

    `spans` has every subnet that needs a route: those that the node is in, or that the file gives a route to, are left
    out. `transit`: others may send the node what is not meant for it.
    """

    def __init__(self, tree: Block, spans: Sequence[Span], *, transit: bool) -> None:
        self._tree = tree
        self._spans = spans
        self._transit = transit
        self._found: list[tuple[Block, int]] = []

    def routes(self) -> Sequence[tuple[Block, int]]:
        """The blocks that get a route, each with its hop as a bit: of those that serve as well, the lowest."""
        self._place(self._fit(self._tree, self._spans, 0), 0)
        return self._found

    def _fit(self, block: Block, spans: Sequence[Span], around: int) -> _Fitted:
        """`around` are the hops of the smallest subnet that holds the block."""
        first, last = block.first, block.last
        common = here = 0
        for start, end, hops in spans:
            if start <= first < end:
                here |= hops
                if last <= end:
                    common |= hops
        if common and block.plain:
            return _Fitted(block, _NEVER, 0, common, common)
        if not block.parts:
            # No hop is needed, and none does harm.
            return _Fitted(block, 0, 0, _ANY, _ANY)
        if block.is_subnet:
            around = here
        parts = []
        bare = 0
        for part in block.parts:
            start, end = part.first, part.last
            fitted = self._fit(part, [span for span in spans if span[0] < end and span[1] > start], around)
            bare += fitted.bare if fitted.bare <= fitted.cost else fitted.cost + 1
            parts.append(fitted)
        if block.is_subnet and not here:
            # The node is in it: its own route holds here, whatever stands above.
            return _Fitted(block, bare, bare, _ANY, 0, parts)
        allowed = self._allowed(block, around, here)
        cost, hops = _cheapest(allowed, parts)
        if block.gap and block.around >= 0 and around:
            bare = _NEVER
        return _Fitted(block, bare, cost, hops, allowed, parts)

    def _allowed(self, block: Block, around: int, here: int) -> int:
        """The hops that a block may have for the addresses that no part of it has."""
        if not block.may_cover:
            return 0
        if not block.gap:
            return _ANY
        if block.around >= 0:
            return around
        # Unused addresses: their packets follow those to the block's first subnet, unless none can come from elsewhere.
        return here if self._transit else _ANY

    def _place(self, fitted: _Fitted, above: int) -> None:
        """`above` is the hop of the route that holds there already, or 0."""
        if not fitted.parts:
            if fitted.hops != _ANY and not above & fitted.hops:
                self._found.append((fitted.block, fitted.hops & -fitted.hops))
            return
        if fitted.block.is_subnet and not fitted.allowed:
            above = 0
        else:
            keep = fitted.bare
            if above & fitted.allowed:
                keep = sum([part.cost + (not above & part.hops) for part in fitted.parts])
            elif above:
                keep = _NEVER
            # Where it costs the same, routes stand as low, and thus cover as little, as they can.
            if keep > fitted.cost + 1:
                above = fitted.hops & -fitted.hops
                self._found.append((fitted.block, above))
        for part in fitted.parts:
            self._place(part, above)


def _cheapest(allowed: int, parts: Sequence[_Fitted]) -> tuple[int, int]:
    """The fewest routes below a block that has one of these hops, and the hops that have so few."""
    cost, every, some = 0, allowed, 0
    for part in parts:
        cost += part.cost
        every &= part.hops
        some |= part.hops & allowed
    if not allowed or cost >= _NEVER:
        return _NEVER, 0
    if every:
        return cost, every
    # With one part or two, a hop that is wrong for all of them is as far off as any other.
    return (cost + len(parts) - 1, some) if some else (cost + len(parts), allowed)


def runs(bits: int) -> list[tuple[int, int]]:
    """Where the set bits are: from the first to before the second of each pair, in order."""
    skipped = (bits & -bits).bit_length() - 1
    digits = bin(bits >> skipped)[:1:-1] if bits else ""
    return [(start + skipped, end + skipped) for start, end in map(re.Match.span, _ONES.finditer(digits))]
