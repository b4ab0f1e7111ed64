"""The status line protocol of DETER's Containers: one line asks, one line answers.

`status_request PROJ/EXP` is answered by `status_reply {'hv:qemu:pnode-0000': {'node': ['booted', 0]}}`, a Python
literal; whatever cannot be answered by `error 'why'`, and the connection stays usable.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from benito.errors import BenitoError
from benito.names import ExperimentId
from benito.status import ExperimentStatus

_IDLE_SECONDS = 10.0
_LINE_BYTES = 4096
_CONNECTIONS = 64

#: Tells the status of an experiment; raises BenitoError.
Ask = Callable[[ExperimentId], ExperimentStatus]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a silent client is kept, how long a line may be and how many clients there may be at once."""

    idle_seconds: float = _IDLE_SECONDS
    line_bytes: int = _LINE_BYTES
    connections: int = _CONNECTIONS


def answer(line: str, ask: Ask) -> str:
    """The reply to one request line, without its line end."""
    words = line.split()
    if not words or words[0] != "status_request":
        return f"error {'unknown command; there is status_request PROJ/EXP'!r}"
    if len(words) != 2 or words[1].count("/") != 1:
        return f"error {'status_request takes one argument, PROJ/EXP'!r}"
    try:
        status = ask(ExperimentId.parse(words[1]))
    except BenitoError as error:
        return f"error {error.message!r}"
    body = {
        hypervisor: {node: [state.boot.value if state.boot else None, state.exit_code] for node, state in nodes.items()}
        for hypervisor, nodes in status.items()
    }
    return f"status_reply {body!r}"


async def serve(ask: Ask, *, host: str, port: int, ready: Callable[[int], None], limits: Limits | None = None) -> None:
    """Answers until it is cancelled; `ready` is told the port once it listens (0 lets the system choose)."""
    bounds = limits or Limits()
    slots = asyncio.Semaphore(bounds.connections)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if slots.locked():
                await _say(writer, f"error {'too many connections'!r}", bounds)
                return
            async with slots:
                await _converse(reader, writer, ask, bounds)
        except (TimeoutError, ConnectionError):
            pass  # a client that went silent or away needs no answer
        finally:
            writer.close()

    server = await asyncio.start_server(client, host, port, limit=bounds.line_bytes)
    async with server:
        ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask, bounds: Limits) -> None:
    while True:
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), bounds.idle_seconds)
        except asyncio.LimitOverrunError:
            await _say(writer, f"error {'line too long'!r}", bounds)
            return
        except asyncio.IncompleteReadError:
            return
        # Asking a hypervisor may take a while; others are served meanwhile.
        reply = await asyncio.to_thread(answer, line.decode("ascii", errors="replace"), ask)
        await _say(writer, reply, bounds)


async def _say(writer: asyncio.StreamWriter, line: str, bounds: Limits) -> None:
    writer.write(line.encode() + b"\n")
    await asyncio.wait_for(writer.drain(), bounds.idle_seconds)
