"""How far a long work is: a live line on a terminal, one line per phase elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from benito import seams

_WORDS = {
    "prepare": "Preparing images and namespaces",
    "kit": "Collecting what every node is given",
    "kernel": "Fetching the kernel of machines",
    "kernel and initramfs": "Making kernel and initramfs",
    "download": "Downloading the image",
    "copy": "Copying the image",
    "unpack": "Unpacking the image",
    "check": "Checking the image",
    "disk": "Making the image's disk",
    "save": "Saving the node",
    "wire": "Making links",
    "start": "Starting nodes",
    "boot": "Waiting for nodes to boot",
    "stop": "Stopping nodes",
    "suspend": "Putting nodes' state away",
    "end": "Ending nodes",
    "unplug": "Removing links",
    "probe": "Measuring delay and loss",
    "flood": "Measuring rates",
    "repeat": "Measuring once more what is not as asked",
}


@contextmanager
def shown() -> Iterator[seams.Progress]:
    """A progress to hand to the controller, shown on standard error."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield _line_by_line(console)
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True,
    ) as bars:  # fmt: skip
        tasks: dict[str, TaskID] = {}

        def tell(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(_WORDS.get(phase, phase), total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield tell


def _line_by_line(console: Console) -> seams.Progress:
    said: set[str] = set()

    def tell(phase: str, _done: int, _total: int) -> None:
        if phase not in said:
            said.add(phase)
            console.print(f"{_WORDS.get(phase, phase)} ...", highlight=False)

    return tell
