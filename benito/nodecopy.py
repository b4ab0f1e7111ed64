"""Files and folders copied between this machine and a node, as tar streams through a program that runs in the node.

What a node sends is hostile: it is unpacked into a folder of its own, where nothing is written through a link, and
moved when it is whole. Modes and times are kept, owners are not.
"""

import os
import posixpath
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benito.errors import HypervisorError, UsageError
from benito.launch import ENVIRONMENT

_NODE = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)
_WORDS_BYTES, _PIECE_BYTES = 4096, 1 << 20
_LOOK_SECONDS = 60
#: What GNU tar says of files that change under it; the rest is whole.
_HARMLESS = re.compile(r".*(file changed as we read it|removed before we read it|exit delayed.*)")

#: The words that run a command in the node when they are executed here.
Argv = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file or folder, in a node or, where that is None, on this machine."""

    node: str | None
    path: str

    @classmethod
    def parse(cls, text: str) -> "Place":
        """`NODE:PATH` is in a node; anything else, and what has a slash before its first colon, is here."""
        node, colon, path = text.partition(":")
        return cls(node=node, path=path or ".") if colon and _NODE.fullmatch(node) else cls(node=None, path=text)


def fetch(argv: Argv, sources: Sequence[str], target: Path) -> list[str]:
    """Copies from the node; what was left out, and why. `target` is a folder to put them into, or a new name.

    Raises HypervisorError where the node cannot give them, UsageError for a target that makes no sense.
    """
    into = target.is_dir()
    if not into and (len(sources) > 1 or not target.parent.is_dir()):
        missing = target if len(sources) > 1 else target.parent
        raise UsageError(f"{missing} is no folder")
    left: list[str] = []
    for source in sources:
        folder, name = posixpath.split(posixpath.normpath(source))
        if name in ("", ".", ".."):
            raise UsageError(f"{source} has no name that it could be copied to", hint="name a file or folder in it")
        with _scratch(target if into else target.parent) as scratch:
            with _running(argv(["tar", "-cf", "-", "-C", folder or ".", f"./{name}"]), stdout=True) as (process, said):
                assert process.stdout is not None  # noqa: S101 - for the type checker
                failure = _Unpacking(scratch, name, left).unpack(process.stdout)
            words = said()
            harmless = all(_HARMLESS.fullmatch(line) for line in words.splitlines())
            if (process.returncode and not (harmless and words)) or failure:
                raise HypervisorError(f"{source} cannot be copied: {words or failure or 'tar failed'}")
            left += words.splitlines()
            if not os.path.lexists(scratch / name):
                raise HypervisorError(f"{source} cannot be copied: {left[-1] if left else 'the node sent nothing'}")
            _move(scratch / name, target / name if into else target)
    return left


def send(argv: Argv, sources: Sequence[Path], target: str) -> list[str]:
    """Copies to the node; what was left out, and why. `target` is a folder there to put them into, or a new name."""
    for source in sources:
        if not source.exists():
            raise UsageError(f"{source} is not there")
    into = _is_folder(argv, target)
    if not into and (len(sources) > 1 or target.endswith("/")):
        raise UsageError(f"{target} is no folder in the node")
    folder, name = (target, "") if into else posixpath.split(target)
    left: list[str] = []
    with _running(argv(["tar", "-xf", "-", "-C", folder or "."]), stdin=True) as (process, said):
        assert process.stdin is not None  # noqa: S101 - for the type checker
        try:
            with process.stdin, tarfile.open(fileobj=process.stdin, mode="w|", format=tarfile.GNU_FORMAT) as tar:
                for source in sources:
                    real = source.resolve()
                    tar.add(real, arcname=name or source.name or real.name, filter=lambda one: _sendable(one, left))
        except BrokenPipeError:
            pass  # it ended early, and says why
        except OSError as error:
            process.kill()
            raise UsageError(f"{error.filename or 'a file'} cannot be read: {error.strerror or error}") from error
    if process.returncode:
        raise HypervisorError(f"{target} cannot be written in the node: {said() or 'tar failed'}")
    return left


def _sendable(member: tarfile.TarInfo, left: list[str]) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        left.append(f"{member.name}: no file, folder or link")
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _is_folder(argv: Argv, path: str) -> bool:
    words = argv(["sh", "-c", '[ -d "$1" ]', "sh", path])
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LOOK_SECONDS,
            check=False,
            env=dict(ENVIRONMENT),
        )
    except subprocess.TimeoutExpired as late:
        raise HypervisorError(f"the node does not answer within {_LOOK_SECONDS} s") from late
    if done.returncode not in (0, 1):
        said = done.stderr.decode(errors="replace").strip()
        raise HypervisorError(f"the node cannot be asked about {path}: {said[-_WORDS_BYTES:]}")
    return done.returncode == 0


@contextmanager
def _running(
    words: Sequence[str], *, stdin: bool = False, stdout: bool = False
) -> Iterator[tuple["subprocess.Popen[bytes]", Callable[[], str]]]:
    """A program that has ended afterwards, and what tells its last complaints then."""
    process = subprocess.Popen(
        list(words),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=dict(ENVIRONMENT),
    )
    kept = bytearray()

    def drain() -> None:
        assert process.stderr is not None  # noqa: S101 - for the type checker
        while piece := process.stderr.read1(_WORDS_BYTES):  # type: ignore[attr-defined]
            kept.extend(piece)
            del kept[:-_WORDS_BYTES]

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()

    def said() -> str:
        return kept.decode(errors="replace").strip()

    try:
        yield process, said
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(_LOOK_SECONDS)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside what is to come, for root alone; gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix=".benito-cp-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class _Received:
    """A node's tar stream; whether it came to its end tells that it holds whole zeros there."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._last = (self._last + data)[-tarfile.BLOCKSIZE :]
        return data

    def is_whole(self) -> bool:
        """Reads what stands behind the end of the archive, too, so that its sender can end."""
        while self.read(_PIECE_BYTES):
            pass
        return self._last == bytes(tarfile.BLOCKSIZE)


class _Header(tarfile.TarInfo):
    """A header as it comes. A long name is read into memory whole: the node does not say how long it may be."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type not in (*tarfile.SUPPORTED_TYPES,) and header.size > _PIECE_BYTES:
            raise tarfile.ReadError("a name is too long")
        return header


class _Unpacking:
    """Unpacks what is at or below `name` into an empty folder of root's.

    Nothing in that folder is a link until all files are there, so that none can be written through one.
    """

    def __init__(self, scratch: Path, name: str, left: list[str]) -> None:
        self._scratch, self._name, self._left = scratch, name, left
        self._folders: list[tarfile.TarInfo] = []
        self._links: list[tarfile.TarInfo] = []

    def unpack(self, stream: IO[bytes]) -> str | None:
        """Why it could not be, None if it could."""
        received = _Received(stream)
        try:
            with tarfile.open(fileobj=received, mode="r|", tarinfo=_Header) as tar:  # type: ignore[call-overload]
                for member in tar:
                    member.name = posixpath.normpath(member.name)
                    if self._is_within(member.name):
                        self._take(tar, member)
        except (tarfile.TarError, EOFError, ValueError) as error:
            return f"the node sent no tar file ({error})"
        except OSError as error:
            return error.strerror or str(error)
        finally:
            is_whole = received.is_whole()
        self._link()
        for folder in reversed(self._folders):
            _dress(self._scratch / folder.name, folder, 0o700)
        return None if is_whole else "the node sent half a tar file"

    def _is_within(self, path: str) -> bool:
        return path == self._name or path.startswith(f"{self._name}/")

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._scratch / member.name
        if member.issym():
            self._links.append(member)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            path.mkdir(exist_ok=True)
            self._folders.append(member)
            return
        if not (member.isreg() or member.islnk()):
            self._leave(member, "no file, folder or link")
            return
        path.unlink(missing_ok=True)
        if member.islnk():
            first = posixpath.normpath(member.linkname)
            if self._is_within(first) and (self._scratch / first).is_file():
                path.hardlink_to(self._scratch / first)
            else:
                self._leave(member, f"the same file as {member.linkname}, which is not copied")
            return
        data = tar.extractfile(member)
        assert data is not None  # noqa: S101 - a regular file has some
        with data, path.open("xb") as file:
            shutil.copyfileobj(data, file)
        _dress(path, member, 0o600)

    def _leave(self, member: tarfile.TarInfo, why: str) -> None:
        self._left.append(f"{member.name}: {why}")

    def _link(self) -> None:
        """Makes the links, but none that leads out of what is copied, be it by way of others."""
        root = self._scratch.resolve()
        made = []
        for member in self._links:
            path = self._scratch / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.resolve() == root / posixpath.dirname(member.name) and not os.path.lexists(path):
                path.symlink_to(member.linkname)
                made.append((path, member))
        while outside := [one for one in made if not one[0].resolve().is_relative_to(root / self._name)]:
            for path, member in outside:
                path.unlink()
                self._leave(member, f"a link to {member.linkname}, which leads out of what is copied")
            made = [one for one in made if one not in outside]


def _dress(path: Path, member: tarfile.TarInfo, least: int) -> None:
    """Mode and time; what lets others write, or a program be its owner, is left out."""
    path.chmod((member.mode & 0o755) | least)
    with suppress(OverflowError, OSError):  # a time that this file system cannot have
        os.utime(path, (member.mtime, member.mtime))


def _move(source: Path, target: Path) -> None:
    """Replaces files, adds to folders. Raises UsageError where one stands in the way of the other."""
    try:
        theirs = target.lstat().st_mode
    except FileNotFoundError:
        source.rename(target)
        return
    if not stat.S_ISDIR(source.lstat().st_mode):
        if stat.S_ISDIR(theirs):
            raise UsageError(f"{target} is a folder, and a file is to come there", hint="choose another name")
        source.replace(target)
        return
    if not stat.S_ISDIR(theirs):
        raise UsageError(f"{target} is no folder, and one is to come there", hint="choose another name")
    for child in sorted(source.iterdir()):
        _move(child, target / child.name)
