"""`lmscore score --format csv`: the columns of the input, and behind them those of the scores."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmscore.cli.layout import Layout, measure_cell
from lmscore.corpus.reading import Record, free_name, json_line
from lmscore.errors import InputError

if TYPE_CHECKING:
    from lmscore.runtime.scoring import Score, TextMeasures

_EARLIER_NAMES = {"perplexity"}  # of keys that objects keep for one version


@dataclass
class CsvLayout:
    """CSV as RFC 4180 has it, with line feeds, and with the names of the columns in its first row.

    Each record is a row, or each of its tokens, words or parts is. The columns are those of the
    first record; the others must have the same.
    """

    layout: Layout
    _names: list[str] = field(default_factory=list)  # of the input's columns

    def lines(
        self, number: int, record: Record, score: Score, measured: TextMeasures | None = None
    ) -> str:
        """The rows of record `number`, after the names if it is the first.

        Raises:
            InputError: the record has other fields than the first one.
        """
        given = record.as_fields()
        document = {
            name: value
            for name, value in self.layout.added(record, score, measured).items()
            if name not in _EARLIER_NAMES
        }
        rows = list(self._rows(number, document))
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        if not self._names:
            self._names = list(given)
            writer.writerow(self._header(given, rows))
        elif given.keys() != set(self._names):
            raise InputError(f"{record.where}: has other fields than the first record")
        cells = [csv_cell(given[name]) for name in self._names]
        writer.writerows([*cells, *map(csv_cell, row.values())] for row in rows)
        return out.getvalue()

    def key(self, number: int, record: Record) -> str:
        """The record's id, or its number."""
        return self.layout.key(number, record)

    def _rows(self, number: int, document: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        """What is added, row by row."""
        units = document.get(f"{self.layout.per}s")
        if units is None:
            yield document
            return
        file = {name: document[name] for name in self.layout.file_names}
        for index, unit in enumerate(units, 1):
            text: dict[str, Any] = {self.layout.per: unit.pop("text")}
            yield {**file, "record": number, "index": index, **text, **unit}

    def _header(self, given: Collection[str], rows: list[Mapping[str, Any]]) -> list[str]:
        """The names of all columns, also where the first record has no row."""
        layout = self.layout
        of_units = [*layout.file_names, "record", "index", layout.per, *layout.columns[3:]]
        names = rows[0] if rows else of_units
        return [*given, *(free_name(self.layout.prefix + name, given) for name in names)]


def csv_cell(value: Any) -> str:
    """A value as text; what is nested as JSON, null and what no number can say as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else ""
    if isinstance(value, tuple):
        return measure_cell(value)
    return json_line({"": value})[len('{"": ') : -len("}\n")].strip('"')
