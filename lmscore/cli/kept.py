"""`lmscore filter --resume`: the lines that an interrupted run has kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from lmscore.cli.outfile import Output, whole_lines
from lmscore.cli.progress import Progress
from lmscore.corpus.reading import Record, shown_text
from lmscore.errors import InputError


class Kept:
    """The lines that an interrupted run has kept, matched with the input that is read again.

    Attributes:
        count: how many lines of the input need not be scored again.
        bytes: the size of their text, with line ends.
    """

    def __init__(self, out: Output) -> None:
        self.count = 0
        self.bytes = 0
        self._out = out
        lines = whole_lines(out.path) if out.path and out.size else ()
        self._lines = (line[:-1] for line in lines)
        self._following = next(self._lines, None)
        self._read = 0
        self._take()

    def skip(
        self, records: Iterable[Record], reject: Callable[[Record], object], *, bar: bool
    ) -> Iterator[Record]:
        """Skip the records before the last one that was kept; the rest is returned.

        Records that were not kept are passed to `reject`. The last one that was kept is scored
        again, and must be kept again. Of equal lines, which are kept or not together, the first is
        taken.

        Raises:
            InputError: a kept line is not in the input, or not after the line before it.
        """
        rest = iter(records)
        with Progress(f"reading {self._out.path}", total=self._out.size, shown=bar) as progress:
            while self._next is not None:
                for record in rest:
                    if _line(record) == self._next:
                        break
                    reject(record)
                    self._pass(record)
                else:
                    raise self._error("the input has no such line there")
                if self._following is None:
                    return chain([record], rest)
                self._pass(record)
                self._take()
                progress.update(self._read)
        return rest

    def has(self, record: Record) -> bool:
        """Whether the output has this line already; raises InputError if it has another line.

        The lines to keep must be asked for in their order.
        """
        if self._next is None:
            return False
        if _line(record) != self._next:
            raise self._error("another line is kept before it this time")
        self._take()
        return True

    def check_end(self) -> None:
        """Raise InputError if a line in the output was not kept this time."""
        if self._next is not None:
            raise self._error("it is not kept this time")

    def _take(self) -> None:
        self._next, self._following = self._following, next(self._lines, None)
        if self._next is None:
            self._out.cut(self._read)  # drops a torn line
        else:
            self._read += len(self._next) + 1

    def _pass(self, record: Record) -> None:
        self.count += 1
        self.bytes += record.size

    def _error(self, reason: str) -> InputError:
        line = shown_text((self._next or b"").decode(errors="replace"))
        return InputError(
            f"{self._out.path}: {line}: {reason}; --resume goes on with the same input, model and "
            "options"
        )


def _line(record: Record) -> bytes:
    return record.raw.removesuffix(b"\n")
