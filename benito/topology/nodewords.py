"""The values of a node's attributes and options: sizes, limits, boards and images, each from its word.

Every function raises `Rejection`, which says what was expected and what to do.
"""

import re
from enum import StrEnum
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from benito.nodesettings import Arch, MachineType, Restart, RestartPolicy
from benito.topology.findings import nearest
from benito.topology.quantities import Rejection, disk_mib

_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,1024}")
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})
_SCHEMES = ("http", "https", "file")
#: The largest size of a disk or file system: 16 TiB.
_MOST_DISK_MIB = 16 << 20
_MOST_MEMORY_MIB = 16 << 20
_MOST_VCPUS = 4096
_MOST_CPU_PERCENT = 100 * _MOST_VCPUS
#: What the kernel's CPU controllers and process ids allow.
_SHARES, _PIDS = (2, 262_144), (16, 4_194_304)
_MOST_TRIES = 1000
#: What DETER calls the processors that libvirt and the kernel call otherwise.
_ARCHS = {"i386": Arch.I686, "i486": Arch.I686, "i586": Arch.I686, "amd64": Arch.X86_64, "arm64": Arch.AARCH64}

_Word = TypeVar("_Word", bound=StrEnum)


def integer(word: str, least: int, most: int, what: str) -> int:
    """A whole number in a range."""
    if _INTEGER.fullmatch(word) is None or not least <= int(word) <= most:
        raise Rejection(f"{word[:80]!r} is not {what}.", f"a whole number from {least} to {most}")
    return int(word)


def flag(word: str) -> bool:
    """`true` or `false`, also as 1, 0, yes, no, on, off."""
    if word.lower() not in _TRUE | _FALSE:
        raise Rejection(f"{word[:80]!r} is neither true nor false.", "write true or false")
    return word.lower() in _TRUE


def memory(word: str) -> int:
    """MiB of memory."""
    return integer(word, 1, _MOST_MEMORY_MIB, "a size of memory in MiB")


def vcpus(word: str) -> int:
    """A number of CPUs."""
    return integer(word, 1, _MOST_VCPUS, "a number of CPUs")


def cpu_limit(word: str) -> int:
    """Percent of one core."""
    if re.fullmatch(r"[0-9]+\.[0-9]+", word, re.ASCII):
        raise Rejection(f"{word[:80]!r} is not a share of a core in percent.", "100 is one core, 150 one and a half")
    return integer(word, 1, _MOST_CPU_PERCENT, "a share of a core in percent")


def cpu_shares(word: str) -> int:
    """A weight against other nodes."""
    return integer(word, *_SHARES, "a weight of CPU time")


def pids(word: str) -> int:
    """A number of processes and threads."""
    return integer(word, *_PIDS, "a number of processes")


def disk(word: str) -> int:
    """The MiB of `2G`, `512M`, or of a number of blocks of 1 KiB."""
    found = disk_mib(word)
    if found is None:
        raise Rejection(f"{word[:80]!r} is not a size of a disk.", "for instance 2G or 512M")
    if not 1 <= found <= _MOST_DISK_MIB:
        raise Rejection(
            f"{word[:80]!r} is not a size of a disk.", "from 1M to 16384G; a number alone is blocks of 1 KiB"
        )
    return found


def arch(word: str) -> Arch:
    """A processor, `i386` as DETER has it too."""
    return _ARCHS.get(word) or _one_of(word, Arch, "processor that machines can have", tuple(_ARCHS)[:1])


def machine(word: str) -> MachineType:
    """A board."""
    return _one_of(word, MachineType, "board that machines can have")


def cpu(word: str) -> str:
    """The name of a CPU model."""
    if _CPU.fullmatch(word) is None:
        raise Rejection(
            f"{word[:80]!r} cannot name a CPU model.", "for instance host-passthrough, max or Haswell-noTSX"
        )
    return word


def restart(word: str) -> Restart:
    """`never`, `on-failure` or `always`, the last two also with how often at most: `always:3`."""
    name, colon, count = word.partition(":")
    policy = _one_of(name, RestartPolicy, "policy for nodes that died")
    if not colon:
        return Restart(policy=policy)
    if policy is RestartPolicy.NEVER:
        raise Rejection(f"{word[:80]!r} counts tries that are never made.", "write never alone, or on-failure:3")
    return Restart(policy=policy, most=integer(count, 1, _MOST_TRIES, "a number of tries"))


def sha256(word: str) -> str:
    """A checksum in lower case."""
    if _SHA256.fullmatch(word.lower()) is None:
        raise Rejection(f"{word[:80]!r} is not a SHA-256 checksum.", "64 hexadecimal digits, as sha256sum prints them")
    return word.lower()


def is_place(image: str) -> bool:
    """Whether an image's reference is a URL or a path, not a name."""
    return "://" in image or image.startswith("/")


def image(word: str) -> str:
    """What names an image: its name, a URL (http, https, file) or an absolute path that it is imported from."""
    if _VISIBLE.fullmatch(word) is None:
        raise Rejection(
            f"{word[:80]!r} cannot name an image.", "a name, a URL or an absolute path of at most 1,024 visible letters"
        )
    if "://" in word:
        return _url(word)
    if word.startswith("/"):
        return _path(word, word)
    if _IMAGE.fullmatch(word) is None:
        hint = "paths begin with /" if "/" in word else "a name, an http, https or file URL, or an absolute path"
        raise Rejection(f"{word[:80]!r} cannot name an image.", hint)
    return word


def _url(word: str) -> str:
    try:
        url = urlsplit(word)
        host = url.hostname
        _ = url.port
    except ValueError:
        raise Rejection(f"{word[:80]!r} is no URL.", "for instance https://images.example/disk.qcow2") from None
    if url.scheme not in _SCHEMES:
        raise Rejection(
            f"{word[:80]!r}: images are not fetched by {url.scheme[:20] or 'this'}.", f"known: {', '.join(_SCHEMES)}"
        )
    if url.scheme == "file":
        if host not in (None, "localhost"):
            raise Rejection(f"{word[:80]!r} is a file of another host.", "for instance file:///proj/lab/disk.qcow2")
        return _path(unquote(url.path), word)
    if not host or url.path in ("", "/"):
        raise Rejection(f"{word[:80]!r} names no file of a server.", "for instance https://images.example/disk.qcow2")
    return word


def _path(path: str, word: str) -> str:
    if path.endswith("/") or not path.startswith("/") or {"..", "."} & set(path.split("/")):
        raise Rejection(f"{word[:80]!r} is no plain path of a file.", "an absolute path without . and ..")
    return word


def _one_of(word: str, words: type[_Word], what: str, more: tuple[str, ...] = ()) -> _Word:
    if word in tuple(words):
        return words(word)
    known = [one.value for one in words] + list(more)
    raise Rejection(f"{word[:80]!r} is no {what}.", nearest(word[:80], known) or f"known: {', '.join(known)}")
