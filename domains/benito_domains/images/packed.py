"""Compressed files, told by what is in them: gzip, bzip2, xz and zstd. What comes out has a bound."""

import bz2
import gzip
import lzma
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from benito.errors import HypervisorError
from benito.seams import Progress
from benito_domains.images.contained import run_contained

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK_BYTES = 1 << 20
_ZEROS = bytes(_CHUNK_BYTES)
_MIB = 1 << 20
#: What unpacking may take of this machine's memory: a file can ask for 4 GiB.
_MEMORY_BYTES = 1 << 30
_SECONDS = 7200


def packing(path: Path) -> str | None:
    """By what a file is compressed; None where it is not."""
    with path.open("rb") as file:
        head = file.read(8)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def unpack_file(source: Path, target: Path, *, how: str, most_bytes: int, progress: Progress) -> None:
    """Writes what `source` is compressed of. Raises HypervisorError where it is damaged or more than `most_bytes`."""
    try:
        if how == "zstd":
            _unpack_zstd(source, target, most_bytes)
            return
        with source.open("rb") as file, target.open("wb") as out:
            write_chunks(out, _chunks(file, how), most_bytes=most_bytes, phase="unpack", progress=progress)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise HypervisorError(f"the {how} file is damaged or cannot be unpacked: {error}") from error


def write_chunks(
    out: BinaryIO, chunks: Iterator[bytes], *, most_bytes: int, phase: str, progress: Progress, total_bytes: int = 0
) -> None:
    """Writes a stream to a file, zeros as holes. Raises HypervisorError for more than `most_bytes`."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most_bytes:
            raise too_large(most_bytes)
        if is_zero(chunk):
            out.seek(len(chunk), 1)
        else:
            out.write(chunk)
        progress(phase, size // _MIB, max(size, total_bytes) // _MIB)
    out.truncate(size)


def is_zero(chunk: bytes) -> bool:
    """Whether all its bytes are zero, so that a hole will do."""
    return chunk == (_ZEROS if len(chunk) == _CHUNK_BYTES else bytes(len(chunk)))


def too_large(most_bytes: int) -> HypervisorError:
    """That there is more than was allowed."""
    hint = "--max-size GIB of `benito image import` raises the limit"
    return HypervisorError(f"the image is larger than {most_bytes / 2**30:g} GiB", hint=hint)


def _chunks(file: BinaryIO, how: str) -> Iterator[bytes]:
    if how == "xz":
        yield from _xz_chunks(file)
        return
    reader = gzip.GzipFile(fileobj=file) if how == "gzip" else bz2.BZ2File(file)
    with reader:
        while chunk := reader.read(_CHUNK_BYTES):
            yield chunk


def _xz_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Several streams in a row, as parallel packers write them, each with the limit on memory."""
    data = file.read(_CHUNK_BYTES)
    while data:
        decoder = lzma.LZMADecompressor(memlimit=_MEMORY_BYTES)
        while not decoder.eof:
            if chunk := decoder.decompress(data, _CHUNK_BYTES):
                yield chunk
            data = b""
            if decoder.needs_input and not decoder.eof:
                data = file.read(_CHUNK_BYTES)
                if not data:
                    raise EOFError("it ends too early")
        data = decoder.unused_data.lstrip(b"\0")  # streams are padded with zeros
        while not data and (more := file.read(_CHUNK_BYTES)):
            data = more.lstrip(b"\0")


def _unpack_zstd(source: Path, target: Path, most_bytes: int) -> None:
    argv: list[str | Path] = [
        "zstd",
        "-d",
        "-q",
        "-f",
        "--sparse",
        f"-M{_MEMORY_BYTES // _MIB}MB",
        "-o",
        target,
        source,
    ]
    try:
        run_contained(argv, seconds=_SECONDS, limits={"fsize": most_bytes})
    except HypervisorError as error:
        if f"exit code {-signal.SIGXFSZ}:" in error.message:
            raise too_large(most_bytes) from error
        raise HypervisorError(f"the zstd file is damaged or cannot be unpacked: {error}") from error
