"""What people and programs see of nodes' settings: images, memory, boards, limits, restarts, tar files."""

from collections.abc import Iterator, Mapping

from benito.model import Kind, Node
from benito.nodesettings import Arch, Limits, MachineSettings, MachineType, NodeSettings, Restart, RestartPolicy
from benito.planner import Experiment
from benito.policy import DEFAULT_IMAGE, MEMORY_MIB, PIDS


def settings_document(experiment: Experiment, node: Node) -> Mapping[str, object]:
    """A node's settings, null where it has none."""
    found, kind = experiment.settings[node.name], node.kind or experiment.policy.default_kind
    return {
        "image": found.image or None,
        "image_sha256": found.image_sha256,
        "memory_mib": found.memory_mib,
        "vcpus": found.vcpus,
        "machine": _machine_document(found.machine) if kind is Kind.QEMU else None,
        "limits": {
            "cpu_percent": found.limits.cpu_percent,
            "cpu_shares": found.limits.cpu_shares,
            "pids": found.limits.pids,
            "disk_mib": found.limits.disk_mib,
        },
        "restart": {"policy": found.restart.policy, "most": found.restart.most},
        "tarfiles": [{"directory": one.directory, "source": one.source} for one in found.tarfiles],
    }


def _machine_document(machine: MachineSettings) -> Mapping[str, object]:
    return {"arch": machine.arch, "type": machine.type, "cpu_model": machine.cpu_model, "vnc": machine.vnc}


def told(experiment: Experiment) -> Mapping[str, str]:
    """node -> its image and what else it has that is not the default, line by line; nothing where no node has any."""
    found: dict[str, str] = {}
    plain = True
    for node in experiment.topology.nodes:
        kind, settings = node.kind or experiment.policy.default_kind, experiment.settings[node.name]
        more = ", ".join(_parts(kind, settings))
        plain = plain and not more and settings.image in ("", DEFAULT_IMAGE)
        found[node.name] = "\n".join(filter(None, [settings.image or "-", more]))
    return {} if plain else found


def _parts(kind: Kind, settings: NodeSettings) -> Iterator[str]:
    if settings.memory_mib != MEMORY_MIB[kind]:
        yield f"{settings.memory_mib} MiB"
    if settings.vcpus != 1:
        yield f"{settings.vcpus} CPUs"
    if kind is Kind.QEMU:
        yield from _machine_parts(settings.machine)
    yield from _limit_parts(settings.limits, PIDS.get(kind))
    if settings.restart.policy is not RestartPolicy.NEVER:
        yield _restart(settings.restart)
    if settings.tarfiles:
        yield f"{len(settings.tarfiles)} tar file{'s' if len(settings.tarfiles) > 1 else ''}"


def _machine_parts(machine: MachineSettings) -> Iterator[str]:
    if machine.arch is not Arch.X86_64:
        yield machine.arch.value
    if machine.type not in (MachineType.PC, MachineType.VIRT):
        yield machine.type.value
    if machine.cpu_model is not None:
        yield machine.cpu_model
    if machine.vnc:
        yield "VNC"


def _limit_parts(limits: Limits, usual_pids: int | None) -> Iterator[str]:
    if limits.cpu_percent is not None:
        yield f"{limits.cpu_percent}% of a core"
    if limits.cpu_shares is not None:
        yield f"{limits.cpu_shares} CPU shares"
    if limits.pids != usual_pids:
        yield f"{limits.pids} processes"
    if limits.disk_mib is not None:
        yield f"{limits.disk_mib} MiB of disk"


def _restart(restart: Restart) -> str:
    return f"restart {restart.policy} (at most {restart.most})"
