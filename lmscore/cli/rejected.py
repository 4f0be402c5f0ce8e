"""Records written as they were read, since they are rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lmscore.corpus.reading import BadRecords, ReadOptions, Record
from lmscore.files import open_output

Write = Callable[[Record], object]


@contextmanager
def rejected_records(path: Path | None, options: ReadOptions, bad: BadRecords) -> Iterator[Write]:
    """A function that writes rejected records to a file or a pipe, or drops them without a path.

    Args:
        path: the file.
        options: how the records are read.
        bad: the rule that they pass; its `reject` becomes the function.
    """
    if path is None:
        yield lambda _: None
        return
    from lmscore.corpus.writing import RecordWriter

    with open_output(path) as file, RecordWriter(file.write, options) as writer:
        bad.reject = writer.write
        yield writer.write
        writer.finish(bad.first)
