"""What a partition is worth, and what many of them say together."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embed_graphs import Graph

#: What the embedder's tools are called: `benito:default` and so on.
OURS = "benito"
#: Below this number of nodes a run is too short to tell how time grows.
_GROWING = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many parts, how many nodes in the largest, sum of weight*(parts touched-1), and the busiest part's uplink."""

    pnodes: int
    largest: int
    cut: int
    uplink_mbps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of one tool. Where it came to nothing, `why` says so and `score` is None."""

    graph: str
    n: int
    packing: int
    tool: str
    seed: int
    score: Score | None = None
    seconds: float | None = None
    peak_mib: float | None = None
    why: str = ""

    @property
    def bound(self) -> int:
        """The fewest pnodes that have room for all."""
        return -(-self.n // self.packing)

    @property
    def is_ours(self) -> bool:
        """Whether it is the embedder's."""
        return self.tool.partition(":")[0] == OURS

    @property
    def fits(self) -> bool:
        """Whether no pnode holds too many."""
        return self.score is not None and self.score.largest <= self.packing

    @property
    def cut(self) -> int | None:
        """The cut, where it may be compared: nothing too full, and no pnode more than needed."""
        return self.score.cut if self.score and self.fits and self.score.pnodes == self.bound else None

    def as_json(self) -> dict[str, Any]:
        """All that is known of it."""
        return {**asdict(self), "bound": self.bound, "fits": self.fits}


def score(graph: Graph, parts: Sequence[int]) -> Score:
    """Computed from the parts alone: no tool's own word is taken."""
    if len(parts) != graph.n:
        raise ValueError(f"{graph.name}: {len(parts)} nodes placed of {graph.n}")
    uplinks: Counter[int] = Counter()
    cut = 0
    for members, weight in graph.links:
        touched = {parts[member] for member in members}
        cut += weight * (len(touched) - 1)
        if len(touched) > 1:
            uplinks.update(dict.fromkeys(touched, weight))
    sizes = Counter(parts)
    return Score(pnodes=len(sizes), largest=max(sizes.values()), cut=cut, uplink_mbps=max(uplinks.values(), default=0))


def ratio(cut: int | None, other: int | None) -> float | None:
    """How many times the other it is; infinite over nothing."""
    if cut is None or other is None:
        return None
    if cut == other:
        return 1.0
    return cut / other if other else math.inf


def least(rows: Iterable[Row]) -> Row | None:
    """The best of those that can be compared."""
    found = [row for row in rows if row.cut is not None]
    return min(found, key=lambda row: row.cut or 0, default=None)


def mean(ratios: Iterable[float | None]) -> float | None:
    """The geometric mean of those that have a logarithm."""
    logs = [math.log(value) for value in ratios if value and math.isfinite(value)]
    return math.exp(sum(logs) / len(logs)) if logs else None


class BestKnown:
    """The least cut that any run has found, for each graph and packing; kept in a file where one is given."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._entries: dict[str, dict[str, Any]] = {}
        if path and path.exists():
            self._entries = json.loads(path.read_text())

    @staticmethod
    def _key(graph: Graph, packing: int) -> str:
        digest = hashlib.sha256(json.dumps([graph.n, sorted(graph.links)]).encode()).hexdigest()
        return f"{graph.name} {digest[:12]} {packing}"

    def cut(self, graph: Graph, packing: int) -> int | None:
        """The least so far."""
        entry = self._entries.get(self._key(graph, packing))
        return int(entry["cut"]) if entry else None

    def learn(self, graph: Graph, rows: Iterable[Row]) -> None:
        """Takes over what is better."""
        for row in rows:
            known = self.cut(graph, row.packing)
            if row.cut is not None and (known is None or row.cut < known):
                entry = {"cut": row.cut, "tool": row.tool, "seed": row.seed}
                self._entries[self._key(graph, row.packing)] = entry

    def save(self) -> None:
        """Writes the file, all of it or nothing."""
        if self._path:
            beside = self._path.with_name(f"{self._path.name}.new")
            beside.write_text(json.dumps(self._entries, indent=1, sort_keys=True) + "\n")
            beside.replace(self._path)


# Many rows together


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All runs on one graph with one packing, and the least cut that is known."""

    rows: tuple[Row, ...]
    known: int | None

    @property
    def ours(self) -> Row:
        """The embedder's."""
        return next(row for row in self.rows if row.is_ours)

    @property
    def rival(self) -> Row | None:
        """The best of the others."""
        return least(row for row in self.rows if not row.is_ours)

    def against_rival(self) -> float | None:
        """Ours to the best rival's."""
        return ratio(self.ours.cut, self.rival.cut if self.rival else None)

    @property
    def standing(self) -> str:
        """Ours is `better` than every rival, `equal` to the best, `worse`, or `unfit`: too many pnodes, or none."""
        ours = self.ours.cut
        if ours is None:
            return "unfit"
        theirs = self.rival.cut if self.rival else None
        if theirs is None or ours < theirs:
            return "better"
        return "equal" if ours == theirs else "worse"


def exponent(rows: Iterable[Row]) -> float | None:
    """The e of seconds ~ n^e, by least squares over the logarithms."""
    points = [(math.log(row.n), math.log(row.seconds)) for row in rows if row.n >= _GROWING and row.seconds]
    if not points:
        return None
    middle = sum(x for x, _ in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * y for x, y in points) / spread if spread > 0.1 else None


def by_tool(cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """For each tool: how often it ran, fitted and was best; its cut and its time next to ours; how its time grows."""
    runs: Mapping[str, list[tuple[Case, Row]]] = defaultdict(list)
    for case in cases:
        for row in case.rows:
            runs[row.tool].append((case, row))
    found: dict[str, dict[str, Any]] = {}
    for tool, pairs in runs.items():
        ran = [(case, row) for case, row in pairs if row.score]
        both = [(row, case.ours) for case, row in ran if row.seconds and case.ours.seconds]
        found[tool] = {
            "cases": len(pairs),
            "ran": len(ran),
            "fits": sum(row.fits for _, row in ran),
            "fits_at_bound": sum(row.cut is not None for _, row in ran),
            "best_known": sum(row.cut is not None and row.cut == case.known for case, row in ran),
            "cut_to_known": mean(ratio(row.cut, case.known) for case, row in ran),
            "cut_to_ours": mean(ratio(row.cut, case.ours.cut) for case, row in ran),
            "time_to_ours": mean((row.seconds or 0) / (ours.seconds or 1) for row, ours in both),
            "total_seconds": sum(row.seconds or 0 for _, row in ran),
            "time_exponent": exponent(row for _, row in ran),
            "peak_mib": max((row.peak_mib or 0 for _, row in ran), default=0),
        }
    return found


def _comparison(case: Case) -> dict[str, Any]:
    return {
        "graph": case.ours.graph,
        "n": case.ours.n,
        "packing": case.ours.packing,
        "standing": case.standing,
        "ours": case.ours.cut,
        "rival": case.rival.cut if case.rival else None,
        "tool": case.rival.tool if case.rival else "",
        "ratio": case.against_rival(),
    }


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """How the embedder stands."""
    groups: dict[tuple[str, int], list[float | None]] = defaultdict(list)
    for case in cases:
        magnitude = 10 ** len(str(case.ours.n - 1))
        for group in (("all", 0), ("packing", case.ours.packing), ("n up to", magnitude)):
            groups[group].append(case.against_rival())
    ratios = [value for value in groups["all", 0] if value is not None]
    not_best = [_comparison(case) for case in cases if case.standing in ("unfit", "worse")]
    return {
        "cases": len(cases),
        "compared": len(ratios),
        "standings": dict(Counter(case.standing for case in cases)),
        "not_best": sorted(not_best, key=lambda entry: -(entry["ratio"] or math.inf)),
        "worst_ratio": max(ratios, default=None),
        "mean_ratio": {f"{name} {number or ''}".strip(): mean(groups[name, number]) for name, number in sorted(groups)},
        "mean_ratio_to_best_known": mean(ratio(case.ours.cut, case.known) for case in cases),
        "tools": by_tool(cases),
    }
