"""The same for many nodes at once: hypervisors wait most of the time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_THREADS = 8


def in_parallel(action: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Does it for every item, also when one fails; then raises the first failure."""
    with ThreadPoolExecutor(_THREADS) as pool:
        tasks = [pool.submit(action, item) for item in items]
    for task in tasks:
        task.result()
