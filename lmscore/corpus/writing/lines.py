"""Records that are bytes of their own: lines of text, TSV and CSV, objects of JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lmscore.corpus.reading import Record, free_name
from lmscore.errors import InputError, OptionError
from lmscore.finite import finite
from lmscore.names import InputFormat

Write = Callable[[bytes], object]


class Lines:
    """Writes lines, after the line that names their columns, if there is one.

    A record without a line end gets it when another follows.

    Args:
        write: writes bytes.
        extended: a record's bytes with values added.
        heading: the line of names with names added.
        names: the names in such a line, however it is quoted and ended.
        begun: whether there are records already, and the names before them.
    """

    def __init__(
        self,
        write: Write,
        *,
        extended: Callable[[Record, Mapping[str, Any]], bytes],
        heading: Callable[[bytes], bytes],
        names: Callable[[bytes], Sequence[str]],
        begun: bool,
    ) -> None:
        self._write = write
        self._extended = extended
        self._with_names = heading
        self._names = names
        self._begun = begun
        self._heading = b""
        self._is_open = False

    def begin(self, record: Record) -> None:
        """Write the names of the columns, once they are known."""
        if not self._heading:
            self._heading = record.heading
            if record.heading and not self._begun:
                self._write(self._with_names(record.heading))
        elif record.heading not in (b"", self._heading) and (
            self._names(record.heading) != self._names(self._heading)
        ):
            raise InputError(f"{record.where}: has other columns than the records before it")

    def write(self, record: Record, values: Mapping[str, Any]) -> None:
        """Write a record."""
        raw = self._extended(record, values) if values else record.raw
        if raw:
            self._write(b"\n" + raw if self._is_open else raw)
            self._is_open = not raw.endswith(b"\n")

    def close(self) -> None:
        """Do nothing: a line needs no end."""

    def abandon(self) -> None:
        """Do nothing: nothing waits."""


class Array:
    """Writes the elements of a JSON array."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._count = 0

    def begin(self, record: Record) -> None:
        """Do nothing: the array begins with its first element."""

    def write(self, record: Record, values: Mapping[str, Any]) -> None:
        """Write an element."""
        raw = with_keys(record, values) if values else record.raw
        if raw:
            self._write((b",\n" if self._count else b"[\n") + raw)
            self._count += 1

    def abandon(self) -> None:
        """Do nothing: nothing waits."""

    def close(self) -> None:
        """End the array."""
        self._write(b"\n]\n" if self._count else b"[]\n")


def lines_of(
    kind: InputFormat, write: Write, added: Sequence[str], *, delimiter: str, begun: bool
) -> Lines:
    """The writer of lines of a kind; raises OptionError if they have no room for fields."""
    if kind == "text" and added:
        raise OptionError(
            f"a line of text has no field for {added[0]!r}: make it JSON Lines first, or use CSV"
        )
    if kind == "jsonl":
        return Lines(write, extended=with_keys, heading=bytes, names=lambda _: (), begun=begun)
    between = delimiter if kind == "csv" else "\t"

    def extended(record: Record, values: Mapping[str, Any]) -> bytes:
        return _with_cells(record.raw, [_cell(value) for value in values.values()], between)

    def names(heading: bytes) -> list[str]:
        line = heading.decode().rstrip("\r\n")
        cells = csv.reader([line], delimiter=between) if kind == "csv" else [line.split(between)]
        return next(iter(cells))

    def named(heading: bytes) -> bytes:
        given = names(heading)
        return _with_cells(heading, [free_name(name, given) for name in added], between)

    return Lines(write, extended=extended, heading=named, names=names, begun=begun)


def with_keys(record: Record, values: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON object with keys added at its end; what was there stays as it was."""
    body = record.raw.rstrip()
    end = record.raw[len(body) :]
    given = record.fields or {}
    inner = body[:-1].rstrip()
    parts = [
        f"{json.dumps(free_name(name, given), ensure_ascii=False)}: {json.dumps(finite(value))}"
        for name, value in values.items()
    ]
    comma = b"" if inner == b"{" else b", "
    return inner + comma + ", ".join(parts).encode() + b"}" + end


def _with_cells(raw: bytes, cells: Sequence[str], between: str) -> bytes:
    body = raw.removesuffix(b"\n").removesuffix(b"\r")
    return body + "".join(between + cell for cell in cells).encode() + raw[len(body) :]


def _cell(value: Any) -> str:
    """A number, a name of ours, or nothing; none of them needs quotes."""
    value = finite(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
