"""Records written as they were read, since they are rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lmscore.corpus.reading import ReadOptions, Record
from lmscore.files import open_output

Write = Callable[[Record], object]


@contextmanager
def rejected_records(path: Path | None, options: ReadOptions) -> Iterator[Write]:
    """A function that writes rejected records to a file or a pipe, or drops them without a path.

    `options`: how the records are read.
    """
    if path is None:
        yield lambda _: None
        return
    from lmscore.corpus.writing import RecordWriter

    with open_output(path) as file, RecordWriter(file.write, options) as writer:
        yield writer.write
