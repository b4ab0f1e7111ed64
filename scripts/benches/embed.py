"""How well and how quickly the embedder places nodes, next to partitioners that others wrote.

n nodes go onto k = ceil(n/packing) pnodes, `packing` on each at the most, so that little is cut: the sum over links
and LANs of weight * (pnodes touched - 1). Each run has a process of its own, one at a time. Rivals run once in each of
their modes, with their balance set so that a part may hold as much as a pnode; "vs rival" is the cut relative to the
best of these runs, "vs best" to the least ever found. `pymetis:deter` raises k until everything fits, as DETER's tools
did. Only what fits onto k pnodes is compared.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from embed_graphs import FAMILIES, LARGE_FAMILIES, Graph, files_of, generate, read_graph
from embed_ours import EFFORTS
from embed_rivals import PINS, TOOLS
from embed_score import OURS, BestKnown, Case, Row, least, ratio, score, summary

_ROOT = Path(__file__).parents[2]
_CORPUS = _ROOT.parent / "shared" / "corpus" / "graphs"
_VENV = _ROOT / ".venv-bench"
_HERE = Path(__file__).parent
_PACKINGS = (4, 10, 20, 100)
_SIZES = (20, 100, 500, 2000, 10_000, 40_000)
#: Above this many nodes only some families are made.
_MANY = 10_000
_QUICK_SIZES = (20, 100, 500)
_QUICK_PACKINGS = (4, 20)
_LIMIT_SECONDS = 120
#: A tool that has run into the limit so often is not tried any more with that packing on graphs as large.
_PATIENCE = 2
_FORM = "{:24} {:>6} {:>4} {:26} {:>7} {:>6} {:>7} {:>11} {:>8} {:>8} {:>9} {:>9} {:>6}"
_HEAD: tuple[str, ...] = ("graph", "nodes", "pack", "tool", "pnodes", "bound", "fits", "cut")
_HEAD += ("vs rival", "vs best", "uplink", "seconds", "MiB")


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs a tool on a graph, in a process of its own and within a limit."""

    rivals_python: Path
    limit_seconds: float
    overruns: Counter[tuple[str, int]] = field(default_factory=Counter)
    overrun_nodes: dict[tuple[str, int], int] = field(default_factory=dict)

    def run(self, graph: Graph, packing: int, tool: str, seed: int) -> Row:
        """One run, judged."""
        row = Row(graph=graph.name, n=graph.n, packing=packing, tool=tool, seed=seed)
        key = (tool, packing)
        if self.overruns[key] >= _PATIENCE and graph.n >= self.overrun_nodes[key]:
            return replace(row, why="left out: too slow on others like it")
        ours = tool.startswith(f"{OURS}:")
        argv = [str(Path(sys.executable) if ours else self.rivals_python)]
        argv.append(str(_HERE / ("embed_ours.py" if ours else "embed_rivals.py")))
        task = json.dumps({"tool": tool, "packing": packing, "seed": seed, "graph": graph.as_json()})
        try:
            done = subprocess.run(
                argv, input=task, capture_output=True, text=True, timeout=self.limit_seconds, check=False
            )
        except subprocess.TimeoutExpired:
            self.overruns[key] += 1
            self.overrun_nodes[key] = min(graph.n, self.overrun_nodes.get(key, graph.n))
            return replace(row, why=f"not done within {self.limit_seconds:g} s")
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
            return replace(row, why=lines[-1])
        answer = json.loads(done.stdout)
        found = score(graph, answer["parts"])
        return replace(row, score=found, seconds=answer["seconds"], peak_mib=answer["peak_mib"])

    def long(self, graph: Graph, rows: Sequence[Row], seeds: int, seconds: float) -> Iterator[Row]:
        """Further runs: the best rival and the embedder at its most thorough, each with many seeds and so much time."""
        rival = least(row for row in rows if not row.is_ours)
        for tool in ([rival.tool] if rival else []) + [f"{OURS}:{EFFORTS[-1]}"]:
            end = time.monotonic() + seconds
            for seed in range(1, seeds + 1):
                yield self.run(graph, rows[0].packing, tool, seed)
                if time.monotonic() > end:
                    break


def install() -> None:
    """Makes the venv that holds the rivals, each in the version that is named here."""
    venv.create(_VENV, with_pip=True, clear=True)
    (_VENV / ".gitignore").write_text("*\n")
    pins = [f"{name}=={version}" for name, version in PINS.items()]
    subprocess.run([_VENV / "bin" / "python", "-m", "pip", "install", "--quiet", *pins], check=True)


def rivals_of(python: Path) -> tuple[list[str], list[str]]:
    """The rivals that can be imported there, as `name version`, and those that cannot."""
    here: list[str] = []
    missing: list[str] = []
    for name in PINS:
        code = f"import {name}; from importlib.metadata import version; print('{name}', version('{name}'))"
        argv = [str(python), "-c", code]
        done = subprocess.run(argv, capture_output=True, text=True, check=False) if python.exists() else None
        if done and done.returncode == 0:
            here.append(done.stdout.splitlines()[-1])
        else:
            missing.append(name)
    return here, missing


def graphs_of(options: argparse.Namespace) -> Iterator[Graph]:
    """Those that were asked for, the small ones first."""
    found: list[Graph] = []
    paths = options.graphs or ([_CORPUS] if _CORPUS.is_dir() else [])
    for path in files_of(paths):
        try:
            found.append(read_graph(path))
        except (ValueError, KeyError, OSError, SyntaxError) as error:
            say(f"left out: {path.name}: {error}")
    usual = () if options.graphs else _QUICK_SIZES if options.quick else _SIZES
    for size in options.sizes or usual:
        families = FAMILIES if size <= _MANY else LARGE_FAMILIES
        found += [generate(family, size, options.seed) for family in families]
    if options.quick:
        found = [graph for graph in found if graph.n <= max(_QUICK_SIZES)]
    return iter(sorted(found, key=lambda graph: (graph.n, graph.name)))


def line(row: Row, rival: Row | None, known: int | None) -> str:
    """A run as a line of the table."""
    start = (row.graph[:24], row.n, row.packing, row.tool)
    if row.score is None:
        return "{:24} {:>6} {:>4} {:26} ".format(*start) + row.why
    fits = "yes" if row.fits else f"no: {row.score.largest}"
    words: tuple[object, ...] = (*start, row.score.pnodes, row.bound, fits, row.score.cut)
    words += (_number(ratio(row.cut, rival.cut if rival else None)), _number(ratio(row.cut, known)))
    words += (row.score.uplink_mbps, f"{row.seconds or 0:.4f}", f"{row.peak_mib or 0:.0f}")
    return _FORM.format(*words)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def measure(options: argparse.Namespace, tools: Sequence[str], best: BestKnown) -> list[Case]:
    """All runs; a case is printed when its last run is done."""
    runner = Runner(rivals_python=options.python, limit_seconds=options.limit)
    say(_FORM.format(*_HEAD))
    cases: list[Case] = []
    for graph in graphs_of(options):
        for packing in options.packing or (_QUICK_PACKINGS if options.quick else _PACKINGS):
            if graph.n <= packing:
                continue
            rows = [runner.run(graph, packing, tool, options.seed) for tool in tools]
            best.learn(graph, rows)
            if options.long:
                best.learn(graph, runner.long(graph, rows, options.long_seeds, options.long_seconds))
            best.save()
            case = Case(rows=tuple(rows), known=best.cut(graph, packing))
            for row in rows:
                say(line(row, case.rival, case.known))
            cases.append(case)
    return cases


def print_summary(found: dict[str, Any]) -> None:
    """The summary, for people."""
    standings = ", ".join(f"{count} {name}" for name, count in sorted(found["standings"].items()))
    say(f"\n{found['cases']} cases; next to the best rival's run the embedder is: {standings}")
    say(f"ratio to the best rival: worst {_number(found['worst_ratio'])}, geometric mean by group:")
    say("  " + "; ".join(f"{group} {_number(value)}" for group, value in found["mean_ratio"].items()))
    say(f"ratio to the least known cut: geometric mean {_number(found['mean_ratio_to_best_known'])}")
    say(f"\nnot best: {len(found['not_best'])}")
    for entry in found["not_best"]:
        start = f"  {entry['graph']:24} {entry['n']:>6} packing {entry['packing']:>3} {entry['standing']:6}"
        say(f"{start} {_number(entry['ratio']):>7}  ours {entry['ours']}, {entry['tool']} {entry['rival']}")
    form = "{:26} {:>5} {:>5} {:>8} {:>10} {:>9} {:>8} {:>9} {:>9} {:>8} {:>8}"
    head = (
        "tool",
        "ran",
        "fits",
        "at bound",
        "best known",
        "vs best",
        "vs ours",
        "time/ours",
        "seconds",
        "growth",
        "MiB",
    )
    say("\nMeans are geometric and over what fits onto the fewest pnodes; growth is e where seconds go with n^e.")
    say(form.format(*head))
    for tool, entry in found["tools"].items():
        words: tuple[object, ...] = (tool, entry["ran"], entry["fits"], entry["fits_at_bound"], entry["best_known"])
        words += tuple(_number(entry[key]) for key in ("cut_to_known", "cut_to_ours", "time_to_ours"))
        words += (f"{entry['total_seconds']:.1f}", _number(entry["time_exponent"]), f"{entry['peak_mib']:.0f}")
        say(form.format(*words))


def finite(value: Any) -> Any:
    """The same without infinite numbers, which JSON has not."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench embed", description=__doc__)
    add = parser.add_argument
    add("--graphs", type=Path, nargs="+", help="files or folders: GraphML, node-link JSON, embed-bench-1; or .gz")
    add("--packing", type=int, nargs="+", help=f"nodes on a pnode at the most (default: {_PACKINGS})")
    add("--sizes", type=int, nargs="+", help=f"nodes of the graphs that are made (default: {_SIZES})")
    add("--quick", action="store_true", help="small graphs and fewer packings")
    add("--effort", choices=EFFORTS, default="default", help="the embedder's")
    add("--rivals", nargs="*", choices=TOOLS, default=list(TOOLS), metavar="TOOL", help=f"of: {', '.join(TOOLS)}")
    add("--seed", type=int, default=1, help="of generated graphs and of every tool")
    add("--limit", type=float, default=_LIMIT_SECONDS, help="seconds that a run may take")
    add("--long", action="store_true", help="look longer for the least cuts; wants --best")
    add("--long-seeds", type=int, default=30, help="runs of the best rival, and of the embedder")
    add("--long-seconds", type=float, default=60, help="and as much time for each")
    add("--best", type=Path, help="a file of the least cuts known, read and updated")
    add("--json", type=Path, help="where all rows and the summary go")
    add("--install", action="store_true", help="install the rivals into .venv-bench first")
    add("--python", type=Path, default=_VENV / "bin" / "python", help="an interpreter that can import the rivals")
    options = parser.parse_args(words)
    if options.long and not options.best:
        parser.error("--long wants --best FILE")
    return options


def main() -> None:
    """Measures and prints."""
    options = options_of()
    if options.install:
        install()
    here, missing = rivals_of(options.python)
    say(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}; rivals: {', '.join(here) or 'none'}")
    if missing:
        say(f"left out, cannot be imported (--install): {', '.join(missing)}")
    names = {entry.split()[0] for entry in here}
    tools = [f"{OURS}:{options.effort}"] + [tool for tool in options.rivals if tool.partition(":")[0] in names]
    cases = measure(options, tools, BestKnown(options.best))
    found = summary(cases)
    print_summary(found)
    if options.json:
        rows = [{**row.as_json(), "best_known": case.known} for case in cases for row in case.rows]
        settings = {"effort": options.effort, "seed": options.seed, "limit_seconds": options.limit, "rivals": here}
        data = finite({"settings": settings, "rows": rows, "summary": found})
        options.json.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
