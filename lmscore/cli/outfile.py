"""`--output`: the file, or standard output, that a verb writes its records to."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

from lmscore.cli import streams
from lmscore.cli.usage import UsageError
from lmscore.compression import SUFFIXES
from lmscore.errors import LmscoreError, OptionError, OutputFileError
from lmscore.files import input_name, open_input_raw, open_output
from lmscore.locks import lock_file


class Output:
    """Standard output; a subclass writes to a file. Each method raises OutputFileError.

    Attributes:
        path: the name of the file; None for standard output.
        size: the bytes of the whole records in the file.
    """

    path: Path | None = None
    size = 0

    def write(self, text: str) -> None:
        """Write a record of whole lines."""
        self.write_bytes(text.encode(errors="backslashreplace"))

    def write_bytes(self, data: bytes) -> None:
        """Write a record as it is."""
        streams.write_bytes(data)

    def flush(self) -> None:
        """Pass the buffered records on to the reader."""
        streams.flush()

    def cut(self, end: int) -> None:
        """Keep the first `end` bytes of a file; nothing happens to standard output."""


class RecordFile(Output):
    """A regular file to which whole records are appended."""

    path: Path

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.size = file.tell()
        self._file = file

    def write_bytes(self, data: bytes) -> None:
        """Append a record as it is."""
        with _named(self.path):
            self._file.write(data)
        self.size += len(data)

    def flush(self) -> None:
        """Pass the buffered records on to the file."""
        with _named(self.path):
            self._file.flush()

    def cut(self, end: int) -> None:
        """Keep the first `end` bytes."""
        self.size = end
        with _named(self.path):
            self._file.flush()
            self._file.truncate(end)


class WholeFile(Output):
    """A file that is in place once all of it has been written."""

    path: Path

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file

    def write_bytes(self, data: bytes) -> None:
        """Add to the file."""
        self._file.write(data)

    def flush(self) -> None:
        """Do nothing: nobody can read the file yet."""


@contextmanager
def open_records(
    path: Path | None, *, resume: bool | None, inputs: Iterable[str] = (), whole: bool = False
) -> Iterator[Output]:
    """Open a file to write records to; standard output without a path.

    A packed file, and with `whole` any other, is written whole or not at all. To other files
    records are appended, as `record_file` does. `resume` is None for a verb that cannot resume.

    Raises:
        OptionError: the output is one of the inputs, or as `record_file`.
        OutputFileError: as `record_file`.
        MissingExtraError: the package that packs the file is not installed.
    """
    if path is None:
        _check_not_appended(inputs)
        yield Output()
        streams.flush()
    elif whole or is_packed(path):
        check_not_read(path, inputs)
        check_new(path)
        with open_output(path) as stream:
            yield WholeFile(path, stream)
    else:
        check_not_read(path, inputs)
        with record_file(path, resume=resume) as file:
            yield file


def check_output(path: Path | None, *, resume: bool) -> None:
    """Raise UsageError for --resume without an --output, or with a packed one."""
    if path is None and resume:
        raise UsageError("--resume goes on with a file: name it with --output")
    if path is not None and resume and is_packed(path):
        raise UsageError(
            f"{path}: a packed file is written whole or not at all, so --resume finds nothing; "
            f"leave out {path.suffix}"
        )


def is_packed(path: Path) -> bool:
    """Whether a file's name says that it is compressed."""
    return path.suffix in SUFFIXES


def check_not_read(path: str | Path | None, inputs: Iterable[str]) -> None:
    """Raise OptionError if an output file is one of the inputs, or is read as standard input."""
    if path is not None and any(_is_input(path, name) for name in inputs):
        raise OptionError(f"{path}: is read already; write to another file")


def _check_not_appended(inputs: Iterable[str]) -> None:
    """Raise OptionError if standard output appends to an input, which would grow for ever."""
    try:
        out = os.fstat(1)
        found = [name for name in inputs if stat.S_ISREG(out.st_mode) and _is_open_as(out, name)]
    except OSError:  # no standard output
        return
    if found:
        raise OptionError(f"{input_name(found[0])}: is read already; write to another file")


def _is_open_as(out: os.stat_result, name: str) -> bool:
    with suppress(OSError):
        return os.path.samestat(out, os.fstat(0) if name == "-" else Path(name).stat())
    return False


def _is_input(path: str | Path, name: str) -> bool:
    if name != "-":
        return same_file(path, name)
    return Path(path).is_file() and _is_open_as(Path(path).stat(), name)


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to the same file, which need not exist yet."""
    return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def record_file(path: Path, *, resume: bool | None) -> Iterator[RecordFile]:
    """Open a file to append records to; it must be new or empty unless `resume` is set.

    The file is locked while it is open, so that two runs cannot mix their lines. A record that
    Ctrl-C or an error cuts short is removed, so the file ends with a whole line, and a new file in
    which there is nothing yet is removed, too. Only if the process dies or the disk is full, the
    last line may be torn.

    Raises:
        OptionError: the file holds something and is not to be resumed, or is no regular file.
        OutputFileError: the file cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OptionError(f"{path}: no regular file; let the shell direct the output there")
    check_new(path, resume=resume)
    is_new = not path.exists()
    with _named(path):
        file = open(path, "ab")  # noqa: SIM115  # closed below, in two ways
    try:
        lock_file(file.fileno(), path)
        check_new(path, resume=resume)  # again: another run may have ended since
        file.seek(0, os.SEEK_END)
    except BaseException:
        file.close()
        raise
    records = RecordFile(path, file)
    try:
        yield records
    except BaseException:
        with suppress(OutputFileError):
            records.cut(records.size)
        with suppress(OSError):  # what could not be flushed cannot be closed either
            if is_new and not records.size:
                path.unlink()
            file.close()
        raise
    with _named(path):
        file.close()


def check_new(path: Path, *, resume: bool | None = None) -> None:
    """Raise OptionError if a file holds something and is not to be resumed, or cannot be (None)."""
    if not resume and path.is_file() and path.stat().st_size:
        advice = "" if resume is None else "go on with it by --resume, "
        raise OptionError(
            f"{path}: there is something in it already; {advice}remove it, or name another file"
        )


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of an output file with line ends, but no torn last one; raises InputFileError."""
    with open_input_raw(path) as file:
        yield from (line for line in file if line.endswith(b"\n"))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except LmscoreError:  # has its message already, and may be an OSError too
        raise
    except OSError as error:
        raise OutputFileError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_texts(texts: Iterable[str], path: str | None, *, flushed: bool = False) -> None:
    """Write texts one after another to a file, or to standard output if `path` is None.

    `flushed` passes each on to the reader of standard output at once.
    """
    with nullcontext() if path is None else open_output(path) as file:
        write: Callable[[bytes], object] = streams.write_bytes if file is None else file.write
        for text in texts:
            write(text.encode())
            if flushed and file is None:
                streams.flush()
