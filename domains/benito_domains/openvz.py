"""Nodes of kind openvz on a kernel of OpenVZ's: containers by libvirt's own OpenVZ driver and vzctl.

That driver runs in our process, reads all containers when it is opened and is told of no change: each call opens it
anew. Facts of libvirt 9.0, seen: to undefine a domain it runs `vzctl start destroy`, which vzctl refuses; to create one
of a template it hands over bytes of its own memory as the template's name. So roots are folders, and vzctl removes.
"""

import shlex
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito.model import Kind
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack, NodeLog, Progress, quiet
from benito.status import BootStatus, NodeStatus
from benito_domains.checks import program_lacks, root_lacks
from benito_domains.config import KIT_INSIDE, config_files, inner_argv
from benito_domains.domainlogs import read_container_log
from benito_domains.filewatch import watch_folders
from benito_domains.hypervisor import Libvirt
from benito_domains.images.image import Image
from benito_domains.images.kit import build_kit
from benito_domains.images.store import ImageStore
from benito_domains.keys import make_experiment_key, make_keys, remove_unused_keys
from benito_domains.leftovers import delete_stale_devices
from benito_domains.nodefiles import NodeFiles, nodes_on_disk
from benito_domains.nodeimages import ensure_images, hold_image, images_lack
from benito_domains.openvzconf import ConfFolder, Container, mount_script, openvz_xml, parameter
from benito_domains.parallel import in_parallel
from benito_domains.tarfiles import copy_tarfiles, list_file, open_tarfiles, tarfile_lacks

URI = "openvz:///system"
_KERNEL = Path("/proc/vz")
_GLOBAL = Path("/etc/vz/vz.conf")
_RUNNING, _MOUNTED = "running", "mounted"
_DEFINE_TRIES = 5
_PAGES_PER_MIB = 256
_SECONDS = 300
#: libvirt's driver writes a container's uuid behind its other parameters; whoever opens it meanwhile adds another.
_OPENING = threading.Lock()


def openvz_works() -> str | None:
    """Why openvz nodes cannot be OpenVZ's own containers here; None where they can. It is tried."""
    if not _KERNEL.exists():
        return f"this is no kernel of OpenVZ's ({_KERNEL} is not there)"
    try:
        with _libvirt() as libvirt:
            libvirt.check()
    except HypervisorError as error:
        return error.message
    return None


class OpenVzDriver:
    """A benito.seams.NodeDriver: openvz nodes as OpenVZ's containers."""

    kind = Kind.OPENVZ
    hypervisor = "openvz"
    sender = f"{KIT_INSIDE}/sender"

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths
        self._images = ImageStore(paths)

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:
        """What the host is missing: rights, OpenVZ and its programs, what a new container is made after, images."""
        if not nodes:
            return ()
        element = f"openvz node {nodes[0].name}"
        lacks = [*root_lacks(element), *program_lacks("vzctl", "vzctl", element)]
        reason = openvz_works()
        if reason is not None:
            lacks.append(Lack(missing=reason, element=element, hint="start OpenVZ's kernel, and its service vz"))
        elif not _sample().exists():
            hint = f"set CONFIGFILE in {_GLOBAL}"
            lacks.append(
                Lack(missing=f"the file {_sample()} after which containers are made", element=element, hint=hint)
            )
        if any(template.kind is Kind.OPENVZ for template in plan.templates):
            hint = "leave it out: this machine's openvz nodes are OpenVZ's own containers"
            lacks.append(Lack(missing="a use for the template of openvz nodes", element=element, hint=hint))
        lacks += images_lack(self._images, nodes)
        for node in nodes:
            lacks += tarfile_lacks(plan, node)
        return lacks

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress = quiet) -> None:
        """Builds or fetches the images, and makes for each node its folder, keys, configuration and root."""
        images = ensure_images(self._images, nodes, progress)
        if nodes:
            build_kit(self._paths, progress)
            make_experiment_key(self._paths, plan.experiment)
        in_parallel(lambda node: self._prepare(plan, node, images[node.name]), nodes)

    def _prepare(self, plan: PnodePlan, node: NodePlan, image: Image) -> None:
        files = self._files(plan.experiment, node.name)
        files.make(Kind.OPENVZ)
        _make_root(hold_image(self._images, node, files, image), _private(files))
        keys = make_keys(self._paths, plan.experiment, node, files)
        with open_tarfiles(plan, node) as tarfiles:
            texts = {**config_files(plan, node, keys), **list_file(tarfiles, on_disk=False)}
            files.write_config(texts, 0, others=[one.name for one in tarfiles])
            copy_tarfiles(tarfiles, files.config, 0)

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        """Defines the node's container anew and starts it; nothing if it runs."""
        folder = ConfFolder.find()
        files = self._files(plan.experiment, node.name)
        script = mount_script(plan, node, config=files.config, status=files.status, kit=build_kit(self._paths))
        container = folder.take(plan, node, script)
        if _states().get(container.veid) == _RUNNING:
            return
        self._end(node.dns_name, container)
        delete_stale_devices(_devices(node))
        files.hold()
        xml = openvz_xml(plan, node, container.veid, _private(files))
        self._define(folder, container, node, xml)
        _vzctl("set", container.veid, *_limits(node), "--save")
        with _libvirt() as libvirt:
            libvirt.start(node.dns_name, node.uuid)
        if _states().get(container.veid) != _RUNNING:
            raise HypervisorError(f"{node.dns_name}: its container {container.veid} does not run", hint="see vzctl.log")

    @staticmethod
    def _define(folder: ConfFolder, container: Container, node: NodePlan, xml: str) -> None:
        for _ in range(_DEFINE_TRIES):
            # What a cut left, or the last start: no domain that runs has it.
            folder.conf(container.veid).unlink(missing_ok=True)
            with _libvirt() as libvirt:
                libvirt.define(node.dns_name, xml)
            if f"#UUID: {node.uuid}" in folder.conf(container.veid).read_text(errors="replace").splitlines():
                return
        raise HypervisorError(
            f"{node.dns_name}: somebody else numbers its container {container.veid}", hint="try again"
        )

    def release(self, plan: PnodePlan, node: NodePlan, moment: float | None = None) -> None:
        """Lets the node go on to its start command."""
        self._files(plan.experiment, node.name).release(moment)

    def stop(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:  # noqa: ARG002 - the seam's
        """Ends the containers' processes, by their own shutdown first."""
        for node in nodes:
            container = ConfFolder.find().of(node.uuid)
            if container is not None:
                self._end(node.dns_name, container)

    def suspend(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """The same; their files are put away, their processes end."""
        self.stop(plan, nodes)

    def watch(
        self, experiment: ExperimentId, nodes: Sequence[NodePlan], changed: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """What the containers report, and that containers come and go: libvirt's driver has no events."""
        reports = [self._files(experiment, node.name).status for node in nodes]
        return watch_folders([ConfFolder.find().path, *reports], changed)

    def read_log(self, plan: PnodePlan, node: NodePlan, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        """From the container's own file system, whether it runs or not."""
        files = self._files(plan.experiment, node.name)
        return read_container_log(files, _private(files), log, offset, most_bytes)

    def console_argv(self, plan: PnodePlan, node: NodePlan) -> list[str]:  # noqa: ARG002 - the seam's
        """vzctl, on the container's terminal."""
        return ["vzctl", "console", str(_running(node))]

    def observe(self, experiment: ExperimentId, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        """Each node by its container's state and its own report."""
        folder = ConfFolder.find()
        known = {one.uuid: one for one in folder.containers() if not one.destroyed}
        states = _states() if known else {}
        seen: dict[str, NodeStatus] = {}
        for node in nodes:
            container = known.get(node.uuid)
            state = None if container is None else states.get(container.veid)
            if state is None:
                continue  # none yet, or one whose making was cut
            files = self._files(experiment, node.name)
            status = files.read_status()
            if state != _RUNNING:
                words = files.last_words()
                reason = f"its container is {state}" + (f"; its last words: {words}" if words else "")
                status = NodeStatus(boot=BootStatus.DEAD, exit_code=status.exit_code, reason=reason)
            seen[node.name] = status
        return seen

    def argv(
        self,
        plan: PnodePlan,  # noqa: ARG002 - the seam's
        node: NodePlan,
        command: Sequence[str],
        *,
        terminal: bool,
    ) -> list[str]:
        """By vzctl, which hands one text to a shell in the container: the words are quoted for it."""
        how = ["enter", str(_running(node)), "--exec"] if terminal else ["exec2", str(_running(node))]
        return ["vzctl", *how, shlex.join(inner_argv(command, terminal=terminal, kit=True))]

    def destroy(self, experiment: ExperimentId, nodes: Sequence[NodePlan] | None) -> None:
        """Ends and removes the containers that bear the experiment's mark, and the nodes' folders."""
        marked = self._marked(experiment, None if nodes is None else {node.uuid for node in nodes})
        in_parallel(lambda container: self._remove(experiment, container), marked)
        names = {name for name, _ in nodes_on_disk(self._paths, experiment, Kind.OPENVZ)}
        if nodes is not None:
            names &= {node.name for node in nodes}
        for name in sorted(names):
            _remove_folder(self._files(experiment, name))
        if not any(nodes_on_disk(self._paths, experiment, Kind.OPENVZ)):
            remove_unused_keys(self._paths, experiment)

    @staticmethod
    def _marked(experiment: ExperimentId, uuids: set[object] | None) -> list[Container]:
        try:
            folder = ConfFolder.find()
        except HypervisorError:
            return []  # vzctl is gone, and its containers with it
        return [
            one for one in folder.containers() if one.experiment == experiment and (uuids is None or one.uuid in uuids)
        ]

    def _remove(self, experiment: ExperimentId, container: Container) -> None:
        folder = ConfFolder.find()
        if container.destroyed:
            folder.forget(container)
            return
        private = _private(self._files(experiment, container.node))
        self._end(experiment.dns_name(container.node), container)
        conf = folder.conf(container.veid)
        # One without a root of its own was cut while it was made: nothing ever ran in it.
        if parameter(conf, "VE_PRIVATE") == str(private):
            # vzctl removes the folder behind our back: it is given an empty one.
            shutil.rmtree(private, ignore_errors=True)
            private.mkdir(parents=True, exist_ok=True)
            _vzctl("destroy", container.veid)
        folder.forget(container)
        for left in folder.containers():
            if left.uuid == container.uuid:
                folder.forget(left)

    @staticmethod
    def _end(name: str, container: Container) -> None:
        """Until the container is neither running nor mounted."""
        state = _states().get(container.veid)
        if state == _RUNNING:
            with _libvirt() as libvirt:
                libvirt.stop(name, container.uuid)
            state = _states().get(container.veid)
        if state == _RUNNING:
            raise HypervisorError(f"{name}: its container {container.veid} does not end", hint="see vzctl.log")
        if state == _MOUNTED:
            _vzctl("umount", container.veid)

    def _files(self, experiment: ExperimentId, node: str) -> NodeFiles:
        return NodeFiles(self._paths.node(experiment, node))


@contextmanager
def _libvirt() -> Iterator[Libvirt]:
    """libvirt's driver, opened anew and by one thread at a time."""
    with _OPENING:
        libvirt = Libvirt(URI)
        try:
            yield libvirt
        finally:
            libvirt.close()


def _states() -> Mapping[int, str]:
    """The state of every container, in OpenVZ's words. Raises HypervisorError."""
    if not any(ConfFolder.find().path.glob("[1-9]*.conf")):
        return {}  # vzlist may take it for a fault
    text = run(["vzlist", "-a", "-H", "-o", "vpsid,status"], error=HypervisorError).decode(errors="replace")
    words = (line.split() for line in text.splitlines())
    return {int(found[0]): found[1] for found in words if len(found) == 2 and found[0].isdigit()}


def _vzctl(verb: str, veid: int, *words: str) -> None:
    run(["vzctl", "--quiet", verb, str(veid), *words], error=HypervisorError, seconds=_SECONDS, hint="see vzctl.log")


def _running(node: NodePlan) -> int:
    container = ConfFolder.find().of(node.uuid)
    if container is None or _states().get(container.veid) != _RUNNING:
        raise HypervisorError(f"{node.dns_name} is not running", hint="benito status says why")
    return container.veid


def _limits(node: NodePlan) -> list[str]:
    """Barrier and limit, in pages of 4 KiB; libvirt's driver takes a domain's memory for that of the kernel's data."""
    pages = node.memory_mib * _PAGES_PER_MIB
    words = ["--physpages", f"0:{pages}", "--swappages", "0:0"]
    limits = node.limits
    for option, value in (
        ("--cpulimit", limits.cpu_percent),
        ("--cpuunits", limits.cpu_shares),
        ("--numproc", limits.pids),
    ):
        if value is not None:
            words += [option, str(value)]
    if limits.disk_mib is not None:
        words += ["--diskspace", f"{limits.disk_mib * 1024}:{limits.disk_mib * 1024}"]
    return words


def _sample() -> Path:
    return ConfFolder.find().path / f"ve-{parameter(_GLOBAL, 'CONFIGFILE')}.conf-sample"


def _private(files: NodeFiles) -> Path:
    """What becomes the container's root."""
    return files.folder.absolute() / "private"


def _make_root(image: Image, private: Path) -> None:
    if private.is_dir():
        return
    if image.tree is None:
        raise HypervisorError(f"the image {image.name} has no file system for containers")
    scratch = private.with_name(".private.new")
    if scratch.exists():
        shutil.rmtree(scratch)
    run(["cp", "--archive", "--reflink=auto", image.tree, scratch], error=HypervisorError, seconds=_SECONDS)
    scratch.rename(private)


def _remove_folder(files: NodeFiles) -> None:
    for _ in range(10):
        with suppress(FileNotFoundError):  # vzctl removes the root that was in it, meanwhile
            files.remove()
            return
    files.remove()


def _devices(node: NodePlan) -> list[str]:
    return [interface.device for interface in node.interfaces] + ([node.control.device] if node.control else [])
