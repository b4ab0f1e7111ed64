"""What a machine that starts directly is given: modules with their dependencies, the kit, and a way into both."""

import gzip
import subprocess
from pathlib import Path

import pytest

from benito_domains.images.initramfs import build_boot, modules_dep
from benito_domains.images.kernel import Kernel


def module(name: str, *needs: str) -> bytes:
    return b"\x7fELF..\0depends=" + ",".join(needs).encode() + b"\0name=" + name.encode() + b"\0"


def test_the_list_names_all_that_a_module_needs_the_nearest_first() -> None:
    modules = {
        "crc": module("crc"),
        "virtio": module("virtio"),
        "ring": module("ring", "virtio"),
        "net": module("net", "ring", "built-in", "crc"),
    }
    assert modules_dep(modules).splitlines() == [
        "crc.ko:",
        "virtio.ko:",
        "ring.ko: virtio.ko",
        "net.ko: ring.ko virtio.ko crc.ko",
    ]


def test_modules_that_need_each_other_have_an_end() -> None:
    assert modules_dep({"a": module("a", "b"), "b": module("b", "a")}) == "a.ko: b.ko\nb.ko: a.ko\n"


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    modules = tmp_path / "package/6.1.0-test"
    (modules / "kernel").mkdir(parents=True)
    for name, needs in {"virtio_blk": ["virtio"], "virtio": [], "ext4": [], "sch_netem": [], "other": []}.items():
        (modules / f"kernel/{name}.ko.gz").write_bytes(gzip.compress(module(name, *needs)))
    (tmp_path / "vmlinuz").write_bytes(bytes(1024))
    return Kernel(bzimage=tmp_path / "vmlinuz", modules=modules)


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    folder = tmp_path / "kit"
    (folder / "applets").mkdir(parents=True)
    (folder / "boot").write_text("#!x\n")
    (folder / "boot").chmod(0o755)
    (folder / "applets/ls").symlink_to("../busybox")
    return folder


def unpacked(initramfs: Path, folder: Path) -> Path:
    """As the kernel does it: one archive after the other."""
    folder.mkdir()
    whole = initramfs.read_bytes()
    for part in whole.split(b"TRAILER!!!")[:-1]:
        data = part.lstrip(b"\0") + b"TRAILER!!!" + bytes(512)
        subprocess.run(["cpio", "-idu", "--quiet"], input=data, cwd=folder, check=True, capture_output=True)
    return folder


def test_without_a_tree_it_leads_to_a_disk(kernel: Kernel, kit: Path, tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    made = build_boot(tmp_path / "boot", kit, kernel)
    assert sorted(path.name for path in (tmp_path / "boot").iterdir()) == ["initramfs", "kernel"]
    root = unpacked(made.initramfs, tmp_path / "root")
    assert (root / "init").readlink() == Path("/usr/lib/benito/boot")
    assert (root / "usr/lib/benito/boot").stat().st_mode & 0o111 == 0o111
    assert (root / "usr/lib/benito/applets/ls").is_symlink()
    assert (root / "lib").readlink() == Path("usr/lib")
    modules = root / "usr/lib/modules/6.1.0-test"
    listed = (modules / "modules.dep").read_text()
    assert "virtio_blk.ko: virtio.ko\n" in listed
    assert "ext4.ko:\n" in listed
    assert "other" not in listed
    assert (modules / "ext4.ko").read_bytes().startswith(b"\x7fELF")


def test_with_a_tree_it_is_the_system_and_needs_no_file_system(kernel: Kernel, kit: Path, tmp_path: Path) -> None:
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/os-release").write_text("ID=small\n")
    (tmp_path / "boot").mkdir()
    root = unpacked(build_boot(tmp_path / "boot", kit, kernel, tmp_path / "tree").initramfs, tmp_path / "root")
    assert (root / "etc/os-release").read_text() == "ID=small\n"
    assert (root / "init").is_symlink()
    assert not (root / "usr/lib/modules/6.1.0-test/ext4.ko").exists()
    assert (root / "usr/lib/modules/6.1.0-test/sch_netem.ko").exists()
