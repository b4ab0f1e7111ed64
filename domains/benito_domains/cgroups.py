"""Control groups of our own, in whichever form the kernel offers them: cgroup 1, cgroup 2, or both at once.

A node's group is `benito/GROUP.NODE` in each hierarchy that one of its limits needs: GROUP is the experiment's kernel
interface group, in hexadecimal. What lies in the folder `benito` is ours, nothing else is. A controller is where
cgroup 1 has it mounted, else in the tree of cgroup 2.

What the files mean: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/
"""

import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benito.errors import HypervisorError
from benito.names import ExperimentId, interface_group, is_label

#: The folder of our groups, in every hierarchy.
OURS = "benito"
_MOUNTS = Path("/proc/self/mounts")
#: Groups that are made to see whether they can be: this and the number of the process that tries.
_TRY = "try-"
_END_SECONDS = 10
_PERIOD_US = 100_000
_MIB = 1 << 20
#: The least quota that the kernel takes, in microseconds of a period.
_LEAST_QUOTA_US = 1000
_USUAL_SHARES, _USUAL_WEIGHT = 1024, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a group may take: None or 0 where it is not bounded. `cpu_percent` is of one core, `cpu_shares` are
    cgroup 1's, in which 1,024 is usual."""

    memory_mib: int = 0
    cpu_percent: int | None = None
    cpu_shares: int | None = None
    pids: int | None = None

    def controllers(self) -> tuple[str, ...]:
        """The kernel's controllers that it takes."""
        wanted = {
            "memory": self.memory_mib,
            "cpu": self.cpu_percent is not None or self.cpu_shares is not None,
            "pids": self.pids is not None,
        }
        return tuple(name for name, is_wanted in wanted.items() if is_wanted)


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where a controller is: the root of the tree that we see, and whose rules hold there (1 or 2)."""

    root: Path
    version: int


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The controllers of this machine, by name."""

    controllers: Mapping[str, Hierarchy] = field(default_factory=dict)

    def hierarchy(self, controller: str) -> Hierarchy:
        """Where a controller is. Raises HypervisorError where it is not."""
        found = self.controllers.get(controller)
        if found is None:
            raise HypervisorError(f"the kernel offers no cgroup controller {controller!r}", hint=_HINT)
        return found

    def make(self, name: str, bounds: Bounds) -> None:
        """Makes the group and bounds it. The same again, or with other bounds, changes what is there.

        Raises HypervisorError where the kernel lacks something for it.
        """
        for controller in bounds.controllers():
            found = self.hierarchy(controller)
            group = _made(found, name, controller)
            for file, value in _values(controller, found.version, bounds):
                _write_value(group, file, value)

    def entrances(self, name: str) -> list[Path]:
        """The files that take the number of a process which is to join the group; empty where there is no group."""
        return [group / "cgroup.procs" for group in self._groups(name)]

    def join(self, name: str, pid: int) -> None:
        """Moves a process into the group; its children to come are born there. Raises HypervisorError."""
        for entrance in self.entrances(name):
            try:
                entrance.write_text(str(pid))
            except OSError as error:
                raise HypervisorError(f"process {pid} cannot join {entrance.parent}: {error.strerror}") from error

    def remove(self, names: Iterable[str]) -> None:
        """Kills what is in these groups and removes them; nothing where there is none. Raises HypervisorError where a
        process does not end."""
        for name in names:
            groups = self._groups(name)
            end_members(groups)
            for group in groups:
                _remove_tree(group)
        # The folder above goes with the last group.
        for root in self._roots():
            with suppress(OSError):
                (root / OURS).rmdir()

    def names(self, experiment: ExperimentId | None = None) -> list[str]:
        """Our groups, or those of one experiment's nodes."""
        prefix = "" if experiment is None else group_name(experiment, "")
        found = {
            entry.name
            for root in self._roots()
            for entry in _entries(root / OURS)
            if entry.name.startswith(prefix) and entry.is_dir()
        }
        return sorted(found)

    def refusals(self, bounds: Bounds) -> list[tuple[str, str]]:
        """Which controllers cannot be had for such bounds, each with the reason; found by making a group."""
        refused: list[tuple[str, str]] = []
        self.remove([name for name in self.names() if name.startswith(_TRY) and not _lives(name)])
        for controller in bounds.controllers():
            name = f"{_TRY}{os.getpid()}"
            try:
                self.make(name, _only(bounds, controller))
            except HypervisorError as error:
                refused.append((controller, error.message))
            finally:
                self.remove([name])
        return refused

    def _roots(self) -> list[Path]:
        return list(dict.fromkeys(hierarchy.root for hierarchy in self.controllers.values()))

    def _groups(self, name: str) -> list[Path]:
        return [group for root in self._roots() if (group := root / OURS / name).is_dir()]


_HINT = "mount cgroup 2 at /sys/fs/cgroup (systemd.unified_cgroup_hierarchy=1), or cgroup 1's controllers below it"


def group_name(experiment: ExperimentId, node: str) -> str:
    """The name of a node's group in our folder; with "", what all of the experiment's begin with."""
    if node and not is_label(node):
        raise ValueError(f"{node!r} names no node")
    return f"{interface_group(experiment):08x}.{node}"


def find_cgroups(mounts: Path = _MOUNTS) -> Cgroups:
    """The controllers as they are mounted. Those of cgroup 1 come first: the kernel has each in one place only."""
    found: dict[str, Hierarchy] = {}
    second: list[Path] = []
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        _, place, kind, options, *_ = line.split()
        path = Path(place.encode().decode("unicode_escape"))
        if kind == "cgroup":
            for controller in options.split(","):
                if controller in ("memory", "cpu", "cpuacct", "pids"):
                    found.setdefault(controller, Hierarchy(path, 1))
        elif kind == "cgroup2":
            second.append(path)
    for path in second:
        for controller in _words(path / "cgroup.controllers"):
            found.setdefault(controller, Hierarchy(path, 2))
    return Cgroups(found)


def end_members(groups: Sequence[Path]) -> None:
    """Kills every process in these groups and below them. Raises HypervisorError where one does not end."""
    deadline = time.monotonic() + _END_SECONDS
    for group in groups:
        kill = group / "cgroup.kill"  # cgroup 2, since Linux 5.14: all at once, and none can fork away
        with suppress(OSError):
            if kill.exists():
                kill.write_text("1")
    while left := [pid for group in groups for pid in members(group)]:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise HypervisorError(f"process {left[0]} does not end", hint="it may wait for a device")
        time.sleep(0.01)


def members(group: Path) -> list[int]:
    """The processes in a group and below it."""
    found: list[int] = []
    for directory, _, _ in os.walk(group):
        found += [pid for word in _words(Path(directory) / "cgroup.procs") if (pid := int(word)) > 0]
    return found


def weight_of(shares: int) -> int:
    """cgroup 2's weight (1 to 10,000, usually 100) that stands to its usual one as the shares to theirs."""
    return max(1, min(10_000, round(shares * _USUAL_WEIGHT / _USUAL_SHARES)))


def _values(controller: str, version: int, bounds: Bounds) -> Iterator[tuple[str, str]]:
    """The files to write, in order. Those whose name begins with `?` need not be there."""
    if controller == "memory":
        most = str(bounds.memory_mib * _MIB)
        if version == 2:
            yield from (("memory.max", most), ("?memory.swap.max", "0"), ("?memory.oom.group", "0"))
        else:
            yield from (("memory.limit_in_bytes", most), ("?memory.memsw.limit_in_bytes", most))
    elif controller == "pids":
        yield "pids.max", str(bounds.pids)
    else:
        if bounds.cpu_shares is not None:
            if version == 2:
                yield "cpu.weight", str(weight_of(bounds.cpu_shares))
            else:
                yield "cpu.shares", str(bounds.cpu_shares)
        if bounds.cpu_percent is not None:
            quota_us = max(_LEAST_QUOTA_US, bounds.cpu_percent * _PERIOD_US // 100)
            if version == 2:
                yield "cpu.max", f"{quota_us} {_PERIOD_US}"
            else:
                yield from (("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", str(quota_us)))


def _made(hierarchy: Hierarchy, name: str, controller: str) -> Path:
    group = hierarchy.root / OURS / name
    try:
        for above in (hierarchy.root, hierarchy.root / OURS):
            above.mkdir(exist_ok=True)
            if hierarchy.version == 2:
                enable(above, controller)
        group.mkdir(exist_ok=True)
    except FileNotFoundError:  # another command removed the folder above, which was empty
        (hierarchy.root / OURS).mkdir(exist_ok=True)
        return _made(hierarchy, name, controller)
    except OSError as error:
        raise _refusal(group, error) from error
    return group


def enable(group: Path, controller: str) -> None:
    """Lets the groups in a group of cgroup 2 be bounded by a controller. Raises OSError."""
    if controller not in _words(group / "cgroup.subtree_control"):
        (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _write_value(group: Path, file: str, value: str) -> None:
    path = group / file.removeprefix("?")
    if file.startswith("?") and not path.exists():
        return
    try:
        path.write_text(value)
    except OSError as error:
        # A new limit above the old one of memory and swap together: that one is raised first.
        if file != "memory.limit_in_bytes" or error.errno != errno.EINVAL:
            raise _refusal(path, error) from error
        _write_value(group, "memory.memsw.limit_in_bytes", value)
        _write_value(group, "?memory.limit_in_bytes", value)


def _refusal(path: Path, error: OSError) -> HypervisorError:
    return HypervisorError(f"the kernel refuses the limit {path}: {error.strerror}", hint=_HINT)


def _remove_tree(group: Path) -> None:
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):  # gone, or something came into it: the next time
            os.rmdir(directory)  # noqa: PTH106 - as os.walk gives it


def _lives(name: str) -> bool:
    return Path("/proc", name.removeprefix(_TRY)).is_dir()


def _only(bounds: Bounds, controller: str) -> Bounds:
    return Bounds(
        memory_mib=bounds.memory_mib if controller == "memory" else 0,
        cpu_percent=bounds.cpu_percent if controller == "cpu" else None,
        cpu_shares=bounds.cpu_shares if controller == "cpu" else None,
        pids=bounds.pids if controller == "pids" else None,
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # gone meanwhile
        return []
