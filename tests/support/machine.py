"""What a test may have left on this machine: read from the kernel, libvirt and the disk, never from Benito."""

import json
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

STATE = Path("/var/lib/benito")


@dataclass(frozen=True)
class Snapshot:
    """Everything that an experiment can make, as sets of names."""

    links: frozenset[str]
    namespaces: frozenset[str]
    domains: frozenset[str]
    mounts: frozenset[str]
    processes: frozenset[str]
    folders: frozenset[str]
    firewall: frozenset[str]
    cgroups: frozenset[str]
    sockets: frozenset[str]
    loops: frozenset[str]


def difference(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """What came or went; of processes only what came, for others' may end while a test runs."""
    found = {field.name: sorted(getattr(after, field.name) ^ getattr(before, field.name)) for field in fields(Snapshot)}
    found["processes"] = sorted(after.processes - before.processes)
    return {name: items for name, items in found.items() if items}


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def snapshot() -> Snapshot:
    """The machine as it is now."""
    return Snapshot(
        links=frozenset(link["ifname"] for link in json.loads(run("ip", "-j", "link"))),
        namespaces=frozenset(entry.name for entry in _entries(Path("/run/netns"))),
        domains=frozenset(
            f"{uri} {name}"
            for uri in ("lxc:///system", "qemu:///system")
            for name in run("virsh", "-c", uri, "list", "--all", "--name").split()
        ),
        mounts=frozenset(_mounts()),
        processes=frozenset(_processes()),
        folders=frozenset(str(path) for depth in ("*", "*/*") for path in (STATE / "exp").glob(depth)),
        firewall=frozenset(line for line in run("nft", "list", "tables").splitlines() if "benito" in line),
        sockets=frozenset(entry.name for entry in _entries(Path("/run/libvirt/lxc"))),
        cgroups=frozenset(
            str(path)
            for path in (
                *(path for path in Path("/sys/fs/cgroup").glob("**/machine*/*") if "lxc-" in path.name),
                *Path("/sys/fs/cgroup").glob("**/benito/*"),
            )
            if path.is_dir()
        ),
        loops=frozenset(
            path.read_text().strip() for path in Path("/sys/block").glob("loop*/loop/backing_file") if path.exists()
        ),
    )


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _mounts() -> set[str]:
    """Mount points of ours, here and where libvirtd lives."""
    found = set()
    pids = ["self", *run("pidof", "libvirtd").split()] if _has_libvirtd() else ["self"]
    for pid in pids:
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
            point = line.split()[4]
            if "benito" in point or point.startswith("/run/netns/"):
                found.add(f"{'here' if pid == 'self' else 'libvirtd'} {point}")
    return found


def _has_libvirtd() -> bool:
    return subprocess.run(["pidof", "libvirtd"], capture_output=True, check=False).returncode == 0


def _processes() -> set[str]:
    """Guests, containers and whatever runs in a network namespace that is not ours."""
    found = set()
    home = Path("/proc/self/ns/net").readlink()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                elsewhere = (folder / "ns/net").readlink() != home
            except OSError:
                continue
            # A parser reads somebody's file just now and ends with whoever asked; what has no words has ended.
            if "tclsh" in command or not command:
                continue
            if elsewhere or "qemu-system" in command or "libvirt_lxc" in command:
                found.add(f"{folder.name} {command[:80]}")
    return found
