"""Images from elsewhere: told by their content, bounded, and never trusted."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import struct
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benito.errors import HypervisorError, UsageError
from benito.model import Kind
from benito.nodesettings import Arch
from benito.paths import StatePaths
from benito.seams import quiet
from benito_domains.images import disks, packed
from benito_domains.images.importing import Order
from benito_domains.images.manifest import Start
from benito_domains.images.store import ImageStore
from benito_domains.images.upkeep import ImageKeeper, import_order

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners of files need root")


def order(source: Path | str, **more: object) -> Order:
    words = {"sha256": None, "kind": None, "boot": None, "arch": "x86_64", "most_gib": 1.0, **more}
    return import_order(str(source), **words)  # type: ignore[arg-type]


def keeper(tmp_path: Path) -> ImageKeeper:
    return ImageKeeper(ImageStore(StatePaths(tmp_path / "state")))


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "state/images").iterdir() if path.name.startswith(".building-")]


def partitioned(size: int = 1 << 20) -> bytes:
    disk = bytearray(size)
    disk[510:512] = b"\x55\xaa"
    disk[4096:4100] = b"data"
    return bytes(disk)


def qcow2(path: Path, *words: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words, path, "4M"], check=True)
    return path


Member = tuple[str, bytes, bytes | str, int]


def tar_of(path: Path, *members: Member, mode: str = "w") -> Path:
    """Each member: name, type, data or target, mode."""
    with tarfile.open(path, mode) as tar:
        for name, kind, content, bits in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid = kind, bits, os.getuid(), os.getgid()
            data = content if isinstance(content, bytes) else b""
            info.linkname = content if isinstance(content, str) else ""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


SYSTEM: tuple[Member, ...] = (
    ("usr", tarfile.DIRTYPE, b"", 0o755),
    ("usr/tool", tarfile.REGTYPE, b"tool", 0o4755),
    ("lib", tarfile.SYMTYPE, "/usr/lib", 0o777),
)

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "several xz": lambda data: lzma.compress(data[:1000]) + bytes(4) + lzma.compress(data[1000:]),
    "zst": lambda data: subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout,
}


@pytest.mark.parametrize("how", PACKED)
def test_a_raw_disk_is_told_by_its_content_however_it_is_packed(tmp_path: Path, how: str) -> None:
    file = tmp_path / "no-suffix"
    file.write_bytes(PACKED[how](partitioned()))
    images = keeper(tmp_path)
    record = images.import_image("mine", order(file))
    assert record.kinds == (Kind.QEMU,)
    image = images.store.get("mine", Kind.QEMU)
    assert image.disk is not None
    assert image.disk.format == "raw"
    assert image.boot is None
    assert image.disk.path.read_bytes() == partitioned()
    assert image.disk.path.stat().st_mode & 0o777 == 0o644
    assert left(tmp_path) == []
    with pytest.raises(HypervisorError, match="is a disk: openvz nodes need"):
        images.store.get("mine", Kind.OPENVZ)


def test_zeros_are_holes(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(gzip.compress(partitioned(64 << 20)))
    images = keeper(tmp_path)
    images.import_image("mine", order(file))
    disk = images.store.get("mine", Kind.QEMU).disk
    assert disk is not None
    assert disk.path.stat().st_blocks * 512 < 4 << 20
    assert disk.path.stat().st_size == 64 << 20


def test_a_plain_qcow2_disk_stays_as_it_is(tmp_path: Path) -> None:
    images = keeper(tmp_path)
    file = qcow2(tmp_path / "disk")
    file.with_suffix(".xz").write_bytes(lzma.compress(file.read_bytes()))
    images.import_image("mine", order(file.with_suffix(".xz"), arch="aarch64"))
    image = images.store.get("mine", Kind.QEMU, arch=Arch.AARCH64)
    assert image.disk is not None
    assert image.disk.format == "qcow2"
    assert image.disk.path.read_bytes() == file.read_bytes()
    with pytest.raises(HypervisorError, match="is for aarch64, not for x86_64"):
        images.store.get("mine", Kind.QEMU)


def test_a_file_system_without_a_loader_starts_by_our_kernel(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    raw, packed_disk = tmp_path / "ext4", tmp_path / "ext4.qcow2"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tmp_path / "root", raw, "8M"], check=True)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, packed_disk], check=True)
    images = keeper(tmp_path)
    assert images.import_image("raw", order(raw)).start is Start.DIRECT
    assert images.import_image("packed", order(packed_disk)).start is Start.DIRECT
    assert images.import_image("other", order(raw, boot="own")).start is Start.OWN


def with_bytes(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (8, struct.pack(">QI", 512, 11), "has a backing file"),
        (32, struct.pack(">I", 2), "is encrypted"),
        (72, struct.pack(">Q", 4), "keeps its data in another file"),
        (72, struct.pack(">Q", 2), "is marked as damaged"),
        (72, struct.pack(">Q", 1 << 40), "features that are not known"),
        (4, struct.pack(">I", 1), "has version 1"),
        (20, struct.pack(">I", 63), "is damaged"),
    ],
)
def test_a_qcow2_file_that_is_more_than_a_disk_is_refused(tmp_path: Path, at: int, value: bytes, reason: str) -> None:
    plain = qcow2(tmp_path / "plain").read_bytes()
    file = tmp_path / "bad"
    file.write_bytes(with_bytes(with_bytes(plain, 512, b"/etc/passwd"), at, value))
    with pytest.raises(HypervisorError, match=reason):
        keeper(tmp_path).import_image("mine", order(file))
    assert keeper(tmp_path).store.shelf.digests() == []
    assert left(tmp_path) == []


def test_qemus_own_backing_and_data_files_are_refused(tmp_path: Path) -> None:
    base = qcow2(tmp_path / "base")
    over = qcow2(tmp_path / "over", "-b", str(base), "-F", "qcow2")
    apart = qcow2(tmp_path / "apart", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    for file in (over, apart):
        with pytest.raises(HypervisorError, match="it is not used"):
            keeper(tmp_path).import_image("mine", order(file))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>404</html>" + bytes(4096), "something else"),
        (b"KDMV" + bytes(4096), "VMDK"),
        (b"", "something else"),
        (with_bytes(bytes(0x9000), 0x8001, b"CD001")[:510] + b"\x55\xaa" + bytes(0x7E01) + b"CD001" + bytes(64), "ISO"),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(HypervisorError, match=words):
        keeper(tmp_path).import_image("mine", order(file))


def test_a_damaged_file_leaves_nothing(tmp_path: Path) -> None:
    for pack in (gzip.compress, bz2.compress, lzma.compress, PACKED["zst"]):
        file = tmp_path / "file"
        file.write_bytes(pack(os.urandom(100_000))[:50_000])
        with pytest.raises(HypervisorError):
            keeper(tmp_path).import_image("mine", order(file))
        assert left(tmp_path) == []


@pytest.mark.parametrize("how", ["gz", "bz2", "xz", "zst"])
def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path, how: str) -> None:
    file = tmp_path / "bomb"
    file.write_bytes(PACKED[how](partitioned(32 << 20)))
    assert file.stat().st_size < 1 << 20
    with pytest.raises(HypervisorError, match=r"larger than 0\.0\d+ GiB") as caught:
        keeper(tmp_path).import_image("mine", order(file, most_gib=16 / 1024))
    assert "--max-size" in (caught.value.hint or "")


def test_a_file_that_wants_too_much_memory_is_refused(tmp_path: Path) -> None:
    """A head that asks for a dictionary of 4 GiB - 1."""
    head = lzma.compress(b"x" * 100, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    block = bytearray(head)
    assert block[12 + 2 : 12 + 4] == b"\x21\x01"
    block[12 + 4] = 40
    size = (block[12] + 1) * 4
    block[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(bytes(block[12 : 12 + size - 4])))
    file = tmp_path / "greedy"
    file.write_bytes(bytes(block))
    with pytest.raises(HypervisorError, match="Memory usage limit"):
        packed.unpack_file(file, tmp_path / "out", how="xz", most_bytes=1 << 30, progress=quiet)


def test_a_tar_of_a_root_file_system_serves_containers_and_machines(tmp_path: Path) -> None:
    images = keeper(tmp_path)
    record = images.import_image("mine", order(tar_of(tmp_path / "t", *SYSTEM, mode="w:xz")))
    assert record.kinds == (Kind.OPENVZ, Kind.QEMU)
    assert record.start is Start.DIRECT
    tree = images.store.get("mine", Kind.OPENVZ).tree
    assert tree is not None
    assert (tree / "usr/tool").stat().st_mode & 0o7777 == 0o4755
    assert (tree / "lib").readlink() == Path("/usr/lib")


@pytest.mark.parametrize(
    "members",
    [
        [("/etc/evil", tarfile.REGTYPE, b"x", 0o644)],
        [("usr/../../evil", tarfile.REGTYPE, b"x", 0o644)],
        [("usr/hard", tarfile.LNKTYPE, "/etc/passwd", 0o644)],
        [("usr/hard", tarfile.LNKTYPE, "../../etc/passwd", 0o644)],
    ],
)
def test_a_tar_with_a_member_outside_is_refused_before_it_is_unpacked(tmp_path: Path, members: list[Member]) -> None:
    with pytest.raises(HypervisorError, match="outside its folder"):
        keeper(tmp_path).import_image("mine", order(tar_of(tmp_path / "t", *SYSTEM, *members)))
    assert left(tmp_path) == []


def test_a_tar_does_not_write_through_its_own_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members: list[Member] = [
        ("usr/way", tarfile.SYMTYPE, str(outside), 0o777),
        ("usr/way/evil", tarfile.REGTYPE, b"x", 0o644),
    ]
    with suppress(HypervisorError):  # either way is safe: refused, or unpacked within
        keeper(tmp_path).import_image("mine", order(tar_of(tmp_path / "t", *SYSTEM, *members)))
    assert list(outside.iterdir()) == []


@needs_root
def test_devices_of_a_tar_are_dropped(tmp_path: Path) -> None:
    images = keeper(tmp_path)
    device: Member = ("usr/disk", tarfile.BLKTYPE, b"", 0o666)
    images.import_image("mine", order(tar_of(tmp_path / "t", *SYSTEM, device)))
    tree = images.store.get("mine", Kind.OPENVZ).tree
    assert tree is not None
    assert not any(stat.S_ISBLK(path.lstat().st_mode) for path in tree.rglob("*"))


def test_a_tar_that_is_no_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match="holds no root file system"):
        keeper(tmp_path).import_image("mine", order(tar_of(tmp_path / "t", ("a", tarfile.REGTYPE, b"", 0o644))))


class Server(ThreadingHTTPServer):
    asked: list[str]
    pages: dict[str, bytes]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        data = self.server.pages.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) + (100 if self.path == "/short" else 0)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked, server.pages = [], {"/disk.bz2": bz2.compress(partitioned()), "/short": partitioned()}
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(web: Server, path: str) -> str:
    return f"http://127.0.0.1:{web.server_port}{path}"


def test_a_url_is_fetched_once_and_checked(tmp_path: Path, web: Server) -> None:
    url, images = address(web, "/disk.bz2"), ImageStore(StatePaths(tmp_path / "state"))
    checksum = hashlib.sha256(web.pages["/disk.bz2"]).hexdigest()
    first = images.ensure(url, Kind.QEMU, sha256=checksum)
    assert images.ensure(url, Kind.QEMU, sha256=checksum.upper()) == first
    assert web.asked == ["/disk.bz2"]
    assert images.lacks(url, Kind.QEMU, "node a") == []
    with pytest.raises(HypervisorError, match="does not have the SHA-256") as caught:
        images.ensure(url, Kind.QEMU, sha256="0" * 64)
    assert checksum in (caught.value.hint or "")
    with pytest.raises(HypervisorError, match="no SHA-256 checksum"):
        images.ensure(url, Kind.QEMU, sha256="abc")
    # Nothing is left but the one; it has no name, and goes when nothing holds it.
    assert images.shelf.digests() == [first.digest]
    assert ImageKeeper(images).remove_unused() == [first.digest[:12]]


@pytest.mark.parametrize(
    ("path", "reason"), [("/none", "Not Found"), ("/away", "file:///etc/passwd"), ("/short", "it ended after")]
)
def test_a_url_that_gives_no_whole_file_is_told(tmp_path: Path, web: Server, path: str, reason: str) -> None:
    images = keeper(tmp_path)
    with pytest.raises(HypervisorError, match=reason):
        images.import_image("mine", order(address(web, path)))
    assert left(tmp_path) == []


def test_a_path_is_a_reference_too_and_a_changed_file_is_another_image(tmp_path: Path) -> None:
    file, images = tmp_path / "disk", ImageStore(StatePaths(tmp_path / "state"))
    (lack,) = images.lacks(str(file), Kind.QEMU, "node a")
    assert str(file) in lack.missing
    file.write_bytes(partitioned())
    first = images.ensure(str(file), Kind.QEMU)
    assert images.ensure(f"file://{file}", Kind.QEMU).digest == first.digest
    file.write_bytes(partitioned(2 << 20))
    assert images.ensure(str(file), Kind.QEMU).digest != first.digest


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HypervisorError, match="no plain file"):
        keeper(tmp_path).import_image("mine", order(tmp_path / "pipe"))


def test_a_name_that_is_taken_needs_replace(tmp_path: Path) -> None:
    file, images = tmp_path / "disk", keeper(tmp_path)
    file.write_bytes(partitioned())
    first = images.import_image("mine", order(file))
    file.write_bytes(partitioned(2 << 20))
    with pytest.raises(UsageError, match="there is an image mine"):
        images.import_image("mine", order(file))
    second = images.import_image("mine", order(file), replace=True)
    assert first.digest != second.digest
    assert images.store.find("mine") == second.digest


@pytest.mark.parametrize(
    "words", [{"kind": "iso"}, {"boot": "memory"}, {"arch": "sparc"}, {"most_gib": 0}, {"most_gib": float("nan")}]
)
def test_words_that_mean_nothing_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        order("/x", **words)


def test_a_disk_without_any_mark_is_only_taken_when_somebody_says_so(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(bytes(1 << 20))
    with pytest.raises(HypervisorError, match="something else"):
        disks.identify(file)
    assert disks.identify(file, disks.Form.DISK).disk_format == "raw"
