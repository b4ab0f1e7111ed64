"""The search for a placement, as the library in `native/` does it: a weighted hypergraph onto parts with capacities.

Knows nothing of nodes and pnodes: vertices need amounts of resources, parts have capacities and uplinks, nets tie
vertices together. Deterministic: the work is counted, never timed, and the same seed gives the same answer.
"""

import ctypes
import math
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path

from benito.errors import EmbeddingError
from benito.policy import Effort

_KEPT = 5  # POOL in embed.h
#: Two searches from different starts, whatever the machine has: the answer must not depend on its cores.
_ISLANDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Rounds of each of the searches: `ends` / (vertices + ends of nets) of them, within bounds."""

    ends: int
    least: int
    most: int
    sweeps: float


_WORK = {
    Effort.QUICK: _Work(ends=80_000, least=3, most=12, sweeps=60),
    Effort.DEFAULT: _Work(ends=550_000, least=10, most=150, sweeps=100),
    Effort.THOROUGH: _Work(ends=20_000_000, least=200, most=2000, sweeps=200),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What is asked. Sums of weights and of amounts are exact up to 2**53.

    `nets` are pairs of vertices (two or more, each once) and a weight. `needs` lists each vertex's resources with
    amounts; `capacity` each part's capacity of every resource (math.inf where there is no limit), `uplink` the most
    weight of nets that may cross each part's border. `allowed` says of each colour in which parts its vertices may be,
    `fixed` in which part a vertex must be (-1: any). Of the two resources in a conflict a part may hold one only.
    """

    nets: Sequence[tuple[Sequence[int], int]]
    needs: Sequence[Sequence[tuple[int, int]]]
    capacity: Sequence[Sequence[float]]
    uplink: Sequence[float]
    color: Sequence[int] = ()
    allowed: Sequence[Sequence[bool]] = ()
    fixed: Sequence[int] = ()
    conflicts: Sequence[tuple[int, int]] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Vertex -> part; what it cuts (weight x (parts touched - 1), over all nets), and whether everything fits."""

    part: tuple[int, ...]
    cut: int
    fits: bool


class _Problem(ctypes.Structure):
    """`Problem` of embed.h."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("n", "nets", "parts", "resources", "conflicts", "colors")),
        *((name, ctypes.c_void_p) for name in ("net_start", "net_pin", "net_weight", "need_start", "need_what")),
        *((name, ctypes.c_void_p) for name in ("need_amount", "color", "fixed", "capacity", "uplink", "conflict")),
        ("allowed", ctypes.c_void_p),
    )


@cache
def _library() -> ctypes.CDLL:
    path = Path(__file__).parent / "native" / "libembed.so"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise EmbeddingError(
            f"the embedder's library cannot be loaded: {error}", hint="install benito again: scripts/setup, or pip"
        ) from error
    library.benito_embed.restype = None
    return library


def search(instance: Instance, *, seed: int, effort: Effort, start: Sequence[Sequence[int]] = ()) -> Placement:
    """The best placement that was found; `start` are placements to begin with. May be far from the best there is.

    Where none that fits was found, the one with the least that is too much. Raises EmbeddingError.
    """
    count, parts = len(instance.needs), len(instance.capacity)
    if parts == 1 or count == 0:
        return _measured(instance, (0,) * count)
    work = _WORK[effort]
    ends = count + sum(len(pins) for pins, _ in instance.nets)
    rounds = max(work.least, min(work.most, work.ends // ends))
    look = _Search(instance)
    with ThreadPoolExecutor(_ISLANDS) as threads:
        # In threads, so that Ctrl-C reaches this one while they work.
        try:
            turns = [threads.submit(look.run, seed * 3 + turn, rounds, work.sweeps, start) for turn in range(_ISLANDS)]
            found = [placement for turn in turns for placement in turn.result()]
            joint = threads.submit(look.run, seed * 3 + _ISLANDS, max(2, rounds // 4), work.sweeps, found)
            return _measured(instance, joint.result()[0])
        except BaseException:
            look.stop.value = 1
            raise


def _measured(instance: Instance, part: Sequence[int]) -> Placement:
    cut = sum(weight * (len({part[pin] for pin in pins}) - 1) for pins, weight in instance.nets)
    return Placement(part=tuple(part), cut=cut, fits=fits(instance, part))


def loads_of(instance: Instance, part: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """What each part has of each resource, and the weight of the nets that cross its border."""
    loads = [[0] * len(row) for row in instance.capacity]
    traffic = [0] * len(instance.capacity)
    for vertex, needs in enumerate(instance.needs):
        for resource, amount in needs:
            loads[part[vertex]][resource] += amount
    for pins, weight in instance.nets:
        touched = {part[pin] for pin in pins}
        if len(touched) > 1:
            for one in touched:
                traffic[one] += weight
    return loads, traffic


def fits(instance: Instance, part: Sequence[int]) -> bool:
    """Whether a placement keeps every rule of the instance; looks at the rules alone, not at how it was made."""
    loads, traffic = loads_of(instance, part)
    return (
        all(
            load <= most
            for row, limits in zip(loads, instance.capacity, strict=True)
            for load, most in zip(row, limits, strict=True)
        )
        and all(load <= most for load, most in zip(traffic, instance.uplink, strict=True))
        and all(not (row[one] and row[other]) for row in loads for one, other in instance.conflicts)
        and all(where in (-1, part[vertex]) for vertex, where in enumerate(instance.fixed))
        and all(instance.allowed[color][part[vertex]] for vertex, color in enumerate(instance.color))
    )


class _Search:
    """An instance laid out as the library reads it."""

    def __init__(self, instance: Instance) -> None:
        count, parts = len(instance.needs), len(instance.capacity)
        nets = [(pins, weight) for pins, weight in instance.nets if len(pins) > 1 and weight > 0]
        colors = instance.color or [0] * count
        allowed = instance.allowed or [[True] * parts]
        self._count = count
        self._arrays: dict[str, array[int] | array[float]] = {
            "net_start": array("i", accumulate((len(pins) for pins, _ in nets), initial=0)),
            "net_pin": array("i", (pin for pins, _ in nets for pin in pins)),
            "net_weight": array("d", (weight for _, weight in nets)),
            "need_start": array("i", accumulate((len(needs) for needs in instance.needs), initial=0)),
            "need_what": array("i", (what for needs in instance.needs for what, _ in needs)),
            "need_amount": array("d", (amount for needs in instance.needs for _, amount in needs)),
            "color": array("i", colors),
            "fixed": array("i", instance.fixed or [-1] * count),
            "capacity": array("d", (_finite(value) for row in instance.capacity for value in row)),
            "uplink": array("d", instance.uplink),
            "conflict": array("i", (what for pair in instance.conflicts for what in pair)),
            "allowed": array("B", (may for row in allowed for may in row)),
        }
        self._problem = _Problem(
            n=count,
            nets=len(nets),
            parts=parts,
            resources=len(instance.capacity[0]),
            conflicts=len(instance.conflicts),
            colors=len(allowed),
            **{name: values.buffer_info()[0] for name, values in self._arrays.items()},
        )
        self.stop = ctypes.c_int32(0)

    def run(self, seed: int, rounds: int, sweeps: float, start: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        """The placements that a search keeps, the best first."""
        room = max(_KEPT, len(start))
        pool = (ctypes.c_int32 * (room * self._count))(*(part for placement in start for part in placement))
        count = ctypes.c_int32(len(start))
        cut, excess = (ctypes.c_double * room)(), (ctypes.c_double * room)()
        _library().benito_embed(
            ctypes.byref(self._problem), ctypes.c_uint64(seed), ctypes.c_int32(rounds), ctypes.c_double(sweeps),
            ctypes.byref(self.stop), pool, ctypes.byref(count), cut, excess,
        )  # fmt: skip
        return [tuple(pool[at * self._count : (at + 1) * self._count]) for at in range(count.value)]


def _finite(value: float) -> float:
    """What has no limit gets one that no sum reaches."""
    return 2.0**60 if math.isinf(value) else value
