"""Archives and kernels, without a network."""

import gzip
import os
import struct
import subprocess
from pathlib import Path

import pytest

from benito.errors import HypervisorError
from benito_domains.images import cpio, kernel


def tree(folder: Path) -> Path:
    (folder / "bin").mkdir()
    (folder / "bin" / "tool").write_bytes(b"#!x\n")
    (folder / "bin" / "tool").chmod(0o755)
    (folder / "sbin").symlink_to("bin")
    (folder / "empty").write_bytes(b"")
    os.mkfifo(folder / "pipe")
    return folder


def test_cpio_itself_unpacks_an_archive(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    data = b"".join(cpio.archive(tree(source)))
    target = tmp_path / "target"
    target.mkdir()
    subprocess.run(["cpio", "--extract", "--quiet"], input=data, cwd=target, check=True)
    assert (target / "bin/tool").read_bytes() == b"#!x\n"
    assert (target / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert (target / "sbin").readlink() == Path("bin")
    assert sorted(path.name for path in target.iterdir()) == ["bin", "empty", "sbin"]


def test_one_tree_gives_one_archive(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        archives.append(b"".join(cpio.archive(tree(folder))))
    assert archives[0] == archives[1]


def test_each_part_of_an_entry_is_padded_to_four_bytes() -> None:
    entry = cpio.entry("abc", 0o100644, b"12345", 1)
    assert len(entry) % 4 == 0
    assert entry.endswith(b"12345\0\0\0")
    assert entry[:6] == b"070701"


def bzimage(payload: bytes) -> bytes:
    head = bytearray(512 * 5)
    head[0x1F1] = 4
    struct.pack_into("<II", head, 0x248, 16, len(payload))
    return bytes(head) + bytes(16) + payload


def test_a_kernel_is_unpacked_to_its_elf_file() -> None:
    assert kernel.unpack_kernel(bzimage(gzip.compress(b"\x7fELFrest"))) == b"\x7fELFrest"


def test_a_kernel_packed_in_an_unknown_way_is_left_as_it_is() -> None:
    assert kernel.unpack_kernel(bzimage(b"whatever")) is None


def module(name: str, depends: str) -> bytes:
    return b"\x7fELF..\0license=GPL\0depends=" + depends.encode() + b"\0name=" + name.encode() + b"\0"


def test_modules_come_after_those_that_they_need(tmp_path: Path) -> None:
    folder = tmp_path / "kernel/drivers"
    folder.mkdir(parents=True)
    for name, needs in {"virtio-net": "virtio,failover", "virtio": "", "failover": "virtio", "other": ""}.items():
        (folder / f"{name}.ko").write_bytes(module(name, needs))
    ordered = kernel.modules_in_order(tmp_path, ["virtio_net", "built_in"])
    assert list(ordered) == ["virtio", "failover", "virtio_net"]


def test_modules_that_need_each_other_do_not_hang(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    for name, needs in {"a": "b", "b": "a"}.items():
        (tmp_path / "kernel" / f"{name}.ko.gz").write_bytes(gzip.compress(module(name, needs)))
    assert set(kernel.modules_in_order(tmp_path, ["a"])) == {"a", "b"}


def test_a_kernel_that_apt_does_not_know_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    known = kernel._kernel_packages()
    monkeypatch.setattr(kernel, "META_PACKAGES", ("linux-image-that-nobody-has", *kernel.META_PACKAGES))
    assert kernel._kernel_packages() == known
    monkeypatch.setattr(kernel, "META_PACKAGES", ("linux-image-that-nobody-has",))
    with pytest.raises(HypervisorError, match="knows none"):
        kernel._kernel_packages()
