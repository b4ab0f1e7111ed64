"""`benito image`: the images that nodes are made from."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options

if TYPE_CHECKING:
    from benito.model import Kind

app = typer.Typer(help="The images that nodes are made from.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What nodes call it (`tb-set-node-os NAME`).")]
Replace = Annotated[bool, typer.Option("--replace", help="Also where the name stands for another image.")]


@app.command("list")
def list_images(json: options.Json = False) -> None:
    """List the images that are there, and those that can be built."""
    from benito_cli import documents, imagetables, wiring

    records = wiring.image_keeper().records()
    if json:
        typer.echo(documents.to_text([imagetables.document(record) for record in records]))
    else:
        imagetables.print_records(Console(), records)


@app.command("build")
def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which.  [default: micro]")] = None,
    kind: Annotated[
        str | None, typer.Option("--for", metavar="qemu|openvz", help="Only for nodes of that kind.  [default: both]")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Also where it is there: of today's packages.")] = False,
) -> None:
    """Build images (micro, debian-12, debian-13), unless they are there."""
    from benito_cli import imagetables, wiring
    from benito_cli.progress import shown

    kinds = _kinds(kind)
    with shown() as progress:
        keeper = wiring.image_keeper(progress)
        built = [keeper.build(name, kinds, fresh=fresh) for name in names or ["micro"]]
    imagetables.print_made(Console(highlight=False, soft_wrap=True), built)


@app.command("import")
def import_image(
    name: Name,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A path, or a URL of http, https or file.")],
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="The file's checksum, as it was published.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="tree|disk", help="What is in it.  [default: by its content]")
    ] = None,
    boot: Annotated[
        str | None,
        typer.Option("--boot", metavar="own|direct", help="A disk's own loader, or our kernel.  [default: by content]"),
    ] = None,
    arch: Annotated[str, typer.Option("--arch", metavar="ARCH", help="x86_64, i686 or aarch64.")] = "x86_64",
    most_gib: Annotated[
        float, typer.Option("--max-size", metavar="GIB", help="More than that, unpacked, is refused.")
    ] = 20,
    replace: Replace = False,
) -> None:
    """Import a disk (qcow2, raw) or a root file system (tar), plain or packed by gzip, bzip2, xz or zstd."""
    from benito_cli import imagetables, wiring
    from benito_cli.progress import shown

    order = wiring.import_order(source, sha256=sha256, kind=kind, boot=boot, arch=arch, most_gib=most_gib)
    with shown() as progress:
        made = wiring.image_keeper(progress).import_image(name, order, replace=replace)
    imagetables.print_made(Console(highlight=False, soft_wrap=True), [made])


@app.command("save")
def save(
    node: Annotated[str, typer.Argument(metavar="NODE", help="a.star.lab, or a.star in the project lab.")],
    name: Name,
    replace: Replace = False,
) -> None:
    """Save a container's file system, or a stopped machine's disk, as a new image."""
    from benito_cli import imagetables, wiring
    from benito_cli.progress import shown

    with shown() as progress:
        made = wiring.save_image(node, name, progress, replace=replace)
    imagetables.print_made(Console(highlight=False, soft_wrap=True), [made])


@app.command("rm")
def remove(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which.")] = None,
    unused: Annotated[
        bool, typer.Option("--unused", help="All that have no name and no node, and what is of no use any longer.")
    ] = False,
) -> None:
    """Remove images that no node uses."""
    from benito.errors import UsageError
    from benito_cli import wiring
    from benito_cli.progress import shown
    from benito_cli.text import plain

    if not names and not unused:
        raise UsageError("which image?", hint="name some, or use --unused")
    with shown() as progress:
        keeper = wiring.image_keeper(progress)
        removed = keeper.remove(names) if names else []
        removed += keeper.remove_unused() if unused else []
    console = Console(highlight=False, soft_wrap=True)
    for what in removed:
        console.print(plain(f"removed {what}"))
    if not removed:
        console.print("nothing to remove")


@app.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which.  [default: all]")] = None,
) -> None:
    """Compute the checksums of images again, and name each file that differs. Exit code 5 if one does."""
    from benito_cli import wiring
    from benito_cli.progress import shown
    from benito_cli.text import plain

    with shown() as progress:
        findings = wiring.image_keeper(progress).verify(name)
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(plain(finding))
    if findings:
        raise typer.Exit(5)
    console.print("all as they were made")


def _kinds(text: str | None) -> "tuple[Kind, ...]":
    from benito.errors import UsageError
    from benito.model import Kind

    kinds = (Kind.OPENVZ, Kind.QEMU)
    if text is None:
        return kinds
    if text not in kinds:
        raise UsageError(f"{text[:100]!r} nodes have no images", hint="qemu or openvz")
    return (Kind(text),)
