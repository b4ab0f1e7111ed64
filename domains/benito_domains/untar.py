"""Unpacks a tar file, shut into a folder: `python untar.py FOLDER NAME DIRECTORY`, both names as seen from FOLDER.

FOLDER is this process's root meanwhile, so that no name and no link in the archive leads out of it. Devices are left
out; owner is who runs this; nothing is made set-user-id. Standard library only, since it runs by itself.
"""

import bz2  # noqa: F401 - from within FOLDER nothing more can be imported
import encodings.ascii
import encodings.iso8859_1  # noqa: F401
import gzip  # noqa: F401
import lzma
import os
import sys
import tarfile
import zlib
from pathlib import Path

_MODE = 0o777


def unpack(folder: str, name: str, directory: str) -> None:
    """Raises OSError and tarfile.TarError."""
    os.chroot(folder)
    os.chdir("/")
    target = Path("/", directory)
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(f"/{name}") as archive:
        archive.extraction_filter = staticmethod(lambda member, _path: member)  # newer Pythons would judge each name
        for member in archive:
            if member.isdev():
                continue
            member.uid, member.gid = os.geteuid(), os.getegid()
            member.uname = member.gname = ""
            member.mode &= _MODE
            archive.extract(member, target, numeric_owner=True)


if __name__ == "__main__":
    try:
        unpack(*sys.argv[1:])
    except (OSError, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
