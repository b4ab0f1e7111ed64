"""Node attributes that say how a node is realized: `containers:*`, its old prefix `benito:*`, and `partition`.

Names and values are those of DETER's Containers reference; what a node may take, its board and its image by name
(docs/nodes.md), and where it may be (docs/placement.md) are ours.
"""

import re
from collections.abc import Callable, Mapping

from benito.model import Kind
from benito.nodesettings import Arch, MachineType
from benito.topology import nodewords
from benito.topology.draft import DraftNode
from benito.topology.findings import Findings
from benito.topology.quantities import Rejection

_PREFIXES = ("containers:", "benito:")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,1024}")
#: Attributes that other tools read or write; Benito keeps them.
_PASSED_ON = ("mac_address", "vde_switch", "vde_port")
#: Which attributes name the image, the first that a node has holds: ours, then the one meant for its kind.
IMAGE_KEYS: Mapping[Kind | None, tuple[str, ...]] = {
    Kind.QEMU: ("image", "qemu_url", "maverick_url"),
    Kind.OPENVZ: ("image", "openvz_template"),
    None: ("image", "openvz_template", "qemu_url", "maverick_url"),
}


def interpret_attributes(node: DraftNode, findings: Findings) -> None:
    """Sets what the node's attributes say about it; errors and doubts go to `findings`."""
    for key, value in node.attributes.items():
        prefix, name = _split(key)
        if prefix is None:
            _doubt_prefix(node, key, findings)
        if name is None:
            continue
        if prefix == "benito:" and f"containers:{name}" in node.attributes:
            continue
        setter = _SETTERS.get(name)
        if setter is None:
            if name not in _PASSED_ON:
                _doubt_name(node, key, findings)
            continue
        try:
            setter(node, value.strip())
        except _Unknown as bad:
            hint = findings.propose(value, bad.known) or bad.hint
            _tell(node, key, bad, hint, findings)
        except Rejection as bad:
            _tell(node, key, bad, bad.hint, findings)
    _check_board(node, findings)
    _set_image(node)


class _Unknown(Rejection):
    """A word that is none of a few; one of them may be meant."""

    def __init__(self, message: str, known: list[str]) -> None:
        super().__init__(message, "known kinds: " + ", ".join(known))
        self.known = known


def _tell(node: DraftNode, key: str, bad: Rejection, hint: str | None, findings: Findings) -> None:
    findings.error(f"{key}: {bad.message}", line=node.attribute_lines.get(key), element=node.name, hint=hint)


def held(attributes: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """The attribute of that name under the prefix that counts, and its value; None where there is no value."""
    for prefix in _PREFIXES:
        value = attributes.get(f"{prefix}{name}", "").strip()
        if value:
            return f"{prefix}{name}", value
    return None


def _split(key: str) -> tuple[str | None, str | None]:
    """The prefix that is ours (`` for plain `partition`) and the name after it."""
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            return prefix, key.removeprefix(prefix)
    if key == "partition":
        return "", key
    return None, None


def _doubt_prefix(node: DraftNode, key: str, findings: Findings) -> None:
    prefix, colon, name = key.partition(":")
    if colon and name in _KNOWN and findings.propose(f"{prefix}:", _PREFIXES):
        findings.warning(
            f"the attribute {key} has no effect",
            line=node.attribute_lines.get(key),
            element=node.name,
            hint=f"did you mean containers:{name}?",
        )


def _doubt_name(node: DraftNode, key: str, findings: Findings) -> None:
    findings.warning(
        f"the attribute {key} is not known and has no effect",
        line=node.attribute_lines.get(key),
        element=node.name,
        hint=findings.propose(key, [f"{prefix}{known}" for prefix in _PREFIXES for known in _KNOWN]),
    )


def _set_kind(node: DraftNode, value: str) -> None:
    try:
        node.kind = Kind(value)
    except ValueError:
        raise _Unknown(f"{value[:80]!r} is no kind of container.", [kind.value for kind in Kind]) from None


def _set_partition(node: DraftNode, value: str) -> None:
    node.partition = str(nodewords.integer(value, 0, 999_999, "the number of a partition"))


def _set_pass(node: DraftNode, value: str) -> None:
    node.partition_pass = nodewords.integer(value, 0, 999_999, "the number of a packing pass")


def _set_ghost(node: DraftNode, value: str) -> None:
    node.ghost = nodewords.flag(value)


def _set_memory(node: DraftNode, value: str) -> None:
    node.memory_mib = nodewords.memory(value)


def _set_vcpus(node: DraftNode, value: str) -> None:
    node.vcpus = nodewords.vcpus(value)


def _set_image(node: DraftNode) -> None:
    for name in IMAGE_KEYS.get(node.kind, ()):
        if (found := held(node.attributes, name)) is not None:
            node.image = found[1]
            return


def _check_board(node: DraftNode, findings: Findings) -> None:
    """What a board cannot have, whatever kind the node becomes."""
    board = held(node.attributes, "machine")
    processor = held(node.attributes, "qemu_arch")
    try:
        machine = nodewords.machine(board[1]) if board else None
        arch = nodewords.arch(processor[1]) if processor else Arch.X86_64
    except Rejection:
        return  # said already
    if board is None or machine is None or (arch is Arch.AARCH64) == (machine is MachineType.VIRT):
        return
    findings.error(
        f"{board[0]}: no {arch} machine has the board {machine}.",
        line=node.attribute_lines.get(board[0]),
        element=node.name,
        hint=f"{Arch.AARCH64} has {MachineType.VIRT}, the others have pc, q35 or microvm",
    )


def _check_template(_node: DraftNode, value: str) -> None:
    """The name of a template, which a site may map to an image; or where one is."""
    if _VISIBLE.fullmatch(value) is None:
        raise Rejection(f"{value[:80]!r} cannot name an image.", "at most 1,024 visible letters, no space")
    if nodewords.is_place(value):
        nodewords.image(value)


def _checked(parse: Callable[[str], object]) -> Callable[[DraftNode, str], None]:
    """Read from the attribute itself by whoever makes the node (`benito.nodeattributes`)."""

    def check(_node: DraftNode, value: str) -> None:
        parse(value)

    return check


def _check_words(_node: DraftNode, value: str) -> None:
    """Labels and features: read from the attribute itself by whoever places the nodes."""
    words = value.replace(",", " ").split()
    if not words or any(_WORD.fullmatch(word) is None for word in words):
        raise Rejection(
            f"{value[:80]!r} is no list of words.", "letters, digits, '-', '_' and '.', separated by commas"
        )


def _check_pnode(_node: DraftNode, value: str) -> None:
    if _WORD.fullmatch(value) is None:
        raise Rejection(f"{value[:80]!r} cannot name a pnode.", "for instance pnode-0002, or a host of the site file")


_SETTERS: Mapping[str, Callable[[DraftNode, str], None]] = {
    "node_type": _set_kind,
    "partition": _set_partition,
    "PartitionPass": _set_pass,
    "PackingPass": _set_pass,
    "ghost": _set_ghost,
    "memory": _set_memory,
    "vcpus": _set_vcpus,
    "disk": _checked(nodewords.disk),
    "openvz_diskspace": _checked(nodewords.disk),
    "cpu_limit": _checked(nodewords.cpu_limit),
    "cpu_shares": _checked(nodewords.cpu_shares),
    "pids": _checked(nodewords.pids),
    "image": _checked(nodewords.image),
    "image_sha256": _checked(nodewords.sha256),
    "qemu_url": _checked(nodewords.image),
    "maverick_url": _checked(nodewords.image),
    "openvz_template": _check_template,
    "qemu_arch": _checked(nodewords.arch),
    "machine": _checked(nodewords.machine),
    "cpu": _checked(nodewords.cpu),
    "vnc": _checked(nodewords.flag),
    "restart": _checked(nodewords.restart),
    "pnode": _check_pnode,
    "together": _check_words,
    "apart": _check_words,
    "requires": _check_words,
}
_KNOWN = (*_SETTERS, *_PASSED_ON)
