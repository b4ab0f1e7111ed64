"""Images that nodes are made of: which exist, and how the built-in one is made."""

from benito_domains.images.rootfs import SENDER, SENDER_INSIDE
from benito_domains.images.store import BOOT, MICRO, Image, build_micro, find_image, known_images, missing_parts

__all__ = [
    "BOOT",
    "MICRO",
    "SENDER",
    "SENDER_INSIDE",
    "Image",
    "build_micro",
    "find_image",
    "known_images",
    "missing_parts",
]
