"""`benito serve`: the status line protocol on a TCP port."""

from typing import Annotated

import typer

from benito_cli.text import plain


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="TCP port; 0 lets the system choose.")] = 16505,
) -> None:
    """Answer `status_request PROJ/EXP` lines until interrupted. Everyone who reaches the port may ask."""
    import asyncio

    from rich.console import Console

    from benito import serve as server
    from benito.errors import UsageError
    from benito_cli import wiring

    console = Console(highlight=False, soft_wrap=True)

    def ready(chosen: int) -> None:
        console.print(plain(f"listening on {host} port {chosen}"))

    try:
        asyncio.run(server.serve(wiring.local_controller().status, host=host, port=port, ready=ready))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror}", hint="choose another --port"
        ) from error
