"""Commands that are cut off: what they began is finished or undone, never lost."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from commandline import BENITO, ROOT, Project
from machine import Snapshot, difference, snapshot

EXAMPLES = ROOT / "examples"


def start(project: Project, *words: str) -> subprocess.Popen[str]:
    argv = [BENITO, *words]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0, 1.6, 2.4, 3.5, 5.0])
def test_a_killed_up_leaves_nothing_after_down_and_can_be_repeated(
    project: Project, before: Snapshot, seconds: float
) -> None:
    words = ["up", str(EXAMPLES / "mixed.ns"), "--project", project.name, "--name", "cut"]
    with start(project, *words) as process:
        time.sleep(seconds)
        process.kill()
    done = project.run("down", f"{project.name}/cut", check=False)
    assert done.returncode in (0, 8)  # 8: it was killed before anything was known of it
    assert difference(before, snapshot()) == {}
    project.up(EXAMPLES / "pair.xml", "cut")
    assert {node["status"] for node in project.status("cut").values()} == {"booted"}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_takes_itself_down(project: Project, before: Snapshot, stop: signal.Signals) -> None:
    words = ["up", str(EXAMPLES / "lan.ns"), "--project", project.name, "--name", "cut"]
    with start(project, *words) as process:
        assert process.stderr is not None
        while "Starting" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(stop)
        process.stderr.read()
    assert process.returncode == 128 + stop
    assert difference(before, snapshot()) == {}
    assert project.run("status", f"{project.name}/cut", check=False).returncode == 8


@pytest.mark.parametrize("seconds", [0.4, 0.6, 0.8, 1.1])
def test_a_killed_down_is_finished_by_the_next(project: Project, before: Snapshot, seconds: float) -> None:
    project.up(EXAMPLES / "lan.ns", "cut")
    with start(project, "down", f"{project.name}/cut") as process:
        time.sleep(seconds)
        process.kill()
    done = project.run("down", f"{project.name}/cut", check=False)
    assert done.returncode in (0, 8)
    assert difference(before, snapshot()) == {}


def test_two_ups_of_one_name_at_once_make_one_experiment(project: Project) -> None:
    words = ["up", str(EXAMPLES / "lan.ns"), "--project", project.name, "--name", "race"]
    with start(project, *words) as first, start(project, *words) as second:
        said = [process.communicate()[1] for process in (first, second)]
    assert sorted((first.returncode, second.returncode)) == [0, 8], said
    assert {node["status"] for node in project.status("race").values()} == {"booted"}


def test_a_node_that_somebody_ended_is_dead_and_a_new_up_is_refused_until_down(project: Project) -> None:
    project.up(EXAMPLES / "lan.ns", "hand")
    subprocess.run(["virsh", "-c", "lxc:///system", "destroy", f"n-1.hand.{project.name}"], check=True)
    status = project.status("hand")
    assert (status["n-1"]["status"], status["n-0"]["status"]) == ("dead", "booted")
    assert status["n-1"]["reason"]


def test_a_container_cannot_be_started_anew_behind_our_back(project: Project) -> None:
    # libvirt would give it new interfaces, unshaped and in no wire.
    project.up(EXAMPLES / "pair.xml", "boot")
    alice = f"alice.boot.{project.name}"
    assert project.run("ssh", alice, "--", "reboot", "-f", check=False).returncode != 0
    assert project.inside("boot", "alice", "ping", "-c", "1", "-W", "5", "bob")
    project.run("ssh", alice, "--", "reboot", check=False)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and project.status("boot")["alice"]["status"] != "dead":
        time.sleep(0.2)
    assert project.status("boot")["alice"]["status"] == "dead"


def test_a_start_command_whose_namespace_lost_its_name_is_ended(
    project: Project, before: Snapshot, tmp_path: Path
) -> None:
    file = tmp_path / "sleeper.ns"
    file.write_text(
        "set ns [new Simulator]\nset a [$ns node]\ntb-add-node-attribute $a containers:node_type process\n"
        'tb-set-node-startcmd $a "(sleep 900 &); sleep 901"\n$ns run\n'
    )
    project.up(file, "sleeper")
    name = f"/run/netns/a.sleeper.{project.name}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and "sleep" not in project.inside("sleeper", "a", "ps", "ax"):
        time.sleep(0.1)
    subprocess.run(["umount", name], check=True)
    Path(name).unlink()
    project.down("sleeper")
    assert difference(before, snapshot()) == {}
