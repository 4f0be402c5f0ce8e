"""`--resume` of a filter: the lines it has kept, found again in the input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from lmscore.cli.outfile import Output, whole_lines
from lmscore.cli.progress import Progress
from lmscore.cli.records import Record, shown_text
from lmscore.errors import InputError


class Kept:
    """The lines that an interrupted run has kept, held against the input that is read again.

    Attributes:
        count: the lines of the input that need not be scored again.
        bytes: their text, with line ends.
    """

    def __init__(self, out: Output) -> None:
        """Begin to read a file that is open for more."""
        self.count = 0
        self.bytes = 0
        self._out = out
        lines = () if out.path is None else whole_lines(out.path)
        self._lines = (line[:-1] for line in lines)
        self._following = next(self._lines, None)
        self._read = 0
        self._take()

    def skip(
        self, records: Iterable[Record], reject: Callable[[bytes], object], *, bar: bool
    ) -> Iterator[Record]:
        """The records from the last one on that was kept: it must be kept again.

        Those before it that were not kept are rejected. Of equal lines, which are kept or not
        together, the first is taken.

        Raises:
            InputError: a line is not in the input, or not behind the one before.
        """
        rest = iter(records)
        total = self._out.size
        with Progress(f"reading {self._out.path}", total=total, shown=bar) as progress:
            while self._next is not None:
                for record in rest:
                    if _line(record) == self._next:
                        break
                    reject(record.raw)
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
        """Whether a line that is to be kept is there; they must come in order.

        Raises:
            InputError: another one stands in its place.
        """
        if self._next is None:
            return False
        if _line(record) != self._next:
            raise self._error("another line is kept before it this time")
        self._take()
        return True

    def check_end(self) -> None:
        """See that nothing is left.

        Raises:
            InputError: a line was not kept this time.
        """
        if self._next is not None:
            raise self._error("it is not kept this time")

    def _take(self) -> None:
        self._next, self._following = self._following, next(self._lines, None)
        if self._next is None:
            self._out.cut(self._read)  # what is torn
        else:
            self._read += len(self._next) + 1

    def _pass(self, record: Record) -> None:
        self.count += 1
        self.bytes += len(record.text.encode()) + 1

    def _error(self, reason: str) -> InputError:
        line = shown_text((self._next or b"").decode(errors="replace"))
        return InputError(
            f"{self._out.path}: {line}: {reason}; --resume goes on with the same input, model and "
            "options"
        )


def _line(record: Record) -> bytes:
    return record.raw.removesuffix(b"\n")
