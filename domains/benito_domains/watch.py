"""How the nodes that are domains are: libvirt's word for each domain, and the node's own."""

from collections.abc import Mapping, Sequence

from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.plan import NodePlan
from benito.status import BootStatus, NodeStatus
from benito_domains.hypervisor import Libvirt
from benito_domains.nodefiles import NodeFiles


def domain_statuses(
    libvirt: Libvirt, paths: StatePaths, experiment: ExperimentId, nodes: Sequence[NodePlan]
) -> Mapping[str, NodeStatus]:
    """Each node by its domain's state and its own report; a node without a domain is left out.

    Raises HypervisorError.
    """
    domains = libvirt.domains()
    seen: dict[str, NodeStatus] = {}
    for node in nodes:
        domain = domains.get(node.uuid)
        if domain is None:
            continue
        files = NodeFiles(paths.node(experiment, node.name))
        status = files.read_status()
        if not domain.active:
            reason = libvirt.why_inactive(node.dns_name, node.uuid)
            words = files.last_words()
            reason = f"{reason}; its last words: {words}" if words else reason
            status = NodeStatus(boot=BootStatus.DEAD, exit_code=status.exit_code, reason=reason)
        seen[node.name] = status
    return seen
