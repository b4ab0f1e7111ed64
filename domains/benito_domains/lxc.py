"""Nodes of kind openvz: LXC domains of libvirt, with user ids of their own and an overlay over the image as root."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack, NodeLog, Progress, quiet
from benito.status import NodeStatus
from benito_domains.checks import libvirt_lacks, root_lacks
from benito_domains.config import KIT_INSIDE, config_files, inner_argv
from benito_domains.domainlogs import console_argv, read_container_log
from benito_domains.hypervisor import Libvirt
from benito_domains.images.image import Image
from benito_domains.images.kit import build_kit
from benito_domains.images.store import ImageStore
from benito_domains.keys import make_experiment_key, make_keys, remove_unused_keys
from benito_domains.leftovers import delete_stale_devices, end_containers, is_first, remove_sockets
from benito_domains.limits import libvirt_shares, limit_lacks, limit_pids, remove_groups
from benito_domains.mounts import libvirt_pid, mount_root, prepare_lower, unmount_below
from benito_domains.nodefiles import NodeFiles, nodes_on_disk
from benito_domains.nodeimages import ensure_images, hold_image, image_of, images_lack
from benito_domains.parallel import in_parallel
from benito_domains.quotadisk import mount_limited
from benito_domains.render import ContainerFiles, MadeOf, container_xml
from benito_domains.tarfiles import copy_tarfiles, list_file, open_tarfiles, tarfile_lacks
from benito_domains.templates import skeleton, template_lacks
from benito_domains.watch import domain_statuses, domain_watch


class LxcDriver:
    """A benito.seams.NodeDriver: openvz nodes as LXC domains."""

    kind = Kind.OPENVZ
    hypervisor = "lxc"
    sender = f"{KIT_INSIDE}/sender"

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths
        self._libvirt = Libvirt("lxc:///system")
        self._images = ImageStore(paths)

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:
        """What the host is missing: rights, libvirt's LXC driver, images, what limits need."""
        if not nodes:
            return ()
        element = f"openvz node {nodes[0].name}"
        lacks = [*root_lacks(element), *libvirt_lacks(self._libvirt, element)]
        lacks += images_lack(self._images, nodes)
        lacks += limit_lacks(nodes, element)
        lacks += template_lacks(plan, ("lxc",))
        for node in nodes:
            lacks += tarfile_lacks(plan, node)
        return lacks

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress = quiet) -> None:
        """Builds or fetches the images, and makes for each node its folder, keys and configuration."""
        images = ensure_images(self._images, nodes, progress)
        for image in {image.digest: image for image in images.values()}.values():
            prepare_lower(_tree(image), self._copy(plan, image), plan.uid_base)
        if nodes:
            build_kit(self._paths, progress)
            make_experiment_key(self._paths, plan.experiment)
        in_parallel(lambda node: self._prepare(plan, node, images[node.name]), nodes)

    def _prepare(self, plan: PnodePlan, node: NodePlan, image: Image) -> None:
        files = self._files(plan.experiment, node.name)
        files.make(Kind.OPENVZ, plan.uid_base)
        hold_image(self._images, node, files, image)
        keys = make_keys(self._paths, plan.experiment, node, files)
        with open_tarfiles(plan, node) as tarfiles:
            files.write_config(
                {**config_files(plan, node, keys), **list_file(tarfiles, on_disk=False)},
                plan.uid_base,
                others=[one.name for one in tarfiles],
            )
            copy_tarfiles(tarfiles, files.config, plan.uid_base)

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        """Starts the node's domain; nothing if it is active."""
        found = self._libvirt.find(node.dns_name, node.uuid)
        if found is not None and found.active:
            return
        end_containers([(node.dns_name, node.uuid)])
        delete_stale_devices(_devices(node))
        files = self._files(plan.experiment, node.name)
        image = image_of(self._images, node, files)
        root = files.folder / "root"
        if node.limits.disk_mib is not None:
            status = {"status": files.status}
            mount_limited(root, node.limits.disk_mib, plan.uid_base, beside=libvirt_pid(), binds=status)
        else:
            root.mkdir(exist_ok=True, mode=0o710)
            os.chown(root, -1, plan.uid_base)
        files.hold()
        places = ContainerFiles(
            root=mount_root(_tree(image), root, plan.uid_base, self._copy(plan, image)),
            config=files.config,
            status=files.status,
            kit=build_kit(self._paths),
        )
        made_of = MadeOf(image=image.name, digest=image.digest, shares=libvirt_shares(node.limits.cpu_shares))
        xml = container_xml(plan, node, places, made_of, skeleton("lxc", plan))
        controller = self._libvirt.define_and_start(node.dns_name, xml)
        if node.limits.pids is not None:
            first = _first_process(node, controller)
            limit_pids(first, plan.experiment, node.name, node.limits.pids)

    def release(self, plan: PnodePlan, node: NodePlan, moment: float | None = None) -> None:
        """Lets the node go on to its start command."""
        self._files(plan.experiment, node.name).release(moment)

    def stop(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """Ends all processes of the containers at once."""
        for node in nodes:
            self._libvirt.stop(node.dns_name, node.uuid)
        end_containers((node.dns_name, node.uuid) for node in nodes)
        remove_groups(plan.experiment, [node.name for node in nodes])

    def suspend(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """The same; their files are put away, their processes end."""
        self.stop(plan, nodes)
        for node in nodes:
            unmount_below(self._files(plan.experiment, node.name).folder)

    def watch(
        self, experiment: ExperimentId, nodes: Sequence[NodePlan], changed: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """libvirt's events, and what the containers report."""
        return domain_watch(self._libvirt, self._paths, experiment, nodes, changed)

    def read_log(self, plan: PnodePlan, node: NodePlan, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        """From the container's own file system, whether it runs or not."""
        files = self._files(plan.experiment, node.name)
        return read_container_log(files, files.folder / "root" / "upper", log, offset, most_bytes)

    def console_argv(self, plan: PnodePlan, node: NodePlan) -> list[str]:  # noqa: ARG002 - the seam's
        """virsh, on the container's terminal."""
        return console_argv(self._libvirt.uri, node.dns_name)

    def observe(self, experiment: ExperimentId, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        """Each node by its domain's state and its own report."""
        return domain_statuses(self._libvirt, self._paths, experiment, nodes)

    def argv(
        self,
        plan: PnodePlan,  # noqa: ARG002 - the seam's
        node: NodePlan,
        command: Sequence[str],
        *,
        terminal: bool,
    ) -> list[str]:
        """Enters cgroups and namespaces of the container's first process: 50 ms, where ssh takes 200."""
        enter = [sys.executable, "-I", "-S", str(Path(__file__).with_name("enter.py"))]
        domain = self._libvirt.find(node.dns_name, node.uuid)
        if domain is None or domain.pid is None:
            raise HypervisorError(f"{node.dns_name} is not running", hint="benito status says why")
        return [*enter, str(_first_process(node, domain.pid)), *inner_argv(command, terminal=terminal, kit=True)]

    def destroy(self, experiment: ExperimentId, nodes: Sequence[NodePlan] | None) -> None:
        """Ends and forgets the domains, kills what is left of them, and removes their roots and folders."""
        domains = {
            domain.uuid: (domain, mark.node)
            for domain, mark in self._libvirt.marked(None if nodes is None else [node.uuid for node in nodes])
            if mark.experiment == experiment and mark.kind is Kind.OPENVZ
        }
        names = {name for name, _ in nodes_on_disk(self._paths, experiment, Kind.OPENVZ)}
        names |= {name for _, name in domains.values()}
        if nodes is not None:
            names &= {node.name for node in nodes}
        ending = [(domain.name, domain.uuid) for domain, name in domains.values() if name in names]
        in_parallel(lambda domain: self._libvirt.stop(*domain), ending)
        known = dict(ending)
        uuids = {node.dns_name: node.uuid for node in nodes or ()}
        whole = [(name, known.get(name) or uuids.get(name)) for name in map(experiment.dns_name, sorted(names))]
        end_containers(whole)
        remove_groups(experiment, names)
        in_parallel(lambda domain: self._libvirt.undefine(*domain), ending)
        for name in sorted(names):
            remove_sockets(experiment.dns_name(name))
            files = self._files(experiment, name)
            if files.kind() in (Kind.OPENVZ, None):
                unmount_below(files.folder)
                files.remove()
        if not any(nodes_on_disk(self._paths, experiment, Kind.OPENVZ)):
            shutil.rmtree(self._lowers(experiment), ignore_errors=True)
            remove_unused_keys(self._paths, experiment)

    def _files(self, experiment: ExperimentId, node: str) -> NodeFiles:
        return NodeFiles(self._paths.node(experiment, node))

    def _lowers(self, experiment: ExperimentId) -> Path:
        return self._paths.experiment(experiment) / "images"

    def _copy(self, plan: PnodePlan, image: Image) -> Path:
        """Where the image's tree is copied with the experiment's user ids, if the kernel cannot show it so."""
        return self._lowers(plan.experiment) / f"{image.digest[:16]}-{plan.uid_base}"


def _first_process(node: NodePlan, controller: int) -> int:
    """The container's own process 1, a child of libvirt's process for it."""
    for task in Path(f"/proc/{controller}/task").iterdir():
        for child in (task / "children").read_text().split():
            if is_first(int(child)):
                return int(child)
    raise HypervisorError(f"{node.dns_name} has no first process", hint="benito status says why")


def _devices(node: NodePlan) -> list[str]:
    return [interface.device for interface in node.interfaces] + ([node.control.device] if node.control else [])


def _tree(image: Image) -> Path:
    if image.tree is None:
        raise HypervisorError(f"the image {image.name} has no file system for containers")
    return image.tree
