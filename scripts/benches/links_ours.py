"""Ours: `benito up` and `benito down` as a user types them, and apart from that the links' driver alone.

Run in a world of its own (links_world.run); prints JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import links_world


def _command(*words: str, state: str) -> dict[str, float]:
    """One command: wall and CPU seconds of it and of all that it started."""
    argv = [str(Path(sys.executable).parent / "benito"), *words]
    start, cpu = time.perf_counter(), links_world.children_cpu()
    done = subprocess.run(argv, env={**os.environ, "BENITO_STATE": state}, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return {"wall": wall, "cpu": links_world.children_cpu() - cpu}


def command_line(path: Path) -> dict[str, object]:
    """The whole path."""
    # On the disk, not in the private /run: what is written safely must be paid for.
    with tempfile.TemporaryDirectory(prefix="benito-bench-", dir=path.parent) as state:
        links_world.calm()
        before = links_world.memory_kib()
        up = _command("up", str(path), "--name", "links", "--default-container", "process", state=state)
        links_world.calm()
        after = links_world.memory_kib()
        down = _command("down", "links", state=state)
        settled = links_world.calm()
    kib = {"kib": before[0] - after[0], "kernel_kib": after[1] - before[1]}
    return {"up": up, "down": down, "settled": settled, **kib}


def links_alone(path: Path) -> dict[str, object]:
    """What the driver of links does of it: observe, tell the difference, apply; remove."""
    from links_graphs import plan_of  # noqa: PLC0415 - not loaded where only the command is measured

    from benito_netplan.driver import KernelLinkDriver  # noqa: PLC0415

    plan = plan_of(path)
    driver = KernelLinkDriver()
    driver.lacks(plan)

    def timed(work: str) -> dict[str, float]:
        start, cpu = time.perf_counter(), time.process_time()
        if work == "up":
            driver.apply(plan, driver.changes(plan))
        else:
            driver.remove(plan.experiment, plan.group)
        return {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}

    links_world.calm()
    found: dict[str, object] = {"up": timed("up")}
    links_world.calm()
    found["down"] = timed("down")
    found["settled"] = links_world.calm()
    return found


def main() -> None:
    """The file, and which of the two."""
    path, way = Path(sys.argv[1]), sys.argv[2]
    found = command_line(path) if way == "command" else links_alone(path)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
