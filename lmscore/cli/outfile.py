"""`--output`: where a verb's records go, a file or standard output."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from lmscore.cli import streams
from lmscore.cli.usage import UsageError
from lmscore.errors import LmscoreError, OptionError, OutputFileError
from lmscore.files import input_name, open_input_raw
from lmscore.locks import lock_file


class Output(Protocol):
    """What records are written to."""

    @property
    def path(self) -> Path | None:
        """Of a file."""

    @property
    def size(self) -> int:
        """The bytes in it."""

    def cut(self, end: int) -> None:
        """Keep the first `end` bytes of a file."""

    def write(self, text: str) -> None:
        """Write a record, whole lines."""

    def write_bytes(self, data: bytes) -> None:
        """Write a record as it is."""

    def flush(self) -> None:
        """Hand what was written to whoever reads it."""


class StandardOutput:
    """Standard output, as an `Output`."""

    path = None
    size = 0

    def cut(self, end: int) -> None:
        """There is nothing to cut."""

    def write(self, text: str) -> None:
        """As `streams.write`."""
        streams.write(text)

    def write_bytes(self, data: bytes) -> None:
        """As `streams.write_bytes`."""
        streams.write_bytes(data)

    def flush(self) -> None:
        """As `streams.flush`."""
        streams.flush()


class RecordFile:
    """A regular file that grows by whole records, whatever comes in between.

    Attributes:
        path: its name.
        size: the bytes of its whole records.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        """Append to an open file of this name."""
        self.path = path
        self.size = file.tell()
        self._file = file

    def write(self, text: str) -> None:
        """Append a record.

        Raises:
            OutputFileError: it cannot be written.
        """
        self.write_bytes(text.encode(errors="backslashreplace"))

    def write_bytes(self, data: bytes) -> None:
        """Append a record as it is; raises as `write` does."""
        with _named(self.path):
            self._file.write(data)
        self.size += len(data)

    def flush(self) -> None:
        """Hand what was written to whoever reads the file; raises as `write` does."""
        with _named(self.path):
            self._file.flush()

    def take_back(self) -> None:
        """Drop what was written of a record that did not come to its end; raises as `write`."""
        self.cut(self.size)

    def cut(self, end: int) -> None:
        """Keep the first `end` bytes; raises as `write` does."""
        self.size = end
        with _named(self.path):
            self._file.flush()
            self._file.truncate(end)


@contextmanager
def open_records(
    path: Path | None, *, resume: bool, inputs: Iterable[str] = ()
) -> Iterator[Output]:
    """A file to append records to, as `record_file` opens it; without a path standard output.

    Raises:
        OptionError: it is one of the inputs, or as `record_file`.
        OutputFileError: as `record_file`.
    """
    if path is None:
        _check_not_appended(inputs)
        yield StandardOutput()
        streams.flush()
    else:
        check_not_read(path, inputs)
        with record_file(path, resume=resume) as file:
            yield file


def check_output(path: Path | None, *, resume: bool) -> None:
    """Refuse an output that cannot grow by records, or `--resume` without one.

    Raises:
        UsageError: no file is named, or the name promises a compressed one.
    """
    if path is None and resume:
        raise UsageError("--resume goes on with a file: name it with --output")
    if path is not None and path.suffix in (".gz", ".xz"):
        raise UsageError(
            f"{path}: records are written as they come, not compressed; leave out "
            f"{path.suffix}, or pipe them through a packer"
        )


def check_not_read(path: str | Path | None, inputs: Iterable[str]) -> None:
    """Refuse to write over what is read.

    Raises:
        OptionError: the file is one of the inputs, or what standard input comes from.
    """
    if path is not None and any(_is_input(path, name) for name in inputs):
        raise OptionError(f"{path}: is read already; write to another file")


def _check_not_appended(inputs: Iterable[str]) -> None:
    """Refuse a standard output that the shell directs into an input: it would grow for ever."""
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
    try:
        return Path(path).is_file() and os.path.samestat(Path(path).stat(), os.fstat(0))
    except OSError:  # no standard input
        return False


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two names are of one file, whether or not there is one yet."""
    return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def record_file(path: Path, *, resume: bool) -> Iterator[RecordFile]:
    """Open a file to append records to, a new one unless an earlier one is resumed.

    The file is locked while it is open, so that two runs cannot mix their lines.

    A record that Ctrl-C or an error cuts short is taken back: what is left ends with a whole line.
    Only where the process dies, or the disk is full, the last line may be torn.

    Raises:
        OptionError: it exists and is not to be resumed.
        OutputFileError: it cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OptionError(f"{path}: no regular file; let the shell direct the output there")
    check_new(path, resume=resume)
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
            records.take_back()
        with suppress(OSError):  # what could not be flushed cannot be closed either
            file.close()
        raise
    with _named(path):
        file.close()


def check_new(path: Path, *, resume: bool) -> None:
    """Refuse to begin in a file that holds something.

    Raises:
        OptionError: it does, and is not to be resumed.
    """
    if not resume and path.is_file() and path.stat().st_size:
        raise OptionError(
            f"{path}: there is something in it already; go on with it by --resume, remove it, "
            "or name another file"
        )


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of an output, with their ends, but for a last one that is torn.

    Raises:
        InputFileError: it cannot be read.
    """
    with open_input_raw(path) as file:
        yield from (line for line in file if line.endswith(b"\n"))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except LmscoreError:  # of somebody else's, and perhaps an OSError too
        raise
    except OSError as error:
        raise OutputFileError(f"{path}: cannot be written: {error.strerror or error}") from error
