"""A file of n-best lists while it is read, and the parts that are kept for writing it back."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path, PurePath
from typing import Any, Self

from lmscore.compression import SUFFIXES
from lmscore.errors import InputError
from lmscore.files import input_name, open_input
from lmscore.names import Utf8Errors
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_HEAD_SIZE = 1 << 16
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file."""

    text: str  # without the line end
    end: str  # the line end: a newline, with a carriage return or not; "" where the file just stops
    number: int  # from 1

    @property
    def size(self) -> int:
        """The bytes of the line in the file."""
        return len((self.text + self.end).encode())


class Document:
    """One input file, opened and read once (it may be a pipe); a context manager.

    `errors="replace"` puts U+FFFD in the place of invalid UTF-8; with `line_buffered` no line is
    read before it is asked for, but the first `head_lines`. All methods that read, and the
    constructor, raise InputFileError.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        errors: Utf8Errors = "strict",
        line_buffered: bool = False,
        head_lines: int = 1,
    ) -> None:
        self.name = input_name(path)
        self.errors: Utf8Errors = errors
        self.line_buffered = line_buffered
        self.first_index = 0  # how many lists the files before this one hold
        self.num_lists: int | None = None  # known once all lists have been read, as is the tail
        self.tail = ""  # the text after the last list
        with ExitStack() as stack:
            self._file = stack.enter_context(open_input(path))
            ahead = b"" if line_buffered else self._file.read(_HEAD_SIZE)
            head = ahead + b"".join(self._file.readline() for _ in range(head_lines))
            self._stack = stack.pop_all()
        mark = _BYTE_ORDER_MARK.encode()
        self.start = _BYTE_ORDER_MARK if head.startswith(mark) else ""
        self._head = head.removeprefix(mark)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def finish(self, num_lists: int, tail: str = "") -> None:
        """Note what was found by reading to the end."""
        self.num_lists = num_lists
        self.tail = tail

    @property
    def head(self) -> str:
        """The first lines, all of them whole."""
        return self._head.decode("utf-8", "replace")

    def lines(self) -> Iterator[Line]:
        """The lines without a byte-order mark; raises InputError for invalid UTF-8."""
        with self._stack:  # `open_input` names the errors of reading
            for number, raw in enumerate(chain(io.BytesIO(self._head), self._file), 1):
                end = "\r\n" if raw.endswith(b"\r\n") else "\n" if raw.endswith(b"\n") else ""
                yield Line(self._decoded(raw, number).removesuffix(end), end, number)

    def text(self) -> str:
        """The whole text without a byte-order mark; raises what `lines` raises."""
        with self._stack:
            return self._decoded(self._head + self._file.read(), 1)

    def where(self, line: int, field: str = "") -> str:
        """The name of a place in the file, for error messages."""
        return f"{self.name}, line {line}, {field}" if field else f"{self.name}, line {line}"

    def _decoded(self, data: bytes, line: int) -> str:
        try:
            return data.decode("utf-8", self.errors)
        except UnicodeDecodeError as error:
            line += data.count(b"\n", 0, error.start)
            byte = error.start - data.rfind(b"\n", 0, error.start)
            raise InputError(
                f"{self.where(line)}: invalid UTF-8 at byte {byte}; convert the file, or use "
                "errors='replace'"
            ) from error


@dataclass(frozen=True, slots=True)
class ListSource:
    """The place of a list in its file."""

    document: Document
    index: int  # in the document, from 0
    line: int  # the number of its first line
    size: int  # bytes, with the text before
    before: str = ""  # the text between the list before and this one
    content: Any = None  # other data that the format needs


def lists_of_rows(
    document: Document, rows: Iterable[tuple[str, Hypothesis]]
) -> Iterator[NBestList]:
    """Lists from rows of a list's id and a hypothesis whose source is its line."""
    index = 0
    for index, (key, group) in enumerate(groupby(rows, key=itemgetter(0)), 1):
        hypotheses = tuple(hypothesis for _, hypothesis in group)
        size = sum(hypothesis.source.size for hypothesis in hypotheses)
        source = ListSource(document, index - 1, hypotheses[0].source.number, size)
        yield NBestList(key, hypotheses, source=source)
    document.finish(index)


def rendered_lines(nbest: NBestList, render: Callable[[Hypothesis], str]) -> str:
    """A list whose hypotheses are lines, each written by `render` without its line end."""
    lines = ((render(hypothesis), hypothesis.source.end) for hypothesis in nbest.hypotheses)
    return joined_lines(lines)


def by_lines(render: Callable[[Hypothesis], str]) -> Callable[[NBestList], str]:
    """`rendered_lines` for any list, with this function of a hypothesis."""
    return lambda nbest: rendered_lines(nbest, render)


def joined_lines(lines: Iterable[tuple[str, str]]) -> str:
    """Lines and their ends as one text; the file's last line may have moved, and had no end."""
    rows = list(lines)
    usual = next((end for _, end in rows if end), "\n")
    ends = [end or usual for _, end in rows[:-1]] + [end for _, end in rows[-1:]]
    return "".join(text + end for (text, _), end in zip(rows, ends, strict=True))


def stem_of(name: str, suffixes: Collection[str]) -> str:
    """A file's name without folders, without these suffixes and those of compressed files."""
    path = PurePath(name)
    while path.suffix in suffixes or path.suffix in SUFFIXES:
        path = path.with_suffix("")
    return path.name
