"""A node that takes all that it can get: it is held, and another node and the machine do not feel it."""

import re
import subprocess
from pathlib import Path

import pytest
from commandline import Project

from benito.names import ExperimentId
from benito_domains.cgroups import find_cgroups

FILE = """
source tb_compat.tcl
set ns [new Simulator]
set greedy [$ns node]
set other [$ns node]
set link [$ns duplex-link $greedy $other 100Mb 0ms DropTail]
tb-add-node-attribute $greedy benito:pids 40
tb-add-node-attribute $greedy benito:memory 64
tb-add-node-attribute $greedy benito:cpu_limit 20
tb-add-node-attribute $greedy benito:disk 32M
$ns run
"""
BOMB = "i=0; while [ $i -lt 300 ]; do sleep 60 & i=$((i+1)); done; echo all"
#: The buffer is what takes memory.
HOG = "dd if=/dev/zero of=/dev/null bs=200M count=1"
FILL = "dd if=/dev/zero of=/root/big bs=1M count=64; dd if=/dev/zero of=/var/benito/status/big bs=1M count=64"
BUSY = "timeout 3 sh -c 'while :; do :; done'; times"


@pytest.fixture
def running(project: Project, tmp_path: Path) -> Project:
    file = tmp_path / "limits.ns"
    file.write_text(FILE)
    project.up(file, "l")
    return project


def test_a_container_is_held_to_its_limits_and_others_do_not_feel_it(running: Project) -> None:
    def greedy(command: str) -> str:
        done = running.run("exec", f"{running.name}/l", "greedy", "--", "sh", "-c", command, check=False)
        return done.stdout + done.stderr

    assert "fork" in greedy(BOMB)
    assert subprocess.run(["true"], check=False).returncode == 0
    assert "alive" in running.inside("l", "other", "echo", "alive")
    running.run("node", "restart", f"{running.name}/l", "greedy")
    assert running.status("l")["greedy"]["status"] == "booted"
    assert "-9" in greedy(HOG) or "137" in greedy(HOG)
    assert greedy(FILL).count("No space left") == 2
    minutes, seconds = re.findall(r"(\d+)m([\d.]+)s", greedy(BUSY))[2]  # of what it started, in user mode
    assert 0 < 60 * int(minutes) + float(seconds) < 1.5
    status = running.status("l")
    assert {status[node]["status"] for node in ("greedy", "other")} == {"booted"}
    running.down("l")
    assert find_cgroups().names(ExperimentId(running.name, "l")) == []
    loops = Path("/sys/block").glob("loop*/loop/backing_file")
    assert [path for path in loops if running.name in path.read_text()] == []
