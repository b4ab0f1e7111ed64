"""The composition root: the only place that constructs drivers."""

import os
from dataclasses import replace

from benito.checkup import Finding, judged, observe
from benito.controller import Controller
from benito.errors import UsageError
from benito.model import Kind
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.planner import Experiment, plan_experiment
from benito.seams import Progress
from benito.store import Store
from benito.testbeds.local import LocalTestbed
from benito_domains.checkup import checkup as hypervisor_checkup
from benito_domains.images.store import build_micro, find_image, known_images
from benito_domains.lxc import LxcDriver
from benito_domains.process import ProcessDriver
from benito_domains.qemu import QemuDriver
from benito_netplan.checkup import checkup as link_checkup
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.probe import link_features
from benito_netplan.shapers import told


def local_controller() -> Controller:
    """The controller of this machine's experiments. Raises UsageError without root."""
    _require_root()
    paths = StatePaths.from_environment()
    manager = NodeManager(
        paths,
        KernelLinkDriver(),
        {Kind.PROCESS: ProcessDriver(paths), Kind.OPENVZ: LxcDriver(paths), Kind.QEMU: QemuDriver(paths)},
    )
    return Controller(paths, Store(paths.store), LocalTestbed(manager))


def examine_machine() -> list[Finding]:
    """What this machine can do, and what may break experiments on it. Raises UsageError without root."""
    _require_root()
    return [*link_checkup(), *hypervisor_checkup(), *judged(observe())]


def build_image(progress: Progress) -> str:
    """Builds the image `micro` for containers and machines unless it is there; what it is and where."""
    _require_root()
    image = build_micro(StatePaths.from_environment(), progress, boot=True)
    return f"{image.name}: {image.tree.parent}"


def images() -> list[str]:
    """Each known image, and whether it is built."""
    paths = StatePaths.from_environment()
    found = [find_image(paths, name) for name in known_images()]
    return [f"{image.name}: {image.tree.parent if image.tree.is_dir() else 'not built yet'}" for image in found]


def shaping_told(experiment: Experiment) -> list[str]:
    """By what this machine would shape the experiment's links.

    Nothing where other machines would, nor for who may not try what the kernel can.
    """
    if os.geteuid() != 0 or len(experiment.embedding.partitions) != 1:
        return []
    without_routes = replace(experiment, routes={node.name: () for node in experiment.topology.nodes})
    (part,) = plan_experiment(without_routes).pnodes
    return told(part.links, link_features())


def _require_root() -> None:
    if os.geteuid() != 0:
        raise UsageError(
            "only root can make, see, change and end nodes and links",
            hint="run it with sudo; `benito plan` and `benito topdl` need no root",
        )
