"""The images of nodes of one kind: what is missing for them, made ready for all, held by each."""

from collections.abc import Mapping, Sequence

from benito.nodesettings import Arch
from benito.plan import NodePlan
from benito.seams import Lack, Progress
from benito_domains.images.image import Image
from benito_domains.images.store import ImageStore
from benito_domains.nodefiles import NodeFiles


def images_lack(store: ImageStore, nodes: Sequence[NodePlan]) -> list[Lack]:
    """What is missing for the nodes' images, each told once, for the first node that wants it."""
    first = {_wanted(node): node for node in reversed(nodes)}
    return [
        lack
        for node in first.values()
        for lack in store.lacks(
            node.image, node.kind, f"node {node.name}", arch=node.machine.arch, sha256=node.image_sha256
        )
    ]


def ensure_images(store: ImageStore, nodes: Sequence[NodePlan], progress: Progress) -> Mapping[str, Image]:
    """Builds or fetches what is not there; each node's image by the node's name. Raises HypervisorError."""
    made: dict[tuple[str, Arch, str | None], Image] = {}
    for node in nodes:
        if (key := _wanted(node)) not in made:
            made[key] = store.ensure(
                node.image, node.kind, arch=node.machine.arch, sha256=node.image_sha256, progress=progress
            )
    return {node.name: made[_wanted(node)] for node in nodes}


def hold_image(store: ImageStore, node: NodePlan, files: NodeFiles, image: Image) -> Image:
    """The image that the node is made of: the one that it holds already, else `image`, which it holds from now on."""
    held = store.held(files.folder, node.image, node.kind, arch=node.machine.arch)
    if held is None:
        store.hold(image, files.folder)
    return held or image


def image_of(store: ImageStore, node: NodePlan, files: NodeFiles) -> Image:
    """The image that the node holds, else the one that its name stands for. Raises HypervisorError."""
    held = store.held(files.folder, node.image, node.kind, arch=node.machine.arch)
    return held or store.get(node.image, node.kind, arch=node.machine.arch, sha256=node.image_sha256)


def _wanted(node: NodePlan) -> tuple[str, Arch, str | None]:
    return node.image, node.machine.arch, node.image_sha256
