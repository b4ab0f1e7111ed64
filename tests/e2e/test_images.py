"""Images as people use them: built, killed while building, imported, saved, held."""

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commandline import BENITO, Project
from machine import Snapshot

TOPOLOGY = """
set ns [new Simulator]
source tb_compat.tcl
set a [$ns node]
tb-add-node-attribute $a containers:node_type openvz
tb-add-node-attribute $a benito:image {image}
$ns run
"""


def images(project: Project) -> dict[str, dict[str, object]]:
    records = json.loads(project.run("image", "list", "--json").stdout)
    return {name: record for record in records for name in record["names"]}


def programs_at(folder: Path) -> list[str]:
    """The processes that know of a folder by their words, root or working folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            root = str((process / "root").readlink())
        except OSError:
            continue
        if str(folder).encode() in words or root.startswith(str(folder)):
            found.append(process.name)
    return found


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENITO_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_debian_build_killed_by_kill_9_leaves_nothing(state: Path, before: Snapshot) -> None:
    """Killed while the package manager works in its chroot, with /proc mounted there."""
    del before
    with subprocess.Popen(
        [BENITO, "image", "build", "debian-12"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 300
        while not list(state.glob("images/.building-*/tree/root/var/lib/dpkg/info/*")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while programs_at(state):
        assert time.monotonic() < deadline, programs_at(state)
        time.sleep(0.05)
    assert str(state) not in Path("/proc/mounts").read_text()
    machine = Project("none")
    assert images(machine)["debian-12"]["digest"] is None
    machine.run("image", "build", "micro", "--for", "openvz")
    assert list(state.glob("images/.building-*")) == []
    machine.run("image", "verify")


def test_a_saved_container_is_an_image_that_is_kept_while_it_is_used(project: Project, tmp_path: Path) -> None:
    name = f"{project.name}-saved"
    first, second = tmp_path / "first.ns", tmp_path / "second.ns"
    first.write_text(TOPOLOGY.format(image="micro"))
    second.write_text(TOPOLOGY.format(image=name))
    project.up(first, "one")
    try:
        project.inside("one", "a", "sh", "-c", "echo kept >/etc/note; chown 7:8 /etc/note; chmod 4711 /etc/note")
        project.run("image", "save", f"a.one.{project.name}", name)
        project.down("one")
        project.up(second, "two")
        assert project.inside("two", "a", "stat", "-c", "%u %g %a", "/etc/note").split() == ["7", "8", "4711"]
        assert project.inside("two", "a", "cat", "/etc/note").strip() == "kept"
        record = images(project)[name]
        assert record["nodes"] == [f"a.two.{project.name}"]
        refused = project.run("image", "rm", name, check=False)
        assert refused.returncode == 5
        assert f"a.two.{project.name}" in refused.stderr
        assert project.run("image", "verify", name).returncode == 0
        project.down("two")
    finally:
        project.run("down", f"{project.name}/two", check=False)
        project.run("image", "rm", name, check=False)
    assert name not in images(project)


def test_an_unknown_image_is_refused_before_anything_is_made(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "file.ns"
    file.write_text(TOPOLOGY.format(image="debain-12"))
    done = project.up(file, "one", check=False)
    assert done.returncode != 0
    assert "debian-12" in done.stderr


def test_an_import_is_told_checked_and_removed(state: Path, tmp_path: Path) -> None:
    machine, file = Project("none"), tmp_path / "disk"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", file, "8M"], check=True)
    subprocess.run(["bzip2", file], check=True)
    packed = file.with_suffix(".bz2")
    checksum = hashlib.sha256(packed.read_bytes()).hexdigest()
    bad = machine.run("image", "import", "mine", packed, "--sha256", "0" * 64, check=False)
    assert bad.returncode == 5
    assert checksum in bad.stderr
    machine.run("image", "import", "mine", packed, "--sha256", checksum)
    assert images(machine)["mine"]["kinds"] == ["qemu"]
    (disk,) = state.glob("images/*/disk.raw")
    with disk.open("r+b") as data:
        data.seek(5000)
        data.write(os.urandom(16))
    differs = machine.run("image", "verify", check=False)
    assert differs.returncode == 5
    assert str(disk) in differs.stdout
    machine.run("image", "rm", "mine")
    assert list(state.glob("images/*/disk.raw")) == []
    assert machine.run("image", "rm", "mine", check=False).returncode == 5
