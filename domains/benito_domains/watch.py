"""How the nodes that are domains are: libvirt's word for each domain, and the node's own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from benito.model import Kind
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.plan import NodePlan
from benito.status import BootStatus, EndWord, NodeStatus, StartState
from benito_domains.filewatch import follow_folders
from benito_domains.hypervisor import SHUT_DOWN, Inactive, Libvirt
from benito_domains.nodefiles import NodeFiles

_ENDINGS = {
    EndWord.POWEROFF: "its system switched itself off",
    EndWord.REBOOT: "its system wanted to boot again",
    EndWord.FAILED: "its system could not start",
}


def domain_statuses(
    libvirt: Libvirt, paths: StatePaths, experiment: ExperimentId, nodes: Sequence[NodePlan]
) -> Mapping[str, NodeStatus]:
    """Each node by its domain's state and its own report; a node without a domain is left out.

    Raises HypervisorError.
    """
    domains = libvirt.domains()
    known = [(node, domain.active) for node in nodes if (domain := domains.get(node.uuid)) is not None]
    inactive = libvirt.inactive(node.uuid for node, is_active in known if not is_active)
    seen: dict[str, NodeStatus] = {}
    for node, is_active in known:
        files = NodeFiles(paths.node(experiment, node.name))
        status = files.read_status()
        # A domain that began between the two questions runs.
        if not is_active and (why := inactive.get(node.uuid)) is not None:
            status = _dead(node, status, why, files.last_words(node.kind))
        seen[node.name] = status
    return seen


def _dead(node: NodePlan, status: NodeStatus, why: Inactive, last_words: str | None) -> NodeStatus:
    """`status` with what is known of the node's death. The exit code is its start command's, or where that has none,
    the one that its system left."""
    # A container that is ended from outside is asked to end first, and says that it does.
    ended = None if why.is_forced else status.ended
    reason, start, code = why.reason, status.start, status.exit_code
    if ended is not None:
        reason = f"{_ENDINGS[ended.word]} (exit code {ended.exit_code})"
        if code is None:
            code = ended.exit_code
            start = start or (StartState.WAITING if node.start_command else None)
    elif node.kind is Kind.OPENVZ and reason == SHUT_DOWN:
        reason = "its first process was killed, or ended without a word"
    reason = f"{reason}; its last words: {last_words}" if last_words else reason
    return replace(status, boot=BootStatus.DEAD, reason=reason, exit_code=code, start=start, ended=ended)


@contextmanager
def domain_watch(
    libvirt: Libvirt,
    paths: StatePaths,
    experiment: ExperimentId,
    nodes: Sequence[NodePlan],
    changed: Callable[[], None],
) -> Iterator[None]:
    """While it is open, `changed` is called, by any thread, when one of the nodes' domains began or ended, or when a
    node reported something; also when libvirtd answers no more, and when it answers again."""
    folders = {node.uuid: NodeFiles(paths.node(experiment, node.name)).status for node in nodes}
    with follow_folders(tuple(folders.values()), changed) as follow:

        def told(uuid: UUID | None) -> None:
            if uuid is None:
                follow(tuple(folders.values()))
            elif uuid in folders:
                # Its folder may be another since the last time: made anew, or another file system's.
                follow((folders[uuid],))
            else:
                return
            changed()

        with libvirt.lifecycle(told):
            yield
