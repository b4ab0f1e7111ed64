"""ssh keys: one pair per experiment, with which Benito enters its nodes, and a host key per node."""

import base64
import os
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito.names import ExperimentId
from benito.paths import StatePaths, make_directory, write_atomically
from benito.plan import NodePlan, PnodePlan
from benito_domains.config import NodeKeys, link_local_address
from benito_domains.nodefiles import NodeFiles

_KEY = "id_ed25519"
_HOST_KEY_KIND, _HALF_BYTES = b"ssh-ed25519", 32
_CONNECT_SECONDS = 10
_ALIVE_SECONDS = 10


def experiment_key(paths: StatePaths, experiment: ExperimentId) -> Path:
    """The experiment's private key. Its public half stands beside it."""
    return paths.experiment(experiment) / _KEY


def make_experiment_key(paths: StatePaths, experiment: ExperimentId) -> None:
    """Makes the experiment's pair unless it is there. Raises HypervisorError."""
    private = experiment_key(paths, experiment)
    public = private.with_suffix(".pub")
    if not (private.exists() and public.exists()):
        _make_pair(private, public, str(experiment))


def remove_unused_keys(paths: StatePaths, experiment: ExperimentId) -> None:
    """Removes the experiment's pair when none of its nodes is left."""
    nodes = paths.experiment(experiment) / "nodes"
    if nodes.is_dir() and any(nodes.iterdir()):
        return
    private = experiment_key(paths, experiment)
    for path in (private, private.with_suffix(".pub")):
        path.unlink(missing_ok=True)


def make_keys(paths: StatePaths, experiment: ExperimentId, node: NodePlan, files: NodeFiles) -> NodeKeys:
    """The node's keys; its host key is made unless it is there. Raises HypervisorError."""
    public = experiment_key(paths, experiment).with_suffix(".pub")
    if not (files.host_key.exists() and files.known_hosts.exists()):
        _make_host_key(node, files)
    return NodeKeys(host_key=files.host_key.read_bytes(), authorized_keys=public.read_text())


def openssh_key(host_key: bytes) -> tuple[str, str]:
    """A host key in dropbear's format as OpenSSH's server reads it: the private file, and the public line.

    Raises HypervisorError for another kind of key than `make_keys` makes.
    """
    kind, rest = _take_string(host_key)
    both, rest = _take_string(rest)
    if kind != _HOST_KEY_KIND or len(both) != 2 * _HALF_BYTES or rest:
        raise HypervisorError("a node's host key is not of the kind that Benito makes")
    public = _string(kind) + _string(both[_HALF_BYTES:])
    # Unencrypted, so that the two check numbers may be any; padded with 1, 2, 3 ... to blocks of eight.
    private = bytes(8) + public + _string(both) + _string(b"")
    private += bytes(range(1, 1 + -len(private) % 8))
    whole = b"openssh-key-v1\0" + _string(b"none") * 2 + _string(b"") + _number(1) + _string(public) + _string(private)
    lines = textwrap.wrap(base64.b64encode(whole).decode(), 70)
    text = "\n".join(("-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""))
    return text, f"{kind.decode()} {base64.b64encode(public).decode()}"


def _number(value: int) -> bytes:
    return value.to_bytes(4)


def _string(value: bytes) -> bytes:
    return _number(len(value)) + value


def _take_string(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:4])
    return data[4 : 4 + size], data[4 + size :]


def ssh_argv(
    paths: StatePaths, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool
) -> list[str]:
    """ssh to the node over the control network, as root; the words of `command` reach it as they are.

    Raises HypervisorError for a node that is not on the control network.
    """
    if node.control is None:
        raise HypervisorError(f"{node.dns_name} is not on the control network")
    known_hosts = NodeFiles(paths.node(plan.experiment, node.name)).known_hosts
    options = {
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": node.dns_name,
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": _CONNECT_SECONDS,
        # A node that was switched off says nothing: without this, ssh would wait for it for ever.
        "ServerAliveInterval": _ALIVE_SECONDS,
        "ServerAliveCountMax": 3,
        "LogLevel": "ERROR",
    }
    words = ["ssh", "-F", "/dev/null", "-i", str(experiment_key(paths, plan.experiment)), "-tt" if terminal else "-T"]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    words.append(f"root@{link_local_address(node.control.mac)}%{plan.control_bridge}")
    return [*words, "--", shlex.join(command)] if command else words


def _make_pair(private: Path, public: Path, comment: str) -> None:
    make_directory(private.parent)
    scratch = private.with_name(f".{_KEY}.{os.getpid()}")
    scratch_public = scratch.with_name(f"{scratch.name}.pub")
    try:
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"benito {comment}", "-f", scratch],
            error=HypervisorError,
            hint="apt-get install openssh-client",
        )
        scratch_public.replace(public)
        scratch.replace(private)
    finally:
        for path in (scratch, scratch_public):
            path.unlink(missing_ok=True)


def _make_host_key(node: NodePlan, files: NodeFiles) -> None:
    files.host_key.unlink(missing_ok=True)
    said = run(
        ["dropbearkey", "-t", "ed25519", "-f", files.host_key],
        error=HypervisorError,
        hint="apt-get install dropbear-bin",
    ).decode()
    for line in said.splitlines():
        if line.startswith("ssh-ed25519 "):
            key = " ".join(line.split()[:2])
            write_atomically(files.known_hosts, f"{node.dns_name} {key}\n".encode(), 0o644)
            return
    raise HypervisorError(f"dropbearkey printed no public key for {node.dns_name}")
