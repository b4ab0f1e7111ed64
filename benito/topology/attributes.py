"""Node attributes that say how a node is realized: `containers:*`, its old prefix `benito:*`, and `partition`.

Names and values are those of DETER's Containers reference; `benito:memory`, `benito:vcpus`, `benito:disk` and the
attributes that say where a node may be (docs/placement.md) are ours.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from benito.model import Kind
from benito.topology.draft import DraftNode
from benito.topology.findings import Findings
from benito.topology.quantities import disk_mib

_PREFIXES = ("containers:", "benito:")
_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_IMAGE = re.compile(r"[\x21-\x7e]{1,1024}")
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})
_MOST_MEMORY_MIB = 16 << 20
_MOST_VCPUS = 4096
#: Attributes that other tools read or write; Benito keeps them.
_PASSED_ON = ("openvz_diskspace", "qemu_arch", "mac_address", "vde_switch", "vde_port")
#: Which attributes name the image, the one meant for the node's kind first.
_IMAGES: Mapping[Kind | None, tuple[str, ...]] = {
    Kind.QEMU: ("qemu_url", "maverick_url"),
    Kind.OPENVZ: ("openvz_template",),
    None: ("openvz_template", "qemu_url", "maverick_url"),
}


class _BadValue(Exception):
    def __init__(self, message: str, hint: str | None = None, known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.known = known


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
            if name not in _PASSED_ON and name not in _ALL_IMAGES:
                _doubt_name(node, key, findings)
            continue
        try:
            setter(node, value.strip())
        except _BadValue as bad:
            proposal = findings.propose(value, bad.known) if bad.known else None
            findings.error(
                f"{key}: {bad.message}",
                line=node.attribute_lines.get(key),
                element=node.name,
                hint=proposal or bad.hint,
            )
    _set_image(node, findings)


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
        known = [kind.value for kind in Kind]
        raise _BadValue(f"{value[:80]!r} is no kind of container.", "known kinds: " + ", ".join(known), known) from None


def _integer(value: str, least: int, most: int, what: str) -> int:
    if _INTEGER.fullmatch(value) is None or not least <= int(value) <= most:
        raise _BadValue(f"{value[:80]!r} is not {what}.", f"a whole number from {least} to {most}")
    return int(value)


def _set_partition(node: DraftNode, value: str) -> None:
    node.partition = str(_integer(value, 0, 999_999, "the number of a partition"))


def _set_pass(node: DraftNode, value: str) -> None:
    node.partition_pass = _integer(value, 0, 999_999, "the number of a packing pass")


def _set_ghost(node: DraftNode, value: str) -> None:
    if value.lower() not in _TRUE | _FALSE:
        raise _BadValue(f"{value[:80]!r} is neither true nor false.")
    node.ghost = value.lower() in _TRUE


def _set_memory(node: DraftNode, value: str) -> None:
    node.memory_mib = _integer(value, 1, _MOST_MEMORY_MIB, "a size of memory in MiB")


def _set_vcpus(node: DraftNode, value: str) -> None:
    node.vcpus = _integer(value, 1, _MOST_VCPUS, "a number of CPUs")


def _set_image(node: DraftNode, findings: Findings) -> None:
    for name in _IMAGES.get(node.kind, ()):
        for prefix in _PREFIXES:
            key = f"{prefix}{name}"
            value = node.attributes.get(key, "").strip()
            if not value:
                continue
            if _IMAGE.fullmatch(value) is None:
                findings.error(
                    f"{key}: {value[:80]!r} cannot name an image.",
                    line=node.attribute_lines.get(key),
                    element=node.name,
                )
            node.image = value
            return


def _check_words(_node: DraftNode, value: str) -> None:
    """Labels and features: read from the attribute itself by whoever places the nodes."""
    words = value.replace(",", " ").split()
    if not words or any(_WORD.fullmatch(word) is None for word in words):
        raise _BadValue(
            f"{value[:80]!r} is no list of words.", "letters, digits, '-', '_' and '.', separated by commas"
        )


def _check_pnode(_node: DraftNode, value: str) -> None:
    if _WORD.fullmatch(value) is None:
        raise _BadValue(f"{value[:80]!r} cannot name a pnode.", "for instance pnode-0002, or a host of the site file")


def _check_disk(_node: DraftNode, value: str) -> None:
    if disk_mib(value) is None:
        raise _BadValue(f"{value[:80]!r} is not a size of a disk.", "for instance 2G or 512M")


_SETTERS: Mapping[str, Callable[[DraftNode, str], None]] = {
    "node_type": _set_kind,
    "partition": _set_partition,
    "PartitionPass": _set_pass,
    "PackingPass": _set_pass,
    "ghost": _set_ghost,
    "memory": _set_memory,
    "vcpus": _set_vcpus,
    "disk": _check_disk,
    "pnode": _check_pnode,
    "together": _check_words,
    "apart": _check_words,
    "requires": _check_words,
}
_ALL_IMAGES = frozenset(name for names in _IMAGES.values() for name in names)
_KNOWN = (*_SETTERS, *_PASSED_ON, *sorted(_ALL_IMAGES))
