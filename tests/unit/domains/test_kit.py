"""The kit that every node is given, built from this machine's programs and used where nothing else is."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from benito.errors import HypervisorError
from benito.paths import StatePaths
from benito_domains.config import KIT_INSIDE, inner_argv
from benito_domains.images import kit as kits
from benito_domains.images.kit import build_kit
from benito_domains.images.rootfs import Program

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="changes its root")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_kit(StatePaths(tmp_path_factory.mktemp("state")))


@pytest.fixture
def empty(kit: Path, tmp_path: Path) -> Path:
    """A root file system with nothing but the kit."""
    shutil.copytree(kit, tmp_path / KIT_INSIDE.lstrip("/"), symlinks=True)
    return tmp_path


def inside(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = ["/usr/sbin/chroot", str(root), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env={}, timeout=30)


def test_everybody_can_read_all_of_it(kit: Path) -> None:
    # In a container its root is not the owner, nor in the owner's group.
    for path in (kit, *kit.rglob("*")):
        mode = path.lstat().st_mode
        assert path.is_symlink() or mode & 0o055 == (0o055 if stat.S_ISDIR(mode) else mode & 0o055), path
        assert mode & stat.S_IROTH, path
        assert path.is_symlink() or not mode & 0o7022, path


def test_it_is_built_once_and_whole(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    (paths.images / ".kit-building-old").mkdir(parents=True)
    first = build_kit(paths)
    marked = first.stat().st_ino
    assert build_kit(paths) == first
    assert first.stat().st_ino == marked
    assert sorted(path.name for path in paths.images.iterdir()) == [".kit.lock", first.name]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: Path) -> None:
        raise HypervisorError("no space")

    monkeypatch.setattr(kits, "_fill", fail)
    with pytest.raises(HypervisorError, match="no space"):
        build_kit(StatePaths(tmp_path))
    assert [path.name for path in StatePaths(tmp_path).images.iterdir()] == [".kit.lock"]


def test_a_changed_script_makes_another_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build_kit(StatePaths(tmp_path))
    kits._digest.cache_clear()  # a process looks once
    monkeypatch.setattr(kits, "_SCRIPTS", {name: kits._SCRIPTS[name] for name in sorted(kits._SCRIPTS)[1:]})
    try:
        assert build_kit(StatePaths(tmp_path)) != before
    finally:
        kits._digest.cache_clear()


def test_a_program_that_is_missing_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kits, "_DYNAMIC", (Program(name="nothing-such", package="nothing-bin"),))
    with pytest.raises(HypervisorError) as caught:
        build_kit(StatePaths(tmp_path))
    assert caught.value.hint == "apt-get install nothing-bin"


@ROOT
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ip", "-V"), "ip utility, iproute2"),
        (("dropbear", "-V"), "Dropbear v"),
        (("dropbearkey", "-t", "ed25519", "-f", "/key"), "ssh-ed25519 AAAA"),
        (("sender",), "sender"),
        (("applets/tar", "--help"), "BusyBox"),
    ],
)
def test_its_programs_need_nothing_else(empty: Path, words: tuple[str, ...], said: str) -> None:
    done = inside(empty, f"{KIT_INSIDE}/{words[0]}", *words[1:])
    assert said in done.stdout + done.stderr


@ROOT
def test_a_command_runs_where_there_is_no_shell(empty: Path) -> None:
    assert inside(empty, *inner_argv(["ls", "/"], terminal=False, kit=True)).stdout.split() == ["usr"]
    assert inside(empty, *inner_argv(["nothing-such"], terminal=False, kit=True)).returncode == 127


@ROOT
def test_a_command_is_the_images_own_where_it_has_one(empty: Path) -> None:
    (empty / "bin").mkdir()
    shutil.copy2(empty / KIT_INSIDE.lstrip("/") / "busybox", empty / "bin/busybox")
    # A shell that, unlike busybox's, looks programs up.
    (empty / "bin/sh").write_text('#!/bin/busybox sh\n[ "$1" = -c ] && shift 3\nexec /bin/"$@"\n')
    (empty / "bin/ls").write_text("#!/bin/busybox sh\necho own\n")
    for name in ("sh", "ls"):
        (empty / "bin" / name).chmod(0o755)
    assert inside(empty, *inner_argv(["ls", "/"], terminal=False, kit=True)).stdout == "own\n"


def test_every_script_is_one_that_the_shell_can_read(kit: Path) -> None:
    for name in ("init", "boot", "service", "start", "run", "lib.sh", "cloud"):
        done = subprocess.run([kit / "busybox", "sh", "-n", kit / name], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), name


def shell(kit: Path, script: str) -> str:
    words = [str(kit / "busybox"), "sh", "-c", f'. "$0"\n{script}', str(kit / "lib.sh")]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize(
    ("seconds", "hundredths"), [("25426.4", 2542640), ("12", 1200), ("3.07", 307), ("0.99", 99), ("8.094", 809)]
)
def test_seconds_are_read_to_the_hundredth(kit: Path, seconds: str, hundredths: int) -> None:
    assert int(shell(kit, f"hundredths {seconds}")) == hundredths


@pytest.mark.parametrize(("how", "number", "waited"), [("in", "2500", "2.40"), ("in", "1060", "0.96"), ("in", "0", "")])
def test_a_duration_is_waited_for_less_half_a_look(kit: Path, how: str, number: str, waited: str) -> None:
    assert shell(kit, f"pause() {{ echo $1; }}\nwait_for {how} {number}").strip() == waited


def test_an_uptime_is_waited_for(kit: Path) -> None:
    with Path("/proc/uptime").open() as file:
        uptime = float(file.read().split()[0])
    assert 90 < float(shell(kit, f"pause() {{ echo $1; }}\nwait_for at {uptime + 100:.2f}")) <= 100
    assert shell(kit, f"pause() {{ echo $1; }}\nwait_for at {uptime - 1:.2f}") == ""
    assert shell(kit, "pause() { echo $1; }\nwait_for '' ''") == ""
