"""Records written as they were read: those that are kept, and those that are rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lmscore.corpus.reading import Record
from lmscore.errors import InputError
from lmscore.files import open_output

Write = Callable[[Record], object]


@contextmanager
def rejected_records(path: Path | None) -> Iterator[Write]:
    """A function that writes rejected records to a file or a pipe, or drops them without a path."""
    if path is None:
        yield lambda _: None
    else:
        with open_output(path) as file:
            yield whole_records(file.write)


def whole_records(write: Callable[[bytes], object], *, begun: bool = False) -> Write:
    """A function that writes records, after the line that names their columns, if there is one.

    A record without a line end gets it when another follows.

    Args:
        write: writes bytes.
        begun: whether there are records already, and the names before them.
    """
    is_open = False
    heading = b""

    def write_record(record: Record) -> None:
        nonlocal is_open, heading
        if not heading:
            heading = record.heading
            if not begun:
                write(heading)
        elif record.heading not in (b"", heading):
            raise InputError(f"{record.where}: has other columns than the records before it")
        if record.raw:
            write(b"\n" + record.raw if is_open else record.raw)
            is_open = not record.raw.endswith(b"\n")

    return write_record
