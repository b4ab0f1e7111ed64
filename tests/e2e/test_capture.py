"""Packets of a running experiment, captured by the command and read by tcpdump."""

import signal
import stat
import subprocess
from pathlib import Path

from commandline import BENITO, ROOT, SECONDS, Project
from machine import run

PAIR = """set ns [new Simulator]
foreach name {left middle right} {
    set $name [$ns node]
    tb-add-node-attribute [set $name] containers:node_type process
}
set direct [$ns duplex-link $left $middle 1Gb 0ms DropTail]
set shaped [$ns duplex-link $middle $right 10Mb 0ms DropTail]
$ns rtproto Static
$ns run
"""


def capturing(project: Project, *words: str | Path, stdout: int | None = None) -> subprocess.Popen[str]:
    """A capture that has begun."""
    argv = [BENITO, "capture", f"{project.name}/pair", *(str(word) for word in words)]
    started = subprocess.Popen(argv, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True)
    assert started.stderr is not None
    line = started.stderr.readline()
    assert line.startswith("capturing at "), line + started.stderr.read()
    return started


def test_packets_of_links_and_nodes_reach_files_and_pipes(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "pair.ns"
    source.write_text(PAIR)
    project.up(source, "pair")
    file = tmp_path / "shaped.pcapng"

    with capturing(project, "shaped", "--filter", "icmp", "-w", file) as capture:
        project.inside("pair", "left", "ping", "-c", "2", "right")
        capture.send_signal(signal.SIGINT)
        _, said = capture.communicate(timeout=SECONDS)
    assert (capture.returncode, said) == (0, "8 packets\n")
    lines = run("tcpdump", "-n", "-r", str(file)).splitlines()
    assert (len(lines), sum("echo request" in line for line in lines)) == (8, 4)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    with capturing(project, "MIDDLE", "--filter", "icmp", "--count", "4", stdout=subprocess.PIPE) as capture:
        reader = subprocess.Popen(["tcpdump", "-n", "-r", "-"], stdin=capture.stdout, stdout=subprocess.PIPE, text=True)
        project.inside("pair", "left", "ping", "-c", "1", "right")
        seen, _ = reader.communicate(timeout=SECONDS)
        assert capture.wait(SECONDS) == 0
    assert [("request" in line, "reply" in line) for line in seen.splitlines()] == [(True, False)] * 2 + [
        (False, True)
    ] * 2

    wrong = project.run("capture", f"{project.name}/pair", "shapde", check=False)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "did you mean shaped?" in wrong.stderr

    with capturing(project, "direct", "-w", file) as capture:
        project.down("pair")
        _, said = capture.communicate(timeout=SECONDS)
    assert capture.returncode == 0
    assert "left:eth0 (direct) is gone" in said
    run("tcpdump", "-n", "-r", str(file))
