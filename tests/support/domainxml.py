"""The domain XML of small plans, with places that stand for those on a pnode."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from nodeplans import node_plan, pnode_plan

from benito.model import Kind
from benito.names import ExperimentId
from benito.nodesettings import Arch, Limits, MachineSettings, MachineType
from benito.plan import InterfacePlan, NodePlan
from benito_domains.images.image import DirectBoot, Disk
from benito_domains.render import ContainerFiles, MachineFiles, MadeOf, container_xml, machine_xml

NODE = Path("/var/lib/benito/exp/lab/one/nodes/alpha")
IMAGES = Path("/var/lib/benito/images")
MICRO = MadeOf(image="micro", digest="0123456789abcdef" * 4)
BOOT = DirectBoot(kernel=IMAGES / "kernel-0/vmlinuz", initramfs=IMAGES / "boot-0/initramfs")
DISK = Disk(path=NODE / "root.qcow2", format="qcow2")
SEED = NODE / "seed.iso"
LIMITS = Limits(cpu_percent=150, cpu_shares=512, pids=100, disk_mib=2048)


def container_files(node: Path = NODE) -> ContainerFiles:
    """Where a container's parts are."""
    return ContainerFiles(
        root=node / "root/merged", config=node / "var/config", status=node / "var/status", kit=IMAGES / "kit-0"
    )


def machine_files(node: Path = NODE, **changes: object) -> MachineFiles:
    """Where a machine's parts are: without a root disk, started directly."""
    made: dict[str, object] = {
        "boot": BOOT,
        "config_disk": node / "config.img",
        "console_log": node / "console.log",
        "report": node / "var/status/report",
        "accelerated": False,
    }
    return MachineFiles(**{**made, **changes})  # type: ignore[arg-type]


def container(*, shares: int | None = None, **changes: object) -> str:
    """An openvz node's domain."""
    node = node_plan(**changes)  # type: ignore[arg-type]
    return container_xml(pnode_plan(node), node, container_files(), replace(MICRO, shares=shares))


def machine(
    board: MachineSettings | None = None,
    *,
    places: Mapping[str, object] = MappingProxyType({}),
    shares: int | None = None,
    **more: object,
) -> str:
    """A qemu node's domain; `places` differ from those of a machine that is started directly, without a disk."""
    node = node_plan(kind=Kind.QEMU, machine=board or MachineSettings(), **more)  # type: ignore[arg-type]
    return machine_xml(pnode_plan(node), node, machine_files(**places), replace(MICRO, shares=shares))


TUNNELLED = tuple(replace(interface, mtu_bytes=1450) for interface in node_plan().interfaces)
ARM = MachineSettings(arch=Arch.AARCH64, type=MachineType.VIRT)
CASES = {
    "container": container(),
    "container-alone": container(interfaces=(), control=None),
    "container-behind-vxlan": container(interfaces=TUNNELLED),
    "container-limited": container(limits=LIMITS, shares=512, vcpus=2),
    "machine": machine(),
    "machine-alone": machine(interfaces=(), control=None),
    "machine-behind-vxlan": machine(interfaces=TUNNELLED),
    "machine-accelerated": machine(places={"accelerated": True}, vcpus=2, memory_mib=512),
    "machine-limited": machine(limits=LIMITS, shares=512, vcpus=2),
    "machine-with-disk": machine(places={"root_disk": DISK}),
    "machine-with-own-loader": machine(places={"boot": None, "root_disk": DISK, "seed": SEED}),
    "machine-with-vnc": machine(MachineSettings(vnc=True)),
    "machine-with-cpu": machine(MachineSettings(cpu_model="Haswell-noTSX")),
    "machine-of-32-bits": machine(MachineSettings(arch=Arch.I686)),
    "q35": machine(MachineSettings(type=MachineType.Q35)),
    "q35-with-everything": machine(
        MachineSettings(type=MachineType.Q35, cpu_model="Haswell-noTSX", vnc=True),
        places={"boot": None, "root_disk": DISK, "seed": SEED, "accelerated": True},
        limits=LIMITS,
        shares=512,
        interfaces=TUNNELLED,
    ),
    "microvm": machine(MachineSettings(type=MachineType.MICROVM)),
    "microvm-with-disk": machine(MachineSettings(type=MachineType.MICROVM), places={"root_disk": DISK}),
    "virt": machine(ARM),
    "virt-with-disk": machine(ARM, places={"root_disk": DISK}),
    "virt-with-own-loader": machine(ARM, places={"boot": None, "root_disk": DISK, "seed": SEED}),
}

_LABELS: tuple[Callable[[random.Random], str], ...] = (
    lambda chance: chance.choice("aZ0"),
    lambda chance: f"{'n' * 30}-{chance.randrange(10)}"[-32:],
    lambda chance: f"a{'-' * 30}z",
    lambda chance: f"n-{chance.randrange(10000)}",
)
_BOARDS = (
    *((Arch.X86_64, board) for board in (MachineType.PC, MachineType.Q35, MachineType.MICROVM)),
    (Arch.I686, MachineType.PC),
    (Arch.AARCH64, MachineType.VIRT),
)


def random_domain(chance: random.Random) -> tuple[str, str]:
    """What kind of domain it is, and one that a plan may ask for, from the least to the most of everything."""
    experiment = ExperimentId(chance.choice(_LABELS)(chance), chance.choice(_LABELS)(chance))
    kind = chance.choice((Kind.OPENVZ, Kind.QEMU))
    node = _random_node(chance, experiment, kind)
    plan = pnode_plan(node, experiment=experiment, uid_base=chance.choice((65536, 1 << 20, (1 << 31) - 65536)))
    image = chance.choice(("micro", "debian-12", "https://example.org/a?b=1&c=<2>", "/images/ä b.qcow2"))
    made_of = MadeOf(image=image, digest="f" * 64, shares=chance.choice((None, 1, 2, 1024, 10000)))
    folder = Path("/var/lib/benito/exp") / str(experiment) / "nodes" / node.name
    if kind is Kind.OPENVZ:
        return "lxc", container_xml(plan, node, container_files(folder), made_of)
    board = node.machine
    own_loader = board.type is not MachineType.MICROVM and chance.random() < 0.3
    disk = Disk(path=folder / "root", format=chance.choice(("qcow2", "raw"))) if chance.random() < 0.5 else None
    places = machine_files(
        folder,
        boot=None if own_loader else BOOT,
        root_disk=Disk(path=folder / "root", format="qcow2") if own_loader else disk,
        seed=folder / "seed" if own_loader else None,
        accelerated=board.arch is Arch.X86_64 and chance.random() < 0.5,
    )
    return f"qemu {board.type} {board.arch}", machine_xml(plan, node, places, made_of)


def _random_node(chance: random.Random, experiment: ExperimentId, kind: Kind) -> NodePlan:
    name = chance.choice(_LABELS)(chance)
    arch, board = chance.choice(_BOARDS)
    return node_plan(
        name,
        kind,
        dns_name=experiment.dns_name(name),
        uuid=UUID(int=chance.getrandbits(128), version=5),
        memory_mib=chance.choice((1, 128, 4096, 16777216)),
        vcpus=chance.choice((1, 2, 255, 4096)),
        interfaces=tuple(_random_interface(chance, number) for number in range(chance.randint(0, 20))),
        control=chance.choice((None, node_plan().control)),
        limits=Limits(
            cpu_percent=chance.choice((None, 1, 150, 409600)),
            pids=chance.choice((None, 16, 4194304)),
            disk_mib=chance.choice((None, 1, 16777216)),
        ),
        machine=MachineSettings(
            arch=arch,
            type=board,
            cpu_model=chance.choice((None, "Haswell-noTSX", "qemu64", "cortex-a57")),
            vnc=board is not MachineType.MICROVM and chance.random() < 0.2,
        ),
    )


def _random_interface(chance: random.Random, number: int) -> InterfacePlan:
    octets = [0x02, 0xBE, *chance.randbytes(4)]
    return InterfacePlan(
        name=f"eth{number}",
        lan=chance.choice(_LABELS)(chance),
        mac=":".join(f"{octet:02x}" for octet in octets),
        address=IPv4Interface(f"10.{number}.0.1/24"),
        device=f"bv{chance.getrandbits(52):013x}"[:13],
        bridge=chance.choice((None, f"bb{chance.getrandbits(44):011x}")),
        mtu_bytes=chance.choice((68, 1280, 1450, 1500, 9000, 65535)),
    )


def random_domains(seed: int, count: int) -> list[tuple[str, str]]:
    """So many of them; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    return [random_domain(chance) for _ in range(count)]
