"""Nodes of kind qemu: virtual machines of libvirt that start a kernel and an initramfs directly."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from benito.model import Kind
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack, Progress, quiet
from benito.status import NodeStatus
from benito_domains.checks import image_lacks, libvirt_lacks, program_lacks, root_lacks
from benito_domains.config import config_files
from benito_domains.hypervisor import UNDEFINE_ALL, Domain, Libvirt
from benito_domains.images import SENDER_INSIDE, build_micro, find_image
from benito_domains.keys import make_experiment_key, make_keys, remove_unused_keys, ssh_argv
from benito_domains.kvm import QEMU, kvm_works
from benito_domains.leftovers import delete_stale_devices
from benito_domains.nodefiles import NodeFiles, nodes_on_disk
from benito_domains.parallel import in_parallel
from benito_domains.render import MachineFiles, machine_xml
from benito_domains.watch import domain_statuses


class QemuDriver:
    """A benito.seams.NodeDriver: qemu nodes as virtual machines, with KVM where that works."""

    kind = Kind.QEMU
    hypervisor = "qemu"
    sender = SENDER_INSIDE

    def __init__(self, paths: StatePaths, progress: Progress = quiet) -> None:
        self._paths = paths
        self._progress = progress
        self._libvirt = Libvirt("qemu:///system")

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:  # noqa: ARG002 - the seam's
        """What the host is missing: rights, libvirt's qemu driver, qemu, the programs that the image is made of."""
        if not nodes:
            return ()
        element = f"qemu node {nodes[0].name}"
        lacks = [
            *root_lacks(element),
            *program_lacks(QEMU, "qemu-system-x86", element),
            *program_lacks("ssh", "openssh-client", element),
            *libvirt_lacks(self._libvirt, element),
            *image_lacks(self._paths, nodes, boot=True),
        ]
        folder = self._closed_folder()
        if folder is not None:
            hint = f"chmod o+x {folder}, or set BENITO_STATE to a folder elsewhere"
            lacks.append(Lack(missing=f"a way for qemu's user through {folder}", element=element, hint=hint))
        return lacks

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """Builds the image with its kernel, and for each node its folder and keys."""
        for node in nodes:
            find_image(self._paths, node.image)
        if nodes:
            build_micro(self._paths, self._progress, boot=True)
            make_experiment_key(self._paths, plan.experiment)
        in_parallel(lambda node: self._prepare(plan, node), nodes)

    def _prepare(self, plan: PnodePlan, node: NodePlan) -> None:
        files = self._files(plan.experiment, node.name)
        files.make(Kind.QEMU)
        make_keys(self._paths, plan.experiment, node, files)

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        """Starts the node's domain with a fresh configuration disk; nothing if it is active."""
        found = self._libvirt.find(node.dns_name, node.uuid)
        if found is not None and found.active:
            return
        delete_stale_devices([interface.device for interface in node.interfaces])
        if node.control is not None:
            delete_stale_devices([node.control.device])
        files = self._files(plan.experiment, node.name)
        files.hold()
        keys = make_keys(self._paths, plan.experiment, node, files)
        files.write_disk(config_files(plan, node, keys))
        image = find_image(self._paths, node.image)
        places = MachineFiles(
            kernel=image.kernel,
            initramfs=image.initramfs,
            disk=files.disk,
            console_log=files.console_log,
            report=files.report,
            accelerated=kvm_works(),
        )
        self._libvirt.define(node.dns_name, machine_xml(plan, node, places))
        self._libvirt.start(node.dns_name, node.uuid)

    def release(self, plan: PnodePlan, node: NodePlan) -> None:
        """Lets the node go on to its start command."""
        self._files(plan.experiment, node.name).release()

    def observe(self, experiment: ExperimentId, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        """Each node by its domain's state and its own report."""
        return domain_statuses(self._libvirt, self._paths, experiment, nodes)

    def argv(self, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool) -> list[str]:
        """ssh over the control network."""
        return ssh_argv(self._paths, plan, node, command, terminal=terminal)

    def destroy(self, experiment: ExperimentId, nodes: Sequence[NodePlan] | None) -> None:
        """Ends and forgets the domains, and removes the nodes' folders."""
        domains = [
            (domain, mark.node)
            for domain, mark in self._libvirt.marked(None if nodes is None else [node.uuid for node in nodes])
            if mark.experiment == experiment and mark.kind is Kind.QEMU
        ]
        names = {name for name, _ in nodes_on_disk(self._paths, experiment, Kind.QEMU)}
        names |= {name for _, name in domains}
        if nodes is not None:
            names &= {node.name for node in nodes}
        in_parallel(self._end, [domain for domain, name in domains if name in names])
        for name in sorted(names):
            files = self._files(experiment, name)
            if files.kind() in (Kind.QEMU, None):
                files.remove()
        if not any(nodes_on_disk(self._paths, experiment, Kind.QEMU)):
            remove_unused_keys(self._paths, experiment)

    def _end(self, domain: Domain) -> None:
        self._libvirt.stop(domain.name, domain.uuid)
        self._libvirt.undefine(domain.name, domain.uuid, UNDEFINE_ALL)

    def _files(self, experiment: ExperimentId, node: str) -> NodeFiles:
        return NodeFiles(self._paths.node(experiment, node))

    def _closed_folder(self) -> Path | None:
        """The first folder on the way to the state that others may not pass: qemu runs as a user of its own."""
        for folder in (*reversed(self._paths.root.absolute().parents), self._paths.root):
            if folder.exists() and not os.stat(folder).st_mode & 0o001:  # noqa: PTH116 - beside os
                return folder
        return None
