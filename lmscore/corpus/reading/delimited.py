"""CSV as RFC 4180 has it, with quotes and line breaks inside quotes; and TSV without quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from lmscore.corpus.reading.record import ReadOptions, Record, record_of
from lmscore.errors import InputError
from lmscore.forks import fork_safe_lock

_LARGEST = 1 << 26  # bytes of one record: more means a quotation that was never closed
_OTHER_DELIMITERS = ";\t|"

_limit = fork_safe_lock()
_usual_limits: list[int] = []  # one for each thread that reads a row; the first is the process's


@contextmanager
def large_fields() -> Iterator[None]:
    """Let fields of CSV be large. The limit is of the whole process: it is raised for a row."""
    with _limit:
        _usual_limits.append(csv.field_size_limit(_LARGEST))
    try:
        yield
    finally:
        with _limit:
            usual = _usual_limits[0]
            _usual_limits.pop()
            if not _usual_limits:
                csv.field_size_limit(usual)


class Line(NamedTuple):
    """A line of a file."""

    text: str  # without the line end
    raw: bytes  # in UTF-8, with the line end
    where: str  # file and line number, for errors
    file: str
    error: InputError | None = None  # why the bytes are no text


class _Rows:
    """The rows of CSV, each with the bytes that it was read from."""

    def __init__(self, lines: Iterable[Line], delimiter: str) -> None:
        self._lines = iter(lines)
        self._consumed: list[Line] = []
        self._size = 0
        self._reader = csv.reader(self._feed(), delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[tuple[list[str], bytes, Line, str | None]]:
        """Yield the cells, the bytes, the first line, and what is wrong."""
        while True:
            self._consumed.clear()
            self._size = 0
            error = None
            cells: list[str] = []
            try:
                with large_fields():
                    cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as failure:
                error = str(failure)
            error = next((str(line.error) for line in self._consumed if line.error), error)
            if self._consumed:
                raw = b"".join(line.raw for line in self._consumed)
                yield cells, raw, self._consumed[0], error

    def _feed(self) -> Iterator[str]:
        for line in self._lines:
            self._consumed.append(line)
            self._size += len(line.raw)
            if self._size > _LARGEST:
                raise InputError(f"{self._consumed[0].where}: a quotation that is never closed")
            # The reader keeps a line end inside quotes as it is given.
            end = "\r\n" if line.raw.endswith(b"\r\n") else "\n"
            yield line.text + (end if line.raw.endswith(b"\n") else "")


def csv_records(lines: Iterable[Line], options: ReadOptions) -> Iterator[Record]:
    """The records of one CSV file; its first row names the columns, unless `columns` does.

    A row of another length than the names, and one with quotes where RFC 4180 has none, is a
    record with an error. Blank lines are no rows.

    Raises:
        InputError: two columns have the same name, or the field of the text is none of them.
    """
    names = list(options.columns)
    heading = b""
    for cells, raw, first, error in _Rows(lines, options.delimiter):
        if error is not None:
            yield bad(first, f"not CSV: {error}", raw, heading)
        elif not cells:
            continue
        elif not names:
            names = cells
            heading = raw
            _check_names(names, options, first)
        elif len(cells) != len(names):
            yield bad(first, f"expected {len(names)} columns, got {len(cells)}", raw, heading)
        else:
            fields = dict(zip(names, cells, strict=True))
            yield record_of(fields, options, first.where, raw=raw, heading=heading, file=first.file)


def tsv_records(lines: Iterable[Line], options: ReadOptions) -> Iterator[Record]:
    """The records of one TSV file; a quote is a character like any other.

    The columns are id and text, or those of `columns`, or with `field` or `id_field` those that
    the first line names.
    """
    names = list(options.columns)
    heading = b""
    if not names and options.field is None and options.id_field is None:
        names = ["id", "text"]
    is_plain = names in (["id", "text"], ["id", "prefix", "text"])
    is_told = bool(options.columns)
    for line in lines:
        cells = line.text.split("\t")
        if line.error is not None:
            yield bad(line, line.error, line.raw, heading)
        elif not names:
            names, heading = cells, line.raw
            _check_names(names, options, line)
        elif len(cells) != len(names):
            yield bad(
                line,
                _wrong_columns(names, cells, named=is_told or bool(heading)),
                line.raw,
                heading,
            )
        elif is_plain:
            found = dict(zip(names, cells, strict=True))
            yield Record(
                found["text"],
                id=found["id"],
                prefix=found.get("prefix"),
                raw=line.raw,
                where=line.where,
                file=line.file,
            )
        else:
            fields = dict(zip(names, cells, strict=True))
            yield record_of(
                fields, options, line.where, raw=line.raw, heading=heading, file=line.file
            )


def _wrong_columns(names: list[str], cells: list[str], *, named: bool) -> str:
    expected = "<TAB>".join(names)
    if len(cells) == 1:
        return f"no tab; expected {expected}, or use input_format='text'"
    advice = "" if named else "; name them with `columns`: columns='id,score,text'"
    return f"{len(cells)} columns, expected {expected}{advice}"


def _check_names(names: list[str], options: ReadOptions, line: Line) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{line.where}: two columns are named {twice[0]!r}")
    wanted = {
        "field": options.text_field,
        "id_field": options.id_field,
        "prefix_field": options.prefix_field,
    }
    for option, name in wanted.items():
        if name is not None and name not in names:
            found = ", ".join(map(repr, names[:8]))
            raise InputError(
                f"{line.where}: no column {name!r}, only {found}; {_other_delimiter(names)}name "
                f"another with `{option}`, or the columns of a file that does not name them with "
                "`columns`"
            )


def _other_delimiter(names: Sequence[str]) -> str:
    """Advice for a file whose only column looks like several with another delimiter."""
    found = [mark for mark in _OTHER_DELIMITERS if len(names) == 1 and mark in names[0]]
    return f"if {found[0]!r} stands between columns, say so with `delimiter`; " if found else ""


def bad(line: Line, reason: object, raw: bytes, heading: bytes = b"") -> Record:
    """A record that cannot be read."""
    error = reason if isinstance(reason, InputError) else InputError(f"{line.where}: {reason}")
    return Record("", raw=raw, where=line.where, file=line.file, heading=heading, error=error)
