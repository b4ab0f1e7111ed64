"""The files of /var/benito/config, as texts. Pure: `nodefiles` writes them, the guest's scripts read them.

Every value is one of names and addresses that were checked, or stands alone in a file, or is quoted for the shell.
"""

import os
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from benito.launch import ENVIRONMENT
from benito.plan import NodePlan, PnodePlan
from benito.site import ETHERNET_MTU_BYTES

#: Where a node finds the guest's scripts and their programs (`images.kit`).
KIT_INSIDE = "/usr/lib/benito"
#: How many processes a container may have where nothing is said.
PROCESSES = 4096
#: The control interface's name inside a node.
CONTROL_INTERFACE = "ctl0"
#: What release() puts into the config folder of a container.
RELEASED = "released"
#: The part of a machine's configuration disk that says whether the node may go on.
SECTOR_BYTES = 512
#: That part before the node is released.
WAITING_SECTOR = b"waiting\n".ljust(SECTOR_BYTES, b"\0")
_GO_HOME = 'cd "$HOME" 2>/dev/null || cd /; exec "$@"'
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """One file: its bytes, and whether only the node's root may read it."""

    data: bytes
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """What makes a node reachable by ssh: its own private host key, and who may come in."""

    host_key: bytes
    authorized_keys: str


def config_files(plan: PnodePlan, node: NodePlan, keys: NodeKeys | None) -> Mapping[str, ConfigFile]:
    """All files of a node by name. `keys` is None where nothing listens (process nodes)."""
    texts = {
        "hostname": f"{node.name}\n",
        "hosts": plan.hosts,
        "interfaces": interfaces_text(node),
        "routes": "".join(f"{route.destination} {route.via}\n" for route in node.routes),
        "environment": environment_text(plan),
        "pid_eid": f"{plan.experiment.pid}\n{plan.experiment.eid}\n",
        "machine_id": f"{node.uuid.hex}\n",
        "pids": f"{node.limits.pids or PROCESSES}\n",
    }
    if node.start_command:
        texts["start_command"] = f"{node.start_command}\n"
    files = {name: ConfigFile(data=text.encode()) for name, text in texts.items()}
    if keys is not None:
        files["host_key"] = ConfigFile(data=keys.host_key, secret=True)
        files["authorized_keys"] = ConfigFile(data=keys.authorized_keys.encode())
    return files


def interfaces_text(node: NodePlan) -> str:
    """A line `MAC NAME ADDRESS/LENGTH` for each interface; the control interface's address is link-local.

    The MTU stands last where it is not Ethernet's own.
    """
    lines = [
        f"{interface.mac} {interface.name} {interface.address}"
        f"{f' {interface.mtu_bytes}' if interface.mtu_bytes != ETHERNET_MTU_BYTES else ''}\n"
        for interface in node.interfaces
    ]
    if node.control is not None:
        lines.append(f"{node.control.mac} {CONTROL_INTERFACE} {link_local_address(node.control.mac)}/64\n")
    return "".join(lines)


def environment_text(plan: PnodePlan) -> str:
    """What a start command's shell reads first. Names that no shell takes as a variable are left out."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in plan.environment if _VARIABLE.fullmatch(name)
    )


def released_text(moment: float | None) -> bytes:
    """What the file `released` of a container or process node holds: to go on at once, or at `moment` (seconds since
    the epoch), which is said as the pnode's uptime, since they share that."""
    if moment is None:
        return b"released\n"
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME) + moment - time.time()
    return b"released at %.2f\n" % max(uptime, 0)


def released_sector(moment: float | None) -> bytes:
    """The first sector of a released machine's configuration disk. The time until `moment` (seconds since the epoch)
    is said in milliseconds from now on, to be written at once: a machine's own clock may be off."""
    text = b"released\n" if moment is None else b"released in %d\n" % max(round((moment - time.time()) * 1000), 0)
    return text.ljust(SECTOR_BYTES, b"\0")


def link_local_address(mac: str) -> IPv6Address:
    """The IPv6 link-local address that the kernel derives from a MAC (EUI-64, RFC 4291 appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 0x02, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def inner_argv(command: Sequence[str], *, terminal: bool, kit: bool = False) -> list[str]:
    """The words that run `command` (a login shell, if empty) inside namespaces just entered: root's environment and
    home, nothing of the caller's but the kind of its terminal. With `kit` nothing of the node's file system is needed
    for it but the kit."""
    kind = os.environ.get("TERM", "linux") if terminal else "dumb"
    path = ENVIRONMENT["PATH"]
    if kit:
        path = f"{path}:{KIT_INSIDE}/applets"
    words = ["env", "-i", "HOME=/root", "USER=root", "LOGNAME=root", f"PATH={path}", f"TERM={kind}"]
    if kit:
        return [f"{KIT_INSIDE}/busybox", *words, f"{KIT_INSIDE}/run", *command]
    return [*words, "/bin/sh", "-c", _GO_HOME, "sh", *(command or ["/bin/sh", "-l"])]
