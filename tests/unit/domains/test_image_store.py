"""The store of images: whole or not at all, found by content, kept while a node holds them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benito.errors import HypervisorError, UsageError
from benito.model import Kind
from benito.nodesettings import Arch
from benito.paths import StatePaths
from benito.seams import Progress
from benito_domains.images import builders, debian, store
from benito_domains.images.builders import Builder
from benito_domains.images.manifest import Start
from benito_domains.images.reference import is_image_name, is_source, parse_source
from benito_domains.images.store import ImageStore
from benito_domains.images.upkeep import ImageKeeper


def fill(root: Path, _progress: Progress) -> None:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_text("#!/bin/sh\n")
    (root / "usr/bin/tool").chmod(0o4755)
    (root / "bin").symlink_to("usr/bin")


def a_store(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Path, Progress], None] = fill,
    inputs: tuple[str, ...] = ("one",),
) -> ImageStore:
    builder = Builder(
        name="micro", about="a test", start=Start.MEMORY, inputs=lambda: inputs, lacking=lambda: (), fill=work
    )
    monkeypatch.setattr(store, "builders", lambda: {"micro": builder})
    return ImageStore(StatePaths(tmp_path))


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "images").iterdir() if path.name.startswith((".build", ".rem")))


def test_an_image_is_built_once_and_named_after_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def work(root: Path, progress: Progress) -> None:
        built.append(root)
        fill(root, progress)

    images = a_store(tmp_path, monkeypatch, work)
    first = images.ensure("micro", Kind.OPENVZ)
    assert images.ensure("micro", Kind.OPENVZ) == first == images.get("micro", Kind.OPENVZ)
    assert len(built) == 1
    assert first.tree is not None
    assert (first.tree / "usr/bin/tool").stat().st_mode & 0o7777 == 0o4755
    # Nobody but root gets at set-user-id programs of images; qemu gets through to what is machines'.
    assert first.tree.parent.stat().st_mode & 0o777 == 0o700
    assert first.folder.stat().st_mode & 0o777 == 0o711


def test_the_same_content_is_the_same_image_whatever_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = a_store(tmp_path, monkeypatch).ensure("micro", Kind.OPENVZ)
    second = a_store(tmp_path, monkeypatch, inputs=("two",)).ensure("micro", Kind.OPENVZ)
    assert first.digest == second.digest

    def other(root: Path, progress: Progress) -> None:
        fill(root, progress)
        (root / "usr/bin/tool").chmod(0o755)

    third = a_store(tmp_path, monkeypatch, other, inputs=("three",)).ensure("micro", Kind.OPENVZ)
    assert third.digest != first.digest
    assert first.folder.is_dir()  # nothing that runs loses the image that it runs on


def test_fresh_builds_again_and_the_name_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def work(root: Path, progress: Progress) -> None:
        fill(root, progress)
        (root / "packages").write_text(f"of day {len(built)}")
        built.append(root)

    images = a_store(tmp_path, monkeypatch, work)
    keeper = ImageKeeper(images)
    first = keeper.build("micro", [Kind.OPENVZ])
    assert keeper.build("micro", [Kind.OPENVZ]).digest == first.digest
    second = keeper.build("micro", [Kind.OPENVZ], fresh=True)
    assert second.digest != first.digest
    assert images.ensure("micro", Kind.OPENVZ).digest == second.digest == images.find("micro")
    assert keeper.remove_unused() == [(first.digest or "")[:12]]


def test_many_who_want_an_image_at_once_wait_for_one_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []
    all_there = threading.Barrier(4)

    def work(root: Path, progress: Progress) -> None:
        built.append(root)
        time.sleep(0.1)  # the others stand at the lock meanwhile
        fill(root, progress)

    images = a_store(tmp_path, monkeypatch, work)

    def ask() -> str:
        all_there.wait()
        return images.ensure("micro", Kind.OPENVZ).digest

    with ThreadPoolExecutor(4) as pool:
        digests = {task.result() for task in [pool.submit(ask) for _ in range(4)]}
    assert len(digests) == 1
    assert len(built) == 1


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: Path, progress: Progress) -> None:
        fill(root, progress)
        raise HypervisorError("no space")

    images = a_store(tmp_path, monkeypatch, fail)
    with pytest.raises(HypervisorError, match="no space"):
        images.ensure("micro", Kind.OPENVZ)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [".building", ".lock"]
    with pytest.raises(HypervisorError, match="not ready"):
        images.get("micro", Kind.OPENVZ)


KILLED = """
import sys
from pathlib import Path
from benito.model import Kind
from benito.paths import StatePaths
from benito_domains.images import store
from benito_domains.images.builders import Builder
from benito_domains.images.contained import run_contained
from benito_domains.images.manifest import Start

def work(root, progress):
    (root / "half").write_text("half")
    run_contained(["sh", "-c", "echo $$ >$0; while :; do echo >$1; done", sys.argv[2], root / "written"],
                  seconds=600, alone=sys.argv[3] == "alone")

builder = Builder(name="micro", about="", start=Start.MEMORY, inputs=lambda: (), lacking=lambda: (), fill=work)
store.builders = lambda: {"micro": builder}
store.ImageStore(StatePaths(Path(sys.argv[1]))).ensure("micro", Kind.OPENVZ)
"""


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def writers(folder: Path) -> list[str]:
    """The processes that were told to write there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and b"sleep" not in words:
            found.append(path.parent.name)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
@pytest.mark.parametrize("how", ["alone", "not alone"])
def test_a_build_killed_by_kill_9_ends_its_programs_and_the_next_one_removes_what_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    mark = tmp_path / "started"
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path, mark, how], stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: mark.exists() and mark.read_text().endswith("\n"))
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: not writers(tmp_path))
    assert len(left(tmp_path)) == 2  # the lock, and a folder that nobody finished
    image = a_store(tmp_path, monkeypatch).ensure("micro", Kind.OPENVZ)
    assert left(tmp_path) == [".building"]
    assert image.tree is not None
    assert not (image.tree / "half").exists()


def test_an_unknown_name_is_refused_with_those_that_exist_and_the_likeliest(tmp_path: Path) -> None:
    images = ImageStore(StatePaths(tmp_path))
    for ask in (
        lambda: images.ensure("debian12", Kind.OPENVZ),
        lambda: images.get("debian12", Kind.OPENVZ),
        lambda: ImageKeeper(images).build("debian12", [Kind.OPENVZ]),
    ):
        with pytest.raises(HypervisorError, match="no image 'debian12'; did you mean debian-1") as caught:
            ask()
        assert "debian-12, debian-13, micro" in (caught.value.hint or "")
    (lack,) = images.lacks("debian12", Kind.OPENVZ, "node a")
    assert lack.element == "node a"
    assert "debian-12" in lack.missing
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "Big", "a b", "-x", "x" * 65, "a\n", "é"])
def test_names_that_could_be_paths_or_options_are_refused(tmp_path: Path, name: str) -> None:
    assert not is_image_name(name)
    if not is_source(name):
        with pytest.raises(HypervisorError):
            ImageStore(StatePaths(tmp_path)).ensure(name, Kind.OPENVZ)


def test_a_machine_of_another_architecture_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    (lack,) = ImageStore(StatePaths(tmp_path)).lacks("micro", Kind.QEMU, "node a", arch=Arch.AARCH64)
    assert lack.missing == "another image (the image micro is for x86_64, not for aarch64)"


def test_programs_that_the_host_lacks_are_told_with_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builders.rootfs, "find_program", lambda _name: None)
    (lack,) = ImageStore(StatePaths(tmp_path)).lacks("micro", Kind.OPENVZ, "node a")
    assert "ping" in lack.missing
    assert "iputils-ping" in lack.hint
    assert lack.hint.startswith("apt-get install ")


def a_node(tmp_path: Path) -> Path:
    folder = tmp_path / "exp/lab/star/nodes/a"
    folder.mkdir(parents=True)
    return folder


def test_an_image_that_a_node_holds_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = a_store(tmp_path, monkeypatch)
    keeper, node = ImageKeeper(images), a_node(tmp_path)
    image = images.ensure("micro", Kind.OPENVZ)
    images.hold(image, node)
    images.hold(image, node)
    assert (node / "image").read_text().strip() == image.digest
    with pytest.raises(HypervisorError, match=r"micro is used by a\.star\.lab"):
        keeper.remove(["micro"])
    (record,) = keeper.records()
    assert record.nodes == ("a.star.lab",)
    changed = a_store(tmp_path, monkeypatch, lambda root, _: (root / "usr").mkdir(), inputs=("two",))
    newer = changed.ensure("micro", Kind.OPENVZ)
    assert newer.digest != image.digest
    assert ImageKeeper(changed).remove_unused() == []
    held = changed.held(node, "micro", Kind.OPENVZ)
    assert held is not None
    assert held.digest == image.digest
    (node / "image").unlink()
    assert ImageKeeper(changed).remove_unused() == [image.digest[:12]]
    assert not image.folder.exists()
    assert newer.folder.is_dir()
    assert left(tmp_path) == [".building"]


def test_an_image_that_went_before_a_node_could_hold_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = a_store(tmp_path, monkeypatch)
    image = images.ensure("micro", Kind.OPENVZ)
    assert ImageKeeper(images).remove(["micro"]) == ["micro"]
    with pytest.raises(HypervisorError, match="has just been removed"):
        images.hold(image, a_node(tmp_path))
    assert images.ensure("micro", Kind.OPENVZ) == image


def test_a_hold_that_is_a_link_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = a_store(tmp_path, monkeypatch)
    image = images.ensure("micro", Kind.OPENVZ)
    (tmp_path / "elsewhere").write_text(image.digest)
    (a_node(tmp_path) / "image").symlink_to(tmp_path / "elsewhere")
    assert images.shelf.holders() == {}


def test_verify_names_each_file_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = a_store(tmp_path, monkeypatch)
    keeper = ImageKeeper(images)
    tree = images.ensure("micro", Kind.OPENVZ).tree
    assert tree is not None
    assert keeper.verify() == []
    (tree / "usr/bin/tool").chmod(0o755)
    (tree / "usr/bin/new file").write_text("")
    assert keeper.verify("micro") == [
        f"micro: {tree}/usr/bin/new%20file differs",
        f"micro: {tree}/usr/bin/tool differs",
    ]
    (tree.parents[1] / "manifest.json").write_text("{}")
    (finding,) = keeper.verify()
    assert "manifest.json cannot be read" in finding
    (record,) = keeper.records()
    assert record.names == ("micro",)
    assert "manifest.json cannot be read" in record.source
    assert keeper.remove_unused() == []
    assert keeper.remove(["micro"]) == ["micro"]
    assert images.shelf.digests() == []


def test_names_of_images_that_are_built_are_not_given_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = ImageKeeper(a_store(tmp_path, monkeypatch))
    with pytest.raises(UsageError, match="builds by itself"):
        keeper.check_free("micro", replace=True)


@pytest.mark.parametrize(
    "text", ["ftp://host/x", "http://", "file://host/x", "data://x", "http://[::1", "http://a\n/b", "x" * 5000]
)
def test_sources_that_cannot_be_imported_are_refused(text: str) -> None:
    with pytest.raises(HypervisorError):
        parse_source(text)


def test_a_password_in_a_url_is_not_told() -> None:
    assert str(parse_source("http://me:secret@host:81/x.img")) == "http://host:81/x.img"
    assert parse_source("file:///a%20b").path == Path("/a b")


def test_debian_is_fetched_from_where_this_machine_fetches_its_own() -> None:
    ours = [
        debian.Archive(address="http://near/debian/", suite="bookworm", label="Debian"),
        debian.Archive(address="http://near/debian/", suite="bookworm-updates", label="Debian"),
        debian.Archive(address="http://near/sec/", suite="bookworm-security", label="Debian-Security"),
    ]
    lines = [line.partition("] ")[2] for line in debian.source_lines("trixie", ours)]
    assert lines == [
        "http://near/debian/ trixie main",
        "http://near/debian/ trixie-updates main",
        "http://near/sec/ trixie-security main",
    ]
    assert len(debian.source_lines("trixie", ours[:1])) == 1
    assert debian.source_lines("trixie", []) == []
    assert debian.source_lines("trixie", ours[2:]) == []
    strange = debian.Archive(address="http://near/\nDeb: x", suite="bookworm", label="Debian")
    assert debian.source_lines("trixie", [strange]) == []
