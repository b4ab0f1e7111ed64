"""How a node names its image: by a name, or by the URL or path from which it is imported. Pure."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benito.errors import HypervisorError

_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SCHEMES = ("http", "https")
#: Longer ones are no addresses, but data.
_MOST_LETTERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an image is imported from: a file of this machine's, or a URL of the web. One of the two is set."""

    path: Path | None = None
    url: str | None = None

    def __str__(self) -> str:
        """As it is told to people; a password in a URL is left out."""
        if self.url is None:
            return str(self.path)
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def is_image_name(text: str) -> bool:
    """Whether an image may be called that: it becomes a file's name."""
    return _NAME.fullmatch(text) is not None


def check_image_name(text: str) -> str:
    """The name itself. Raises HypervisorError where it is none."""
    if is_image_name(text):
        return text
    hint = "use 1 to 64 small letters, digits, dots, hyphens, plus signs and underscores, a letter or digit first"
    raise HypervisorError(f"{text[:100]!r} cannot name an image", hint=hint)


def check_sha256(text: str) -> str:
    """The checksum in small letters. Raises HypervisorError where it is none."""
    lowered = text.strip().lower()
    if _SHA256.fullmatch(lowered):
        return lowered
    raise HypervisorError(f"{text[:100]!r} is no SHA-256 checksum", hint="it has 64 hexadecimal digits: sha256sum FILE")


def is_source(reference: str) -> bool:
    """Whether a node's image is a URL or an absolute path, thus to be imported, and not a name."""
    return reference.startswith("/") or "://" in reference


def parse_source(text: str) -> Source:
    """Where `text` leads; a relative path counts from the current folder. Raises HypervisorError."""
    if not text or len(text) > _MOST_LETTERS or any(not letter.isprintable() for letter in text):
        raise HypervisorError(f"{text[:100]!r} is neither a path nor a URL")
    if "://" not in text:
        return Source(path=Path(text).absolute())
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise HypervisorError(f"{text[:100]!r} is no URL: {error}") from error
    scheme = parts.scheme.lower()
    if scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return Source(path=Path(unquote(parts.path)))
    if scheme in _SCHEMES and parts.hostname:
        return Source(url=text)
    raise HypervisorError(f"{text[:100]!r} cannot be imported", hint="use a path, or a URL of http, https or file")
