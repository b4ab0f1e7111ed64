"""How long it takes to bring process nodes and their links up and down, next to the least that the kernel takes for it.

Every tool makes the same topology in a network and a mount namespace of its own: `floor` sends bare rtnetlink messages
that were encoded beforehand, `bridges` is such a floor with a bridge per link, `links` is the driver of links alone,
`benito` the command as a user types it, `mininet` plain hosts with links from host to host. CPU seconds are those of
all processes; what the kernel's workers use after `down` has returned stands as `settled`, in seconds until they are
done. Needs root.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import links_graphs
import links_world

_HERE = Path(__file__).parent
_SIZES = (100, 500, 1000)
_LARGE = 10_000
_TOOLS = ("floor", "bridges", "links", "benito", "mininet")
_FORM = "{:6} {:>6} {:9}" + " {:>8}" * 7
_SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One tool on one topology. Wall and CPU in seconds; memory of the whole in KiB, where it was measured."""

    up_wall: float
    up_cpu: float
    down_wall: float
    down_cpu: float
    settled: float
    kib: int | None
    kernel_kib: int | None

    @property
    def cpu(self) -> float:
        """Up and down together."""
        return self.up_cpu + self.down_cpu

    @property
    def wall(self) -> float:
        """Up and down together."""
        return self.up_wall + self.down_wall


#: (shape, nodes, tool) -> what was measured.
Results = dict[tuple[str, int, str], Row]


def has_mininet() -> bool:
    """Whether the system's Python has it."""
    argv = [_SYSTEM_PYTHON, "-c", "import mininet.net"]
    return Path(_SYSTEM_PYTHON).exists() and subprocess.run(argv, capture_output=True, check=False).returncode == 0


def measure(tool: str, topdl: Path, bare: Path) -> Row | None:
    """One tool on one topology; None where it failed, which was said."""
    ours, floor = str(_HERE / "links_ours.py"), str(_HERE / "links_floor.py")
    argv = {
        "floor": [sys.executable, floor, str(bare), "direct"],
        "bridges": [sys.executable, floor, str(bare), "bridges"],
        "links": [sys.executable, ours, str(topdl), "links"],
        "benito": [sys.executable, ours, str(topdl), "command"],
        "mininet": [_SYSTEM_PYTHON, str(_HERE / "links_mininet.py"), str(bare)],
    }[tool]
    # Compiled modules are kept, as those of an installed program are.
    found = links_world.run(
        argv, {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(topdl.parent / "compiled")}
    )
    return None if found is None else _row(found)


def _row(found: dict[str, Any]) -> Row:
    return Row(
        up_wall=found["up"]["wall"],
        up_cpu=found["up"]["cpu"],
        down_wall=found["down"]["wall"],
        down_cpu=found["down"]["cpu"],
        settled=found["settled"],
        kib=found.get("kib"),
        kernel_kib=found.get("kernel_kib"),
    )


def print_head() -> None:
    """The columns."""
    names = ("up s", "up CPU", "down s", "down CPU", "settled", "KiB", "kernel")
    sys.stdout.write(_FORM.format("", "nodes", "", *names) + "   (KiB: available memory and the kernel's, per node)\n")


def print_row(shape: str, nodes: int, tool: str, row: Row) -> None:
    """A measurement."""
    memory = ["-" if kib is None else f"{kib / nodes:.0f}" for kib in (row.kib, row.kernel_kib)]
    seconds = [row.up_wall, row.up_cpu, row.down_wall, row.down_cpu, row.settled]
    sys.stdout.write(_FORM.format(shape, nodes, tool, *(f"{value:.2f}" for value in seconds), *memory) + "\n")
    sys.stdout.flush()


def targets(results: Results) -> Iterator[tuple[str, float, float]]:
    """Each target that was measured: what, the value, and the most that it may be."""
    for shape, nodes in dict.fromkeys((shape, nodes) for shape, nodes, _ in results):

        def row(tool: str, shape: str = shape, nodes: int = nodes) -> Row | None:
            return results.get((shape, nodes, tool))

        name = f"{shape} of {nodes}"
        floor, links, ours, mininet = row("floor"), row("links"), row("benito"), row("mininet")
        if floor and links:
            yield f"{name}: CPU of the links, up and down, to the floor's", links.cpu / floor.cpu, 2
        if floor and ours:
            yield f"{name}: CPU of the command, up and down, to the floor's", ours.cpu / floor.cpu, 2
        if ours and mininet:
            yield f"{name}: CPU of the command to Mininet's", ours.cpu / mininet.cpu, 1 / 6
            yield f"{name}: wall of the command to Mininet's", ours.wall / mininet.wall, 1 / 10
        bridges = row("bridges")
        if ours and bridges and (shape, nodes) == ("chain", 500):
            yield f"{name}: wall of the command to the floor's with bridges", ours.wall / bridges.wall, 1
        if ours and nodes == _LARGE:
            yield from _large(name, ours)
    yield from _growth(results)


def _large(name: str, ours: Row) -> Iterator[tuple[str, float, float]]:
    yield f"{name}: seconds up", ours.up_wall, 60
    yield f"{name}: seconds down", ours.down_wall, 30
    if ours.kib is not None:
        yield f"{name}: KiB of memory per node", ours.kib / _LARGE, 250


def _growth(results: Results) -> Iterator[tuple[str, float, float]]:
    for shape in links_graphs.SHAPES:
        for tool in ("floor", "links", "benito"):
            small, large = (results.get((shape, nodes, tool)) for nodes in (500, 1000))
            if small and large:
                # A quarter above the double is noise; what is quadratic would be four times as much.
                yield f"{shape}, {tool}: CPU of 1000 nodes to that of 500", large.cpu / small.cpu, 2.5


def print_targets(results: Results) -> None:
    """Met or missed."""
    sys.stdout.write("\n")
    for what, value, most in targets(results):
        sys.stdout.write(f"{'met   ' if value <= most else 'MISSED'} {what}: {value:.3g} (target {most:.3g})\n")


def bench(cases: list[tuple[str, int]], tools: list[str], say: Callable[[str], object]) -> Results:
    """Measures everything, a line at a time."""
    results: Results = {}
    print_head()
    with tempfile.TemporaryDirectory(prefix="benito-bench-") as name:
        for shape, nodes in cases:
            topdl, bare = Path(name, f"{shape}-{nodes}.xml"), Path(name, f"{shape}-{nodes}.json")
            links_graphs.write_topdl(topdl, shape, nodes)
            links_graphs.write_bare(bare, links_graphs.plan_of(topdl))
            if not results and "benito" in tools:
                measure("benito", topdl, bare)  # compiles the modules
            for tool in tools:
                # A bridge per link, and Mininet, would take tens of minutes; the large one is measured against targets.
                if nodes >= _LARGE and tool in ("bridges", "mininet"):
                    continue
                row = measure(tool, topdl, bare)
                if row is None:
                    say(f"{shape} of {nodes}: {tool} failed\n")
                    continue
                results[shape, nodes, tool] = row
                print_row(shape, nodes, tool, row)
    return results


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench links", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(_SIZES), help="nodes")
    parser.add_argument("--shapes", nargs="+", choices=links_graphs.SHAPES, default=list(links_graphs.SHAPES))
    parser.add_argument("--tools", nargs="+", choices=_TOOLS, default=list(_TOOLS), help="which to measure")
    parser.add_argument("--large", action="store_true", help=f"also a tree of {_LARGE} nodes")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("only root can make namespaces and links")
    tools = list(options.tools)
    sys.stdout.write(f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}\n")
    if "mininet" in tools and not has_mininet():
        sys.stdout.write("Mininet is not installed (Debian: apt-get install mininet): left out\n")
        tools.remove("mininet")
    cases = [(shape, nodes) for shape in options.shapes for nodes in options.sizes]
    cases += [("tree", _LARGE)] if options.large else []
    print_targets(bench(cases, tools, sys.stderr.write))


if __name__ == "__main__":
    main()
