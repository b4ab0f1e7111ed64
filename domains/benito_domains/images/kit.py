"""The kit: the guest's scripts and the programs that they use, in a folder that works in any file system.

It stands at `KIT_INSIDE` in every node, read-only: mounted in containers, carried by the initramfs of machines that
start directly, and by the NoCloud seed of the others. busybox is static; dynamic programs run by the kit's own loader
with the kit's own libraries, so that nothing of the image is needed.

    init start service boot run cloud lib.sh    the scripts of guest/
    busybox sender                              static programs
    applets/NAME                                a link to busybox for each of its programs
    NAME                                        a script that runs programs/NAME
    programs/ lib/ load/                        dynamic programs, their libraries, and the loader by each program's name
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito.names import digest
from benito.paths import StatePaths, make_directory
from benito.seams import Progress, quiet
from benito_domains.config import KIT_INSIDE
from benito_domains.images.rootfs import SENDER, Program, find_program, shared_libraries

#: Process 1 of containers.
INIT_INSIDE = f"{KIT_INSIDE}/init"
#: What begins the name of a kit's folder among the images.
KIT_PREFIX = "kit-"
_BUILDING = ".kit-building-"
_SCRIPTS = {
    "boot.sh": "boot",
    "cloud.sh": "cloud",
    "init.sh": "init",
    "lib.sh": "lib.sh",
    "run.sh": "run",
    "service.sh": "service",
    "start.sh": "start",
}
_BUSYBOX = Program(name="busybox", package="busybox-static")
_DYNAMIC = (
    Program(name="dropbear", package="dropbear-bin"),
    Program(name="dropbearkey", package="dropbear-bin"),
    Program(name="ip", package="iproute2"),
)
#: Loaded by name where an older image's /etc/nsswitch.conf says so; without it ssh would find no user there.
_BY_NAME = "libnss_compat.so.2"
# The loader is run by the program's name, which is what `ps` then shows.
_WRAPPER = """#!{kit}/busybox sh
exec {kit}/load/{name} --library-path {kit}/lib --argv0 {name} {kit}/programs/{name} "$@"
"""


def missing_programs() -> list[Program]:
    """What the kit needs and the host has not."""
    lacking = [program for program in (_BUSYBOX, *_DYNAMIC) if find_program(program.name) is None]
    busybox = find_program(_BUSYBOX.name)
    if busybox is not None and shared_libraries(busybox):
        lacking.append(_BUSYBOX)  # the dynamically linked package has the same name, and fewer applets
    return lacking


def build_kit(paths: StatePaths, progress: Progress = quiet) -> Path:
    """The kit's folder, made unless it is there: put in place whole, named after what it is made of.

    Raises HypervisorError with the packages that are missing.
    """
    lacking = missing_programs()
    if lacking:
        names = sorted({program.package for program in lacking})
        hint = f"apt-get install {' '.join(names)}"
        raise HypervisorError("the programs that every node is given are not all here", hint=hint)
    target = paths.images / f"{KIT_PREFIX}{_digest()}"
    if target.is_dir():
        return target
    make_directory(paths.images)
    with _alone(paths.images):
        if not target.is_dir():
            progress("kit", 0, 1)
            _place(target)
            progress("kit", 1, 1)
    return target


@contextmanager
def _alone(images: Path) -> Iterator[None]:
    """One builder at a time; what a killed one left is removed."""
    with (images / ".kit.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in images.glob(f"{_BUILDING}*"):
            shutil.rmtree(leftover)
        yield


def _place(target: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=target.parent))
    try:
        _fill(folder)
        folder.chmod(0o755)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _fill(folder: Path) -> None:
    for name, inside in _SCRIPTS.items():
        _put(folder / inside, _script(name), 0o644 if "." in inside else 0o755)
    try:
        _put(folder / "sender", SENDER.read_bytes(), 0o755)
    except FileNotFoundError as error:
        hint = "install benito again: scripts/setup, or pip"
        raise HypervisorError("the program sender is not built", hint=hint) from error
    _put(folder / _BUSYBOX.name, _source(_BUSYBOX).read_bytes(), 0o755)
    for name in ("applets", "programs", "lib", "load"):
        (folder / name).mkdir(mode=0o755)
        (folder / name).chmod(0o755)
    for applet in run([folder / _BUSYBOX.name, "--list"], error=HypervisorError).decode().split():
        (folder / "applets" / applet).symlink_to(f"../{_BUSYBOX.name}")
    for library in _libraries():
        _put(folder / "lib" / library.name, library.read_bytes(), 0o755)
    for program in _DYNAMIC:
        loader = next((path.name for path in _libraries() if path.name.startswith("ld-")), None)
        if loader is None:
            raise HypervisorError(f"{_source(program)} has no loader: it is a program of another kind")
        _put(folder / "programs" / program.name, _source(program).read_bytes(), 0o755)
        (folder / "load" / program.name).symlink_to(f"../lib/{loader}")
        _put(folder / program.name, _WRAPPER.format(kit=KIT_INSIDE, name=program.name).encode(), 0o755)


def _put(path: Path, data: bytes, mode: int) -> None:
    path.write_bytes(data)
    path.chmod(mode)


@cache
def _libraries() -> tuple[Path, ...]:
    """The libraries of all dynamic programs, and their loader, by the names that programs call them."""
    found = {library for program in _DYNAMIC for library in shared_libraries(_source(program))}
    paths = {Path(library) for library in found}
    for path in list(paths):
        if path.name.startswith("libc.so") and (path.parent / _BY_NAME).exists():
            paths.add(path.parent / _BY_NAME)
    return tuple(sorted(paths))


def _source(program: Program) -> Path:
    path = find_program(program.name)
    if path is None:
        raise HypervisorError(f"{program.name} is missing", hint=f"apt-get install {program.package}")
    return path.resolve()


def _script(name: str) -> bytes:
    return files("benito_domains").joinpath("guest", name).read_bytes()


@cache
def _digest() -> str:
    """Depends on this builder, the scripts, and each of the host's files that go in."""
    parts = [files("benito_domains").joinpath("images", "kit.py").read_text()]
    parts += [_script(name).decode() for name in _SCRIPTS]
    parts.append(files("benito_domains").joinpath("native", "sender.c").read_text())
    for path in (_source(_BUSYBOX), *map(_source, _DYNAMIC), *_libraries()):
        status = os.stat(path)  # noqa: PTH116 - beside os
        parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return digest(*parts).hex()[:12]
