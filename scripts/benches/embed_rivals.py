"""Other partitioners, run on the same graphs as the embedder: each in a process of its own, which is this file.

Knows nothing of Benito and needs no package of its, so that it runs in a venv that holds the rivals only. The clock
runs while a tool partitions; what it takes to bring a graph into the tool's own form is given to it.
"""

import gc
import importlib
import itertools
import json
import math
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

#: What is installed, and as what it is imported.
PINS = {"pymetis": "2025.2.2", "kahip": "3.25", "mtkahypar": "1.7.post1", "kaminpar": "3.7.3"}
#: A LAN of more members than this becomes a star where a tool knows no LANs, else a clique.
_LARGEST_CLIQUE = 64
_SCALE = 60
#: Where k is above this, it is raised by more than one part at a time.
_FINEST_STEP = 200

Links = list[tuple[list[int], int]]
Parts = list[int]


class Csr:
    """A graph as METIS and its kin want it; a LAN counts about as much as a link, by the usual clique of w/(m-1)."""

    def __init__(self, n: int, links: Links) -> None:
        scale = 1 if all(len(members) == 2 for members, _ in links) else _SCALE
        weights: Counter[tuple[int, int]] = Counter()
        for members, weight in links:
            if len(members) > _LARGEST_CLIQUE:
                pairs = [(members[0], other) for other in members[1:]]
                share = weight * scale
            else:
                pairs = list(itertools.combinations(members, 2))
                share = max(1, round(weight * scale / (len(members) - 1)))
            for one, other in pairs:
                weights[min(one, other), max(one, other)] += share
        common = math.gcd(*weights.values()) or 1
        rows: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        for (one, other), weight in weights.items():
            rows[one].append((other, weight // common))
            rows[other].append((one, weight // common))
        self.rows = rows
        self.starts = [0, *itertools.accumulate(len(row) for row in rows)]
        self.heads = [other for row in rows for other, _ in row]
        self.weights = [weight for row in rows for _, weight in row]


def _timed(run: Callable[[], Parts]) -> tuple[Parts, float]:
    gc.collect()
    start = time.perf_counter()
    parts = run()
    return parts, time.perf_counter() - start


def _slack(n: int, packing: int) -> float:
    """The imbalance at which a part may hold `packing` nodes and no more."""
    k = -(-n // packing)
    return packing / -(-n // k) - 1


def _metis(variant: str, n: int, links: Links, packing: int, seed: int) -> tuple[Parts, float]:
    pymetis = importlib.import_module("pymetis")
    csr = Csr(n, links)
    graph = pymetis.CSRAdjacency(csr.starts, csr.heads)
    fewest = -(-n // packing)

    def part(k: int, **how: object) -> Parts:
        return list(pymetis.part_graph(k, graph, eweights=csr.weights, **how)[1])

    def raise_parts() -> Parts:
        parts: Parts = []
        k = fewest
        # Further than one part for each node there is nothing to try; METIS does not always come to fit.
        while k <= n:
            parts = part(k, options=pymetis.Options(seed=seed))
            if max(Counter(parts).values()) <= packing:
                break
            k += max(1, fewest // _FINEST_STEP)
        return parts

    if variant == "deter":
        return _timed(raise_parts)
    options = pymetis.Options(seed=seed, ufactor=max(1, int(_slack(n, packing) * 1000)))
    return _timed(lambda: part(fewest, recursive=variant == "recursive", options=options))


def _kahip(variant: str, n: int, links: Links, packing: int, seed: int) -> tuple[Parts, float]:
    kahip = importlib.import_module("kahip")
    csr = Csr(n, links)
    mode = getattr(kahip, variant.upper())
    k = -(-n // packing)
    slack = _slack(n, packing)
    ones = [1] * n
    return _timed(lambda: list(kahip.kaffpa(ones, csr.starts, csr.weights, csr.heads, k, slack, True, seed, mode)[1]))


def _mtkahypar(variant: str, n: int, links: Links, packing: int, seed: int) -> tuple[Parts, float]:
    mtkahypar = importlib.import_module("mtkahypar")
    start = mtkahypar.initialize(1, False)
    mtkahypar.set_seed(seed)
    context = start.context_from_preset(getattr(mtkahypar.PresetType, variant.upper().replace("-", "_")))
    plain = all(len(members) == 2 for members, _ in links)
    objective = mtkahypar.Objective.CUT if plain else mtkahypar.Objective.KM1
    context.set_partitioning_parameters(-(-n // packing), _slack(n, packing) + 1e-9, objective)
    make = start.create_graph if plain else start.create_hypergraph
    edges = [tuple(members) if plain else members for members, _ in links]
    graph = make(context, n, len(links), edges, [1] * n, [weight for _, weight in links])
    return _timed(lambda: list(graph.partition(context).get_partition()))


def _kaminpar(variant: str, n: int, links: Links, packing: int, seed: int) -> tuple[Parts, float]:
    kaminpar = importlib.import_module("kaminpar")
    csr = Csr(n, links)
    with tempfile.NamedTemporaryFile("w", suffix=".metis") as file:
        file.write(f"{n} {len(csr.heads) // 2} 001\n")
        file.writelines(" ".join(f"{other + 1} {weight}" for other, weight in row) + "\n" for row in csr.rows)
        file.flush()
        graph = kaminpar.load_graph(file.name, kaminpar.GraphFileFormat.METIS)
    kaminpar.reseed(seed)
    solver = kaminpar.KaMinPar(1, kaminpar.context_by_name(variant))
    return _timed(lambda: list(solver.compute_partition(graph, [packing] * -(-n // packing))))


_RUNNERS = {"pymetis": _metis, "kahip": _kahip, "mtkahypar": _mtkahypar, "kaminpar": _kaminpar}
_VARIANTS = {
    "pymetis": ("recursive", "kway", "deter"),
    "kahip": ("fast", "eco", "strong"),
    "mtkahypar": ("default", "quality", "highest-quality", "large-k"),
    "kaminpar": ("default", "strong"),
}
#: `kahip:eco` and so on.
TOOLS = tuple(f"{module}:{variant}" for module, variants in _VARIANTS.items() for variant in variants)


def peak_mib() -> float:
    """The most memory that this program, or one that it started, has held.

    For itself it asks /proc: getrusage would count what its parent held, too.
    """
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 (no import for one line)
        own = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def main() -> None:
    """Reads {tool, packing, seed, graph} and writes {parts, seconds, peak_mib}, both JSON."""
    # The tools print what they like; it must not come between.
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    task: dict[str, Any] = json.load(sys.stdin)
    module, _, variant = task["tool"].partition(":")
    graph = task["graph"]
    parts, seconds = _RUNNERS[module](variant, graph["n"], graph["links"], task["packing"], task["seed"])
    json.dump({"parts": parts, "seconds": seconds, "peak_mib": peak_mib()}, out)
    out.close()


if __name__ == "__main__":
    main()
