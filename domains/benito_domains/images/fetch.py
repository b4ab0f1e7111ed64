"""The file that an image is imported from: copied from this machine or fetched from the web, whole or not at all."""

import hashlib
import http.client
import os
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from benito.errors import HypervisorError
from benito.seams import Progress
from benito_domains.images.packed import too_large, write_chunks
from benito_domains.images.reference import Source

_CHUNK_BYTES = 1 << 20
#: Without a byte for so long, a server is given up.
_SILENT_SECONDS = 60


class _Counter:
    """Hands chunks on and sums them."""

    def __init__(self) -> None:
        self.sum = hashlib.sha256()
        self.size = 0

    def chunks(self, file: "BinaryIO | http.client.HTTPResponse") -> Iterator[bytes]:
        while chunk := file.read(_CHUNK_BYTES):
            self.sum.update(chunk)
            self.size += len(chunk)
            yield chunk


def fetch(source: Source, target: Path, *, sha256: str | None, most_bytes: int, progress: Progress) -> str:
    """Writes what `source` holds to `target`; its checksum.

    Raises HypervisorError where it is not there, larger than `most_bytes`, or not of the checksum `sha256`.
    """
    counter = _Counter()
    try:
        with target.open("wb") as out:
            if source.url is None:
                _copy(source.path or Path(), out, counter, most_bytes, progress)
            else:
                _download(source.url, out, counter, most_bytes, progress)
    except (OSError, http.client.HTTPException, ValueError) as error:
        hint = "check the address and the network" if source.url else None
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise HypervisorError(f"{source} cannot be read: {reason}", hint=hint) from error
    found = counter.sum.hexdigest()
    if sha256 is not None and found != sha256:
        hint = f"asked for: {sha256}; found: {found}"
        raise HypervisorError(f"{source} does not have the SHA-256 checksum that was asked for", hint=hint)
    return found


def _copy(path: Path, out: BinaryIO, counter: _Counter, most_bytes: int, progress: Progress) -> None:
    # Not blocking: opening a pipe that nobody writes to would wait for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no plain file")
        total = status.st_size
        write_chunks(
            out, counter.chunks(file), most_bytes=most_bytes, phase="copy", progress=progress, total_bytes=total
        )


def _download(url: str, out: BinaryIO, counter: _Counter, most_bytes: int, progress: Progress) -> None:
    opener = urllib.request.OpenerDirector()
    # No other handlers: a server that redirects leads to http and https only, never to this machine's files.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": "benito"})  # noqa: S310 - the opener has no other schemes
    with opener.open(request, timeout=_SILENT_SECONDS) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        if total > most_bytes:
            raise too_large(most_bytes)
        chunks = counter.chunks(answer)
        write_chunks(out, chunks, most_bytes=most_bytes, phase="download", progress=progress, total_bytes=total)
        if total and counter.size != total:
            raise ValueError(f"it ended after {counter.size} of {total} bytes")
