"""What the options of `benito link set` say, as a change; all mistakes at once."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from benito.errors import UsageError
from benito.impairments import ratio, time_us
from benito.linkedit import LinkChange, edited
from benito.plan import ExperimentPlan
from benito.topology.quantities import Rejection, bandwidth_kbps

Value = TypeVar("Value")

_UNLIMITED = ("unlimited", "*")


def link_change(
    plan: ExperimentPlan, link: str, source: str | None, target: str | None, words: dict[str, str | None]
) -> LinkChange:
    """The change that `words`, by option, ask for. Raises UsageError with their mistakes and those of the rest."""
    problems: list[str] = []

    def read(option: str, parse: Callable[[str], Value]) -> Value | None:
        text = words.get(option)
        if text is None:
            return None
        try:
            return parse(text)
        except Rejection as error:
            problems.append(
                f"--{option}: {error.message} ({error.hint})" if error.hint else f"--{option}: {error.message}"
            )
        except ValueError as error:
            problems.append(f"--{option}: {error}")
        return None

    change = LinkChange(
        link=link,
        source=source,
        target=target,
        rate_kbps=read("rate", _rate),
        delay_us=read("delay", time_us),
        jitter_us=read("jitter", time_us),
        loss_ratio=read("loss", ratio),
        reorder_ratio=read("reorder", ratio),
        duplicate_ratio=read("duplicate", ratio),
        corrupt_ratio=read("corrupt", ratio),
        queue_packets=read("queue", _queue),
    )
    if not change.shapes and not problems:
        raise UsageError("nothing is to be changed", hint="give --rate, --delay, --loss or another value")
    hint = None
    try:
        # With a value that could not be read, only what does not depend on it is looked at: names.
        edited(plan, replace(change, queue_packets=1) if problems and not change.shapes else change)
    except UsageError as error:
        problems.append(error.message)
        hint = error.hint
    if problems:
        raise UsageError("; ".join(problems), hint=hint)
    return change


def _rate(text: str) -> int:
    return 0 if text.strip() in _UNLIMITED else bandwidth_kbps(text) or 0


def _queue(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 1_000_000):
        raise ValueError(f"{text!r} is no length of a queue: expected packets, from 1 to 1,000,000")
    return int(text)
