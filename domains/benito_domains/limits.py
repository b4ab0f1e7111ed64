"""What a node may take of its pnode: from its plan to groups of the kernel and file systems of a size.

libvirt bounds the memory and CPU time of its domains (`render`), quotadisk.py disks. Here is the rest: all of process
nodes, the processes of containers, what virtual machines print. docs/limits.md is the manual.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from benito.checkup import Finding, Verdict
from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import NodePlan
from benito.policy import PIDS
from benito.seams import Lack
from benito_domains.cgroups import Bounds, Cgroups, Hierarchy, enable, find_cgroups, group_name, members, weight_of
from benito_domains.quotadisk import disk_lacks

#: Of a group that a container's root may own, these files let it divide what it has; the others are limits.
_DELEGATED = frozenset({"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"})
_ALL = Bounds(memory_mib=64, cpu_percent=100, cpu_shares=1024, pids=64)
#: Without it, libvirt has qemu itself write what machines print, without end.
_LOG_SERVER = Path("/run/libvirt/virtlogd-sock")


def bounds_of(node: NodePlan) -> Bounds:
    """The bounds of a process node's own group."""
    limits = node.limits
    return Bounds(
        memory_mib=node.memory_mib,
        cpu_percent=limits.cpu_percent,
        cpu_shares=limits.cpu_shares,
        pids=limits.pids,
    )


def entrances(experiment: ExperimentId, node: NodePlan) -> list[Path]:
    """Makes a process node's group as its plan says, and returns the files by which a process joins it: the number
    goes into each. Empty where nothing bounds the node. Raises HypervisorError, but not for want of a usual limit."""
    bounds = bounds_of(node)
    if not bounds.controllers():
        return []
    cgroups, name = find_cgroups(), group_name(experiment, node.name)
    asked = _asked(node)
    cgroups.make(name, asked)
    if asked != bounds:
        with suppress(HypervisorError):  # `doctor` says so
            cgroups.make(name, bounds)
    return cgroups.entrances(name)


def libvirt_shares(shares: int | None) -> int | None:
    """A node's weight for CPU time as libvirt hands it to the kernel: with cgroup 2 that takes 1 to 10,000."""
    if shares is None:
        return None
    hierarchy = find_cgroups().controllers.get("cpu")
    return weight_of(shares) if hierarchy is not None and hierarchy.version == 2 else shares


def remove_groups(experiment: ExperimentId, nodes: Iterable[str]) -> None:
    """Kills what is in these nodes' groups of ours, and removes them. Raises HypervisorError."""
    cgroups = find_cgroups()
    there = set(cgroups.names(experiment))
    cgroups.remove(sorted(there & {group_name(experiment, node) for node in nodes}))


def limit_pids(first: int, experiment: ExperimentId, node: str, most: int) -> None:
    """Bounds how many processes and threads the container of process `first` has; to be called once it has started.

    With cgroup 1, whose pids controller libvirt does not use, all of its processes go into a group of ours, which
    `remove_groups` removes; with cgroup 2 the domain's own group is bounded. Nothing where the container has ended
    meanwhile, and for want of the usual limit only. Raises HypervisorError.
    """
    cgroups = find_cgroups()
    try:
        hierarchy = cgroups.hierarchy("pids")
        if hierarchy.version == 1:
            _gather(cgroups, first, experiment, node, most)
        else:
            _bound_domain(hierarchy, first, most)
    except (OSError, HypervisorError) as error:
        if not Path(f"/proc/{first}").is_dir() or most == PIDS.get(Kind.OPENVZ):
            return
        raise HypervisorError(f"the processes of {node} cannot be bounded: {error}") from error


def limit_lacks(nodes: Sequence[NodePlan], element: str) -> list[Lack]:
    """What this machine lacks for limits that these nodes, all of one kind, ask for. Each is tried."""
    asked = [_asked(node) for node in nodes]
    wanted = Bounds(
        memory_mib=max((bounds.memory_mib for bounds in asked), default=0),
        cpu_percent=next((bounds.cpu_percent for bounds in asked if bounds.cpu_percent is not None), None),
        cpu_shares=next((bounds.cpu_shares for bounds in asked if bounds.cpu_shares is not None), None),
        pids=max((bounds.pids for bounds in asked if bounds.pids is not None), default=None),
    )
    lacks = [
        Lack(missing=f"the limit {controller} ({reason})", element=element, hint="mount that cgroup controller")
        for controller, reason in (find_cgroups().refusals(wanted) if wanted.controllers() else ())
    ]
    if any(node.limits.disk_mib is not None and node.kind is not Kind.QEMU for node in nodes):
        lacks += disk_lacks(element)
    return lacks


def limit_findings() -> list[Finding]:
    """Which limits can be had here, for `doctor`."""
    refused = [f"{controller} ({reason})" for controller, reason in find_cgroups().refusals(_ALL)]
    refused += [lack.missing for lack in disk_lacks("nodes")]
    groups = Finding(
        subject="limits",
        verdict=Verdict.NOTE if refused else Verdict.OK,
        said=f"nodes cannot be bounded in: {'; '.join(refused)}"
        if refused
        else "memory, CPU, processes and disk of nodes can be bounded",
        hint="mount these cgroup controllers; load the modules loop and ext4; see docs/limits.md" if refused else None,
    )
    return [groups, _log_server()]


def _log_server() -> Finding:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        try:
            client.connect(str(_LOG_SERVER))
        except OSError:
            return Finding(
                subject="virtlogd",
                verdict=Verdict.NOTE,
                said="does not answer: what qemu nodes print on their consoles may fill the disk",
                hint="systemctl start virtlogd.socket; without systemd: scripts/libvirtd",
            )
    return Finding(subject="virtlogd", verdict=Verdict.OK, said="answers: it bounds what qemu nodes print")


def _asked(node: NodePlan) -> Bounds:
    """What a node's file asks for. A usual limit that cannot be had holds nobody up."""
    limits = node.limits
    return Bounds(
        memory_mib=node.memory_mib if node.kind is Kind.PROCESS else 0,
        cpu_percent=limits.cpu_percent,
        cpu_shares=limits.cpu_shares,
        pids=None if limits.pids == PIDS.get(node.kind) else limits.pids,
    )


def _gather(cgroups: Cgroups, first: int, experiment: ExperimentId, node: str, most: int) -> None:
    name = group_name(experiment, node)
    cgroups.make(name, Bounds(pids=most))
    cgroups.join(name, first)
    # What it has started before it was in. Whatever these start from now on is born in the group, so two looks that
    # find the same are enough.
    (entrance,) = cgroups.entrances(name)
    inside = {first}
    while more := {pid for pid in _container_processes(cgroups, first) if pid not in inside}:
        for pid in more:
            with suppress(ProcessLookupError):
                entrance.write_text(str(pid))
        inside |= more


def _container_processes(cgroups: Cgroups, first: int) -> Iterator[int]:
    """The processes of the container's domain that are in it: libvirt's own helper is in its group too."""
    space = Path(f"/proc/{first}/ns/pid").readlink()
    for hierarchy, path in _groups_of(cgroups, first):
        if path == "/" or hierarchy.root.joinpath(path.lstrip("/")).parts[-2:-1] == ("benito",):
            continue
        for pid in members(hierarchy.root / path.lstrip("/")):
            with suppress(OSError):
                if Path(f"/proc/{pid}/ns/pid").readlink() == space:
                    yield pid
        return


def _groups_of(cgroups: Cgroups, pid: int) -> Iterator[tuple[Hierarchy, str]]:
    """In which group of which hierarchy of ours a process is."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for hierarchy in [cgroups.controllers[name] for name in names.split(",") if name in cgroups.controllers]:
            yield hierarchy, path
            break
        if not names:
            yield from ((found, path) for found in cgroups.controllers.values() if found.version == 2)


def _bound_domain(hierarchy: Hierarchy, first: int, most: int) -> None:
    domain = domain_group(hierarchy.root, Path(f"/proc/{first}/cgroup").read_text())
    if domain is None:
        raise FileNotFoundError(f"process {first} is in no libvirt domain's group")
    for above in reversed(domain.relative_to(hierarchy.root).parents):
        enable(hierarchy.root / above, "pids")
    (domain / "pids.max").write_text(str(most))
    # libvirt makes the container's root the owner of all files of its group: it could lift its limits.
    for file in domain.iterdir():
        if file.is_file() and file.name not in _DELEGATED:
            os.chown(file, 0, 0)


def domain_group(root: Path, groups: str) -> Path | None:
    """The group of cgroup 2 of the libvirt LXC domain that a process is in, by its /proc/PID/cgroup."""
    for line in groups.splitlines():
        number, _, path = line.split(":", 2)
        if number != "0":
            continue
        parts = path.strip("/").split("/")
        for count, part in enumerate(parts, 1):
            if part.endswith(".libvirt-lxc") or (part.startswith("machine-lxc") and part.endswith(".scope")):
                return root.joinpath(*parts[:count])
    return None
