"""What hypervisors leave behind when they are killed, and how it is ended: by cgroup, namespace or derived name.

Facts of libvirt 9.0, measured: killed in the middle of a container's start it may leave a veth pair that stops every
later start; killed in the middle of its end it forgets a container whose first process goes on running.
"""

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pyroute2 import IPRoute, NetlinkError

from benito.errors import HypervisorError

_CGROUPS = Path("/sys/fs/cgroup")
_LXC_RUN = Path("/run/libvirt/lxc")
_LXC_GROUP = re.compile(r"lxc-\d+-(?P<name>.+)\.libvirt-lxc")
#: libvirt shortens a cgroup's machine name to this many bytes, the process number included.
_MACHINE_NAME_BYTES = 64
_END_SECONDS = 10
_ENODEV = 19


def delete_stale_devices(names: Iterable[str]) -> None:
    """Deletes host devices of derived names. Only for nodes whose domain is not active. Raises HypervisorError."""
    present = [name for name in names if _exists(name)]
    if not present:
        return
    with IPRoute() as netlink:
        for name in present:
            try:
                for index in netlink.link_lookup(ifname=name):
                    netlink.link("del", index=index)
            except NetlinkError as error:
                if error.code != _ENODEV:
                    raise HypervisorError(f"the stale interface {name} cannot be deleted: {error}") from error


def remove_sockets(name: str) -> None:
    """Removes what libvirt's LXC driver leaves of an ended domain in its run folder: a socket and empty folders."""
    for ending in ("sock", "dev", "devpts", "fuse"):
        path = _LXC_RUN / f"{name}.{ending}"
        with suppress(OSError):  # not there, or in use after all
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def end_containers(domains: Iterable[tuple[str, UUID | None]]) -> None:
    """Kills what is left of LXC domains (name, uuid) that libvirt does not run, and removes their cgroups.

    Without its uuid a domain is found only where libvirt did not shorten its name. Raises HypervisorError where a
    process does not end.
    """
    wanted = list(domains)
    if not wanted:
        return
    for group in _container_groups():
        found = _LXC_GROUP.fullmatch(group.name)
        if found is None:
            continue
        for name, uuid in wanted:
            if _is_of(group, found["name"], name, uuid):
                _end_group(group)


def end_namespaces(namespaces: Iterable[Path]) -> None:
    """Kills every process whose network namespace is one of these (bind mounts). Raises HypervisorError."""
    inodes = {status.st_ino for path in namespaces if (status := bound_namespace(path)) is not None}
    _end(lambda: list(processes_in(inodes)) if inodes else [])


def _end(find: Callable[[], list[int]]) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while left := find():
        for pid in left:
            _kill(pid)
        if time.monotonic() > deadline:
            raise HypervisorError(f"process {left[0]} ({_comm(left[0])}) does not end", hint="it may wait for a device")
        time.sleep(0.02)


def end_rooms(folders: Iterable[Path]) -> None:
    """Kills every process that sees one of these folders (a node's `var`) as its /var/benito, whatever became of the
    network namespace's name. Raises HypervisorError.
    """
    places = {(status.st_dev, status.st_ino) for folder in folders if (status := _stat(folder)) is not None}
    _end(lambda: list(_processes_at(places)) if places else [])


def _processes_at(places: set[tuple[int, int]]) -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            status = _stat(Path(entry.path) / "root/var/benito")
            if status is not None and (status.st_dev, status.st_ino) in places:
                yield int(entry.name)


def processes_in(inodes: set[int]) -> Iterator[int]:
    """The processes whose network namespace has one of these inode numbers."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            status = _stat(Path(entry.path) / "ns" / "net")
            if status is not None and status.st_ino in inodes:
                yield int(entry.name)


def bound_namespace(path: Path) -> os.stat_result | None:
    """The namespace that is bound there; None for a mere file, whose file system is that of its folder."""
    status, above = _stat(path), _stat(path.parent)
    return status if status is not None and above is not None and status.st_dev != above.st_dev else None


def bound_namespaces(folder: Path) -> frozenset[str]:
    """The names in `folder` that something is mounted on."""
    try:
        device = folder.stat().st_dev
        with os.scandir(folder) as entries:
            # What is mounted on a file is not in its folder's entry: it must be asked for.
            return frozenset(
                entry.name for entry in entries if (status := _stat(Path(entry.path))) and status.st_dev != device
            )
    except FileNotFoundError:
        return frozenset()


def is_first(pid: int) -> bool:
    """Whether a process is number 1 of a process namespace below the machine's. Raises OSError when it is gone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] == "1"
    return False


def _container_groups() -> list[Path]:
    """Every cgroup of a libvirt LXC domain, in all hierarchies (cgroup 1: `*/machine/`, cgroup 2: `machine/`)."""
    return [*_CGROUPS.glob("machine/lxc-*"), *_CGROUPS.glob("*/machine/lxc-*")]


def _is_of(group: Path, found: str, name: str, uuid: UUID | None) -> bool:
    if found == name:
        return True
    shortened = len(group.name.removesuffix(".libvirt-lxc")) >= _MACHINE_NAME_BYTES - 1
    if not shortened or uuid is None or not name.startswith(found):
        return False
    return any(_environment_has(pid, uuid) for pid in _members(group))


def _end_group(group: Path) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while members := _members(group):
        for pid in members:
            _kill(pid)
        if time.monotonic() > deadline:
            raise HypervisorError(f"process {members[0]} ({_comm(members[0])}) does not end")
        time.sleep(0.02)
    for directory, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(directory)  # noqa: PTH106 - as os.walk gives it
        except OSError:
            return  # libvirt removes it itself, or something came into it: the next time


def _members(group: Path) -> list[int]:
    members: list[int] = []
    for directory, _, _ in os.walk(group):
        try:
            members += map(int, (Path(directory) / "cgroup.procs").read_text().split())
        except OSError:
            continue  # gone meanwhile
    return [pid for pid in members if pid > 0]


def _environment_has(pid: int, uuid: UUID) -> bool:
    try:
        return f"LIBVIRT_LXC_UUID={uuid}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True
