"""From a node as the file describes it to what it is: image, memory, board, limits, restarts, tar files.

`topology.attributes` checked the values when the file was read; here they are put together with options and defaults,
once the node's kind is known. `docs/nodes.md` is the manual.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from benito.errors import Problem, Severity, TopologyMeaningError
from benito.model import Kind, Node, Topology
from benito.nodeimages import WITH_IMAGE, ImageChooser
from benito.nodesettings import (
    MACHINE,
    NO_LIMITS,
    NO_RESTART,
    Arch,
    Limits,
    MachineSettings,
    MachineType,
    NodeSettings,
    Restart,
    Tarfile,
)
from benito.policy import BUILT_IN, MEMORY_MIB, PIDS, Policy, default_memory_mib
from benito.site import Need, Site, SiteImages
from benito.topology import nodewords
from benito.topology.attributes import held
from benito.topology.quantities import Rejection

_T = TypeVar("_T")
_VIRTUAL = frozenset({Kind.QEMU, Kind.OPENVZ, Kind.PROCESS})
#: The kinds of nodes that an attribute has an effect on; the others have one on all.
_EFFECTIVE: Mapping[str, frozenset[Kind]] = {
    **dict.fromkeys(("qemu_arch", "machine", "cpu", "vnc", "qemu_url", "maverick_url"), frozenset({Kind.QEMU})),
    **dict.fromkeys(("openvz_template", "openvz_diskspace"), frozenset({Kind.OPENVZ})),
    **dict.fromkeys(("image", "image_sha256"), WITH_IMAGE),
    **dict.fromkeys(("cpu_limit", "cpu_shares", "pids", "restart"), _VIRTUAL),
}
#: Below these a node's tar files may lie, or below the topology file's folder.
_SHARED = ("/proj", "/groups", "/share", "/users")
_MOST_TARFILES = 100


def settings_of(
    topology: Topology,
    policy: Policy,
    site: SiteImages,
    *,
    images: Collection[str] = BUILT_IN,
    folder: Path | None = None,
) -> tuple[Mapping[str, NodeSettings], tuple[Problem, ...]]:
    """node -> its settings, and what is doubtful about them. The nodes' kinds are known.

    `images` are the names of the images that are there or can be built, `folder` is the topology file's (absolute; None
    where there is none). Raises TopologyMeaningError with all that cannot be meant, UsageError and TestbedError where a
    default image is none.
    """
    reader = _Reader(topology, policy, site, images, folder)
    settings = {node.name: reader.read(node) for node in topology.nodes}
    errors = [problem for problem in reader.problems if problem.severity is Severity.ERROR]
    if errors:
        raise TopologyMeaningError(errors)
    return settings, tuple(reader.problems)


def with_needs(
    topology: Topology, policy: Policy, site: Site, settings: Mapping[str, NodeSettings]
) -> tuple[Topology, Site]:
    """Both as placement has to see them: what a node gets by default, it needs too.

    A site's usual memory of a kind is meant for the usual image; other images get more. `openvz_diskspace_mib` is what
    the site's openvz nodes take then.
    """

    def with_memory(node: Node) -> Node:
        gets_mib = settings[node.name].memory_mib
        if node.memory_mib is not None or node.kind is None or gets_mib == MEMORY_MIB[node.kind]:
            return node
        usual_mib = -(-site.needs.get(node.kind, Need()).memory_kib // 1024)
        return replace(node, memory_mib=max(gets_mib, usual_mib))

    resolved = replace(topology, nodes=tuple(map(with_memory, topology.nodes)))
    if policy.openvz_diskspace_mib is None:
        return resolved, site
    need = replace(site.needs.get(Kind.OPENVZ, Need()), disk_mib=policy.openvz_diskspace_mib)
    return resolved, replace(site, needs={**site.needs, Kind.OPENVZ: need})


class _Reader:
    """Reads one experiment's nodes; what is wrong becomes a problem, and a default is used to read on."""

    def __init__(
        self, topology: Topology, policy: Policy, site: SiteImages, images: Collection[str], folder: Path | None
    ) -> None:
        self._source, self._policy, self._folder = topology.source, policy, folder
        self._chooser = ImageChooser(topology.source, policy, site, images)
        self.problems = self._chooser.problems

    def read(self, node: Node) -> NodeSettings:
        kind, attributes = node.kind or self._policy.default_kind, dict(node.attributes)
        if attributes:
            self._doubt_effects(node, kind, attributes)
        image = self._chooser.choose(node, kind)
        checksum = self._take(node, attributes, "image_sha256", nodewords.sha256, None)
        if checksum is not None and image and not nodewords.is_place(image):
            self._warn(node, f"image_sha256 has no effect: {image} is not imported from a URL or path for this node")
            checksum = None
        return NodeSettings(
            image=image,
            image_sha256=checksum if image else None,
            memory_mib=node.memory_mib or default_memory_mib(kind, image),
            vcpus=node.vcpus or 1,
            machine=self._machine(node, image, attributes) if kind is Kind.QEMU else MACHINE,
            limits=self._limits(node, kind, attributes),
            restart=self._restart(node, kind, attributes),
            tarfiles=() if node.ghost else tuple(self._tarfiles(node)),
        )

    def _take(
        self, node: Node, attributes: Mapping[str, str], name: str, parse: Callable[[str], _T], default: _T
    ) -> _T:
        found = held(attributes, name)
        if found is None:
            return default
        try:
            return parse(found[1])
        except Rejection as bad:  # it did not come from a file: readers refuse it with its line
            self._error(node, f"{found[0]}: {bad.message}", bad.hint)
            return default

    def _machine(self, node: Node, image: str, attributes: Mapping[str, str]) -> MachineSettings:
        arch = self._take(node, attributes, "qemu_arch", nodewords.arch, Arch.X86_64)
        if image in BUILT_IN and arch is not Arch.X86_64:
            arch = self._without_image(node, image, arch)
        usual = MachineType.VIRT if arch is Arch.AARCH64 else MachineType.PC
        cpu_model: Callable[[str], str | None] = nodewords.cpu
        return MachineSettings(
            arch=arch,
            type=self._take(node, attributes, "machine", nodewords.machine, usual),
            cpu_model=self._take(node, attributes, "cpu", cpu_model, None),
            vnc=self._take(node, attributes, "vnc", nodewords.flag, False),
        )

    def _without_image(self, node: Node, image: str, arch: Arch) -> Arch:
        """The processor of a machine whose own the image is not made for; x86_64 runs what i686 does."""
        message = f"the image {image} is not made for {arch} machines"
        if arch is Arch.I686 and not self._policy.strict_images:
            self._warn(node, f"{message}; it runs in one of {Arch.X86_64}")
            return Arch.X86_64
        self._error(node, message, "name one that is, with containers:qemu_url or benito:image")
        return arch

    def _restart(self, node: Node, kind: Kind, attributes: Mapping[str, str]) -> Restart:
        if kind not in _VIRTUAL:
            return NO_RESTART
        return self._take(node, attributes, "restart", nodewords.restart, self._policy.restart)

    def _limits(self, node: Node, kind: Kind, attributes: Mapping[str, str]) -> Limits:
        if kind not in _VIRTUAL:
            return NO_LIMITS

        def number(name: str, parse: Callable[[str], int], default: int | None = None) -> int | None:
            return self._take(node, attributes, name, parse, default)

        space = None
        if kind is Kind.OPENVZ:
            space = number("openvz_diskspace", nodewords.disk, self._policy.openvz_diskspace_mib)
        return Limits(
            cpu_percent=number("cpu_limit", nodewords.cpu_limit),
            cpu_shares=number("cpu_shares", nodewords.cpu_shares),
            pids=number("pids", nodewords.pids, PIDS.get(kind)),
            disk_mib=number("disk", nodewords.disk, space),
        )

    def _doubt_effects(self, node: Node, kind: Kind, attributes: Mapping[str, str]) -> None:
        for name, kinds in _EFFECTIVE.items():
            if kind not in kinds and (found := held(attributes, name)) is not None:
                self._warn(node, f"{found[0]} has no effect on {kind} nodes")

    def _tarfiles(self, node: Node) -> Iterator[Tarfile]:
        if len(node.tarfiles) > _MOST_TARFILES:
            self._error(node, f"it has more than {_MOST_TARFILES} tar files", "put their content into fewer")
            return
        for directory, source in node.tarfiles:
            try:
                path, below = self._source_of(source)
                yield Tarfile(directory=_directory(directory), source=path, below=below)
            except Rejection as bad:
                self._error(node, f"tar file {source[:80]}: {bad.message}", bad.hint)

    def _source_of(self, source: str) -> tuple[str, str]:
        """The absolute path of a tar file, and the folder that it may not lead out of. Raises Rejection."""
        if "://" in source:
            raise Rejection("tar files are not fetched from URLs", f"put it below {_SHARED[0]}, or beside the file")
        if not source or not source.isprintable() or {"..", "."} & set(source.split("/")):
            raise Rejection("this is no plain path", "a path below /proj, or one from the topology file's folder on")
        folder = None if self._folder is None else str(self._folder)
        if not source.startswith("/"):
            if folder is None:
                raise Rejection("there is no file from whose folder on it could be looked for", "write the whole path")
            return str(PurePosixPath(folder, source)), folder
        path = PurePosixPath(source)
        for top in (*_SHARED, *([folder] if folder else [])):
            if path.is_relative_to(top) and path != PurePosixPath(top):
                return str(path), top
        raise Rejection("it is not where tar files may lie", f"below {', '.join(_SHARED)} or the file's folder")

    def _warn(self, node: Node, message: str) -> None:
        self._add(node, message, None, Severity.WARNING)

    def _error(self, node: Node, message: str, hint: str | None) -> None:
        self._add(node, message.removesuffix("."), hint, Severity.ERROR)

    def _add(self, node: Node, message: str, hint: str | None, severity: Severity) -> None:
        self.problems.append(
            Problem(file=self._source, line=node.line, element=node.name, message=message, hint=hint, severity=severity)
        )


def _directory(word: str) -> str:
    """A folder in the node. Raises Rejection."""
    if not word.startswith("/") or not word.isprintable() or ".." in word.split("/"):
        raise Rejection(f"{word[:80]!r} is no folder of a node", "an absolute path without ..")
    return str(PurePosixPath(word))
