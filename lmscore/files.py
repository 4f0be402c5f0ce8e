"""Files in and out: text lines read with line numbers, writes that are whole or absent."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import lzma
import os
import re
import secrets
import stat
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from lmscore.errors import (
    InputError,
    InputFileError,
    LmscoreError,
    OptionError,
    OutputFileError,
)
from lmscore.locks import take_lock
from lmscore.names import Utf8Errors

STANDARD_INPUT = "standard input"

_UTF8_BOM = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_XZ_MAGIC = b"\xfd7zXZ\x00"

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")
"""The names that `atomic_write` gives to what is not whole yet."""

_YOUNG_SECONDS = 60.0


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def open_input(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; `-` is standard input; gzip and xz are recognised by content.

    Raises:
        InputFileError: the file is missing, a directory, unreadable, or damaged while being read.
    """
    name = input_name(path)
    try:
        with _standard_input() if name == STANDARD_INPUT else open(path, "rb") as file:
            # Somebody at a terminal would have to end an empty text twice, once for the peek.
            magic = b"" if file.isatty() else file.peek(len(_XZ_MAGIC))
            if magic.startswith(_GZIP_MAGIC):
                with gzip.open(file) as unpacked:
                    yield io.BufferedReader(unpacked, 1 << 20)
            elif magic.startswith(_XZ_MAGIC):
                with lzma.open(file) as unpacked:
                    yield io.BufferedReader(unpacked, 1 << 20)
            else:
                yield file
    except LmscoreError:  # of the caller's, and perhaps an OSError too
        raise
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise InputFileError(f"{name}: damaged compressed file: {error}") from error
    except IsADirectoryError as error:
        raise InputFileError(f"{name}: is a directory, expected a text file") from error
    except FileNotFoundError as error:
        raise InputFileError(f"{name}: no such file") from error
    except OSError as error:
        raise InputFileError(f"{name}: cannot be read: {_reason(error)}") from error


def input_name(path: str | Path) -> str:
    """What an error message calls an input file."""
    return STANDARD_INPUT if str(path) == "-" else str(path)


@contextmanager
def _standard_input() -> Iterator[io.BufferedReader]:
    """Standard input, which stays open."""
    if sys.stdin is None:  # closed by the parent: `<&-`
        raise InputFileError(f"{STANDARD_INPUT}: is closed")
    stream = sys.stdin.buffer
    if isinstance(stream, io.BufferedReader):
        yield stream
    else:  # whatever stands in for it, such as the BytesIO of a test
        reader: io.BufferedReader = io.BufferedReader(cast(io.RawIOBase, stream))
        try:
            yield reader
        finally:
            with suppress(ValueError):  # closed meanwhile
                reader.detach()


def read_lines(path: str | Path, *, errors: Utf8Errors = "strict") -> Iterator[str]:
    r"""The lines of a UTF-8 file, `-` for standard input, without their line ends.

    Only `\n` (or `\r\n`) ends a line; U+2028 and friends are text. A byte-order mark at the start
    is dropped. `errors="replace"` puts U+FFFD in the place of invalid bytes.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: invalid UTF-8; names the file and the line.
    """
    for line, _ in read_raw_lines(path, errors=errors):
        yield line


def read_raw_lines(
    path: str | Path, *, errors: Utf8Errors = "strict"
) -> Iterator[tuple[str, bytes]]:
    """Every line as `read_lines` gives it, and its bytes, with the line end if there is one.

    The byte-order mark is no part of a line: the bytes are without it, too.
    """
    if errors not in ("strict", "replace"):
        raise OptionError(f"errors must be 'strict' or 'replace', not {errors!r}")
    name = input_name(path)
    with open_input(path) as file:
        for number, found in enumerate(file, 1):
            raw = found.removeprefix(_UTF8_BOM) if number == 1 else found
            if not raw:  # a byte-order mark and nothing else
                return
            line = raw
            if line.endswith(b"\n"):
                line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
            try:
                yield line.decode("utf-8", errors), raw
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{name}, line {number}: invalid UTF-8 at byte {error.start + 1}; "
                    "convert the file, or use errors='replace'"
                ) from error


def expanded_paths(paths: str | Path | Iterable[str | Path]) -> Iterator[str | Path]:
    """The files that paths stand for: of a directory all in it, of `@FILE` those it names."""
    for path in [paths] if isinstance(paths, str | Path) else paths:
        if str(path).startswith("@"):
            yield from read_lines(str(path)[1:])
        elif Path(path).is_dir():
            yield from sorted(file for file in Path(path).iterdir() if file.name[0] != ".")
        else:
            yield path


def read_files(paths: Iterable[str | Path], *, errors: Utf8Errors = "strict") -> Iterator[str]:
    """The lines of several files, one after another."""
    for path in paths:
        yield from read_lines(path, errors=errors)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all: temporary name in the same folder, fsync, rename.

    A symbolic link stays, and the file that it leads to is replaced; a file's mode is kept. What a
    killed process left of an earlier write is removed.

    Raises:
        OutputFileError: the file cannot be written; whatever stood at `path` is untouched.
    """
    path = Path(path)
    place = Path(os.path.realpath(path))
    _remove_stale(place.parent)
    temporary = place.with_name(f".{place.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            take_lock(file.fileno())  # so that another run sees that it is in use
            yield file
            file.flush()
            with suppress(FileNotFoundError, AttributeError):  # no such file yet; Windows
                os.fchmod(file.fileno(), stat.S_IMODE(place.stat().st_mode))
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and not isinstance(error, LmscoreError):
            raise OutputFileError(f"{path}: cannot be written: {_reason(error)}") from error
        raise


@functools.cache  # a folder is looked through once
def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left half written in a folder."""
    for path in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name) is None:
            continue
        with suppress(OSError), open(path, "rb") as file:
            age = time.time() - os.fstat(file.fileno()).st_mtime
            # A young one may be about to be locked.
            if age > _YOUNG_SECONDS and take_lock(file.fileno()):
                path.unlink()


@contextmanager
def open_output(path: str | Path) -> Iterator[IO[bytes] | gzip.GzipFile | lzma.LZMAFile]:
    """Open a file for writing bytes that is whole or absent; .gz and .xz are compressed.

    What is there and no regular file (a pipe, /dev/null) is written to as it is.

    Raises:
        OutputFileError: the file cannot be written; a regular one that stood there is untouched.
    """
    path = Path(path)
    special = path.exists() and not path.is_file()
    with _write_in_place(path) if special else atomic_write(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield packed
        elif path.suffix == ".xz":
            with lzma.open(file, "wb") as packed:
                yield packed
        else:
            yield file


@contextmanager
def _write_in_place(path: Path) -> Iterator[IO[bytes]]:
    try:
        with open(path, "wb") as file:
            yield file
    except OSError as error:
        if isinstance(error, LmscoreError):
            raise
        raise OutputFileError(f"{path}: cannot be written: {_reason(error)}") from error


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """`atomic_write` for content that is already there."""
    with atomic_write(path) as file:
        file.write(data)


def names_directory(path: str | Path) -> bool:
    """Whether a path is meant to be a directory: it is one, or has `/` at its end."""
    return str(path).endswith(("/", os.sep)) or Path(path).is_dir()


def make_directory(path: str | Path) -> None:
    """Create a directory and its parents.

    Raises:
        OutputFileError: it cannot be created.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputFileError(f"{path}: cannot be created: {_reason(error)}") from error


def write_directory(directory: Path, files: Iterable[tuple[str, Iterable[str]]], what: str) -> None:
    """Write files into a directory, which is made if it is not there.

    Args:
        directory: where.
        files: the name of each, and its text in pieces.
        what: what the files hold, for the error message.

    Raises:
        OptionError: two files have the same name.
        OutputFileError: a file cannot be written.
    """
    make_directory(directory)
    written: set[str] = set()
    for name, pieces in files:
        if name in written:
            raise OptionError(f"{directory / name}: two of the {what} have this name")
        written.add(name)
        with open_output(directory / name) as file:
            file.writelines(piece.encode() for piece in pieces)


def sha256_file(path: str | Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with open_input_raw(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def open_input_raw(path: str | Path) -> Iterator[io.BufferedReader]:
    """Open a file for reading its bytes as they are.

    Raises:
        InputFileError: the file cannot be opened.
    """
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read: {_reason(error)}") from error
