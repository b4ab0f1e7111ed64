"""Images from elsewhere: a disk (qcow2, raw) or a root file system (tar), compressed or not, by path or URL."""

from dataclasses import dataclass
from pathlib import Path

from benito.errors import HypervisorError
from benito.nodesettings import Arch
from benito.seams import Progress
from benito_domains.images import disks, packed
from benito_domains.images.disks import Form
from benito_domains.images.fetch import fetch
from benito_domains.images.manifest import Part, Start
from benito_domains.images.parts import disk_part, new_tree, put_parts, tree_part
from benito_domains.images.reference import Source
from benito_domains.images.rootfs import Program
from benito_domains.images.shelf import Shelf, input_key
from benito_domains.images.unpack import unpack_tree

#: What an image may hold, unpacked, unless somebody says otherwise.
MOST_BYTES = 20 << 30
PROGRAMS = (
    Program(name="qemu-img", package="qemu-utils"),
    Program(name="tar", package="tar"),
    Program(name="zstd", package="zstd"),
    Program(name="setpriv", package="util-linux"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be imported. `form` and `start` are what somebody says of it, where it is not to be found out."""

    source: Source
    arch: Arch = Arch.X86_64
    sha256: str | None = None
    form: Form | None = None
    start: Start | None = None
    most_bytes: int = MOST_BYTES


def source_key(order: Order) -> str:
    """A name for the order: what it gave is not imported again. A file that has changed since is another one."""
    mark = ""
    if order.source.path is not None:
        try:
            status = order.source.path.stat()
            mark = f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
        except OSError:
            mark = "gone"
    words = (order.source.url or str(order.source.path), mark, order.arch, order.sha256, order.form, order.start)
    return input_key("imported", *(str(word) for word in words))


def import_source(shelf: Shelf, order: Order, progress: Progress) -> str:
    """The digest of the image that has been made of it; while `making`. Raises HypervisorError."""
    key = source_key(order)  # before the file is read: what it becomes meanwhile is another one
    with shelf.scratch() as folder:
        file = folder / "fetched"
        checksum: str | None = fetch(
            order.source, file, sha256=order.sha256, most_bytes=order.most_bytes, progress=progress
        )
        how = packed.packing(file)
        if how is not None:
            unpacked = folder / "unpacked"
            packed.unpack_file(file, unpacked, how=how, most_bytes=order.most_bytes, progress=progress)
            file.unlink()
            file, checksum = unpacked, None
        content = disks.identify(file, order.form)
        progress("check", 0, 1)
        if content.form is Form.TREE:
            if order.start is Start.OWN:
                raise HypervisorError("a root file system has no loader of its own", hint="leave --boot out")
            unpack_tree(file, new_tree(folder), most_bytes=order.most_bytes)
            file.unlink()
            digest = _put(shelf, folder, tree_part(folder), order, Start.DIRECT, key)
        else:
            if content.disk_format == "qcow2":
                disks.check_qcow2(file)
            start = order.start or disks.how_it_starts(file, content.disk_format)
            name = f"disk.{content.disk_format}"
            file.rename(folder / name)
            part = disk_part(folder, name, content.disk_format, checksum)
            digest = _put(shelf, folder, part, order, start, key)
        progress("check", 1, 1)
        return digest


def _put(shelf: Shelf, folder: Path, part: Part, order: Order, start: Start, key: str) -> str:
    source = f"imported: {order.source}"
    return put_parts(shelf, folder, part, arch=order.arch, start=start, source=source, key=key)
