"""A node as it has become, as a new image: a container's file system, or a stopped machine's disk."""

import os
from pathlib import Path

from benito.errors import HypervisorError, UsageError
from benito.model import Kind
from benito.plan import NodePlan, PnodePlan
from benito.seams import Progress
from benito_domains.images.copying import copy_system
from benito_domains.images.image import Disk
from benito_domains.images.importing import MOST_BYTES
from benito_domains.images.machines import DISK, to_qcow2
from benito_domains.images.manifest import Manifest, Start, read_manifest
from benito_domains.images.parts import disk_part, new_tree, put_parts, tree_part
from benito_domains.images.shelf import HOLD
from benito_domains.images.upkeep import ImageKeeper, ImageRecord
from benito_domains.mounts import libvirt_pid
from benito_domains.nodefiles import mounts_below
from benito_domains.render import ID_COUNT


def save_node(
    keeper: ImageKeeper, plan: PnodePlan, node: NodePlan, name: str, progress: Progress, *, replace: bool = False
) -> ImageRecord:
    """Makes an image of the node and gives it a name. Raises HypervisorError, UsageError for a name that is taken."""
    if node.kind not in (Kind.OPENVZ, Kind.QEMU):
        raise UsageError(f"{node.dns_name} is a {node.kind} node: it has no image", hint="save openvz or qemu nodes")
    keeper.check_free(name, replace=replace)
    with keeper.store.shelf.making(progress):
        progress("save", 0, 1)
        save = _save_container if node.kind is Kind.OPENVZ else _save_machine
        digest = save(keeper, plan, node)
        progress("save", 1, 1)
        return keeper.give_name(name, digest, replace=replace)


def _save_container(keeper: ImageKeeper, plan: PnodePlan, node: NodePlan) -> str:
    shelf = keeper.store.shelf
    merged = _node_folder(keeper, plan, node) / "root" / "merged"
    view = _seen_by_libvirt(merged)
    with shelf.scratch() as folder:
        copy_system(view, new_tree(folder), base=plan.uid_base, count=ID_COUNT, most_bytes=MOST_BYTES)
        part = tree_part(folder)
        arch = _former(keeper, plan, node).arch
        return put_parts(shelf, folder, part, arch=arch, start=Start.DIRECT, source=f"saved: {node.dns_name}")


def _save_machine(keeper: ImageKeeper, plan: PnodePlan, node: NodePlan) -> str:
    shelf = keeper.store.shelf
    overlay = _node_folder(keeper, plan, node) / "root.qcow2"
    if not overlay.exists():
        hint = f"its image is {node.image}; debian-12 has a disk"
        raise HypervisorError(f"{node.dns_name} has no disk: its system is in memory", hint=hint)
    with shelf.scratch() as folder:
        try:
            to_qcow2(Disk(path=overlay, format="qcow2"), folder / DISK)
        except HypervisorError as error:
            if "Is another process using" not in error.message:
                raise
            hint = f"benito node stop {node.dns_name}"
            raise HypervisorError(f"{node.dns_name} runs: its disk changes", hint=hint) from error
        part = disk_part(folder, DISK, "qcow2")
        former = _former(keeper, plan, node)
        return put_parts(shelf, folder, part, arch=former.arch, start=former.start, source=f"saved: {node.dns_name}")


def _node_folder(keeper: ImageKeeper, plan: PnodePlan, node: NodePlan) -> Path:
    return keeper.store.shelf.paths.node(plan.experiment, node.name)


def _former(keeper: ImageKeeper, plan: PnodePlan, node: NodePlan) -> Manifest:
    """What the node was made of."""
    shelf = keeper.store.shelf
    digest = shelf.read_digest(_node_folder(keeper, plan, node) / HOLD) or keeper.store.find(node.image)
    return read_manifest(shelf.folder(digest))


def _seen_by_libvirt(merged: Path) -> Path:
    """The container's root in the mount namespace where it is mounted. Raises HypervisorError where it is not."""
    pid = libvirt_pid() or os.getpid()
    view = Path(f"/proc/{pid}/root{merged.absolute()}")
    # Where the kernel refuses overlays it is a plain copy.
    if str(merged) in mounts_below(merged, pid) or (view / "usr").is_dir():
        return view
    hint = "benito resume, where its experiment is swapped out; else benito node start; then again"
    raise HypervisorError(f"the file system of the node at {merged.parents[1]} is not mounted", hint=hint)
