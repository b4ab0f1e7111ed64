"""Single nodes of every kind, stopped, started, made anew, looked into, swapped out and in, by the command as a user
types it.
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import BENITO, ROOT, Project

KINDS = {"vm": "qemu", "box": "openvz", "room": "process"}
FILE = """set ns [new Simulator]
foreach {name kind} {vm qemu box openvz room process} {
    set $name [$ns node]
    tb-add-node-attribute [set $name] containers:node_type $kind
    tb-set-node-startcmd [set $name] "%s"
}
set lan [$ns make-lan "$vm $box $room" 100Mb 0ms]
$ns rtproto Static
$ns run
"""
SECONDS = 240


def until(said: Callable[[], object], seconds: float = SECONDS) -> None:
    """Looks until it is so; a test that waits in vain fails."""
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


def written(tmp_path: Path, command: str, *more: str) -> Path:
    path = tmp_path / "kinds.ns"
    path.write_text((FILE % command).replace("$ns rtproto", "\n".join([*more, "$ns rtproto"])))
    return path


def ping(project: Project, source: str, target: str) -> None:
    project.inside("kinds", source, "ping", "-c", "1", "-W", "10", target)


def ended(project: Project, code: int) -> None:
    until(lambda: {node["exit_code"] for node in project.status("kinds").values()} == {code})


def logs(project: Project, node: str, *words: str) -> subprocess.CompletedProcess[str]:
    return project.run("logs", f"{project.name}/kinds", node, *words)


def terminal(project: Project, *words: str, wanted: str, keys: str) -> str:
    """What a verb shows on a terminal until it shows `wanted`; `keys` are typed then, and end it."""
    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(BENITO, [BENITO, *words])  # noqa: S606 - no shell is meant
    shown = b""
    deadline = time.monotonic() + SECONDS
    while wanted not in shown.decode(errors="replace"):
        assert time.monotonic() < deadline, shown
        if select.select([handle], [], [], 1)[0]:
            shown += os.read(handle, 65536)
        else:
            os.write(handle, b"\n")
    os.write(handle, keys.encode())
    until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    os.close(handle)
    return shown.decode(errors="replace")


def test_nodes_of_every_kind_are_stopped_started_rebuilt_and_looked_into(project: Project, tmp_path: Path) -> None:
    project.up(written(tmp_path, "echo out; echo err >&2; echo again >>/var/benito/log/boots; exit 3"), "kinds")
    name = f"{project.name}/kinds"
    ended(project, 3)

    for node in KINDS:
        said = logs(project, node)
        assert (said.stdout, said.stderr) == ("out\n", "err\n")
        assert "exit status 3" in logs(project, node, "--log", "--tail", "1").stdout
    project.inside("kinds", "vm", "sh", "-c", "echo said on the console >/dev/console")
    until(lambda: "said on the console" in logs(project, "vm", "--console").stdout)
    shown = terminal(project, "console", name, "box", wanted="#", keys="\x1d")
    assert "#" in shown

    copies(project, tmp_path)

    # A power cycle of one: its files stay, its links come back, the others notice nothing.
    boots = {node: project.inside("kinds", node, "cat", "/proc/sys/kernel/random/boot_id") for node in ("vm", "box")}
    project.run("node", "stop", name, "box")
    assert (project.status("kinds")["box"]["stopped"], project.status("kinds")["box"]["status"]) == (True, "dead")
    assert project.run("repair", name).stdout == "all is as planned\n"
    assert logs(project, "box", "--out").stdout == "out\n"
    ping(project, "vm", "room-lan")
    assert project.run("ssh", f"box.{name}", "--", "true", check=False).returncode != 0
    assert project.run("node", "start", name, "box").stdout == "box: started\n"
    ping(project, "box", "vm-lan")
    ping(project, "vm", "box-lan")
    assert project.inside("kinds", "box", "cat", "/root/mark") == "mine\n"
    assert project.inside("kinds", "vm", "cat", "/proc/sys/kernel/random/boot_id") == boots["vm"]
    until(lambda: project.inside("kinds", "box", "cat", "/var/benito/log/boots").count("again") == 2)

    project.run("node", "restart", name, "vm")
    ping(project, "vm", "box-lan")
    project.run("node", "rebuild", name, "box")
    ping(project, "vm", "box-lan")
    assert project.run("ssh", f"box.kinds.{project.name}", "--", "cat", "/root/mark", check=False).returncode == 1
    assert json.loads(project.run("status", name, "--json").stdout)["links"][name]["broken"] == {}


def copies(project: Project, tmp_path: Path) -> None:
    """A folder to each node and back."""
    source = tmp_path / "tools"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "run").write_text("#!/bin/sh\n" + "x" * 200_000)
    (source / "sub" / "run").chmod(0o750)
    (source / "link").symlink_to("sub/run")
    (tmp_path / "mark").write_text("mine\n")
    for node in KINDS:
        there = f"{node}.kinds.{project.name}"
        folder = "/var/benito/log" if node == "room" else "/root"
        project.run("cp", source, tmp_path / "mark", f"{there}:{folder}")
        assert project.inside("kinds", node, "sh", "-c", f"stat -c %a {folder}/tools/sub/run").strip() == "750"
        project.run("cp", f"{there}:{folder}/tools", tmp_path / f"from-{node}")
        back = tmp_path / f"from-{node}"
        assert (back / "sub" / "run").read_text() == (source / "sub" / "run").read_text()
        assert (back / "sub" / "run").stat().st_mode & 0o777 == 0o750
        assert (back / "link").readlink() == Path("sub/run")
        missing = project.run("cp", f"{there}:/nothing", tmp_path, check=False)
        assert (missing.returncode, "/nothing cannot be copied" in missing.stderr) == (5, True)


def test_state_is_kept_and_gone_on_with(project: Project, tmp_path: Path) -> None:
    source = written(tmp_path, "true")
    project.up(source, "kinds")
    name = f"{project.name}/kinds"
    folder = {"vm": "/run", "box": "/root", "room": "/var/benito/log"}
    for node in KINDS:
        project.inside("kinds", node, "sh", "-c", f"echo mine >{folder[node]}/mark")
    booted = project.inside("kinds", "vm", "cat", "/proc/sys/kernel/random/boot_id")
    project.run("link", "set", name, "lan", "--delay", "40ms")
    project.run("down", name, "--keep-state")
    assert {node["experiment_state"] for node in project.status("kinds").values()} == {"swapped"}
    running = subprocess.run(
        ["virsh", "-c", "qemu:///system", "list", "--name"], capture_output=True, text=True, check=True
    )
    assert f"vm.kinds.{project.name}" not in running.stdout
    refused = project.up(written(tmp_path, "false"), "kinds", check=False)
    assert (refused.returncode, f"benito resume {name}" in refused.stderr) == (8, True)

    project.run("resume", name)
    for node in KINDS:
        assert project.inside("kinds", node, "cat", f"{folder[node]}/mark") == "mine\n"
    assert project.inside("kinds", "vm", "cat", "/proc/sys/kernel/random/boot_id") == booted
    said = project.inside("kinds", "vm", "ping", "-c", "3", "-q", "box-lan")
    found = re.search(r"min/avg/max(?:/mdev)? = ([\d.]+)/", said)
    assert found, said
    assert float(found[1]) >= 80
    project.run("down", name, "--keep-state")
    project.down("kinds")
    project.up(source, "kinds")
    assert project.run("ssh", f"box.kinds.{project.name}", "--", "cat", "/root/mark", check=False).returncode == 1


@pytest.mark.parametrize("seconds", [0.5, 1.5, 3.0])
def test_a_swap_out_that_is_killed_loses_nothing(project: Project, tmp_path: Path, seconds: float) -> None:
    project.up(written(tmp_path, "true"), "kinds")
    name = f"{project.name}/kinds"
    project.inside("kinds", "vm", "sh", "-c", "echo mine >/run/mark")
    project.inside("kinds", "box", "sh", "-c", "echo mine >/root/mark")
    with subprocess.Popen([BENITO, "down", name, "--keep-state"], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.kill()
    project.run("down", name, "--keep-state")
    with subprocess.Popen([BENITO, "resume", name], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.kill()
    if {node["experiment_state"] for node in project.status("kinds").values()} != {"active"}:
        project.run("resume", name)
    until(lambda: {node["status"] for node in project.status("kinds").values()} == {"booted"})
    assert project.inside("kinds", "vm", "cat", "/run/mark") == "mine\n"
    assert project.inside("kinds", "box", "cat", "/root/mark") == "mine\n"
    ping(project, "vm", "box-lan")


def test_dead_nodes_start_again_and_stopped_ones_do_not(project: Project, tmp_path: Path) -> None:
    project.up(written(tmp_path, "true"), "kinds", "--restart", "always:3")
    name = f"{project.name}/kinds"
    machine, container = f"vm.kinds.{project.name}", f"box.kinds.{project.name}"
    project.inside("kinds", "vm", "true")
    subprocess.run(["virsh", "-c", "qemu:///system", "destroy", machine], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["virsh", "-c", "lxc:///system", "destroy", container], check=True, stdout=subprocess.DEVNULL)

    def revived() -> bool:
        nodes = project.status("kinds")
        return all(nodes[node]["restarts"] >= 1 and nodes[node]["status"] == "booted" for node in ("vm", "box"))

    until(revived)
    ping(project, "vm", "box-lan")
    project.run("node", "stop", name, "box")
    time.sleep(4)
    assert project.status("kinds")["box"]["stopped"] is True
    watchers = [line for line in processes() if f"node watch {name}" in line]
    assert len(watchers) == 1
    project.down("kinds")
    assert [line for line in processes() if f"node watch {name}" in line] == []


def processes() -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found


def test_start_commands_begin_at_one_moment(project: Project, tmp_path: Path) -> None:
    project.up(written(tmp_path, "cut -d. -f1 /proc/uptime; date +%s"), "kinds", "--barrier")
    ended(project, 0)
    moments = {node: int(logs(project, node, "--out").stdout.split()[-1]) for node in KINDS}
    # Machines' own clocks may be a second off, and tell whole seconds.
    assert max(moments.values()) - min(moments.values()) <= 3, moments


def test_logs_are_followed_until_ctrl_c(project: Project, tmp_path: Path) -> None:
    project.up(written(tmp_path, "for i in 1 2 3 4 5 6; do echo line \\$i; sleep 1; done"), "kinds")
    for node in KINDS:
        words = [BENITO, "logs", f"{project.name}/kinds", node, "--follow"]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(6)]
            process.send_signal(signal.SIGINT)
        assert said == [f"line {number}\n" for number in range(1, 7)]
        assert process.returncode == 0
