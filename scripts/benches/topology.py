"""How long it takes to read a topology file, next to what its language costs at the least: a bare lxml or tclsh run.

Each file is read in a process of its own, so that memory is that of one reading; the best of a few runs counts.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from benito.topology import ReadLimits, read_topology

_SIZES = (1000, 10_000, 100_000)
_RUNS = 3
#: What a plain Tcl needs to run such an NS file to its end: objects that are commands, and commands that do nothing.
_PRELUDE = """
set made 0
proc Object {args} { return [New] }
proc New {args} {
    global made
    set name object[incr made]
    interp alias {} $name {} Object
    return $name
}
rename source tcl_source
proc new {args} { return [New] }
proc source {args} { }
foreach name {tb-add-node-attribute tb-set-node-startcmd tb-set-link-loss} { proc $name {args} { } }
tcl_source [lindex $argv 0]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One reading. `nodes` and `links` are what was found."""

    nodes: int
    links: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


def ns_text(nodes: int) -> str:
    """A ring with a chord for each node, as loops: twice as many links as nodes."""
    return f"""source tb_compat.tcl
set ns [new Simulator]
set count {nodes}
for {{set i 0}} {{$i < $count}} {{incr i}} {{
    set n($i) [$ns node]
    tb-add-node-attribute $n($i) containers:node_type process
    tb-set-node-startcmd $n($i) "sleep $i"
}}
for {{set i 0}} {{$i < $count}} {{incr i}} {{
    set next [expr {{($i + 1) % $count}}]
    set across [expr {{($i + 7) % $count}}]
    set ring($i) [$ns duplex-link $n($i) $n($next) 100Mb 10ms DropTail]
    set chord($i) [$ns duplex-link $n($i) $n($across) 10Mb 0ms DropTail]
    tb-set-link-loss $chord($i) 0.01
}}
$ns rtproto Manual
$ns run
"""


def topdl_tree(nodes: int) -> etree._ElementTree:
    """The same topology as TopDL."""
    root = etree.Element("experiment")
    _add(root, "version", "1.0")
    ends: list[list[str]] = [[] for _ in range(nodes)]
    for node in range(nodes):
        for name, step, rate, time_ms in (("ring", 1, 100_000, 5), ("chord", 7, 10_000, 0)):
            lan = etree.SubElement(root, "substrates")
            _add(lan, "name", f"{name}-{node}")
            _quantity(lan, "capacity", "rate", rate)
            _quantity(lan, "latency", "time", time_ms)
            ends[node].append(f"{name}-{node}")
            ends[(node + step) % nodes].append(f"{name}-{node}")
    for node in range(nodes):
        computer = etree.SubElement(etree.SubElement(root, "elements"), "computer")
        _add(computer, "name", f"n-{node}")
        for place, name in enumerate(ends[node]):
            interface = etree.SubElement(computer, "interface")
            _add(interface, "substrate", name)
            _add(interface, "name", f"inf{place:03d}")
        for key, value in (("containers:node_type", "process"), ("startup", f"sleep {node}")):
            attribute = etree.SubElement(computer, "attribute")
            _add(attribute, "attribute", key)
            _add(attribute, "value", value)
    return root.getroottree()


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text


def _quantity(parent: etree._Element, name: str, number: str, value: float) -> None:
    element = etree.SubElement(parent, name)
    _add(element, number, f"{value:f}")
    _add(element, "kind", "max")


def read(path: Path) -> None:
    """Reads a file and prints a line of numbers; runs in a process of its own."""
    # Only the size is free: everything else is checked as always.
    limits = ReadLimits(
        nodes=10**6,
        interfaces=10**7,
        topdl_bytes=1 << 30,
        xml_tags=10**8,
        cpu_seconds=600,
        wall_seconds=900.0,
        memory_mib=8192,
        commands=10**9,
        output_bytes=1 << 30,
    )
    start = time.perf_counter()
    topology = read_topology(path, limits=limits)
    _report(len(topology.nodes), len(topology.lans), start)


def read_bare(path: Path) -> None:
    """The floor of an XML file: lxml parses it, and nothing is looked at."""
    start = time.perf_counter()
    etree.parse(path)
    _report(0, 0, start)


def _report(nodes: int, links: int, start: float) -> None:
    seconds = time.perf_counter() - start
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    peak = max(usage.ru_maxrss for usage in usages) / 1024
    sys.stdout.write(f"{nodes} {links} {seconds} {cpu} {peak}\n")


def measure(mode: str, path: Path, runs: int) -> Row:
    """The quickest of some readings."""
    rows: list[Row] = []
    for _ in range(runs):
        argv = [sys.executable, __file__, "--mode", mode, str(path)]
        words = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
        rows.append(
            Row(
                nodes=int(words[0]),
                links=int(words[1]),
                seconds=float(words[2]),
                cpu_seconds=float(words[3]),
                peak_mib=float(words[4]),
            )
        )
    return min(rows, key=lambda row: row.seconds)


def measure_tcl(prelude: Path, path: Path, runs: int) -> float | None:
    """The floor of an NS file: a plain Tcl runs it."""
    program = shutil.which("tclsh")
    if program is None:
        return None
    best: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([program, str(prelude), str(path)], check=True, stdout=subprocess.DEVNULL)
        best.append(time.perf_counter() - start)
    return min(best)


def table(sizes: list[int], languages: list[str], runs: int) -> None:
    """Measures and prints, a line at a time."""
    head = ("", "nodes", "links", "MiB file", "seconds", "CPU s", "peak MiB", "s per 10k", "floor s", "ratio")
    form = "{:6} {:>8} {:>8} {:>9} {:>8} {:>8} {:>9} {:>10} {:>8} {:>6}"
    sys.stdout.write(form.format(*head) + "\n")
    with tempfile.TemporaryDirectory(prefix="benito-bench-") as name:
        folder = Path(name)
        prelude = folder / "prelude.tcl"
        prelude.write_text(_PRELUDE)
        for language in languages:
            for size in sizes:
                path = folder / (f"{size}.ns" if language == "ns" else f"{size}.xml")
                if language == "ns":
                    path.write_text(ns_text(size))
                    floor = measure_tcl(prelude, path, runs)
                else:
                    topdl_tree(size).write(path, pretty_print=True)
                    floor = measure("bare", path, runs).seconds
                row = measure("read", path, runs)
                per_10k = row.seconds * 10_000 / row.nodes
                ratio = f"{row.seconds / floor:.1f}" if floor else "-"
                words: tuple[object, ...] = (language, row.nodes, row.links, f"{path.stat().st_size / (1 << 20):.2f}")
                words += (f"{row.seconds:.2f}", f"{row.cpu_seconds:.2f}", f"{row.peak_mib:.0f}", f"{per_10k:.2f}")
                words += (f"{floor:.2f}" if floor else "-", ratio)
                sys.stdout.write(form.format(*words) + "\n")
                sys.stdout.flush()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench topology", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(_SIZES), help="nodes; twice as many links")
    parser.add_argument("--languages", nargs="+", choices=("ns", "topdl"), default=["ns", "topdl"])
    parser.add_argument("--runs", type=int, default=_RUNS, help="the best of so many counts")
    parser.add_argument("--mode", choices=("read", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("path", type=Path, nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode == "read":
        read(options.path)
    elif options.mode == "bare":
        read_bare(options.path)
    else:
        sys.stdout.write(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}; each file read alone\n")
        table(options.sizes, options.languages, options.runs)


if __name__ == "__main__":
    main()
