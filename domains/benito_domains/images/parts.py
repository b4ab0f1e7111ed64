"""What a scratch folder holds, as the parts of an image."""

from pathlib import Path

from benito.nodesettings import Arch
from benito_domains.images.listing import file_sha256, list_tree
from benito_domains.images.manifest import FORMAT, Manifest, Part, Start, now
from benito_domains.images.shelf import TREE, Shelf

LISTING = "root.list"


def new_tree(folder: Path) -> Path:
    """The empty folder for a root file system in a scratch folder. Only root may pass to it."""
    root = folder / TREE
    root.parent.mkdir(mode=0o700)
    root.mkdir()
    root.chmod(0o755)
    return root


def tree_part(folder: Path) -> Part:
    """The root file system in a scratch folder; its listing is written beside it."""
    listing = list_tree(folder / TREE)
    (folder / LISTING).write_text(listing.text)
    return Part(name=TREE, sha256=listing.sha256, total_bytes=listing.total_bytes, is_tree=True)


def disk_part(folder: Path, name: str, form: str, sha256: str | None = None) -> Part:
    """The disk in a scratch folder; its checksum, where it is known. qemu, which has a user of its own, may read it."""
    path = folder / name
    path.chmod(0o644)
    return Part(name=name, sha256=sha256 or file_sha256(path), total_bytes=path.stat().st_size, format=form)


def put_parts(
    shelf: Shelf, folder: Path, part: Part, *, arch: Arch, start: Start, source: str, key: str | None = None
) -> str:
    """Puts a scratch folder in place as an image of that one part; its digest. While `making`."""
    made = Manifest(format=FORMAT, arch=arch, start=start, source=source, created=now(), parts=(part,))
    return shelf.put_image(folder, made, key)
