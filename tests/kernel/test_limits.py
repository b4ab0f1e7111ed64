"""Limits as the kernel keeps them, in either form of control groups: a node that takes all leaves others theirs."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from nodeplans import node_plan, pnode_plan

from benito.model import Kind
from benito.names import ExperimentId
from benito.nodesettings import Limits
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito_domains import quotadisk
from benito_domains.cgroups import Bounds, Cgroups, find_cgroups, group_name
from benito_domains.process import ProcessDriver
from benito_domains.quotadisk import disk_lacks, image_of, in_mounts_of, mount_limited, unmount_limited

SECONDS = 60
#: Forks children that stay until it cannot, says how many it had, and stays as well.
BOMB = """
import os, sys, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(600)
        count += 1
except OSError:
    pass
print(count, flush=True)
time.sleep(600)
"""
HOG = "held = []\nwhile True: held.append(bytearray(1 << 20))"
BUSY = "while True: pass"


@pytest.fixture
def experiment() -> ExperimentId:
    return ExperimentId(f"t{secrets.token_hex(4)}", "one")


@pytest.fixture
def cgroups(experiment: ExperimentId) -> Iterator[Cgroups]:
    found = find_cgroups()
    try:
        yield found
    finally:
        found.remove(found.names(experiment))


@pytest.fixture
def bounded(cgroups: Cgroups, experiment: ExperimentId) -> Callable[[str, Bounds], str]:
    def make(node: str, bounds: Bounds) -> str:
        if refused := cgroups.refusals(bounds):
            pytest.skip(f"this kernel cannot bound {refused[0]}")
        name = group_name(experiment, node)
        cgroups.make(name, bounds)
        return name

    return make


def joined(cgroups: Cgroups, name: str, program: str) -> subprocess.Popen[str]:
    """A program that joins the group before it begins."""
    script = str(Path(quotadisk.__file__).with_name("guest") / "join.sh")
    words = [*map(str, cgroups.entrances(name)), "--", sys.executable, "-c", program]
    return subprocess.Popen(["/bin/sh", script, *words], stdout=subprocess.PIPE, text=True)


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_fork_bomb_stays_in_its_group(cgroups: Cgroups, bounded: Callable[[str, Bounds], str]) -> None:
    name = bounded("a", Bounds(pids=20))
    bomb = joined(cgroups, name, BOMB)
    assert bomb.stdout is not None
    assert int(bomb.stdout.readline()) == 19
    assert subprocess.run(["true"], check=False, timeout=SECONDS).returncode == 0
    cgroups.remove([name])
    assert bomb.wait(SECONDS) == -signal.SIGKILL
    assert cgroups.entrances(name) == []
    end(bomb)


def test_a_memory_hog_is_killed_and_others_live(cgroups: Cgroups, bounded: Callable[[str, Bounds], str]) -> None:
    one, two = bounded("a", Bounds(memory_mib=32)), bounded("b", Bounds(memory_mib=32))
    other = joined(cgroups, two, "import time; time.sleep(600)")
    hog = joined(cgroups, one, HOG)
    assert hog.wait(SECONDS) == -signal.SIGKILL
    assert other.poll() is None
    end(hog, other)


def test_limits_can_be_changed_up_and_down(cgroups: Cgroups, bounded: Callable[[str, Bounds], str]) -> None:
    name = bounded("a", Bounds(memory_mib=64, pids=20, cpu_percent=50))
    for memory_mib in (128, 32):
        bounds = Bounds(memory_mib=memory_mib, pids=memory_mib, cpu_percent=memory_mib)
        cgroups.make(name, bounds)
        held = {
            file.read_text().strip()
            for entrance in cgroups.entrances(name)
            for pattern in ("memory.max", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "pids.max")
            for file in entrance.parent.glob(pattern)
        }
        assert held == {str(memory_mib << 20), str(memory_mib)}


def test_cpu_time_goes_by_shares(cgroups: Cgroups, bounded: Callable[[str, Bounds], str]) -> None:
    one, three = bounded("a", Bounds(cpu_shares=1024)), bounded("b", Bounds(cpu_shares=3072))
    busy = [joined(cgroups, name, BUSY) for name in (one, three)]
    try:
        cpu = min(os.sched_getaffinity(0))
        for process in busy:
            os.sched_setaffinity(process.pid, {cpu})
        begun = [cpu_seconds(process.pid) for process in busy]
        deadline = time.monotonic() + SECONDS
        used = [0.0, 0.0]
        while sum(used) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
            used = [cpu_seconds(process.pid) - start for process, start in zip(busy, begun, strict=True)]
        assert 2 < used[1] / used[0] < 4.5, used
    finally:
        end(*busy)


def test_a_quota_of_cpu_time(cgroups: Cgroups, bounded: Callable[[str, Bounds], str]) -> None:
    busy = joined(cgroups, bounded("a", Bounds(cpu_percent=20)), BUSY)
    try:
        begun, at = cpu_seconds(busy.pid), time.monotonic()
        time.sleep(2)
        used, passed = cpu_seconds(busy.pid) - begun, time.monotonic() - at
        assert used / passed < 0.35
    finally:
        end(busy)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is seen in the test's own mount namespace, which has a /run of its own."""
    if not tmp_path.is_relative_to("/run"):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def limited(place: Path) -> Iterator[Path]:
    if lacks := disk_lacks("here"):
        pytest.skip(lacks[0].missing)
    folder = place / "disk"
    try:
        yield folder
    finally:
        unmount_limited(folder)


def loops(folder: Path) -> list[str]:
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if path.read_text().rstrip("\n").startswith(str(image_of(folder))):
                found.append(path.parents[1].name)
        except OSError:
            continue
    return found


def test_a_limited_folder_is_full_and_the_disk_is_not(limited: Path) -> None:
    mount_limited(limited, 8)
    with pytest.raises(OSError, match="No space left"):
        (limited / "big").write_bytes(bytes(9 << 20))
    assert image_of(limited).stat().st_blocks * 512 <= 8 << 20
    (limited.parent / "other").write_bytes(bytes(9 << 20))


def test_what_is_deleted_in_it_is_given_back(limited: Path) -> None:
    mount_limited(limited, 64)
    (limited / "big").write_bytes(b"x" * (32 << 20))
    os.sync()
    full = image_of(limited).stat().st_blocks
    (limited / "big").unlink()
    os.sync()
    assert image_of(limited).stat().st_blocks < full / 2


def test_the_same_again_and_again_changes_nothing(limited: Path) -> None:
    for _ in range(2):
        mount_limited(limited, 8, binds={"status": limited.with_name("status")})
        (limited / "status/kept").touch()
    assert limited.with_name("status").joinpath("kept").exists()
    assert len(loops(limited)) == 1
    unmount_limited(limited.with_name("status"))
    unmount_limited(limited)
    unmount_limited(limited)
    assert loops(limited) == []
    assert list(limited.iterdir()) == []
    mount_limited(limited, 8)
    assert (limited / "status/kept").exists()


def test_one_that_somebody_still_uses_is_not_mounted_twice_from_two_devices(limited: Path) -> None:
    mount_limited(limited, 8)
    with (limited / "held").open("w") as held:
        unmount_limited(limited)
        mount_limited(limited, 8)
        held.write("late")
        held.flush()
        assert (limited / "held").read_text() == "late"
        assert len(loops(limited)) == 1


def test_a_making_that_was_cut_is_made_again(limited: Path) -> None:
    image = image_of(limited)
    image.with_name(f".{image.name}").write_bytes(b"half")
    mount_limited(limited, 8)
    assert limited.is_mount()


def test_a_power_loss_is_mended(limited: Path) -> None:
    mount_limited(limited, 8)
    (limited / "kept").write_text("kept")
    os.sync()
    lost = image_of(limited).read_bytes()  # as it is on the disk while it is mounted: never unmounted
    unmount_limited(limited)
    image_of(limited).write_bytes(lost)
    mount_limited(limited, 8)
    assert (limited / "kept").read_text() == "kept"


def test_it_is_the_same_in_another_mount_namespace(limited: Path) -> None:
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo; sleep 600"], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            mount_limited(limited, 8, beside=other.pid)
            (limited / "word").write_text("here")
            seen: list[str] = []
            in_mounts_of(other.pid, lambda: seen.append((limited / "word").read_text()))
            assert seen == ["here"]
            unmount_limited(limited, beside=other.pid)
            assert loops(limited) == []
        finally:
            other.kill()


@dataclass(frozen=True)
class Placed:
    """Two process nodes, the first of which is bounded."""

    driver: ProcessDriver
    plan: PnodePlan
    paths: StatePaths

    def argv(self, node: str, *words: str) -> list[str]:
        return self.driver.argv(self.plan, self.node(node), list(words), terminal=False)

    def node(self, name: str) -> NodePlan:
        return next(node for node in self.plan.nodes if node.name == name)

    def inside(self, node: str, *words: str) -> str:
        argv = self.argv(node, *words)
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False).stdout

    def var(self, node: str) -> Path:
        return self.paths.node(self.plan.experiment, node) / "var"


@contextmanager
def placed(experiment: ExperimentId, place: Path) -> Iterator[Placed]:
    limits = Limits(pids=24, disk_mib=8)
    nodes = [
        replace(
            node_plan(name, Kind.PROCESS, control=None, memory_mib=0, start_command=None),
            dns_name=experiment.dns_name(name),
            limits=limits if name == "a" else Limits(),
        )
        for name in ("a", "b")
    ]
    plan = pnode_plan(*nodes, experiment=experiment)
    paths = StatePaths(place / "state")
    driver = ProcessDriver(paths)
    if lacks := [lack.missing for lack in driver.lacks(plan, nodes)]:
        pytest.skip(lacks[0])
    driver.prepare(plan, nodes)
    for node in nodes:
        subprocess.run(["ip", "netns", "add", node.dns_name], check=True)
    made = Placed(driver, plan, paths)
    try:
        yield made
    finally:
        driver.destroy(experiment, None)
        assert loops(made.var("a")) == []
        assert find_cgroups().names(experiment) == []


def test_a_node_that_takes_all_leaves_others_alone(experiment: ExperimentId, place: Path) -> None:
    with placed(experiment, place) as made:
        with subprocess.Popen(made.argv("a", sys.executable, "-c", BOMB), stdout=subprocess.PIPE, text=True) as bomb:
            assert bomb.stdout is not None
            assert 10 < int(bomb.stdout.readline()) < 24
            assert made.inside("b", "echo", "alive") == "alive\n"
            made.driver.stop(made.plan, [made.node("a")])
            assert bomb.wait(SECONDS) != 0
        fill = "dd if=/dev/zero of=/var/benito/big bs=1M count=16 2>&1; df -k /var/benito | tail -n 1"
        said = made.inside("a", "sh", "-c", fill)
        assert "No space left" in said
        assert int(said.split()[-5]) < 8192
        assert "No space left" not in made.inside("b", "sh", "-c", fill)


def test_a_nodes_disk_does_not_stay_because_another_node_runs(experiment: ExperimentId, place: Path) -> None:
    with placed(experiment, place) as made:
        made.inside("a", "touch", "/var/benito/kept")
        argv = made.argv("b", "sh", "-c", "echo; exec sleep 600")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            running.stdout.readline()
            assert len(loops(made.var("a"))) == 1
            made.driver.destroy(experiment, [made.node("a")])
            assert loops(made.var("a")) == []
            made.driver.stop(made.plan, [made.node("b")])


def test_files_stay_when_a_node_is_stopped_and_when_the_machine_starts_anew(
    experiment: ExperimentId, place: Path
) -> None:
    with placed(experiment, place) as made:
        made.inside("a", "sh", "-c", "echo kept >/var/benito/word")
        made.driver.suspend(made.plan, [made.node("a")])
        unmount_limited(made.var("a"))
        assert made.inside("a", "cat", "/var/benito/word") == "kept\n"
