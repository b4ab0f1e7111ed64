"""The images that Benito builds by itself: what they are made of, and by whom."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from benito.errors import HypervisorError
from benito.nodesettings import Arch
from benito.seams import Progress
from benito_domains.images import debian, rootfs
from benito_domains.images.manifest import Start
from benito_domains.images.shelf import input_key

#: The image of nodes that ask for none.
MICRO = "micro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """How an image is built: `fill` fills an empty folder, `inputs` tells all that it depends on."""

    name: str
    about: str
    start: Start
    inputs: Callable[[], Sequence[str]]
    lacking: Callable[[], Sequence[rootfs.Program]]
    fill: Callable[[Path, Progress], None]
    arch: Arch = Arch.X86_64

    @property
    def key(self) -> str:
        """A name for all that it is made of."""
        return input_key("built", self.name, self.arch, *self.inputs())

    def build(self, root: Path, progress: Progress) -> None:
        """Fills the empty folder `root`. Raises HypervisorError, with the packages that are missing."""
        lacking = self.lacking()
        if lacking:
            names = sorted({program.package for program in lacking})
            raise HypervisorError(
                f"the image {self.name} cannot be built here", hint=f"apt-get install {' '.join(names)}"
            )
        self.fill(root, progress)


@functools.cache
def _sources(*names: str) -> tuple[str, ...]:
    return tuple(files("benito_domains").joinpath("images", name).read_text() for name in names)


def _micro_inputs() -> Sequence[str]:
    return (*_sources("rootfs.py"), *rootfs.program_marks())


def _fill_micro(root: Path, progress: Progress) -> None:
    progress(f"image {MICRO}", 0, 1)
    rootfs.build_tree(root)
    progress(f"image {MICRO}", 1, 1)


def _debian(release: debian.Release) -> Builder:
    return Builder(
        name=release.name,
        about=f"Debian {release.number} ({release.suite}), from its own packages",
        start=Start.DIRECT,
        inputs=lambda: (*_sources("debian.py"), release.suite),
        lacking=debian.missing_programs,
        fill=lambda root, progress: debian.build_tree(root, release, progress),
    )


def builders() -> Mapping[str, Builder]:
    """All of them, by name."""
    micro = Builder(
        name=MICRO,
        about="busybox, iproute2, ping and iperf3, from this system's packages",
        start=Start.MEMORY,
        inputs=_micro_inputs,
        lacking=rootfs.missing_programs,
        fill=_fill_micro,
    )
    return {builder.name: builder for builder in (micro, *map(_debian, debian.RELEASES))}
