"""Nodes of kind openvz: LXC domains of libvirt, with user ids of their own and an overlay over the image as root."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack, Progress, quiet
from benito.status import NodeStatus
from benito_domains.checks import image_lacks, libvirt_lacks, root_lacks
from benito_domains.config import config_files, inner_argv
from benito_domains.hypervisor import Libvirt
from benito_domains.images import SENDER_INSIDE, build_micro, find_image
from benito_domains.keys import make_experiment_key, make_keys, remove_unused_keys
from benito_domains.leftovers import delete_stale_devices, end_containers, is_first, remove_sockets
from benito_domains.mounts import mount_root, owned_copy, unmount_below
from benito_domains.nodefiles import NodeFiles, nodes_on_disk
from benito_domains.parallel import in_parallel
from benito_domains.render import ContainerFiles, container_xml
from benito_domains.watch import domain_statuses


class LxcDriver:
    """A benito.seams.NodeDriver: openvz nodes as LXC domains."""

    kind = Kind.OPENVZ
    hypervisor = "lxc"
    sender = SENDER_INSIDE

    def __init__(self, paths: StatePaths, progress: Progress = quiet) -> None:
        self._paths = paths
        self._progress = progress
        self._libvirt = Libvirt("lxc:///system")

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:  # noqa: ARG002 - the seam's
        """What the host is missing: rights, libvirt's LXC driver, the programs that the image is made of."""
        if not nodes:
            return ()
        element = f"openvz node {nodes[0].name}"
        return (*root_lacks(element), *libvirt_lacks(self._libvirt, element), *image_lacks(self._paths, nodes))

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """Builds the image, and for each node its folder, keys and configuration."""
        for node in nodes:
            find_image(self._paths, node.image)
        if nodes:
            build_micro(self._paths, self._progress)
            self._lower(plan, nodes[0])
            make_experiment_key(self._paths, plan.experiment)
        in_parallel(lambda node: self._prepare(plan, node), nodes)

    def _prepare(self, plan: PnodePlan, node: NodePlan) -> None:
        files = self._files(plan.experiment, node.name)
        files.make(Kind.OPENVZ, plan.uid_base)
        keys = make_keys(self._paths, plan.experiment, node, files)
        files.write_config(config_files(plan, node, keys), plan.uid_base)

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        """Starts the node's domain; nothing if it is active."""
        found = self._libvirt.find(node.dns_name, node.uuid)
        if found is not None and found.active:
            return
        end_containers([(node.dns_name, node.uuid)])
        delete_stale_devices(_devices(node))
        files = self._files(plan.experiment, node.name)
        files.hold()
        root = files.folder / "root"
        root.mkdir(exist_ok=True, mode=0o710)
        os.chown(root, -1, plan.uid_base)
        places = ContainerFiles(
            root=mount_root(self._lower(plan, node), root, plan.uid_base), config=files.config, status=files.status
        )
        self._libvirt.define(node.dns_name, container_xml(plan, node, places))
        self._libvirt.start(node.dns_name, node.uuid)

    def release(self, plan: PnodePlan, node: NodePlan) -> None:
        """Lets the node go on to its start command."""
        self._files(plan.experiment, node.name).release()

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
        return [*enter, str(self._first_process(node)), *inner_argv(command, terminal=terminal)]

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

    def _lower(self, plan: PnodePlan, node: NodePlan) -> Path:
        """The image's tree with the experiment's user ids: what the overlays lie over."""
        image = find_image(self._paths, node.image)
        folder = self._lowers(plan.experiment)
        return owned_copy(image.tree, folder / f"{image.tree.parent.name}-{plan.uid_base}", plan.uid_base)

    def _first_process(self, node: NodePlan) -> int:
        domain = self._libvirt.find(node.dns_name, node.uuid)
        if domain is None or domain.pid is None:
            raise HypervisorError(f"{node.dns_name} is not running", hint="benito status says why")
        for task in Path(f"/proc/{domain.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if is_first(int(child)):
                    return int(child)
        raise HypervisorError(f"{node.dns_name} has no first process", hint="benito status says why")


def _devices(node: NodePlan) -> list[str]:
    return [interface.device for interface in node.interfaces] + ([node.control.device] if node.control else [])
