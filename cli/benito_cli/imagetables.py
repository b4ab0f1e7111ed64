"""Images as tables and documents."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from benito_cli.grid import add_row, new_table
from benito_cli.text import plain

if TYPE_CHECKING:
    from benito_cli.wiring import ImageRecord

_SHOWN_DIGITS = 12
_MIB = 1 << 20


def print_records(console: Console, records: "Sequence[ImageRecord]") -> None:
    """All images: what they are called, whom they serve, what they take, who uses them."""
    columns = ("image", "digest", "for", "arch", "MiB", "created", "nodes")
    table = new_table(None, *columns, whole=("digest", "for", "arch", "created", "MiB", "nodes"))
    for record in records:
        add_row(
            table,
            ", ".join(record.names) or record.source,
            record.digest[:_SHOWN_DIGITS] if record.digest else "not built",
            ", ".join(record.kinds),
            record.arch or "-",
            round(record.disk_bytes / _MIB) if record.digest else "-",
            record.created[:10] if record.created else "-",
            len(record.nodes) if record.digest else "-",
        )
    console.print(table)


def print_made(console: Console, records: "Iterable[ImageRecord]") -> None:
    """Each image that has been made, on a line."""
    for record in records:
        size, digest = round(record.disk_bytes / _MIB), (record.digest or "")[:_SHOWN_DIGITS]
        words = f"{', '.join(record.names)}: {digest}, {size} MiB, for {' and '.join(record.kinds)} nodes"
        console.print(plain(words))


def document(record: "ImageRecord") -> Mapping[str, object]:
    """The same as a document."""
    return {
        "names": list(record.names),
        "digest": record.digest,
        "kinds": list(record.kinds),
        "arch": record.arch,
        "start": record.start,
        "created": record.created,
        "disk_bytes": record.disk_bytes,
        "nodes": list(record.nodes),
        "source": record.source,
    }
