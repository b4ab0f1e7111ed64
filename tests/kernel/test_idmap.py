"""A container's root over an image's tree that is seen with other user ids, by the real kernel."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benito_domains import mounts
from benito_domains.idmap import can_map, mount_overlay
from benito_domains.mounts import mount_root, prepare_lower
from benito_domains.nodefiles import mounts_below

BASE, COUNT = 5_000_000, 65536


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image: root's and another user's files, one of them set-user-id."""
    made = tmp_path / "tree"
    (made / "usr").mkdir(parents=True)
    for name, owner, mode in (("root", 0, 0o644), ("man", 6, 0o640), ("su", 0, 0o4755)):
        path = made / "usr" / name
        path.write_text(name)
        os.chown(path, owner, owner)
        path.chmod(mode)
    return made


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A process in a mount namespace of its own, which stands for libvirtd."""
    words = ["unshare", "--mount", "--propagation", "private", "--", "cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        assert made.stdin is not None
        assert made.stdout is not None
        made.stdin.write(b"\n")
        made.stdin.flush()
        assert made.stdout.read(1) == b"\n"  # it is there
        monkeypatch.setattr(mounts, "libvirt_pid", lambda: made.pid)
        yield made.pid
        made.stdin.close()


def inside(pid: int, *words: str | Path) -> str:
    done = subprocess.run(
        ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--", *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def owners(pid: int, folder: Path) -> dict[str, str]:
    """By file: its user, its group, its mode."""
    said = inside(pid, "sh", "-c", f"cd {folder}/usr && stat -c '%n %u:%g:%a' *")
    return dict(line.split() for line in said.splitlines())  # type: ignore[misc]


def room(folder: Path) -> Path:
    made = folder / "root"
    made.mkdir()
    return made


def skip_where_it_cannot_be(tree: Path) -> None:
    if not can_map(tree, BASE, COUNT):
        pytest.skip("this kernel, or the file system of the tests' folder, has no id-mapped mounts")


def test_the_tree_is_seen_with_the_containers_ids(tree: Path, tmp_path: Path, elsewhere: int) -> None:
    skip_where_it_cannot_be(tree)
    root, copy = room(tmp_path), tmp_path / "copy"
    prepare_lower(tree, copy, BASE)
    merged = mount_root(tree, root, BASE, copy)
    assert owners(elsewhere, merged) == {
        "root": f"{BASE}:{BASE}:644",
        "man": f"{BASE + 6}:{BASE + 6}:640",
        "su": f"{BASE}:{BASE}:4755",
    }
    assert (tree / "usr" / "man").stat().st_uid == 6
    assert not copy.exists()
    assert mounts_below(root, elsewhere) == [str(merged)]  # nothing else is left mounted
    assert mounts_below(root) == []


def test_what_a_node_changes_keeps_its_ids_and_stays_its_own(tree: Path, tmp_path: Path, elsewhere: int) -> None:
    skip_where_it_cannot_be(tree)
    root = room(tmp_path)
    merged = mount_root(tree, root, BASE, tmp_path / "copy")
    inside(elsewhere, "sh", "-c", f"echo more >>{merged}/usr/man")
    changed = root / "upper" / "usr" / "man"
    assert (changed.read_text(), changed.stat().st_uid) == ("manmore\n", BASE + 6)
    assert (tree / "usr" / "man").read_text() == "man"


def test_the_same_again_changes_nothing(tree: Path, tmp_path: Path, elsewhere: int) -> None:
    root, copy = room(tmp_path), tmp_path / "copy"
    first = mount_root(tree, root, BASE, copy)
    known = mounts_below(root, elsewhere)
    assert mount_root(tree, root, BASE, copy) == first
    assert mounts_below(root, elsewhere) == known


def test_what_a_kill_left_mounted_is_taken_away(tree: Path, tmp_path: Path, elsewhere: int) -> None:
    root = room(tmp_path)
    (root / "lower").mkdir()
    inside(elsewhere, "mount", "--bind", tree, root / "lower")
    merged = mount_root(tree, root, BASE, tmp_path / "copy")
    assert mounts_below(root, elsewhere) == [str(merged)]


def test_where_the_kernel_refuses_the_tree_is_copied(
    tree: Path, tmp_path: Path, elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(mounts, "mount_overlay", refuse)
    root, copy = room(tmp_path), tmp_path / "copy"
    merged = mount_root(tree, root, BASE, copy)
    assert owners(elsewhere, merged)["man"] == f"{BASE}:{BASE}:640"
    # Once the node's changes lie over the copy, they stay there.
    monkeypatch.undo()
    monkeypatch.setattr(mounts, "libvirt_pid", lambda: elsewhere)
    inside(elsewhere, "umount", merged)
    assert owners(elsewhere, mount_root(tree, root, BASE, copy))["man"] == f"{BASE}:{BASE}:640"


def test_a_tree_that_cannot_be_mapped_is_copied_before_nodes_start(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "can_map", lambda *_: False)
    copy = tmp_path / "copy"
    prepare_lower(tree, copy, BASE)
    assert (copy / "usr" / "su").stat().st_uid == BASE
    assert (copy / "usr" / "su").stat().st_mode & 0o7777 == 0o4755


def test_proc_cannot_be_seen_with_other_ids() -> None:
    assert not can_map(Path("/proc"), BASE, COUNT)


def test_a_refused_overlay_leaves_nothing_mounted(tree: Path, tmp_path: Path, elsewhere: int) -> None:
    skip_where_it_cannot_be(tree)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(OSError, match="No such file"):
        mount_overlay(
            tree,
            BASE,
            COUNT,
            scratch=scratch,
            upper=tmp_path / "missing",
            work=tmp_path / "missing",
            merged=tmp_path / "missing",
            pid=elsewhere,
        )
    assert mounts_below(tmp_path, elsewhere) == []
