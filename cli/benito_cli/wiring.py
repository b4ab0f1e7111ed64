"""The composition root: the only place that constructs drivers."""

import os

from benito_domains.lxc import LxcDriver
from benito_domains.process import ProcessDriver
from benito_domains.qemu import QemuDriver
from benito_netplan.driver import KernelLinkDriver

from benito.controller import Controller
from benito.errors import UsageError
from benito.model import Kind
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.store import Store
from benito.testbeds.local import LocalTestbed


def local_controller() -> Controller:
    """The controller of this machine's experiments. Raises UsageError without root."""
    if os.geteuid() != 0:
        raise UsageError("only root can make, see and end nodes", hint="run it with sudo; `benito plan` needs no root")
    paths = StatePaths.from_environment()
    manager = NodeManager(
        paths,
        KernelLinkDriver(),
        {Kind.PROCESS: ProcessDriver(paths), Kind.OPENVZ: LxcDriver(paths), Kind.QEMU: QemuDriver(paths)},
    )
    return Controller(paths, Store(paths.store), LocalTestbed(manager))
