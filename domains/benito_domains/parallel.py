"""The same for many nodes at once: hypervisors wait most of the time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from benito.errors import HypervisorError

_T = TypeVar("_T")
_THREADS = 8


def in_parallel(action: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Does it for every item, also when one fails; then raises what failed, all HypervisorErrors as one."""
    with ThreadPoolExecutor(_THREADS) as pool:
        tasks = [pool.submit(action, item) for item in items]
    failures = [failure for task in tasks if (failure := task.exception()) is not None]
    said: list[HypervisorError] = []
    for failure in failures:
        if not isinstance(failure, HypervisorError):
            raise failure  # none that was expected
        said.append(failure)
    if len(said) == 1:
        raise said[0]
    if said:
        message = "\n".join(dict.fromkeys(failure.message for failure in said))
        raise HypervisorError(message, hint=next((failure.hint for failure in said if failure.hint), None)) from said[0]
