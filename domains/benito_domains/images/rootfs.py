"""The tree of the built-in image `micro`: a small system from the host's own Debian packages, built in seconds.

What makes a node of it is in the kit (kit.py).
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run

_FOLDERS = (
    "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/lib/benito", "usr/share",
    "dev", "etc", "home", "mnt", "opt", "proc", "root/.ssh", "run", "sys", "tmp",
    "var/benito/config", "var/benito/log", "var/benito/status", "var/log", "var/tmp", "var/lib",
)  # fmt: skip
#: Merged /usr, as Debian has it, so that a library's path means the same in the node as on the host.
_LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "var/run": "../run",
    "var/containers": "benito",
    # Not busybox's shell: that would run its own `ip` and `ping` instead of the real ones.
    "usr/bin/sh": "dash",
    "usr/bin/ssh": "dbclient",
    "etc/mtab": "../proc/mounts",
}
_TEXTS = {
    "etc/passwd": "root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/shells": "/bin/sh\n/bin/ash\n/bin/bash\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # Read by dash too, whose prompt knows variables only.
    "etc/profile": (
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        """PS1="root@$(hostname):"'$PWD# '\n"""
    ),
    "etc/os-release": 'NAME="Benito micro"\nID=benito-micro\nPRETTY_NAME="Benito micro"\n',
    "etc/hosts": "127.0.0.1\tlocalhost\n",
    "etc/resolv.conf": "",
}
_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "root/.ssh": 0o700}
#: What sends datagrams in a node, when links are tested.
SENDER = Path(str(files("benito_domains").joinpath("native", "sender")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of the host that the image takes, and the Debian package that has it."""

    name: str
    package: str
    optional: bool = False


PROGRAMS = (
    Program(name="busybox", package="busybox-static"),
    Program(name="dash", package="dash"),
    Program(name="dbclient", package="dropbear-bin", optional=True),
    Program(name="ip", package="iproute2"),
    Program(name="tc", package="iproute2"),
    Program(name="ping", package="iputils-ping"),
    Program(name="iperf3", package="iperf3"),
    Program(name="bash", package="bash", optional=True),
)
_SEARCH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


def find_program(name: str) -> Path | None:
    """Where the host has a program, whatever the caller's PATH."""
    found = shutil.which(name, path=":".join(_SEARCH))
    return Path(found) if found else None


def absent(programs: Iterable[Program]) -> list[Program]:
    """Those that the host has not."""
    return [program for program in programs if not program.optional and find_program(program.name) is None]


def missing_programs() -> list[Program]:
    """What the image needs and the host has not."""
    lacking = absent(PROGRAMS)
    busybox = find_program("busybox")
    if busybox is not None and shared_libraries(busybox):
        lacking.append(PROGRAMS[0])  # the dynamically linked package has the same name, and fewer applets
    return lacking


def program_marks() -> list[str]:
    """What tells whether one of the host's programs has changed since."""
    marks: list[str] = []
    for program in PROGRAMS:
        path = find_program(program.name)
        status = path.stat() if path else None
        marks.append(f"{program.name} {status.st_size if status else 0} {status.st_mtime_ns if status else 0}")
    return marks


def shared_libraries(program: Path) -> list[str]:
    """The absolute paths of the libraries a program needs, and of its loader; none for a static one."""
    try:
        text = run(["ldd", program], error=HypervisorError).decode()
    except HypervisorError:
        return []  # "not a dynamic executable" is ldd's exit code 1
    return re.findall(r"(/[^\s()]+) \(0x", text)


def build_tree(root: Path) -> None:
    """Fills the empty folder `root`. Raises HypervisorError with the packages that are missing."""
    lacking = missing_programs()
    if lacking:
        names = sorted({program.package for program in lacking})
        raise HypervisorError("the image micro cannot be built here", hint=f"apt-get install {' '.join(names)}")
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, target in _LINKS.items():
        (root / name).symlink_to(target)
    libraries: set[str] = set()
    for program in PROGRAMS:
        source = find_program(program.name)
        if source is None:
            continue
        shutil.copy2(source.resolve(), root / "usr/bin" / program.name)
        libraries.update(shared_libraries(source))
    for library in sorted(libraries):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(library).resolve(), place)
    _link_applets(root)
    for name, text in _TEXTS.items():
        (root / name).write_text(text)
    for name, mode in _MODES.items():
        (root / name).chmod(mode)


def _link_applets(root: Path) -> None:
    """A link for every busybox applet whose name no real program has taken."""
    for line in run([root / "usr/bin/busybox", "--list"], error=HypervisorError).decode().split():
        link = root / "usr/bin" / line
        if not link.is_symlink() and not link.exists():
            link.symlink_to("busybox")
