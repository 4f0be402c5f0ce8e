"""Compressed files: recognised by their first bytes when read, by their suffix when written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from lmscore.errors import needs_extra

MAGIC_SIZE = 10
"""The bytes at the start of a file that show how it is compressed."""

_BUFFER = 1 << 20
_BZIP2_MARKS = (b"1AY&SY", b"\x17rE8P\x90")


class DamagedError(Exception):
    """The compressed bytes end early or are no such format."""


@dataclass(frozen=True)
class Compression:
    """A kind of compressed file."""

    name: str
    suffix: str
    magics: tuple[bytes, ...]
    open: Callable[[IO[bytes], str], Any]  # a binary file and a mode, "rb" or "wb"


def _open_gzip(file: IO[bytes], mode: str) -> Any:
    # No name and no time, so that equal data give equal files.
    return gzip.GzipFile("", mode, fileobj=file, mtime=0)


def _open_xz(file: IO[bytes], mode: str) -> Any:
    return lzma.open(file, mode)


def _open_bzip2(file: IO[bytes], mode: str) -> Any:
    return bz2.open(file, mode)


def _open_zstd(file: IO[bytes], mode: str) -> Any:
    with needs_extra("zstd"):
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    return zstd.ZstdFile(file, mode)  # type: ignore[call-overload]


def _open_lz4(file: IO[bytes], mode: str) -> Any:
    with needs_extra("lz4"):
        import lz4.frame
    return lz4.frame.open(file, mode)


COMPRESSIONS = (
    Compression("gzip", ".gz", (b"\x1f\x8b",), _open_gzip),
    Compression("xz", ".xz", (b"\xfd7zXZ\x00",), _open_xz),
    Compression(
        "bzip2",
        ".bz2",
        # A digit for the size of blocks, then the mark of a block, or of the end.
        tuple(
            b"BZh%d%s" % (n, mark) for n in range(1, 10) for mark in (b"1AY&SY", b"\x17rE8P\x90")
        ),
        _open_bzip2,
    ),
    Compression(
        "zstd",
        ".zst",
        # A frame, or one to be skipped, which parallel compressors write first.
        (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))),
        _open_zstd,
    ),
    Compression("lz4", ".lz4", (b"\x04\x22\x4d\x18",), _open_lz4),
)
SUFFIXES = tuple(each.suffix for each in COMPRESSIONS)


def compression_of(head: bytes) -> Compression | None:
    """The compression of a file that begins with `head`; None if it is not compressed."""
    return next((each for each in COMPRESSIONS if head.startswith(each.magics)), None)


def compression_named(path: str) -> Compression | None:
    """The compression that the suffix of a file's name stands for, if any."""
    return next((each for each in COMPRESSIONS if path.endswith(each.suffix)), None)


@contextmanager
def unpacked(file: BinaryIO, kind: Compression) -> Iterator[BinaryIO]:
    """Read the contents of a compressed file: all its frames, one after another.

    Raises:
        DamagedError: while reading; what was read before is good.
        MissingExtraError: the package for this compression is not installed.
    """
    with kind.open(file, "rb") as packed:
        yield io.BufferedReader(_Sound(packed, kind), _BUFFER)


@contextmanager
def packed(file: IO[bytes], kind: Compression) -> Iterator[IO[bytes]]:
    """Compress what is written; the file ends whole when the context does."""
    with kind.open(file, "wb") as stream:
        yield stream


class _Sound(io.RawIOBase):
    """A compressed file whose errors, a class for each library, are all DamagedError."""

    def __init__(self, file: Any, kind: Compression) -> None:
        self._file = file
        self._kind = kind

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Not more than a piece at once: what follows may be damaged.
        size = min(len(buffer), 1 << 16)
        try:
            data = self._file.read1(size) if hasattr(self._file, "read1") else self._file.read(size)
        except EOFError as error:
            raise DamagedError(f"{self._kind.name}: ends before its end mark") from error
        except OSError as error:
            if error.errno is not None:  # the disk's, not the format's
                raise
            raise DamagedError(f"{self._kind.name}: {error}") from error
        except (zlib.error, lzma.LZMAError, RuntimeError) as error:
            raise DamagedError(f"{self._kind.name}: {error}") from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # its module may not be there to import
                raise
            raise DamagedError(f"{self._kind.name}: {error}") from error
        buffer[: len(data)] = data
        return len(data)
