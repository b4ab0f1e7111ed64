"""A node's folder on the pnode: made, read and removed without ever following what the node itself can write.

nodes/NODE/kind            which driver made it (a process node has a folder once something ran in it)
           var/config      /var/benito/config
           var/log         /var/benito/log (process nodes)
           var/status      what the node says of itself: `report`, `console`
           root/           a container's file system
           image           the digest of the image that the node is made of
           config.img      a virtual machine's configuration disk
           root.qcow2      its own layer over its image's disk
           seed.iso        what tells an image that starts by its own loader who it is
"""

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId, is_label
from benito.paths import StatePaths, make_directory
from benito.status import REPORT_BYTES, NodeStatus, parse_report
from benito_domains.config import RELEASED, WAITING_SECTOR, ConfigFile, released_sector, released_text


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The folder of one node."""

    folder: Path

    @property
    def config(self) -> Path:
        """What stands in /var/benito/config."""
        return self.folder / "var" / "config"

    @property
    def log(self) -> Path:
        """What stands in /var/benito/log of a process node."""
        return self.folder / "var" / "log"

    @property
    def status(self) -> Path:
        """Where the node reports."""
        return self.folder / "var" / "status"

    @property
    def report(self) -> Path:
        """The node's own status lines; only ever read by `read_report`."""
        return self.status / "report"

    @property
    def disk(self) -> Path:
        """A virtual machine's configuration disk."""
        return self.folder / "config.img"

    @property
    def root_disk(self) -> Path:
        """A virtual machine's own layer over its image's disk."""
        return self.folder / "root.qcow2"

    @property
    def seed(self) -> Path:
        """What tells a virtual machine's image that starts by its own loader who it is."""
        return self.folder / "seed.iso"

    @property
    def console_log(self) -> Path:
        """What a virtual machine printed on its serial console."""
        return self.folder / "console.log"

    @property
    def known_hosts(self) -> Path:
        """The node's public host key, for ssh."""
        return self.folder / "known_hosts"

    @property
    def host_key(self) -> Path:
        """The node's private host key, in dropbear's format."""
        return self.folder / "host_key"

    def make(self, kind: Kind, owner: int = 0) -> None:
        """Makes the folders that every kind has; `owner` is the node's root, which must get through to its own.

        Raises HypervisorError where the node is another driver's.
        """
        make_directory(self.folder.parent)
        # What a container's root leaves here, set-user-id files too, is out of reach of the machine's other users.
        # qemu, which has a user of its own, must get through to the disk.
        make_directory(self.folder, 0o711 if kind is Kind.QEMU else 0o710)
        if self.folder.stat().st_gid != owner:
            os.chown(self.folder, -1, owner)
        existing = self.kind()
        if existing is not None and existing is not kind:
            raise HypervisorError(
                f"{self.folder} belongs to a node of kind {existing}, not {kind}",
                hint="swap the experiment out and in again to change a node's kind",
            )
        _replace(self.folder / "kind", f"{kind}\n".encode(), 0o644)
        for folder in (self.config, self.log, self.status):
            make_directory(folder, 0o755)

    def kind(self) -> Kind | None:
        """Which driver made the folder; None where it was killed before it could say."""
        try:
            return Kind((self.folder / "kind").read_text().strip())
        except (FileNotFoundError, ValueError):
            return None

    def write_config(self, files: Mapping[str, ConfigFile], owner: int, others: Iterable[str] = ()) -> None:
        """Makes the config folder hold these files; they and the folder belong to `owner` (the node's root).

        The files `others` may stay there; nothing else does.
        """
        keep = {*files, RELEASED, *others}
        for name, file in files.items():
            path = self.config / name
            mode = 0o600 if file.secret else 0o644
            if not _holds(path, file.data):
                _replace(path, file.data, mode)
            os.chown(path, owner, owner, follow_symlinks=False)
        for path in self.config.iterdir():
            if path.name not in keep:
                path.unlink()
        for folder in (self.config, self.log, self.status):
            os.chown(folder, owner, owner, follow_symlinks=False)

    def release(self, moment: float | None = None) -> None:
        """Lets the node go on to its start command, at once or at `moment` (seconds since the epoch). The same again
        changes nothing."""
        if self.disk.exists():
            with self.disk.open("r+b", buffering=0) as disk:
                if disk.read(len(WAITING_SECTOR)) == WAITING_SECTOR:
                    os.pwrite(disk.fileno(), released_sector(moment), 0)
            return
        # The node's root may write in this folder: no link of its making is followed. Written whole: it is being read.
        if not os.path.lexists(self.config / RELEASED):
            with suppress(OSError):
                _replace(self.config / RELEASED, released_text(moment), 0o644)

    def hold(self) -> None:
        """Before a start: the links are not plugged yet, and nothing has been reported."""
        (self.config / RELEASED).unlink(missing_ok=True)
        for path in (self.report, self.status / "console"):
            path.unlink(missing_ok=True)

    def write_disk(self, files: Mapping[str, ConfigFile], further: Callable[[int], None] | None = None) -> None:
        """The configuration as a raw disk: a sector that says whether to go on, then a tar file. `further` is given
        the open disk to put something behind them."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, file in sorted(files.items()):
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(file.data), 0o600 if file.secret else 0o644
                tar.addfile(member, io.BytesIO(file.data))
        _replace(self.disk, WAITING_SECTOR + archive.getvalue(), 0o600, further)

    def write_seed(self, image: bytes) -> None:
        """The seed as a disk."""
        _replace(self.seed, image, 0o600)

    def read_status(self) -> NodeStatus:
        """What the node says of itself."""
        return parse_report(read_tail(self.status, "report"))

    def last_words(self, kind: Kind | None = None) -> str | None:
        """The last three lines of the node's console, for people; None if it said nothing. `kind`, where it is known,
        saves a look where nodes of that kind have none.

        A node writes what it likes: nothing that a terminal would obey is left in it.
        """
        text = "" if kind is Kind.OPENVZ else read_tail(self.folder, "console.log")
        text = text or read_tail(self.status, "console")
        lines = ["".join(filter(str.isprintable, line)).strip() for line in text.splitlines()]
        lines = [line for line in lines if line]
        return " | ".join(lines[-3:]) or None

    def remove(self, *, checked: bool = False) -> None:
        """Removes the folder. Raises HypervisorError where something is mounted in it, before anything is removed.

        `checked` says that `refuse_mounts` has just looked.
        """
        if not self.folder.exists():
            return
        if not checked and (mounted := mounts_below(self.folder)):
            raise _still_mounted(mounted[0], self.folder)
        assert shutil.rmtree.avoids_symlink_attacks  # noqa: S101 - a fact of Linux; rmtree must never follow a link
        shutil.rmtree(self.folder)


def nodes_on_disk(paths: StatePaths, experiment: ExperimentId, kind: Kind) -> Iterator[tuple[str, NodeFiles]]:
    """The nodes of an experiment whose folder the driver of `kind` made, or that nobody finished making."""
    folder = paths.experiment(experiment) / "nodes"
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        files = NodeFiles(path)
        if is_label(path.name) and path.is_dir() and not path.is_symlink() and files.kind() in (kind, None):
            yield path.name, files


def read_tail(folder: Path, name: str) -> str:
    """The last REPORT_BYTES of a file that a node writes. Empty where it is no plain file: no link is followed."""
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return ""
    finally:
        os.close(directory)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return ""
        return os.pread(handle, REPORT_BYTES, max(0, status.st_size - REPORT_BYTES)).decode(errors="replace")
    finally:
        os.close(handle)


def mounts_below(folder: Path, pid: int | None = None) -> list[str]:
    """The mount points at or below `folder` that process `pid` (or this one) sees, deepest first."""
    prefix = str(folder.resolve())
    points = _mount_points(pid)
    return sorted((point for point in points if point == prefix or point.startswith(f"{prefix}/")), reverse=True)


def refuse_mounts(folders: Sequence[Path]) -> None:
    """Raises HypervisorError where something is mounted at or below one of these folders. Reads the mounts once."""
    if not folders:
        return
    wanted = {str(folder.resolve()): folder for folder in folders}
    above_all = os.path.commonpath(wanted)
    for point in _mount_points(None):
        if not point.startswith(above_all):
            continue
        path = Path(point)
        for above in (path, *path.parents):
            if (folder := wanted.get(str(above))) is not None:
                raise _still_mounted(point, folder)


def _still_mounted(point: str, folder: Path) -> HypervisorError:
    return HypervisorError(f"{point} is still mounted: {folder} is not removed", hint=f"umount {point}, then again")


def _mount_points(pid: int | None) -> list[str]:
    text = Path(f"/proc/{pid or 'self'}/mountinfo").read_text(errors="surrogateescape")
    return [line.split()[4].encode().decode("unicode_escape") for line in text.splitlines()]


def _replace(path: Path, data: bytes, mode: int, further: Callable[[int], None] | None = None) -> None:
    """Replaces a file whole, without waiting for the disk: after a crash the plan is applied again, and has it all.

    `further` is given the new file before it is in place.
    """
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        if further is not None:
            file.flush()
            further(handle)
        os.fchmod(handle, mode)
    scratch.replace(path)


def _holds(path: Path, data: bytes) -> bool:
    """Whether the plain file at `path` has just this content; a node's root may have put a link or a pipe there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as file:
        return stat.S_ISREG(os.fstat(handle).st_mode) and file.read(len(data) + 1) == data
