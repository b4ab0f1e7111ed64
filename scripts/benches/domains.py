"""How long domains take to come up, next to bare ones, and what they hold.

`containers`: the command `benito up` on a LAN of containers, until all are booted and take ssh connections, next to
bare LXC domains of libvirt with the same root file system, two interfaces and as many threads. `machines`: the same for
virtual machines without KVM's help, next to bare qemu processes with the same kernel that set an interface up.
`define`: a domain's description made and defined. `status`: the command on process nodes. Floor and ours take turns;
the best round of each is compared. Needs root and a running libvirtd.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import domains_memory
from domains_reach import wait_for_ssh

_HERE = Path(__file__).parent
_BENITO = [str(Path(sys.executable).with_name("benito"))]
_PARTS = ("containers", "machines", "define", "status")
_PROJECT = "bench"


class Bench:
    """One state folder, in which everything is measured."""

    def __init__(self, state: Path) -> None:
        self._state = state
        # One pnode that holds everything: how much this machine should hold is not the question.
        site = state / "site.toml"
        site.write_text('[[pnodes]]\ntype = "bench"\ncount = 1\nmemory = "999GiB"\ncores = 999\ndisk = "999GiB"\n')
        self._environment = {**os.environ, "BENITO_STATE": str(state / "state"), "BENITO_SITE": str(site)}

    def benito(self, *words: str) -> str:
        """Runs the command; what it printed. Ends the measurement where it fails."""
        argv = [*_BENITO, *words]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(argv)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout

    def helper(self, script: str, *words: str) -> dict[str, Any]:
        """Runs a script of this folder; what it printed as JSON on its last line."""
        argv = [sys.executable, str(_HERE / script), *words]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(argv)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def topology(self, kind: str, count: int) -> Path:
        """A LAN of so many nodes of a kind, nothing shaped."""
        path = self._state / f"{kind}-{count}.ns"
        lines = ["set ns [new Simulator]", "source tb_compat.tcl", 'set all ""']
        lines += [f"for {{set i 0}} {{$i < {count}}} {{incr i}} {{", "set n($i) [$ns node]"]
        lines += [f"tb-add-node-attribute $n($i) containers:node_type {kind}", 'append all " $n($i)"', "}"]
        lines += ["set lan [$ns make-lan $all 1Gb 0ms]", "$ns rtproto Static", "$ns run"]
        path.write_text("\n".join(lines) + "\n")
        return path

    def up_and_down(self, kind: str, count: int) -> dict[str, float]:
        """Seconds of both, and what is held in between."""
        file, name = self.topology(kind, count), f"{_PROJECT}/{kind}{count}"
        before = domains_memory.available_kib()
        words = ("--project", _PROJECT, "--name", name.partition("/")[2])
        begin = time.monotonic()
        try:
            self.benito("up", str(file), *words)
        except SystemExit:
            subprocess.run([*_BENITO, "down", name], env=self._environment, capture_output=True, check=False)
            raise
        booted = time.monotonic() - begin
        plan = json.loads((self._state / "state/exp" / name / "plan.json").read_text())
        silent = wait_for_ssh(plan["control_bridge"], [node["control"]["mac"] for node in plan["nodes"]], seconds=300)
        up = time.monotonic() - begin
        held = domains_memory.held(before, count)
        begin = time.monotonic()
        self.benito("down", name)
        return {"up": up, "booted": booted, "down": time.monotonic() - begin, "silent": len(silent), **held}

    def boot_parts(self) -> tuple[Path, Path, Path]:
        """The image micro: its tree, its kernel, and an initramfs that only sets an interface up."""
        self.benito("image", "build")
        found = self.helper("domains_parts.py", str(self._state))
        return Path(found["tree"]), Path(found["kernel"]), Path(found["initramfs"])


def print_row(what: str, count: int, tool: str, found: dict[str, float]) -> None:
    """A measurement."""
    values = [f"{found[name]:.2f}" if name in found else "-" for name in ("up", "down")]
    memory = f"{found['kib']:.0f}" if "kib" in found else "-"
    silent = f"   {found['silent']:.0f} did not answer" if found["silent"] else ""
    sys.stdout.write(f"{what:11} {count:>5} {tool:7} {values[0]:>8} {values[1]:>8} {memory:>8}{silent}\n")
    sys.stdout.flush()


def compare(
    what: str, count: int, rounds: int, tools: dict[str, Callable[[], dict[str, float]]]
) -> dict[str, dict[str, float]]:
    """Measures the tools in turn; the best of each."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for tool, measure in tools.items():
            found = measure()
            print_row(what, count, tool, found)
            if tool not in best or found["up"] < best[tool]["up"]:
                best[tool] = found
    return best


def judge(what: str, value: float, most: float) -> None:
    """Met or missed."""
    sys.stdout.write(f"{'met   ' if value <= most else 'MISSED'} {what}: {value:.3g} (target {most:.3g})\n")


def measure(bench: Bench, options: argparse.Namespace) -> None:
    """All parts that were asked for."""
    tree, kernel, initramfs = bench.boot_parts()
    sys.stdout.write(f"{'':11} {'':>5} {'':7} {'up s':>8} {'down s':>8} {'KiB each':>8}\n")
    if "containers" in options.parts:
        count = options.containers
        best = compare(
            "containers",
            count,
            options.rounds,
            {
                "floor": lambda: bench.helper("domains_floor.py", "containers", str(count), str(tree)),
                "benito": lambda: bench.up_and_down("openvz", count),
            },
        )
        judge("containers: seconds to the floor's", best["benito"]["up"] / best["floor"]["up"], 1.3)
        judge("containers: MiB each, beyond the floor's", (best["benito"]["kib"] - best["floor"]["kib"]) / 1024, 6)
    if "machines" in options.parts:
        count = options.machines
        best = compare(
            "machines",
            count,
            options.rounds,
            {
                "floor": lambda: bench.helper("domains_floor.py", "machines", str(count), str(kernel), str(initramfs)),
                "benito": lambda: bench.up_and_down("qemu", count),
            },
        )
        judge("machines: seconds to the floor's", best["benito"]["up"] / best["floor"]["up"], 1.2)
    if "define" in options.parts:
        for kind in ("openvz", "qemu"):
            found = bench.helper("domains_define.py", kind, "100")
            sys.stdout.write(f"{kind}: {found['template_ms']:.2f} ms of template, {found['define_ms']:.2f} of define\n")
            judge(f"{kind}: ms of template and define", found["template_ms"] + found["define_ms"], 5)
    if "status" in options.parts:
        measure_status(bench, options.nodes)


def measure_status(bench: Bench, count: int) -> None:
    """The status of so many process nodes by itself, and the command, which also looks at their links and starts
    Python; of the command the best of five."""
    file = bench.topology("process", count)
    bench.benito("up", str(file), "--project", _PROJECT, "--name", "many")
    try:
        times: dict[str, list[float]] = {"status": [], "--help": []}
        for words in (("status", f"{_PROJECT}/many", "--json"), ("--help",)) * 5:
            begin = time.monotonic()
            bench.benito(*words)
            times[words[0]].append(time.monotonic() - begin)
        status, start = (min(found) for found in times.values())
        sys.stdout.write(f"status of {count} nodes and their links: {status:.2f} s; --help {start:.2f} s\n")
        found = bench.helper("domains_status.py", f"{_PROJECT}/many")
        sys.stdout.write(f"status of {found['nodes']} nodes by itself: {found['first']:.3f} s\n")
        judge("status by itself: seconds", found["first"], 0.3)
    finally:
        bench.benito("down", f"{_PROJECT}/many")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench domains", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="which to measure")
    parser.add_argument("--containers", type=int, default=100)
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=1000, help="process nodes whose status is asked for")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("only root can start domains")
    sys.stdout.write(f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory(prefix="benito-bench-", dir="/var/tmp") as name:
        Path(name).chmod(0o711)
        measure(Bench(Path(name)), options)


if __name__ == "__main__":
    main()
