"""How a node is to be, beyond its kind: what attributes of a file and options ask for, as a pnode is told it.

`nodeattributes` reads them from a file's attributes; `docs/nodes.md` is the manual.
"""

from dataclasses import dataclass
from enum import StrEnum


class Arch(StrEnum):
    """A machine's processor (`containers:qemu_arch`), in libvirt's words."""

    X86_64 = "x86_64"
    I686 = "i686"
    AARCH64 = "aarch64"


class MachineType(StrEnum):
    """Which board qemu emulates."""

    PC = "pc"
    Q35 = "q35"
    MICROVM = "microvm"
    VIRT = "virt"  # the only one of aarch64


class RestartPolicy(StrEnum):
    """Whether a node that died is started again: never, unless it ended by itself with 0, or always."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """What only virtual machines have. `cpu_model` is one that libvirt knows; None takes the host's or qemu's best."""

    arch: Arch = Arch.X86_64
    type: MachineType = MachineType.PC
    cpu_model: str | None = None
    vnc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a node may take of its pnode at most; None where nothing is said. Memory stands in the plan itself.

    `cpu_percent` is of one core (150: one and a half). `cpu_shares` is its weight against others, 1,024 is usual.
    `pids` counts processes and threads. `disk_mib` is what it may write: the size of a machine's disk, of a
    container's or process's own file system.
    """

    cpu_percent: int | None = None
    cpu_shares: int | None = None
    pids: int | None = None
    disk_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What happens when a node dies: `most` tries without an hour of quiet in between, the waits between doubling."""

    policy: RestartPolicy = RestartPolicy.NEVER
    most: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tarfile:
    """A tar file that is unpacked in the node before its first start command (`tb-set-node-tarfiles`).

    `directory` is absolute, in the node. `source` is a file of the pnode's; with its links followed it has to lie below
    `below`: `/proj`, `/share`, `/groups`, `/users` or the topology file's folder.
    """

    directory: str
    source: str
    below: str = "/proj"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """All of it for one node. `image` is a name, a URL or an absolute path; "" where nodes of its kind have none."""

    image: str
    image_sha256: str | None
    memory_mib: int
    vcpus: int
    machine: MachineSettings
    limits: Limits
    restart: Restart
    tarfiles: tuple[Tarfile, ...]


#: Nothing asked for.
MACHINE = MachineSettings()
NO_LIMITS = Limits()
NO_RESTART = Restart()
