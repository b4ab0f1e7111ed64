"""Puts Benito's own folders into an OpenVZ container's root: `python openvzmount.py ROOT CONFIG STATUS KIT`.

vzctl runs it by the container's mount script, before anything runs in the container. All is done from inside ROOT, so
that no link that the container's root left there leads out of it. Standard library only, since it runs by itself.
"""

import ctypes
import os
import sys
from pathlib import Path

_PLACES = (("/var/benito/config", True), ("/var/benito/status", False), ("/usr/lib/benito", True))
_MS_RDONLY, _MS_REMOUNT, _MS_BIND = 0x1, 0x20, 0x1000
_INIT = Path("/sbin/init")
#: vzctl starts no other program than /sbin/init.
_SCRIPT = b"#!/usr/lib/benito/busybox sh\nexport container=openvz\nexec /usr/lib/benito/init\n"


def place(root: str, sources: list[str]) -> None:
    """Mounts the sources at their places in `root`, and makes its /sbin/init lead to Benito's. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    handles = [os.open(source, os.O_RDONLY | os.O_DIRECTORY) for source in sources]
    os.chroot(root)
    for handle, (target, read_only) in zip(handles, _PLACES, strict=True):
        os.chdir("/")
        Path(target).mkdir(parents=True, exist_ok=True)
        # A folder that is open stays within reach though it lies outside.
        os.fchdir(handle)
        _mount(libc, b".", target.encode(), _MS_BIND)
        if read_only:
            _mount(libc, b"none", target.encode(), _MS_BIND | _MS_REMOUNT | _MS_RDONLY)
    os.chdir("/")
    _INIT.parent.mkdir(parents=True, exist_ok=True)
    _INIT.unlink(missing_ok=True)
    with os.fdopen(os.open(_INIT, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "wb") as file:
        file.write(_SCRIPT)
        os.fchmod(file.fileno(), 0o755)


def _mount(libc: ctypes.CDLL, source: bytes, target: bytes, flags: int) -> None:
    if libc.mount(source, target, None, flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{target.decode()}: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        place(sys.argv[1], sys.argv[2:])
    except OSError as error:
        sys.exit(f"benito: {error}")
