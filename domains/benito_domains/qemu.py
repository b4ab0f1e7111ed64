"""Nodes of kind qemu: virtual machines of libvirt that start a kernel directly or a disk by its own loader."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId, look_alikes
from benito.nodesettings import Arch, MachineType
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack, NodeLog, Progress, quiet
from benito.status import NodeStatus
from benito_domains.checks import libvirt_lacks, program_lacks, root_lacks
from benito_domains.config import KIT_INSIDE, config_files
from benito_domains.disks import make_overlay, settle
from benito_domains.domainlogs import console_argv, read_machine_log
from benito_domains.hypervisor import UNDEFINE_ALL, Domain, Libvirt
from benito_domains.images.kit import build_kit
from benito_domains.images.store import ImageStore
from benito_domains.keys import make_experiment_key, make_keys, remove_unused_keys, ssh_argv
from benito_domains.kvm import kvm_works, tsc_khz
from benito_domains.leftovers import delete_stale_devices
from benito_domains.limits import libvirt_shares, limit_lacks
from benito_domains.nodefiles import NodeFiles, nodes_on_disk
from benito_domains.nodeimages import ensure_images, hold_image, image_of, images_lack
from benito_domains.parallel import in_parallel
from benito_domains.render import MachineFiles, MadeOf, machine_xml
from benito_domains.seed import seed_image
from benito_domains.tarfiles import list_file, open_tarfiles, tarfile_lacks, write_tarfiles
from benito_domains.templates import skeleton, template_lacks
from benito_domains.watch import domain_statuses, domain_watch

_HOST = Arch.X86_64
#: What emulates a processor, and the package that has it.
_EMULATORS: Mapping[Arch, tuple[str, str]] = {
    Arch.X86_64: ("qemu-system-x86_64", "qemu-system-x86"),
    Arch.I686: ("qemu-system-i386", "qemu-system-x86"),
    Arch.AARCH64: ("qemu-system-aarch64", "qemu-system-arm"),
}


class QemuDriver:
    """A benito.seams.NodeDriver: qemu nodes as virtual machines, with KVM where that works."""

    kind = Kind.QEMU
    hypervisor = "qemu"
    sender = f"{KIT_INSIDE}/sender"

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths
        self._libvirt = Libvirt("qemu:///system")
        self._images = ImageStore(paths)

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:
        """What the host is missing: rights, libvirt's qemu driver, emulators, images, what limits need."""
        if not nodes:
            return ()
        element = f"qemu node {nodes[0].name}"
        lacks = [*root_lacks(element), *program_lacks("ssh", "openssh-client", element)]
        for arch in dict.fromkeys(node.machine.arch for node in nodes):
            program, package = _EMULATORS[arch]
            lacks += program_lacks(program, package, element)
        lacks += libvirt_lacks(self._libvirt, element)
        if not lacks:
            lacks += self._models_lack(nodes)
        lacks += images_lack(self._images, nodes)
        lacks += limit_lacks(nodes, element)
        lacks += template_lacks(plan, ("qemu",))
        for node in nodes:
            lacks += tarfile_lacks(plan, node)
            if node.machine.vnc and node.machine.type is MachineType.MICROVM:
                hint = "another benito:machine, or no benito:vnc"
                lacks.append(Lack(missing="a screen, which microvm has not", element=f"node {node.name}", hint=hint))
        folder = self._closed_folder()
        if folder is not None:
            hint = f"chmod o+x {folder}, or set BENITO_STATE to a folder elsewhere"
            lacks.append(Lack(missing=f"a way for qemu's user through {folder}", element=element, hint=hint))
        return lacks

    def _models_lack(self, nodes: Sequence[NodePlan]) -> list[Lack]:
        found = []
        for node in nodes:
            model = node.machine.cpu_model
            known = self._libvirt.cpu_models(node.machine.arch.value) if model is not None else frozenset()
            if model is not None and known and model not in known:
                near = look_alikes(model, known) or sorted(known)[:5]
                hint = f"perhaps {', '.join(near)}; virsh cpu-models {node.machine.arch} lists them"
                found.append(Lack(missing=f"the CPU model {model}", element=f"node {node.name}", hint=hint))
        return found

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress = quiet) -> None:
        """Builds or fetches the images, and makes for each node its folder and keys."""
        images = ensure_images(self._images, nodes, progress)
        if nodes:
            make_experiment_key(self._paths, plan.experiment)

        def make(node: NodePlan) -> None:
            files = self._files(plan.experiment, node.name)
            files.make(Kind.QEMU)
            make_keys(self._paths, plan.experiment, node, files)
            hold_image(self._images, node, files, images[node.name])

        in_parallel(make, nodes)

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        """Starts the node's domain, or lets it go on from where it was put away; nothing if it is active."""
        found = self._libvirt.find(node.dns_name, node.uuid)
        if found is not None and found.active:
            return
        delete_stale_devices([interface.device for interface in node.interfaces])
        if node.control is not None:
            delete_stale_devices([node.control.device])
        if found is None or not self._libvirt.has_managed_save(node.dns_name, node.uuid):
            self._define(plan, node)
        self._libvirt.start(node.dns_name, node.uuid)

    def _define(self, plan: PnodePlan, node: NodePlan) -> None:
        files = self._files(plan.experiment, node.name)
        files.hold()
        image = image_of(self._images, node, files)
        keys = make_keys(self._paths, plan.experiment, node, files)
        with open_tarfiles(plan, node) as tarfiles:
            files.write_disk(
                {**config_files(plan, node, keys), **list_file(tarfiles, on_disk=True)},
                lambda handle: write_tarfiles(tarfiles, handle),
            )
        root = make_overlay(image.disk, files.root_disk, node.limits.disk_mib) if image.disk else None
        if image.boot is None:
            files.write_seed(seed_image(node, keys, build_kit(self._paths)))
        places = MachineFiles(
            boot=image.boot,
            config_disk=files.disk,
            root_disk=root,
            seed=files.seed if image.boot is None else None,
            console_log=files.console_log,
            report=files.report,
            accelerated=node.machine.arch is _HOST and kvm_works(),
            tsc_khz=tsc_khz(),
        )
        made_of = MadeOf(image=image.name, digest=image.digest, shares=libvirt_shares(node.limits.cpu_shares))
        xml = machine_xml(plan, node, places, made_of, skeleton("qemu", plan))
        self._libvirt.define(node.dns_name, xml)

    def release(self, plan: PnodePlan, node: NodePlan, moment: float | None = None) -> None:
        """Lets the node go on to its start command."""
        self._files(plan.experiment, node.name).release(moment)

    def stop(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:  # noqa: ARG002 - the seam's
        """Ends the domains at once: an emulated system would take half a minute to leave by itself."""
        for node in nodes:
            self._libvirt.stop(node.dns_name, node.uuid)
            self._libvirt.forget_save(node.dns_name, node.uuid)

    def suspend(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """Writes the machines' memory to disk and ends them; one that does not run keeps its disk only."""
        for node in nodes:
            found = self._libvirt.find(node.dns_name, node.uuid)
            if found is not None and found.active:
                self._libvirt.managed_save(node.dns_name, node.uuid)
            settle(self._files(plan.experiment, node.name).root_disk)

    def watch(
        self, experiment: ExperimentId, nodes: Sequence[NodePlan], changed: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """libvirt's events, and what the machines report."""
        return domain_watch(self._libvirt, self._paths, experiment, nodes, changed)

    def read_log(self, plan: PnodePlan, node: NodePlan, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        """The console from the pnode's file, the rest by ssh."""
        files = self._files(plan.experiment, node.name)
        if log is not NodeLog.CONSOLE:
            found = self._libvirt.find(node.dns_name, node.uuid)
            if found is None or not found.active:
                hint = f"benito logs --console {node.dns_name}; or start it: benito node start {node.dns_name}"
                raise HypervisorError(f"{node.dns_name} does not run, and its logs are on its own disk", hint=hint)
        return read_machine_log(
            files, lambda words: ssh_argv(self._paths, plan, node, words, terminal=False), log, offset, most_bytes
        )

    def console_argv(self, plan: PnodePlan, node: NodePlan) -> list[str]:  # noqa: ARG002 - the seam's
        """virsh, on the serial line."""
        return console_argv(self._libvirt.uri, node.dns_name)

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
