"""Debian's releases as images, made by mmdebstrap of Debian's own packages."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito.seams import Progress
from benito_domains.images.contained import run_contained
from benito_domains.images.rootfs import Program, find_program

PACKAGES = (
    "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "iputils-ping", "iperf3", "ca-certificates",
    "openssh-client", "netbase", "less", "vim-tiny", "procps",
)  # fmt: skip
#: Manuals, translations and icons are for people at a desk; licences stay.
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*")
_KEPT = "/usr/share/doc/*/copyright"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 1800
#: What the package manager and the build leave behind and a running system makes anew.
_CACHES = (
    "var/cache/apt", "var/cache/debconf", "var/cache/ldconfig", "var/lib/apt/lists", "var/log", "tmp", "var/tmp", "run",
)  # fmt: skip
_PROGRAMS = (
    Program(name="mmdebstrap", package="mmdebstrap"),
    Program(name="setpriv", package="util-linux"),
    Program(name="unshare", package="util-linux"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of Debian: `debian-12`, whose archive calls it `bookworm`."""

    number: int
    suite: str

    @property
    def name(self) -> str:
        """The image's name."""
        return f"debian-{self.number}"


RELEASES = (Release(number=12, suite="bookworm"), Release(number=13, suite="trixie"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A place that this machine's apt fetches Debian from: its address, the suite there, and its label."""

    address: str
    suite: str
    label: str


def missing_programs() -> Sequence[Program]:
    """What the build needs and the host has not."""
    lacking = [program for program in _PROGRAMS if find_program(program.name) is None]
    if not _KEYRING.exists():
        lacking.append(Program(name=str(_KEYRING), package="debian-archive-keyring"))
    return lacking


def build_tree(root: Path, release: Release, progress: Progress) -> None:
    """Fills the empty folder `root`. Raises HypervisorError."""
    phase = f"image {release.name}"
    progress(phase, 0, 2)
    # mmdebstrap keeps services from being started meanwhile.
    scratch = root.with_name("scratch")
    scratch.mkdir(mode=0o755)
    argv: list[str | Path] = [
        # What it keeps beside the tree goes with the build's own folder, also when it is killed.
        "env", f"TMPDIR={scratch}",
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        f"--dpkgopt=path-include={_KEPT}",
    ]  # fmt: skip
    argv += [release.suite, root, *source_lines(release.suite, host_archives())]
    run_contained(argv, seconds=_SECONDS, alone=True)
    shutil.rmtree(scratch)
    progress(phase, 1, 2)
    _clean(root)
    progress(phase, 2, 2)


def host_archives() -> list[Archive]:
    """Where this machine's apt fetches Debian from; nothing on other systems."""
    form = "$(REPO_URI)|$(CODENAME)|$(LABEL)"
    try:
        text = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], error=HypervisorError)
    except HypervisorError:
        return []
    rows = [line.split("|") for line in text.decode(errors="replace").splitlines()]
    found = [Archive(address=row[0], suite=row[1], label=row[2]) for row in rows if len(row) == 3]
    return [archive for archive in found if archive.label in ("Debian", "Debian-Security")]


def source_lines(suite: str, archives: Sequence[Archive]) -> list[str]:
    """apt's lines for a suite and its updates, from where the machine fetches its own Debian and its own updates.

    None where it has none: mmdebstrap then takes Debian's public address.
    """
    places: dict[str, str] = {}
    for archive in archives:
        ending = next((ending for ending in ("-security", "-updates") if archive.suite.endswith(ending)), "")
        if re.fullmatch(r"[!-~]+", archive.address) and (ending or archive.label == "Debian"):
            places.setdefault(ending, archive.address)
    if "" not in places:
        return []
    return [f"deb [signed-by={_KEYRING}] {address} {suite}{ending} main" for ending, address in places.items()]


def _clean(root: Path) -> None:
    for name in _CACHES:
        _empty(root / name)
    for path in (root / "dev").iterdir():
        path.unlink() if path.is_symlink() or not path.is_dir() else path.rmdir()
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")  # empty: each node gets one of its own at its first start
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/hostname").write_text("localhost\n")
    (root / "etc/resolv.conf").write_text("")
    (root / "usr/lib/benito").mkdir(exist_ok=True)


def _empty(folder: Path) -> None:
    """Removes the files below a folder that is the build's own; the folders stay, as packages made them."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
