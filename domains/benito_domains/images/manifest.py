"""What the store knows of an image: `manifest.json` in its folder, and in each part that was made of it later."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from benito.errors import HypervisorError
from benito.nodesettings import Arch

FORMAT = 1
FILE = "manifest.json"
_STRICT = ConfigDict(extra="forbid")


class Start(StrEnum):
    """How a machine starts from an image."""

    MEMORY = "memory"  # our kernel; the initramfs is the whole system
    DIRECT = "direct"  # our kernel; the initramfs leads to the disk
    OWN = "own"  # the disk's own loader


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A tree or a file of an image. `sha256` is the file's, or that of the tree's listing (`NAME.list`).

    `total_bytes` is what is in it, holes too. `format` is qemu's word for a disk's.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    sha256: str
    total_bytes: int
    is_tree: bool = False
    format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image, or parts that were made of it. `source` says for people where it is from; `created` is ISO 8601."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    format: int
    arch: Arch
    start: Start
    source: str
    created: str
    parts: tuple[Part, ...]

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that depend on all content and on what it is for, not on source and date."""
        lines = [f"benito image {self.format}", self.arch, self.start]
        lines += [f"{part.name} {part.format or '-'} {part.sha256}" for part in self.parts]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def tree(self) -> Part | None:
        """The root file system, where the image is one."""
        return next((part for part in self.parts if part.is_tree), None)

    @property
    def disk(self) -> Part | None:
        """The disk, where it has one."""
        return next((part for part in self.parts if part.format is not None), None)


_READER = TypeAdapter(Manifest)


def now() -> str:
    """The present moment as manifests have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Puts it into the folder of an image that is being made."""
    (folder / FILE).write_bytes(_READER.dump_json(manifest, indent=1))


def read_manifest(folder: Path) -> Manifest:
    """A folder's manifest. Raises HypervisorError where it is none, or of another version of Benito."""
    hint = f"remove the folder {folder} if no node uses the image, and build or import it again"
    try:
        manifest = _READER.validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise HypervisorError(f"{folder / FILE} cannot be read: {str(error).splitlines()[0]}", hint=hint) from error
    if manifest.format != FORMAT:
        raise HypervisorError(f"{folder / FILE} has format {manifest.format}, not {FORMAT}", hint=hint)
    return manifest
