"""`lmscore score --resume`: the records in the output of an interrupted run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from lmscore.cli.layout import Layout
from lmscore.cli.outfile import Output, whole_lines
from lmscore.cli.progress import Progress
from lmscore.corpus.reading import Record, shown_text
from lmscore.errors import InputError

Item = TypeVar("Item")

_TOLERANCE = 0.1  # nats or bits a token: more than devices differ by, less than models do
_ROUNDING = 0.001


@dataclass(frozen=True)
class Block:
    """The lines of one record in the output file."""

    lines: list[str]  # without line ends
    number: int  # the line number of the first one, from 1
    start: int  # the byte offset of the first one


class Earlier:
    """The records that an interrupted run has written, matched with the input that is read again.

    The last record may lack rows, so it is scored again; this shows whether the model and the
    options are the same. A torn line after it does not count.

    Args:
        file: the output, open to append to.
        layout: the layout of its records.
        header: whether its first line names the columns.

    Attributes:
        count: how many records of the input need not be scored again, so far.
        bytes: the size of their text, with line ends.

    Raises:
        InputFileError: the file cannot be read.
        InputError: the file has another header, or none.
    """

    def __init__(self, file: Output, layout: Layout, *, header: bool) -> None:
        self.count = 0
        self.bytes = 0
        self._file = file
        self._layout = layout
        self._header = layout.header if header else ""
        self._last: Block | None = None
        lines = _lines(file.path) if file.path and file.size else iter(())
        self._end = self._header_size(next(lines, None)) if header else 0
        self._blocks = _blocks(lines, layout)
        self._next = next(self._blocks, None)
        if self._next is None:
            self._begin()

    def skip(
        self, items: Iterable[Item], record: Callable[[Item], Record], *, bar: bool
    ) -> Iterator[Item]:
        """Skip the items whose records are in the output; the rest, at least one, is returned.

        The output is read before this returns.

        There is one item for each line of the input; `record` gives its record. `bar` shows a
        progress bar.

        Raises:
            InputError: the output has other records than the input, or more.
        """
        rest = iter(items)
        with Progress(f"reading {self._file.path}", total=self._file.size, shown=bar) as progress:
            for item in rest:
                if not self._has(record(item)):
                    return chain([item], rest)
                self.count += 1
                self.bytes += record(item).size
                progress.update(self._end)
        raise self._error(self._next, f"the input has {self.count} lines, and this is of another")

    def settle(self, lines: str, num_tokens: int) -> None:
        """Compare the last record in the output with its new score, and cut the output before it.

        Later calls do nothing. `lines` is the new text of the record, of `num_tokens` tokens.

        Raises:
            InputError: the scores differ by more than devices do; nothing is cut.
            OutputFileError: the file cannot be written.
        """
        if self._last is not None:
            self._check(self._last, lines.split("\n")[:-1], _ROUNDING + _TOLERANCE * num_tokens)
            self._last = None
            self._begin()

    def _begin(self) -> None:
        self._file.cut(self._end)
        if not self._end:
            self._file.write(self._header)

    def _check(self, block: Block, lines: list[str], tolerance: float) -> None:
        pairs = list(zip(block.lines, lines, strict=False))
        agree = [self._layout.agree(*pair, tolerance=tolerance) for pair in pairs]
        if len(pairs) < len(block.lines) or not all(agree):
            raise self._error(block, "another model or other options gave this score")

    def _has(self, record: Record) -> bool:
        """Whether the next record of the input is complete in the output."""
        if self._next is None:
            return False
        number, block = self.count + 1, self._next
        if not self._layout.holds(block.lines, number, record):
            if self._has_no_rows(block, number, record):
                return True
            raise self._error(block, f"this is not about {shown_text(record.text)}, line {number}")
        self._next = next(self._blocks, None)
        if self._next is None:
            self._last, self._end = block, block.start
            return False
        self._end = self._next.start
        return True

    def _has_no_rows(self, block: Block, number: int, record: Record) -> bool:
        """Whether record `number` had nothing to score, so that the block is of a later record."""
        key = self._layout.cells(block.lines[0])[0]
        rows = self._layout.output_format == "tsv" and self._layout.per != "sentence"
        return rows and record.id is None and key.isdecimal() and int(key) > number

    def _header_size(self, found: Block | None) -> int:
        if found is None:
            return 0
        if found.lines[0] + "\n" != self._header:
            raise self._error(found, f"expected the header {self._header.strip()!r}")
        return len(self._header.encode())

    def _error(self, block: Block | None, reason: str) -> InputError:
        where = f"{self._file.path}, line {block.number if block else 1}"
        return InputError(
            f"{where}: {reason}; --resume goes on with the same input, model and options"
        )


def _lines(path: Path) -> Iterator[Block]:
    start = 0
    for number, line in enumerate(whole_lines(path), 1):
        yield Block([line[:-1].decode(errors="replace")], number, start)
        start += len(line)


def _blocks(lines: Iterable[Block], layout: Layout) -> Iterator[Block]:
    block: Block | None = None
    for line in lines:
        if block is None:
            block = line
        elif layout.begins_record(line.lines[0]):
            yield block
            block = line
        else:
            block.lines.extend(line.lines)
    if block is not None:
        yield block
