"""Tar files that a file's author asks for in a node (`tb-set-node-tarfiles`): from the pnode's folders to the node.

Each is opened once, judged by what was opened, and copied from there, so that nothing that is swapped behind the
pnode's back gets in. The node unpacks it itself; only for process nodes, which have no system of their own, the pnode
does, shut into the node's folder. A node finds the list in /var/benito/config/tarfiles, a line each:

    MEMBER PACKING OFFSET SIZE DIRECTORY     PACKING: tar gz bz2 xz; OFFSET: on the configuration disk, or `-`
"""

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from benito.errors import HypervisorError
from benito.launch import run
from benito.model import Kind
from benito.nodesettings import Tarfile
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack
from benito_domains.config import ConfigFile

#: The list's name among the configuration files.
LIST = "tarfiles"
#: Where tar files begin on a configuration disk: behind all other configuration.
DISK_OFFSET_BYTES = 16 << 20
MOST_BYTES = 1 << 30
_ALIGN_BYTES = 4096
_SECONDS = 600
#: Of these, only what everybody may read is anybody's, but for the experiment's own project.
_SHARED = tuple(map(PurePosixPath, ("/proj", "/groups", "/share", "/users")))
_OWN = (PurePosixPath("/var/benito"), PurePosixPath("/var/containers"))


class Packing(StrEnum):
    """How a tar file is packed."""

    TAR = "tar"
    GZIP = "gz"
    BZIP2 = "bz2"
    XZ = "xz"


_MAGIC = {b"\x1f\x8b": Packing.GZIP, b"BZh": Packing.BZIP2, b"\xfd7zXZ\0": Packing.XZ}
_UNKNOWN = {b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"\x1f\x9d": "compress"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTarfile:
    """A tar file that was found good. `name` is what it is called in the node, `handle` an open file."""

    name: str
    directory: str
    packing: Packing
    size_bytes: int
    handle: int


def tarfile_lacks(plan: PnodePlan, node: NodePlan) -> list[Lack]:
    """What keeps a node's tar files from it."""
    lacks = []
    for tarfile in node.tarfiles:
        try:
            if node.kind is Kind.PROCESS:
                _refuse_outside(tarfile)
            os.close(_open(plan, tarfile)[0])
        except HypervisorError as error:
            missing = f"other tar files ({error.message})"
            lacks.append(Lack(missing=missing, element=f"node {node.name}", hint=error.hint or ""))
    return lacks


@contextmanager
def open_tarfiles(plan: PnodePlan, node: NodePlan) -> Iterator[tuple[OpenTarfile, ...]]:
    """A node's tar files, open meanwhile. Raises HypervisorError where one may not be taken."""
    with ExitStack() as stack:
        opened = []
        for number, tarfile in enumerate(node.tarfiles):
            handle, size_bytes = _open(plan, tarfile)
            stack.callback(os.close, handle)
            opened.append(
                OpenTarfile(
                    name=f"tarfile.{number}",
                    directory=tarfile.directory,
                    packing=_packing(handle, tarfile),
                    size_bytes=size_bytes,
                    handle=handle,
                )
            )
        yield tuple(opened)


def list_file(tarfiles: Sequence[OpenTarfile], *, on_disk: bool) -> Mapping[str, ConfigFile]:
    """The list by its name, to be put among the configuration files; nothing where there are no tar files."""
    if not tarfiles:
        return {}
    offsets = [str(offset) for offset in _offsets(tarfiles)] if on_disk else ["-"] * len(tarfiles)
    lines = [
        f"{one.name} {one.packing} {offset} {one.size_bytes} {one.directory}\n"
        for one, offset in zip(tarfiles, offsets, strict=True)
    ]
    return {LIST: ConfigFile(data="".join(lines).encode())}


def copy_tarfiles(tarfiles: Sequence[OpenTarfile], folder: Path, owner: int) -> None:
    """Puts the tar files into a container's configuration folder, for its root `owner`."""
    for one in tarfiles:
        scratch = folder / f".{one.name}.new"
        scratch.unlink(missing_ok=True)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _copy(one, handle, 0)
            os.fchown(handle, owner, owner)
        finally:
            os.close(handle)
        scratch.replace(folder / one.name)


def write_tarfiles(tarfiles: Sequence[OpenTarfile], disk: int) -> None:
    """Puts the tar files on a configuration disk, an open file that holds the rest of the configuration already.

    Raises HypervisorError where that reaches into their place.
    """
    if not tarfiles:
        return
    if os.fstat(disk).st_size > DISK_OFFSET_BYTES:
        raise HypervisorError("the configuration is too large for tar files to stand behind it")
    for one, offset in zip(tarfiles, _offsets(tarfiles), strict=True):
        _copy(one, disk, offset)
    # A disk is made of whole sectors.
    os.truncate(disk, -(-os.fstat(disk).st_size // _ALIGN_BYTES) * _ALIGN_BYTES)


def unpack_in_folder(tarfiles: Sequence[OpenTarfile], var: Path, node: str) -> None:
    """Unpacks the tar files of a process node of that name into `var`, its /var/benito. Raises HypervisorError."""
    copy_tarfiles(tarfiles, var, os.geteuid())
    script = str(Path(__file__).with_name("untar.py"))
    for one in tarfiles:
        inside = _within(one.directory)
        if inside is None:
            raise _outside(one.directory)
        try:
            run([sys.executable, "-I", "-S", script, var, one.name, inside], seconds=_SECONDS, error=HypervisorError)
        except HypervisorError as error:
            why = error.message.splitlines()[-1].strip()
            raise HypervisorError(
                f"{node}: the tar file for {one.directory} cannot be unpacked: {why}",
                hint="tar -t says what is in it; links in it must not stand in the way of its own files",
            ) from error
        (var / one.name).unlink()


def _open(plan: PnodePlan, tarfile: Tarfile) -> tuple[int, int]:
    """A handle of the file, and its size. Raises HypervisorError."""
    source = tarfile.source
    try:
        # Without opening it in earnest: it may turn out to be a device.
        seen = os.open(source, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise HypervisorError(f"the tar file {source} cannot be opened: {error.strerror}") from error
    try:
        status = os.fstat(seen)
        place = Path(f"/proc/self/fd/{seen}").readlink()
        if not stat.S_ISREG(status.st_mode):
            raise HypervisorError(f"the tar file {source} is no plain file")
        if status.st_size > MOST_BYTES:
            raise HypervisorError(f"the tar file {source} is larger than {MOST_BYTES >> 30} GiB")
        below = Path(tarfile.below).resolve()
        if not place.is_relative_to(below):
            hint = f"put it below {tarfile.below}"
            raise HypervisorError(f"the tar file {source} leads out of {tarfile.below}", hint=hint)
        if not _is_anybodys(plan, tarfile, below, place, status.st_mode):
            hint = "chmod o+r FILE, and o+x for the folders that it is in"
            raise HypervisorError(f"the tar file {source} is another project's, and not for everybody", hint=hint)
        return os.open(f"/proc/self/fd/{seen}", os.O_RDONLY | os.O_CLOEXEC), status.st_size
    finally:
        os.close(seen)


def _is_anybodys(plan: PnodePlan, tarfile: Tarfile, below: Path, place: Path, mode: int) -> bool:
    """Whether this experiment may have a file: root, who opens it, may read all."""
    if PurePosixPath(tarfile.below) not in _SHARED or place.is_relative_to(below / plan.experiment.pid):
        return True
    folders = [folder for folder in place.parents if folder != below and folder.is_relative_to(below)]
    return bool(mode & stat.S_IROTH) and all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def _packing(handle: int, tarfile: Tarfile) -> Packing:
    start = os.pread(handle, 8, 0)
    for magic, packing in _MAGIC.items():
        if start.startswith(magic):
            return packing
    for magic, name in _UNKNOWN.items():
        if start.startswith(magic):
            hint = "pack it with gzip, bzip2 or xz"
            raise HypervisorError(f"the tar file {tarfile.source} is packed by {name}, which nodes lack", hint=hint)
    return Packing.TAR


def _offsets(tarfiles: Sequence[OpenTarfile]) -> list[int]:
    offsets, offset = [], DISK_OFFSET_BYTES
    for one in tarfiles:
        offsets.append(offset)
        offset += -(-one.size_bytes // _ALIGN_BYTES) * _ALIGN_BYTES
    return offsets


def _copy(one: OpenTarfile, target: int, offset: int) -> None:
    """Copies as many bytes as there were when the file was judged. Raises HypervisorError where it lost some since."""
    at = 0
    while at < one.size_bytes:
        data = os.pread(one.handle, min(1 << 20, one.size_bytes - at), at)
        if not data:
            raise HypervisorError(f"the tar file for {one.directory} was cut while it was copied")
        at += os.pwrite(target, data, offset + at)


def _within(directory: str) -> str | None:
    """A node's folder as seen from its /var/benito; None where it is not there."""
    path = PurePosixPath(directory)
    for top in _OWN:
        if path.is_relative_to(top):
            return str(path.relative_to(top))
    return None


def _refuse_outside(tarfile: Tarfile) -> None:
    if _within(tarfile.directory) is None:
        raise _outside(tarfile.directory)


def _outside(directory: str) -> HypervisorError:
    return HypervisorError(
        f"a process node cannot have a tar file in {directory}: its file system is the pnode's",
        hint="a folder below /var/benito, or a node of kind openvz or qemu",
    )
