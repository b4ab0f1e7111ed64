"""Images that nodes are made of: which exist, how they are built, imported and kept."""

from benito_domains.images.builders import MICRO
from benito_domains.images.image import DirectBoot, Disk, Image
from benito_domains.images.rootfs import SENDER
from benito_domains.images.store import ImageStore

__all__ = [
    "MICRO",
    "SENDER",
    "DirectBoot",
    "Disk",
    "Image",
    "ImageStore",
]
