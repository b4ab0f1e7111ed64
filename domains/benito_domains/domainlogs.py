"""Logs and consoles of the nodes that are domains.

A container's files are read on the pnode, where libvirtd sees them, component by component: no link that the node's
root made is followed. A machine's own are asked of it, by ssh; it may answer what it likes, but no more than was asked.
"""

import os
import shlex
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run_at_most
from benito.seams import NodeLog
from benito_domains.config import KIT_INSIDE
from benito_domains.images.rootfs import find_program
from benito_domains.mounts import libvirt_pid
from benito_domains.nodefiles import NodeFiles
from benito_domains.quotadisk import image_of

_FOLDER = ("var", "benito", "log")
_NAMES = {NodeLog.OUT: "start_command.out", NodeLog.ERR: "start_command.err", NodeLog.LOG: "start_command.log"}
_ASK_SECONDS = 30
_NOT_FOLLOWED = os.O_NOFOLLOW | os.O_CLOEXEC


def read_container_log(files: NodeFiles, root: Path, log: NodeLog, offset: int, most_bytes: int) -> bytes:
    """What a container's log holds from byte `offset` on, at most so many bytes; empty where there is no such plain
    file. `root` is the folder of the container's own changes, below `files.folder`, as libvirtd sees it.

    Raises HypervisorError where the node's file system is not mounted.
    """
    if log is NodeLog.CONSOLE:
        return _read_below(files.folder, ("var", "status", "console"), offset, most_bytes, os.getpid())
    inside = root.relative_to(files.folder).parts
    pid = libvirt_pid() or os.getpid()
    data = _read_below(files.folder, (*inside, *_FOLDER, _NAMES[log]), offset, most_bytes, pid)
    if data or _is_there(files.folder, inside, pid):
        # Where the kernel had no overlay, the whole root is a copy beside that folder.
        copied = (*inside[:-1], "merged", *_FOLDER, _NAMES[log])
        return data or _read_below(files.folder, copied, offset, most_bytes, pid)
    if image_of(root.parent).exists():
        raise HypervisorError(
            f"the file system of {files.folder.name} is not mounted", hint="start the node, or take the experiment up"
        )
    return b""


def read_machine_log(
    files: NodeFiles, ssh: Callable[[Sequence[str]], Sequence[str]], log: NodeLog, offset: int, most_bytes: int
) -> bytes:
    """The same of a machine: its console from the pnode's file, the rest by the words that `ssh` makes of a command's.

    Raises HypervisorError where the machine does not answer.
    """
    if log is NodeLog.CONSOLE:
        return _read_below(files.folder, (files.console_log.name,), offset, most_bytes, os.getpid())
    file = shlex.quote("/".join(("", *_FOLDER, _NAMES[log])))
    script = f"tail -c +{offset + 1:d} {file} 2>/dev/null | head -c {most_bytes:d}"
    return run_at_most(
        ssh([f"{KIT_INSIDE}/busybox", "sh", "-c", script]),
        most_bytes,
        seconds=_ASK_SECONDS,
        error=HypervisorError,
        hint="what a machine wrote can be read while it runs; its console always: benito logs --console",
    )


def console_argv(uri: str, dns_name: str) -> list[str]:
    """The words that join a domain's console; who is on a machine's already is put out, since a terminal that was
    closed stays on it otherwise. Raises HypervisorError."""
    virsh = find_program("virsh")
    if virsh is None:
        raise HypervisorError("the program virsh is not installed", hint="apt-get install libvirt-clients")
    force = ["--force"] if uri.startswith("qemu") else []  # libvirt's LXC driver refuses the flag, and puts out nobody
    return [str(virsh), "--connect", uri, "console", *force, "--domain", dns_name]


def _read_below(folder: Path, parts: Sequence[str], offset: int, most_bytes: int, pid: int) -> bytes:
    """From a plain file below `folder`, with the mounts of process `pid`; empty where there is none.

    The way to `folder` is the pnode's own and may have links; what follows may not.
    """
    directory = _walk(folder, parts[:-1], pid)
    if directory is None:
        return b""
    try:
        handle = os.open(parts[-1], os.O_RDONLY | os.O_NONBLOCK | _NOT_FOLLOWED, dir_fd=directory)
    except OSError:
        return b""
    finally:
        os.close(directory)
    try:
        return os.pread(handle, most_bytes, offset) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)


def _is_there(folder: Path, parts: Sequence[str], pid: int) -> bool:
    directory = _walk(folder, parts, pid)
    if directory is not None:
        os.close(directory)
    return directory is not None


def _walk(folder: Path, parts: Sequence[str], pid: int) -> int | None:
    """An open folder, to be closed; None where there is none, or a link on the way."""
    flags = os.O_PATH | os.O_DIRECTORY | _NOT_FOLLOWED
    try:
        handle = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    for part in (*folder.resolve().parts[1:], *parts):
        try:
            below = os.open(part, flags, dir_fd=handle)
        except OSError:
            return None
        finally:
            os.close(handle)
        handle = below
    return handle
