"""Disk images that anybody may have made: what they are, and whether they may be used. Never guessed twice.

A raw disk is read by its first bytes once, here. From then on its format is given with it: its guest could write the
head of another format into it, with the path of any file of this machine as a "backing file".
"""

import json
import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benito.errors import HypervisorError
from benito_domains.images.contained import run_contained
from benito_domains.images.manifest import Start

_QCOW2 = b"QFI\xfb"
_HEAD_BYTES = 0x20000
#: Programs that look at what strangers made get so much memory and time, no more.
_LIMITS = {"as": 2 << 30, "cpu": 60}
_SECONDS = 120
#: Features of qcow2 by their bits: of those that a reader must know, only unclean shutdown, other compression and
#: small clusters do no harm.
_HARMLESS = 0b11001
_OTHERS = {
    b"KDMV": "a VMDK disk",
    b"conectix": "a VHD disk",
    b"vhdxfile": "a VHDX disk",
    b"<<< ": "a VirtualBox disk",
    b"\x7fELF": "a program",
    b"PK\x03\x04": "a zip file",
    b"7z\xbc\xaf": "a 7z file",
}


class Form(StrEnum):
    """What an import holds."""

    TREE = "tree"
    DISK = "disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file is: a root file system in a tar file, or a disk of the format that qemu calls `disk_format`."""

    form: Form
    disk_format: str = ""


def identify(path: Path, form: Form | None = None) -> Content:
    """What is in a file that is not compressed; `form` is what somebody says it is.

    Raises HypervisorError where it is neither a disk nor a tar file.
    """
    head = _head(path)
    if head.startswith(_QCOW2) and form is not Form.TREE:
        return Content(form=Form.DISK, disk_format="qcow2")
    if head[257:262] == b"ustar" and form is not Form.DISK:
        return Content(form=Form.TREE)
    if form is Form.DISK or (form is None and (_has_partitions(head) or _is_file_system(head))):
        if head[0x8001:0x8006] == b"CD001" and form is None:
            raise _neither("an ISO image, a CD to install from")
        return Content(form=Form.DISK, disk_format="raw")
    raise _neither(next((name for magic, name in _OTHERS.items() if head.startswith(magic)), "something else"))


def _neither(what: str) -> HypervisorError:
    hint = "other disks: qemu-img convert -O qcow2 FROM TO; without a partition table: --kind disk"
    return HypervisorError(f"this is {what}: neither a disk image (qcow2, raw) nor a tar file", hint=hint)


def how_it_starts(path: Path, disk_format: str) -> Start:
    """Whether a disk has a loader of its own: one that is a file system as a whole has not. Raises HypervisorError."""
    head = _head(path) if disk_format == "raw" else _inner_head(path)
    return Start.DIRECT if _is_file_system(head) and not _has_partitions(head) else Start.OWN


def check_qcow2(path: Path) -> None:
    """Raises HypervisorError where a qcow2 file is anything but a plain disk that is all there."""
    head = _head(path)
    reason = refused(head)
    if reason is None:
        words: list[str | Path] = ["qemu-img", "info", "-f", "qcow2", "--output=json", path]
        try:
            found = json.loads(run_contained(words, seconds=_SECONDS, limits=_LIMITS))
        except (HypervisorError, ValueError) as error:
            raise HypervisorError(f"the qcow2 file is damaged: {error}") from error
        details = found.get("format-specific", {}).get("data", {})
        if "backing-filename" in found or "full-backing-filename" in found:
            reason = "has a backing file"
        elif "data-file" in details:
            reason = "keeps its data in another file"
        elif found.get("encrypted"):
            reason = "is encrypted"
        elif details.get("corrupt"):
            reason = "is marked as damaged"
    if reason is not None:
        hint = "make it plain where it is trusted: qemu-img convert -O qcow2 FROM TO"
        raise HypervisorError(f"the qcow2 file {reason}: it is not used", hint=hint)


def refused(head: bytes) -> str | None:
    """Why a qcow2 file with this head is not used, before any program has looked at it. Layout: qemu's own."""
    if len(head) < 72 or not head.startswith(_QCOW2):
        return "has no head"
    version, backing = struct.unpack_from(">IQ", head, 4)
    (encryption,) = struct.unpack_from(">I", head, 32)
    features = struct.unpack_from(">Q", head, 72)[0] if version == 3 and len(head) >= 80 else 0
    findings = (
        (version not in (2, 3), f"has version {version}"),
        (backing, "has a backing file"),
        (encryption, "is encrypted"),
        (features & 0b100, "keeps its data in another file"),
        (features & 0b10, "is marked as damaged"),
        (features & ~_HARMLESS, "has features that are not known"),
    )
    return next((words for is_so, words in findings if is_so), None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _inner_head(path: Path) -> bytes:
    """The disk's first bytes as a machine would read them."""
    target = path.with_name("head")
    argv = ["qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"bs={_HEAD_BYTES}", "count=1"]
    run_contained([*argv, f"if={path}", f"of={target}"], seconds=_SECONDS, limits=_LIMITS)
    head = _head(target)
    target.unlink()
    return head


def _has_partitions(head: bytes) -> bool:
    return head[510:512] == b"\x55\xaa" or head[512:520] == b"EFI PART"


def _is_file_system(head: bytes) -> bool:
    return head[0x438:0x43A] == b"\x53\xef" or head.startswith(b"XFSB") or head[0x10040:0x10048] == b"_BHRfS_M"
