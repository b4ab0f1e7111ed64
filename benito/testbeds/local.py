"""The testbed `local`: this machine is its one pnode, and its node manager runs in our own process."""

import os
import shutil
from pathlib import Path

from benito.errors import BenitoError, EmbeddingError, TestbedError
from benito.model import Kind
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.planner import Experiment
from benito.site import PnodeType, Site


class LocalTestbed:
    """One pnode, `pnode-0000`."""

    name = "local"

    def __init__(self, node_manager: NodeManager) -> None:
        self._node_manager = node_manager

    def node_manager(self, pnode: str) -> NodeManager:
        """The manager of that pnode. Raises TestbedError for another than the first."""
        if pnode != "pnode-0000":
            raise TestbedError(f"the local testbed has no {pnode}", hint="it has pnode-0000 only")
        return self._node_manager


def local_site() -> Site:
    """This machine as it is: its memory, cores and disk. There is one; plans may count on more that are like it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    root = StatePaths.from_environment().root
    while not root.exists() and root != Path("/"):
        root = root.parent
    this = PnodeType(
        name="this-machine",
        memory_mib=memory >> 20,
        cores=os.cpu_count() or 1,
        disk_mib=shutil.disk_usage(root).free >> 20,
    )
    return Site(name="local", pnode_types=(this,))


def refusal(experiment: Experiment) -> BenitoError | None:
    """Why this testbed cannot take the experiment; None if it can."""
    whole = [node.name for node in experiment.topology.nodes if node.kind is Kind.EMBEDDED_PNODE]
    if whole:
        return TestbedError(
            f"the local testbed has no whole machine for {', '.join(whole[:5])}{' ...' if len(whole) > 5 else ''}",
            hint="give these nodes another containers:node_type; where the file has partition attributes, "
            "a node without one is a whole machine, unless --force-partition is given",
        )
    needed = len(experiment.embedding.partitions)
    if needed > 1:
        return EmbeddingError(
            f"the placement needs {needed} pnodes, the local testbed has 1 ({'; '.join(experiment.embedding.reasons)})",
            hint="choose options that need one pnode, or give --force-partition where the file places its nodes",
        )
    return None
