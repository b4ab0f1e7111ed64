"""The files of /var/benito/config, as texts. Pure: `nodefiles` writes them, the guest's scripts read them.

Every value is one of names and addresses that were checked, or stands alone in a file, or is quoted for the shell.
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from benito.launch import ENVIRONMENT
from benito.plan import NodePlan, PnodePlan
from benito.site import ETHERNET_MTU_BYTES

#: The control interface's name inside a node.
CONTROL_INTERFACE = "ctl0"
#: What release() puts into the config folder of a container.
RELEASED = "released"
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
    }
    if node.start_command:
        texts["start_command"] = f"{node.start_command}\n"
    files = {name: ConfigFile(data=text.encode()) for name, text in texts.items()}
    if keys is not None:
        files["host_key"] = ConfigFile(data=keys.host_key, secret=True)
        files["authorized_keys"] = ConfigFile(data=keys.authorized_keys.encode())
    return files


def interfaces_text(node: NodePlan) -> str:
    """A line `MAC NAME ADDRESS/LENGTH` for each interface; `-` where an interface has no IPv4 address.

    The MTU stands last where it is not Ethernet's own.
    """
    lines = [
        f"{interface.mac} {interface.name} {interface.address}"
        f"{f' {interface.mtu_bytes}' if interface.mtu_bytes != ETHERNET_MTU_BYTES else ''}\n"
        for interface in node.interfaces
    ]
    if node.control is not None:
        lines.append(f"{node.control.mac} {CONTROL_INTERFACE} -\n")
    return "".join(lines)


def environment_text(plan: PnodePlan) -> str:
    """What a start command's shell reads first. Names that no shell takes as a variable are left out."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in plan.environment if _VARIABLE.fullmatch(name)
    )


def link_local_address(mac: str) -> IPv6Address:
    """The IPv6 link-local address that the kernel derives from a MAC (EUI-64, RFC 4291 appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 0x02, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def inner_argv(command: Sequence[str], *, terminal: bool) -> list[str]:
    """The words that run `command` (a login shell, if empty) inside namespaces just entered: root's environment and
    home, nothing of the caller's but the kind of its terminal."""
    kind = os.environ.get("TERM", "linux") if terminal else "dumb"
    words = ["env", "-i", "HOME=/root", "USER=root", "LOGNAME=root", f"PATH={ENVIRONMENT['PATH']}", f"TERM={kind}"]
    return [*words, "/bin/sh", "-c", _GO_HOME, "sh", *(command or ["/bin/sh", "-l"])]
