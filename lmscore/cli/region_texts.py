"""The texts of `lmscore regions`, and the regions in them that the records of the input name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import TYPE_CHECKING, Any

from lmscore.corpus.reading import Record
from lmscore.errors import InputError
from lmscore.names import Punctuation

if TYPE_CHECKING:
    from lmscore.runtime.scoring import Span

_SPAN = re.compile(r"\s*(\d{1,18})\s*[:\-\u2013]\s*(\d{1,18})\s*[,;]?")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class RegionText:
    """A text to score, and its regions."""

    record: Record
    number: int  # of the record, from 1; of a text of several rows that of the first
    spans: Sequence[Span]
    rows: Sequence[
        Mapping[str, Any]
    ]  # for each region, the fields of the row that it is printed with


@dataclass(frozen=True, kw_only=True)
class TextRegions:
    """What a region is. Without any choice, a word.

    Attributes:
        group_by: columns whose values rows of one text share; each row is a region.
        region_field: the column of the region's own text.
        span_fields: the column of spans, or those of the start and the end.
        separator: what stands between the regions of a text.
        joiner: what comes between the regions of a text that is put together.
        punctuation: what becomes of punctuation at the edges of regions.
        characters: whether a word is a user-perceived character.
    """

    group_by: tuple[str, ...] = ()
    region_field: str | None = None
    span_fields: tuple[str, ...] = ()
    separator: str | None = None
    joiner: str = " "
    punctuation: Punctuation = "keep"
    characters: bool = False

    @property
    def is_row(self) -> bool:
        """Whether each row of the input is one region."""
        return bool(self.group_by or self.region_field or len(self.span_fields) > 1)

    @property
    def names_columns(self) -> bool:
        """Whether columns of the input say what a region is."""
        return bool(self.group_by or self.region_field or self.span_fields)

    def texts(self, records: Iterable[Record]) -> Iterator[RegionText]:
        """The texts of some records, in their order.

        Raises:
            InputError: a column is not there, or does not name regions of its text.
        """
        found = self._grouped(records) if self.group_by else map(self._text, count(1), records)
        return map(self._trimmed, found)

    def _text(self, number: int, record: Record) -> RegionText:
        """A record that is a text by itself."""
        if self.separator is not None:
            pieces = record.text.split(self.separator)
            text, spans = joined(pieces, self.joiner)
            fields = record.as_fields()
            record = _with_text(record, text)
            return RegionText(record, number, spans, [fields] * len(spans))
        if self.region_field is not None:
            spans = [_place(_value(record, self.region_field), record, self.region_field)]
        elif self.span_fields:
            spans = self._spans(record)
        else:
            spans = self._words(record.text)
        return RegionText(record, number, spans, [record.as_fields()] * len(spans))

    def _words(self, text: str) -> list[Span]:
        from lmscore.runtime.text import character_spans

        if self.characters:
            return [span for span in character_spans(text) if not text[slice(*span)].isspace()]
        return [match.span() for match in _WORD.finditer(text)]

    def _spans(self, record: Record) -> list[Span]:
        from lmscore.runtime.scoring import check_spans

        if len(self.span_fields) > 1:
            start, end = (_whole_number(record, name) for name in self.span_fields)
            spans = [(start, end)]
        else:
            spans = _read_spans(_value(record, self.span_fields[0]), record, self.span_fields[0])
        try:
            check_spans(spans, record.text)
        except InputError as error:
            raise InputError(f"{record.where}: {error}") from error
        return spans

    def _grouped(self, records: Iterable[Record]) -> Iterator[RegionText]:
        """Texts that are put together from rows with the same key, one after another."""
        seen: set[tuple[Any, ...]] = set()
        number = 1
        for key, group in groupby(records, self._key):
            rows = list(group)
            if key in seen:
                shown = ", ".join(map("=".join, zip(self.group_by, key[1:], strict=True)))
                raise InputError(
                    f"{rows[0].where}: there were rows of {shown} before, and others since: sort "
                    "the rows, or name further columns that tell their texts apart"
                )
            seen.add(key)
            text, spans = joined([row.text for row in rows], self.joiner)
            fields = [row.as_fields() for row in rows]
            yield RegionText(_with_text(rows[0], text), number, spans, fields)
            number += len(rows)

    def _key(self, record: Record) -> tuple[str, ...]:
        return (record.file, *(str(_value(record, name)) for name in self.group_by))

    def _trimmed(self, found: RegionText) -> RegionText:
        """The text with regions as `punctuation` has them."""
        if self.punctuation == "keep":
            return found
        spans: list[Span] = []
        rows: list[Mapping[str, Any]] = []
        for span, row in zip(found.spans, found.rows, strict=True):
            pieces = without_punctuation(found.record.text, span)
            own = pieces if self.punctuation == "apart" else pieces[1:2]
            spans += [piece for piece in own if piece[0] < piece[1] or len(own) == 1]
            rows += [row] * (len(spans) - len(rows))
        return RegionText(found.record, found.number, spans, rows)


def joined(pieces: Sequence[str], joiner: str) -> tuple[str, list[Span]]:
    """The text that pieces make, white space at their edges left out; and their places in it."""
    text = ""
    spans: list[Span] = []
    for piece in map(str.strip, pieces):
        if text and piece:
            text += joiner
        spans.append((len(text), len(text) + len(piece)))
        text += piece
    return text, spans


def without_punctuation(text: str, span: Span) -> list[Span]:
    """The punctuation before a region, the rest, and that after it; all is rest if nothing else is.

    Punctuation is what Unicode puts into its categories P.
    """
    start, end = span
    inner = [
        place
        for place in range(start, end)
        if unicodedata.category(text[place])[0] != "P" and not text[place].isspace()
    ]
    if not inner:
        return [(start, start), (start, end), (end, end)]
    first, last = inner[0], inner[-1] + 1
    return [(start, first), (first, last), (last, end)]


def _with_text(record: Record, text: str) -> Record:
    """A record of a text that was put together, with the id of the given one."""
    return Record(text, id=record.id, fields=record.fields, where=record.where, file=record.file)


def _value(record: Record, name: str) -> Any:
    fields = record.as_fields()
    if name not in fields:
        known = ", ".join(map(repr, list(fields)[:8]))
        raise InputError(f"{record.where}: no column {name!r}, only {known}")
    return fields[name]


def _whole_number(record: Record, name: str) -> int:
    value = _value(record, name)
    try:
        number = float(value)
        if not isinstance(value, bool) and number.is_integer():
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{record.where}: column {name!r} is {value!r}, expected a place in the text")


def _read_spans(value: Any, record: Record, name: str) -> list[Span]:
    """The spans in a cell: `0:9 10:31`, or in JSON a list of pairs."""
    expected = f"{record.where}: column {name!r} is {value!r}, expected places such as 0:9 10:31"
    if isinstance(value, list):
        is_pair = [
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(place, int) and not isinstance(place, bool) for place in pair)
            for pair in value
        ]
        if not all(is_pair):
            raise InputError(expected)
        return [(start, end) for start, end in value]
    spans = _SPAN.findall(value) if isinstance(value, str) else []
    if not spans or _SPAN.sub("", value).strip():
        raise InputError(expected)
    return [(int(start), int(end)) for start, end in spans]


def _place(region: Any, record: Record, name: str) -> Span:
    """The place of a region's text: as whole words if it is there once, else anywhere."""
    words = str(region).strip()
    if not words:
        raise InputError(f"{record.where}: column {name!r} is empty, expected words of the text")
    pattern = re.escape(words)
    whole = [match.span() for match in re.finditer(rf"(?<!\w){pattern}(?!\w)", record.text)]
    found = whole or [match.span() for match in re.finditer(pattern, record.text)]
    if len(found) != 1:
        times = "not" if not found else f"{len(found)} times"
        advice = "; say where it is, with `span_field`" if found else ""
        raise InputError(f"{record.where}: the region {words!r} is {times} in the text{advice}")
    return found[0]
