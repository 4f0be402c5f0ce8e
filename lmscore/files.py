"""Read text files with line numbers; write files whole or not at all."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from lmscore.compression import (
    MAGIC_SIZE,
    DamagedError,
    compression_named,
    compression_of,
    packed,
    unpacked,
)
from lmscore.encodings import LineReader
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

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")
"""The names of `atomic_write`'s temporary files."""

_YOUNG_SECONDS = 60.0
_LONGEST_NAME = 255  # bytes, in nearly all file systems


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _named_errors(kind: type[LmscoreError], path: str | Path, done: str) -> Iterator[None]:
    """Turn the system's OSErrors into one that names the file: it cannot be read, written, ..."""
    try:
        yield
    except LmscoreError:  # may be an OSError too
        raise
    except OSError as error:
        raise kind(f"{path}: cannot be {done}: {_reason(error)}") from error


@contextmanager
def open_input(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; `-` is standard input; it is unpacked if compressed.

    Gzip, xz, bzip2, zstd and lz4 are recognised by content; the last two need an extra.

    Raises:
        InputFileError: the file is missing, a directory, unreadable, or damaged while being read.
        MissingExtraError: the package that unpacks it is not installed.
    """
    name = input_name(path)
    try:
        with _standard_input() if name == STANDARD_INPUT else open(path, "rb") as file:
            # A peek at a terminal would make the user end an empty text twice.
            kind = None if file.isatty() else compression_of(file.peek(MAGIC_SIZE))
            if kind is None:
                yield file
            else:
                with unpacked(file, kind) as contents:
                    yield contents
    except LmscoreError:  # raised by the caller, and may be an OSError too
        raise
    except DamagedError as error:
        raise InputFileError(f"{name}: damaged compressed file: {error}") from error
    except IsADirectoryError as error:
        raise InputFileError(f"{name}: is a directory, expected a text file") from error
    except FileNotFoundError as error:
        raise InputFileError(f"{name}: no such file") from error
    except OSError as error:
        raise InputFileError(f"{name}: cannot be read: {_reason(error)}") from error


def input_name(path: str | Path) -> str:
    """The name of an input file in error messages."""
    return STANDARD_INPUT if str(path) == "-" else str(path)


@contextmanager
def _standard_input() -> Iterator[io.BufferedReader]:
    """Yield standard input, and leave it open."""
    if sys.stdin is None:  # closed by the parent: `<&-`
        raise InputFileError(f"{STANDARD_INPUT}: is closed")
    stream = sys.stdin.buffer
    if isinstance(stream, io.BufferedReader):
        yield stream
    else:  # a replacement, such as the BytesIO of a test
        reader: io.BufferedReader = io.BufferedReader(cast(io.RawIOBase, stream))
        try:
            yield reader
        finally:
            with suppress(ValueError):  # closed meanwhile
                reader.detach()


def read_lines(path: str | Path, *, errors: Utf8Errors = "strict") -> Iterator[str]:
    r"""Yield the lines of a file of text without their line ends; `-` is standard input.

    `LineReader` says how encoding and line ends are found; U+2028 and the like are text.
    `errors="replace"` puts U+FFFD in the place of bytes that are no text.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: invalid bytes, names the file and the line; or no text at all.
    """
    for line, _ in read_raw_lines(path, errors=errors):
        yield line


def read_raw_lines(
    path: str | Path, *, errors: Utf8Errors = "strict", encoding: str | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield each line as `read_lines` does, and its bytes, with the line end if there is one.

    The bytes do not include a byte-order mark; those of another encoding are turned into UTF-8.
    """
    check_errors(errors)
    name = input_name(path)
    with open_input(path) as file:
        reader = LineReader(file, name, encoding)
        for number, found in enumerate(reader, 1):
            line = reader.text(found, f"{name}, line {number}", errors)
            raw = reader.utf8(found, line)
            if raw:  # not a byte-order mark and nothing else
                yield line, raw


def check_errors(errors: str) -> None:
    """Raise OptionError unless `errors` is one of Utf8Errors."""
    if errors not in ("strict", "replace"):
        raise OptionError(f"errors must be 'strict' or 'replace', not {errors!r}")


def expanded_paths(paths: str | Path | Iterable[str | Path]) -> Iterator[str | Path]:
    """Yield the files that paths name: all files of a directory, the files listed in `@FILE`.

    Raises:
        InputFileError: a list of files cannot be read.
        InputError: a line of a list is blank.
    """
    for path in [paths] if isinstance(paths, str | Path) else paths:
        if str(path).startswith("@"):
            yield from _listed_paths(str(path)[1:])
        elif is_directory(path):
            yield from sorted(file for file in Path(path).iterdir() if file.name[0] != ".")
        else:
            yield path


def _listed_paths(path: str) -> Iterator[str]:
    """The lines of a file of paths; raises InputError for a blank one."""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            raise InputError(f"{input_name(path)}, line {number}: blank, expected a path")
        yield line


def is_directory(path: str | Path) -> bool:
    """Whether a path leads to a directory; see `is_there`."""
    return _leads_to(path, Path.is_dir)


def is_file(path: str | Path) -> bool:
    """Whether a path leads to a regular file; see `is_there`."""
    return _leads_to(path, Path.is_file)


def is_there(path: str | Path) -> bool:
    """Whether a path leads to anything.

    False where the system refuses to say: too long a name, a folder that may not be entered. Who
    opens such a path gets the reason.
    """
    return _leads_to(path, Path.exists)


def _leads_to(path: str | Path, kind: Callable[[Path], bool]) -> bool:
    with suppress(OSError):
        return kind(Path(path))
    return False


def read_files(paths: Iterable[str | Path], *, errors: Utf8Errors = "strict") -> Iterator[str]:
    """The lines of several files, one after another."""
    for path in paths:
        yield from read_lines(path, errors=errors)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all: temporary name in the same folder, fsync, rename.

    A symbolic link stays, and its target is replaced; the file's mode is kept. Temporary files
    that killed processes left in the folder are removed.

    Raises:
        OutputFileError: the file cannot be written; an existing file is untouched.
    """
    path = Path(path)
    place = Path(os.path.realpath(path))
    _remove_stale(place.parent)
    temporary = place.with_name(_temporary_name(place.name))
    try:
        with _named_errors(OutputFileError, path, "written"):
            with open(temporary, "wb") as file:
                take_lock(file.fileno())  # so that another run sees that it is in use
                yield file
                file.flush()
                with suppress(FileNotFoundError, AttributeError):  # no such file yet; Windows
                    os.fchmod(file.fileno(), stat.S_IMODE(place.stat().st_mode))
                os.fsync(file.fileno())
            os.replace(temporary, place)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _temporary_name(name: str) -> str:
    """A name beside a file's own, no longer than that one if it is as long as a name may be."""
    mark = f".{os.getpid()}-{secrets.token_hex(4)}.tmp"
    spelt = os.fsencode(name)
    if len(spelt) + len(mark) >= _LONGEST_NAME:
        name = spelt[: len(spelt) - len(mark) - 1].decode(errors="ignore")
    return f".{name}{mark}"


@functools.cache  # once per folder
def _remove_stale(folder: Path) -> None:
    # A process may be about to lock a young file.
    remove_temporary_files(folder, older_than=_YOUNG_SECONDS)


def remove_temporary_files(folder: Path, *, older_than: float = 0.0) -> None:
    """Remove the temporary files that killed processes left in a folder, if so many seconds old.

    Only those of `atomic_write` are; the ones of living processes are locked.
    """
    found: list[Path] = []
    with suppress(OSError):  # too long a name of the folder
        found += (path for path in folder.glob(".*.tmp") if _TEMPORARY.fullmatch(path.name))
    for path in found:
        with suppress(OSError), open(path, "rb") as file:
            age = time.time() - os.fstat(file.fileno()).st_mtime
            if age >= older_than and take_lock(file.fileno()):
                path.unlink()


@contextmanager
def open_output(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for writing bytes, whole or not at all; .gz, .xz, .bz2, .zst, .lz4 are packed.

    An existing path that is no regular file (a pipe, /dev/null) is written in place.

    Raises:
        OutputFileError: the file cannot be written; an existing regular file is untouched.
        MissingExtraError: the package that packs it is not installed.
    """
    path = Path(path)
    in_place = is_there(path) and not path.is_file()
    kind = compression_named(path.name)
    with (
        _named_errors(OutputFileError, path, "written"),
        open(path, "wb") if in_place else atomic_write(path) as file,
    ):
        if kind is None:
            yield file
        else:
            with packed(file, kind) as stream:
                yield stream


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write bytes to a file as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write(data)


def names_directory(path: str | Path) -> bool:
    """Return whether a path means a directory: it is one, or ends in `/`."""
    return str(path).endswith(("/", os.sep)) or is_directory(path)


def make_directory(path: str | Path) -> None:
    """Create a directory and its parents.

    Raises:
        OutputFileError: it cannot be created.
    """
    with _named_errors(OutputFileError, path, "created"):
        Path(path).mkdir(parents=True, exist_ok=True)


def write_directory(directory: Path, files: Iterable[tuple[str, Iterable[str]]], what: str) -> None:
    """Write files into a directory, which is made if it is not there.

    Args:
        directory: where to write.
        files: the name of each file, which may be in a folder, and its text in pieces.
        what: the files' contents in words, for the error message.

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
        make_directory((directory / name).parent)
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
        InputFileError: the file cannot be opened or read.
    """
    with _named_errors(InputFileError, path, "read"), open(path, "rb") as file:
        yield file
