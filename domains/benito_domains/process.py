"""Nodes of kind process: a network namespace, and per program a "room" of mount, uts and pid namespaces around it.

The network namespace is made and removed by the links' driver. No process is there unless a program runs, and a node's
folder is made when the first one does: most nodes of a large experiment never run any. Which nodes there are stands
in one file of the experiment.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from importlib.resources import files as package_files
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import detach
from benito.model import Kind
from benito.names import ExperimentId
from benito.paths import StatePaths, make_directory, write_atomically
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack, NodeLog, Progress, quiet
from benito.status import BootStatus, NodeStatus, StartState, parse_report
from benito_domains.checks import program_lacks, root_lacks
from benito_domains.config import RELEASED, config_files, inner_argv, released_text
from benito_domains.filewatch import watch_folders
from benito_domains.images import SENDER
from benito_domains.leftovers import (
    bound_namespace,
    bound_namespaces,
    end_namespaces,
    end_rooms,
    is_first,
    processes_in,
)
from benito_domains.limits import entrances, limit_lacks, remove_groups
from benito_domains.nodefiles import NodeFiles, nodes_on_disk, read_tail, refuse_mounts
from benito_domains.quotadisk import image_of, mount_limited, unmount_limited
from benito_domains.tarfiles import open_tarfiles, tarfile_lacks, unpack_in_folder

_NAMESPACES = Path("/run/netns")
#: Where a room's own folders are bound; on the machine they are empty.
_MOUNT_POINTS = (Path("/var/benito"), Path("/var/containers"))
#: In a node's folder: for which life of its namespace the start command was started.
_LIFE = "released"
#: Within an experiment's folder: the names of its process nodes, a line each.
_ROSTER = "process-nodes"
_LOGS = {NodeLog.OUT: "start_command.out", NodeLog.ERR: "start_command.err", NodeLog.LOG: "start_command.log"}


class ProcessDriver:
    """A benito.seams.NodeDriver: process nodes as namespaces over the machine's own file system."""

    kind = Kind.PROCESS
    hypervisor = "process"
    sender = str(SENDER)

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:
        """What the host is missing: rights, util-linux's programs for namespaces, limits that were asked for."""
        if not nodes:
            return ()
        element = f"process node {nodes[0].name}"
        lacks = root_lacks(element)
        for program in ("nsenter", "unshare", "setsid"):
            lacks += program_lacks(program, "util-linux", element)
        lacks += limit_lacks(nodes, element)
        for node in nodes:
            lacks += tarfile_lacks(plan, node)
        return lacks

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress = quiet) -> None:  # noqa: ARG002 - the seam's
        """Notes that the nodes are of this kind, and makes the machine's mount points."""
        if not nodes:
            return
        for point in _MOUNT_POINTS:
            make_directory(point, 0o755)
        make_directory(self._paths.experiment(plan.experiment))
        known = self._roster(plan.experiment)
        self._write_roster(plan.experiment, known | {node.name for node in nodes})

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        """The node is up when its namespace is: the links' driver made it. Raises HypervisorError where it did not, and
        for tar files that cannot be unpacked: other nodes are not let go on then."""
        if bound_namespace(_namespace(node)) is None:
            raise HypervisorError(f"{node.dns_name}: its network namespace is missing", hint="apply the plan again")
        if node.tarfiles:
            self._made(plan, node)

    def release(self, plan: PnodePlan, node: NodePlan, moment: float | None = None) -> None:
        """Starts the start command, once in the life of the namespace; it waits for the moment by itself."""
        if not node.start_command:
            return
        files = self._made(plan, node)
        life = _life(_namespace(node))
        mark = files.folder / _LIFE
        with suppress(FileNotFoundError):
            if mark.read_text() == life:
                return
        files.report.unlink(missing_ok=True)
        released = files.config / RELEASED
        released.unlink(missing_ok=True)
        released.write_bytes(released_text(moment))
        # Marked first: a start command that is cut off by a crash in between is better than one that runs twice.
        write_atomically(mark, life.encode(), 0o644)
        start = ["/bin/sh", _script("start.sh"), "/var/benito/config", "/var/benito/log", "/var/benito/status/report"]
        detach([*self._room(plan, node, "become"), *start], error=HypervisorError)

    def stop(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """Kills what runs in the nodes; their files stay, and at the next `release` start commands run again."""
        made = [(node, self._files(plan.experiment, node.name)) for node in nodes]
        made = [(node, files) for node, files in made if files.folder.is_dir()]  # in others, nothing ever ran
        # The marks go first: after a cut here, the start commands that live on are killed by the next `stop`.
        for _, files in made:
            (files.folder / _LIFE).unlink(missing_ok=True)
        self._end(plan.experiment, [node.name for node, _ in made], [files.folder for _, files in made])
        for _, files in made:
            files.report.unlink(missing_ok=True)

    def suspend(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """The same as `stop`: a process node has no state but its files. Its namespace goes with its links."""
        self.stop(plan, nodes)
        for node in nodes:
            if node.limits.disk_mib is not None:
                unmount_limited(self._files(plan.experiment, node.name).folder / "var")

    def watch(
        self, experiment: ExperimentId, nodes: Sequence[NodePlan], changed: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """By inotify: namespaces that come and go, and what start commands report."""
        above = self._paths.experiment(experiment)
        reports = [self._files(experiment, node.name).status for node in nodes if node.start_command]
        return watch_folders([_NAMESPACES, above, above / "nodes", *reports], changed)

    def read_log(self, plan: PnodePlan, node: NodePlan, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        """A part of what the start command printed, or of what happened to it. Raises HypervisorError."""
        if log not in _LOGS:
            raise _no_console(node)
        return _read_piece(self._files(plan.experiment, node.name).log, _LOGS[log], offset, most_bytes)

    def console_argv(self, plan: PnodePlan, node: NodePlan) -> list[str]:  # noqa: ARG002 - the seam's
        """Raises HypervisorError: there is no console."""
        raise _no_console(node)

    def observe(self, experiment: ExperimentId, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        """A node whose namespace is there is booted; its start command reports to a file."""
        there = bound_namespaces(_NAMESPACES)
        noted = self._roster(experiment)
        seen: dict[str, NodeStatus] = {}
        for node in nodes:
            if node.name not in noted or node.dns_name not in there:
                continue
            said = NodeStatus(boot=BootStatus.BOOTED)
            if node.start_command:
                said = parse_report(read_tail(self._files(experiment, node.name).status, "report"))
                said = replace(said, boot=BootStatus.BOOTED, start=said.start or StartState.WAITING)
            seen[node.name] = said
        return seen

    def argv(self, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool) -> list[str]:
        """Joins the start command's room where that is alive, so that its processes are seen; else a room of its own.

        Raises HypervisorError for a node that is not there.
        """
        inner = inner_argv(command, terminal=terminal)
        pid = _start_room(_namespace(node))
        if pid is None:
            return [*self._room(plan, node, "run"), *inner]
        return [
            *_joining(plan, node),
            "nsenter",
            "--target",
            str(pid),
            "--net",
            "--mount",
            "--uts",
            "--pid",
            "--",
            *inner,
        ]

    def destroy(self, experiment: ExperimentId, nodes: Sequence[NodePlan] | None) -> None:
        """Kills what runs in the nodes' namespaces and removes their folders; the namespaces go with the links."""
        known = self._roster(experiment)
        on_disk = {name for name, _ in nodes_on_disk(self._paths, experiment, Kind.PROCESS)}
        names = sorted((known | on_disk) & {node.name for node in nodes} if nodes is not None else known | on_disk)
        folders = [self._files(experiment, name).folder for name in names if name in on_disk]
        folders += [folder for name in names if (folder := self._scratch(experiment, name).folder).is_dir()]
        self._end(experiment, names, folders)
        for folder in folders:
            if image_of(folder / "var").exists():
                unmount_limited(folder / "var")
        refuse_mounts(folders)
        for folder in folders:
            NodeFiles(folder).remove(checked=True)
        if known:
            self._write_roster(experiment, known.difference(names))
        self._paths_unused()

    @staticmethod
    def _end(experiment: ExperimentId, names: Sequence[str], folders: Sequence[Path]) -> None:
        """Kills what is in the nodes' groups, in their namespaces, or has one of their folders as its /var/benito."""
        if names:
            remove_groups(experiment, names)
            end_namespaces(_NAMESPACES / experiment.dns_name(name) for name in names)
            end_rooms(folder / "var" for folder in folders)

    def _roster(self, experiment: ExperimentId) -> set[str]:
        try:
            return set((self._paths.experiment(experiment) / _ROSTER).read_text().split())
        except FileNotFoundError:
            return set()

    def _write_roster(self, experiment: ExperimentId, names: Iterable[str]) -> None:
        path = self._paths.experiment(experiment) / _ROSTER
        text = "".join(f"{name}\n" for name in sorted(names))
        if text:
            write_atomically(path, text.encode(), 0o644)
        else:
            path.unlink(missing_ok=True)

    def _made(self, plan: PnodePlan, node: NodePlan) -> NodeFiles:
        """The node's folder, made whole if it is not there: two commands may want it at once, and one may be cut."""
        files = self._files(plan.experiment, node.name)
        if files.kind() is Kind.PROCESS and _is_whole(files, node):
            return files
        make_directory(files.folder.parent)
        with _locked(files.folder.parent):
            if files.folder.is_dir():
                self._fill(files, plan, node, unpack=False)
            else:
                scratch = self._scratch(plan.experiment, node.name)
                self._fill(scratch, plan, node, unpack=True)
                scratch.folder.rename(files.folder)
        return files

    @staticmethod
    def _fill(files: NodeFiles, plan: PnodePlan, node: NodePlan, *, unpack: bool) -> None:
        if node.limits.disk_mib is not None:
            make_directory(files.folder)
            mount_limited(files.folder / "var", node.limits.disk_mib, mode=0o755)
        files.make(Kind.PROCESS)
        files.write_config(config_files(plan, node, None), os.geteuid())
        if unpack and node.tarfiles:
            with open_tarfiles(plan, node) as tarfiles:
                unpack_in_folder(tarfiles, files.folder / "var", node.dns_name)

    def _room(self, plan: PnodePlan, node: NodePlan, how: str) -> list[str]:
        """The words before a program that is to run in a room of its own."""
        namespace = _namespace(node)
        if bound_namespace(namespace) is None:
            raise HypervisorError(f"{node.dns_name} is not there", hint="benito status says how it is")
        folder = self._made(plan, node).folder
        unshare = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "slave"]
        room = ["/bin/sh", _script("room.sh"), node.name, str(folder), how]
        return [*_joining(plan, node), "nsenter", f"--net={namespace}", "--", *unshare, "--mount-proc", *room]

    def _scratch(self, experiment: ExperimentId, node: str) -> NodeFiles:
        """Where a node's folder is made; no node can be called so."""
        folder = self._files(experiment, node).folder
        return NodeFiles(folder.with_name(f".{node}"))

    def _files(self, experiment: ExperimentId, node: str) -> NodeFiles:
        return NodeFiles(self._paths.node(experiment, node))

    def _paths_unused(self) -> None:
        """Removes the machine's mount points when no process node is left.

        Not while any process has something mounted there: to remove a folder also unmounts it everywhere.
        """
        if any(self._paths.root.glob(f"exp/*/*/{_ROSTER}")) or _mounted_anywhere(_MOUNT_POINTS):
            return
        for point in _MOUNT_POINTS:
            with suppress(OSError):  # not there, or it holds something: then it is somebody's
                point.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_whole(files: NodeFiles, node: NodePlan) -> bool:
    """Whether what the node's folder holds is in its place: a file system of its own is not, after a restart."""
    return node.limits.disk_mib is None or files.config.is_dir()


def _joining(plan: PnodePlan, node: NodePlan) -> list[str]:
    """The words before a program that is to be bounded as the node is."""
    files = entrances(plan.experiment, node)
    return ["/bin/sh", _script("join.sh"), *map(str, files), "--"] if files else []


def _no_console(node: NodePlan) -> HypervisorError:
    return HypervisorError(
        f"{node.name}: process nodes have no console", hint=f"a shell in it: benito ssh EXPERIMENT {node.name}"
    )


def _read_piece(folder: Path, name: str, offset: int, most_bytes: int) -> bytes:
    """Empty where it is no plain file: no link is followed."""
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return b""
    finally:
        os.close(directory)
    with os.fdopen(handle, "rb", buffering=0):
        return os.pread(handle, most_bytes, offset) if stat.S_ISREG(os.fstat(handle).st_mode) else b""


def _namespace(node: NodePlan) -> Path:
    return _NAMESPACES / node.dns_name


def _life(namespace: Path) -> str:
    """Differs between any two namespaces of that name, since numbers of namespaces are used again."""
    status = bound_namespace(namespace)
    if status is None:
        raise HypervisorError(f"the network namespace {namespace} is missing", hint="apply the plan again")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {status.st_ino} {status.st_ctime_ns}\n"


def _start_room(namespace: Path) -> int | None:
    """The first process of the start command's room; None where none runs."""
    status = bound_namespace(namespace)
    if status is None:
        return None
    wanted = b"benito_domains/guest/start.sh"
    for pid in processes_in({status.st_ino}):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2]
            if any(word.endswith(wanted) for word in words) and is_first(pid):
                return pid
    return None


def _mounted_anywhere(points: Sequence[Path]) -> bool:
    wanted = {str(point) for point in points}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            text = (entry / "mountinfo").read_text(errors="replace")
            if any(line.split()[4] in wanted for line in text.splitlines()):
                return True
    return False


def _script(name: str) -> str:
    return str(package_files("benito_domains").joinpath("guest", name))
