"""Images that nodes are made of: which exist, and how the built-in one is made."""

from benito_domains.images.store import BOOT, MICRO, Image, build_micro, find_image, known_images, missing_parts

__all__ = ["BOOT", "MICRO", "Image", "build_micro", "find_image", "known_images", "missing_parts"]
