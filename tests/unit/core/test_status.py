"""What nodes say of themselves, and the status line protocol that tells it on."""

import ast
import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benito.errors import ExperimentMissing
from benito.names import ExperimentId
from benito.serve import Limits, answer, serve
from benito.status import BootStatus, Ending, EndWord, NodeStatus, StartState, parse_report

BOOTED = BootStatus.BOOTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", NodeStatus(boot=BootStatus.RUNNING)),
        ("booted\n", NodeStatus(boot=BOOTED)),
        ("booted\nstart_command waiting\n", NodeStatus(boot=BOOTED, start=StartState.WAITING)),
        ("booted\nstart_command waiting\nstart_command running\n", NodeStatus(boot=BOOTED, start=StartState.RUNNING)),
        (
            "booted\nstart_command running\nstart_command 3 0.5\n",
            NodeStatus(boot=BOOTED, exit_code=3, start_seconds=0.5, start=StartState.ENDED),
        ),
        ("booted\nstart_command 3 1\nstart_command running\n", NodeStatus(boot=BOOTED, start=StartState.RUNNING)),
        ("booted\nstart_command 3 1\nbooted\n", NodeStatus(boot=BOOTED)),
        ("booted\nended poweroff 0\n", NodeStatus(boot=BOOTED, ended=Ending(word=EndWord.POWEROFF, exit_code=0))),
        ("ended failed 1\n", NodeStatus(boot=BootStatus.RUNNING, ended=Ending(word=EndWord.FAILED, exit_code=1))),
        ("booted\nended reboot 0\nbooted\n", NodeStatus(boot=BOOTED)),
        ("booted\nstart_command x y\nended now 0\nended reboot -1\n\x1b[2J\0\nnoise", NodeStatus(boot=BOOTED)),
    ],
)
def test_the_last_word_of_a_node_counts(text: str, expected: NodeStatus) -> None:
    assert parse_report(text) == expected


def ask(experiment: ExperimentId) -> dict[str, dict[str, NodeStatus]]:
    if experiment != ExperimentId("lab", "star"):
        raise ExperimentMissing(f"there is no experiment {experiment}")
    return {
        "hv:qemu:pnode-0000": {"n-7": NodeStatus(boot=BootStatus.BOOTED, exit_code=0), "n-8": NodeStatus()},
        "hv:lxc:pnode-0000": {"center": NodeStatus(boot=BootStatus.RUNNING)},
    }


def test_a_status_reply_is_the_literal_of_the_original() -> None:
    kind, _, body = answer("status_request lab/star", ask).partition(" ")
    assert kind == "status_reply"
    assert ast.literal_eval(body) == {
        "hv:qemu:pnode-0000": {"n-7": ["booted", 0], "n-8": [None, None]},
        "hv:lxc:pnode-0000": {"center": ["running", None]},
    }


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "status_request",
        "status_request star",
        "status_request a/b/c",
        "status_request lab/none",
        "status_request lab/$(id)",
    ],
)
def test_what_cannot_be_answered_is_an_error_line_with_a_literal(line: str) -> None:
    kind, _, body = answer(line, ask).partition(" ")
    assert kind == "error"
    assert isinstance(ast.literal_eval(body), str)


def talk(conversation: Callable[[int], Awaitable[None]], limits: Limits | None = None) -> None:
    async def main() -> None:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(serve(ask, host="127.0.0.1", port=0, ready=port.set_result, limits=limits))
        try:
            await conversation(await port)
        finally:
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    asyncio.run(main())


def test_a_connection_stays_usable_after_an_error() -> None:
    async def conversation(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\xff\x00 nonsense\nstatus_request lab/star\n")
        assert (await reader.readline()).startswith(b"error ")
        assert (await reader.readline()).startswith(b"status_reply ")
        writer.close()

    talk(conversation)


def test_an_endless_line_is_cut_off() -> None:
    async def conversation(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 100_000)
        assert await reader.readline() == b"error 'line too long'\n"
        writer.close()

    talk(conversation)


def test_a_silent_client_is_let_go_and_too_many_are_told() -> None:
    async def conversation(port: int) -> None:
        silent, first = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        crowd, second = await asyncio.open_connection("127.0.0.1", port)
        assert await crowd.readline() == b"error 'too many connections'\n"
        assert await silent.read() == b""
        first.close()
        second.close()

    talk(conversation, Limits(idle_seconds=0.3, connections=1))
