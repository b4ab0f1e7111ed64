"""`benito image`: the images that nodes are made from."""

import typer
from rich.console import Console

from benito_cli.text import plain

app = typer.Typer(help="The images that nodes are made from.", no_args_is_help=True, rich_markup_mode=None)


@app.command("build")
def build() -> None:
    """Build the image `micro` from this system's packages, if it is not there."""
    from benito_cli import wiring
    from benito_cli.progress import shown

    with shown() as progress:
        image = wiring.build_image(progress)
    Console(highlight=False, soft_wrap=True).print(plain(image))


@app.command("list")
def list_images() -> None:
    """List the images that are there."""
    from benito_cli import wiring

    console = Console(highlight=False, soft_wrap=True)
    for image in wiring.images():
        console.print(plain(image))
