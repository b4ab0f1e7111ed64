"""The composition root: the only place that constructs drivers."""

import os
import sys
from dataclasses import replace

from benito.checkup import Finding, judged, observe
from benito.controller import Controller
from benito.errors import UsageError
from benito.locks import experiment_lock
from benito.model import Kind
from benito.names import ExperimentId
from benito.nodemanager import NodeManager
from benito.paths import ConfigPaths, StatePaths
from benito.planner import Experiment, plan_experiment
from benito.pnodeplans import PnodePlans
from benito.seams import Progress, quiet
from benito.store import Store
from benito.supervisor import Supervisor
from benito.testbeds.local import LocalTestbed
from benito.watchman import Watchman
from benito_domains.checkup import checkup as hypervisor_checkup
from benito_domains.images.saving import save_node
from benito_domains.images.store import ImageStore
from benito_domains.images.upkeep import ImageKeeper, ImageRecord, import_order
from benito_domains.lxc import LxcDriver
from benito_domains.openvz import OpenVzDriver, openvz_works
from benito_domains.process import ProcessDriver
from benito_domains.qemu import QemuDriver
from benito_domains.schema import SCHEMA
from benito_domains.templates import NAMES, Template, Templates, guess_name
from benito_domains.templatetrial import define_sample, running_xml
from benito_netplan.checkup import checkup as link_checkup
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.probe import link_features
from benito_netplan.shapers import told

__all__ = [
    "ImageRecord",
    "Template",
    "check_template",
    "examine_machine",
    "image_keeper",
    "import_order",
    "local_controller",
    "node_xml",
    "save_image",
    "shaping_told",
    "supervise",
    "template",
    "templates_in_force",
]


def local_controller() -> Controller:
    """The controller of this machine's experiments. Raises UsageError without root."""
    _require_root()
    paths = StatePaths.from_environment()
    # The kind's own hypervisor where this is its kernel.
    openvz = OpenVzDriver(paths) if openvz_works() is None else LxcDriver(paths)
    manager = NodeManager(
        paths,
        KernelLinkDriver(),
        {Kind.PROCESS: ProcessDriver(paths), Kind.OPENVZ: openvz, Kind.QEMU: QemuDriver(paths)},
    )
    return Controller(paths, Store(paths.store), LocalTestbed(manager), _watchman(paths))


def supervise(experiment: ExperimentId) -> None:
    """Starts dead nodes again, see `benito.supervisor`; returns when the experiment is down. Needs root."""
    paths = StatePaths.from_environment()
    Supervisor(local_controller(), paths, experiment).run(_watchman(paths))


def _watchman(paths: StatePaths) -> Watchman:
    """It is this command again, which finds the same state."""
    state = f"BENITO_STATE={paths.root.absolute()}"
    config = f"BENITO_CONFIG={ConfigPaths.from_environment().root.absolute()}"
    again = [sys.executable, "-P", "-m", "benito_cli.main", "node", "watch"]
    return Watchman(paths, ["env", "-C", "/", state, config, *again])


def examine_machine() -> list[Finding]:
    """What this machine can do, and what may break experiments on it. Raises UsageError without root."""
    _require_root()
    return [*link_checkup(), *hypervisor_checkup(), *judged(observe())]


def image_keeper(progress: Progress = quiet) -> ImageKeeper:
    """The images of this machine. Raises UsageError without root."""
    _require_root()
    return ImageKeeper(ImageStore(StatePaths.from_environment()), progress)


def save_image(node: str, name: str, progress: Progress, *, replace: bool = False) -> ImageRecord:
    """Makes an image of a node of this machine as it is now. Raises UsageError, HypervisorError."""
    paths = StatePaths.from_environment()
    experiment, found = local_controller().find_node(node)
    with experiment_lock(paths, experiment):
        plan, part = PnodePlans(paths).node(experiment, found)
        return save_node(image_keeper(progress), plan, part, name, progress, replace=replace)


def templates_in_force() -> list[Template]:
    """Every skeleton of domain XML: the site's where it has one, else Benito's. Raises TemplateError."""
    templates = Templates()
    return [templates.in_force(name) for name in NAMES]


def template(name: str, *, builtin: bool) -> Template:
    """One of them, or Benito's own. Raises TemplateError, HypervisorError."""
    return Templates().builtin(name) if builtin else Templates().in_force(name)


def node_xml(node: str) -> str:
    """A running node's domain as libvirt has it. Raises UsageError, HypervisorError."""
    experiment, found = local_controller().find_node(node)
    _, part = PnodePlans(StatePaths.from_environment()).node(experiment, found)
    xml = running_xml(part)
    if xml is None:
        hint = "`benito status` says how it is" if part.kind in (Kind.QEMU, Kind.OPENVZ) else "it is no domain"
        raise UsageError(f"libvirt has no domain of the {part.kind} node {part.dns_name}", hint=hint)
    return xml


def check_template(text: bytes, file: str, name: str | None, *, experiment: bool) -> tuple[str, list[str]]:
    """Tries a skeleton; its name, and what it has passed, in words. Raises TemplateError, HypervisorError."""
    name = name or guess_name(text)
    found = Templates().check(name, text, file, experiment=experiment)
    passed = ["well-formed, and all that Benito fills is there once"]
    if experiment:
        passed.append("nothing in it that an experiment's template may not have")
    if SCHEMA.exists():
        passed.append("filled with a sample node, valid by libvirt's schema")
    if os.geteuid() == 0:
        define_sample(name, found.xml)
        passed.append("defined by libvirt, and forgotten again")
    return name, passed


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
