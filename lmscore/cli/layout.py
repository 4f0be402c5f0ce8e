"""The output of `lmscore score`: records as tsv or JSON Lines, and their recognition by --resume.

A record is one line, or a row for each of its tokens or words.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmscore.corpus.reading import Record, free_name, json_line
from lmscore.files import input_name
from lmscore.finite import finite
from lmscore.names import Measure, Per, ScoreFormat

if TYPE_CHECKING:
    from lmscore.runtime.scoring import (
        PartScore,
        Score,
        TextMeasures,
        TokenMeasures,
        TokenScore,
        WordMeasures,
        WordScore,
    )

# A cell must hold no tab and no line break, and an escape must not look like plain text.
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class Layout:
    """The choice of columns or keys that are printed for each record."""

    output_format: ScoreFormat
    per: Per
    surprisal: bool  # print bits instead of nats
    ids: bool  # whether the input has ids
    measures: tuple[Measure, ...] = ()  # further columns of the rows
    prefix: str = ""  # before the names of the keys that are added to an object
    file_field: str | None = None  # the key of the file's name, if an object has it

    @property
    def columns(self) -> list[str]:
        """The names of the columns of tsv."""
        if self.per == "sentence":
            return [*["id"] * self.ids, self.measure, "num_tokens", "num_oov", "text"]
        counts = ["num_tokens", "num_oov"] if self.per == "part" else ["is_oov"]
        return ["id", "index", "text", "start", "end", self.measure, *counts, *self.measure_names]

    @property
    def measure_names(self) -> list[str]:
        """The names of the measures: those of a word are its first token's."""
        return [f"onset_{name}" if self.per == "word" else name for name in self.measures]

    @property
    def header(self) -> str:
        """The header line of tsv."""
        return _row(self.columns)

    def lines(
        self, number: int, record: Record, score: Score, measured: TextMeasures | None = None
    ) -> str:
        """The output of record `number`, with the measures of its text where they are wanted."""
        if record.error is not None:
            given = record.as_fields()
            return json_line({**given, self._name("error", given): str(record.error)})
        if self.output_format == "jsonl":
            return json_line(self._document(record, score, measured))
        if self.per == "sentence":
            return self._sentence(record, score)
        return "".join(self._rows(self.key(number, record), self._units(score), measured))

    def begins_record(self, line: str) -> bool:
        """Whether a line of earlier output is the first one of its record."""
        if self.output_format == "jsonl" or self.per == "sentence":
            return True
        return line.split("\t")[1:2] == ["1"]

    def holds(self, lines: Sequence[str], number: int, record: Record) -> bool:
        """Whether lines of earlier output can belong to a record, whatever its score is.

        Args:
            lines: the lines of one record, without line ends; the last rows may be missing.
            number: the number of the record, from 1.
        """
        if self.output_format == "jsonl":
            return self._holds_document(lines[0], record)
        if self.per == "sentence":
            cells = self.cells(lines[0])
            ids = [] if record.id is None else [cell(record.id)]
            found = [*cells[: len(ids)], cells[-1]]
            return len(cells) == len(self.columns) and found == [*ids, _on_a_line(record.text)]
        rows = enumerate(map(self.cells, lines), 1)
        return all(self._holds_row(cells, number, index, record) for index, cells in rows)

    def agree(self, before: str, now: str, *, tolerance: float) -> bool:
        """Whether two lines of one record are equal, their log-probabilities up to a tolerance."""
        (old, *others), (new, *expected) = map(self._figures, (before, now))
        try:
            return others == expected and abs(float(old) - float(new)) <= tolerance
        except (TypeError, ValueError):
            return False

    def _figures(self, line: str) -> list[Any]:
        """The log-probability (or surprisal) in a line, then its other fields to compare."""
        if self.output_format == "jsonl":
            document = json.loads(line)
            names = (self.measure, "num_tokens", "num_oov")
            return [document.get(self._last_name(name, document), 0) for name in names]
        cells = self.cells(line)
        return [cells.pop(self.columns.index(self.measure)), *cells]

    def key(self, number: int, record: Record) -> str:
        """The first cell of a row: the record's id, or its number."""
        return str(number) if record.id is None else cell(record.id)

    def cells(self, line: str) -> list[str]:
        """The cells of a tsv line; a text in the last cell may hold tabs."""
        return line.split("\t", len(self.columns) - 1)

    @property
    def measure(self) -> str:
        """The name of the column with the log-probability."""
        return "surprisal" if self.surprisal else "log_prob"

    def _value(self, score: Score | TokenScore | WordScore | PartScore) -> float:
        return score.surprisal if self.surprisal else score.log_prob

    def _cell(self, score: Score | TokenScore | WordScore | PartScore) -> str:
        return f"{self._value(score):z.4f}"

    def _units(self, score: Score) -> Sequence[TokenScore | WordScore | PartScore]:
        if self.per == "part":
            return score.parts or [_only_part(score)]
        return score.tokens if self.per == "token" else score.words

    def _sentence(self, record: Record, score: Score) -> str:
        text = _on_a_line(record.text)
        cells = [self._cell(score), str(score.num_tokens), str(score.num_oov), text]
        return _row(cells if record.id is None else [cell(record.id), *cells])

    def _rows(
        self,
        key: str,
        units: Sequence[TokenScore | WordScore | PartScore],
        measured: TextMeasures | None,
    ) -> Iterator[str]:
        further = self._measured(units, measured)
        for index, (unit, values) in enumerate(zip(units, further, strict=True), 1):
            span = [str(unit.start), str(unit.end)]
            text = unit.text.translate(ESCAPES)
            cells = [measure_cell(value) for value in values.values()]
            counts = [str(int(count)) for count in _counts(unit).values()]
            yield _row([key, str(index), text, *span, self._cell(unit), *counts, *cells])

    def _measured(
        self, units: Sequence[TokenScore | WordScore | PartScore], measured: TextMeasures | None
    ) -> list[dict[str, Any]]:
        """The wanted measures of each unit by name; None for a unit without a token."""
        if measured is None:
            return [{}] * len(units)
        found = measured.tokens if self.per == "token" else measured.words
        if self.per == "token":
            return [self._values(one) for one in found]
        of_place = {(one.start, one.end): one for one in found}
        return [self._values(of_place.get((unit.start, unit.end))) for unit in units]

    def _values(self, measures: TokenMeasures | WordMeasures | None) -> dict[str, Any]:
        return {name: getattr(measures, name, None) for name in self.measure_names}

    def _holds_row(self, cells: Sequence[str], number: int, index: int, record: Record) -> bool:
        if len(cells) != len(self.columns) or cells[:2] != [self.key(number, record), str(index)]:
            return False
        start, end = (int(cell) if cell.isdecimal() else -1 for cell in cells[3:5])
        if not 0 <= start <= end <= len(record.text):
            return False
        word = record.text[start:end].translate(ESCAPES)
        return self.per == "token" or cells[2] == (word if start < end else cells[2])

    def _holds_document(self, line: str, record: Record) -> bool:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            return False
        given = json.loads(json_line(record.as_fields()))
        keys = self._keys if record.error is None else {"error"}
        added = {self._name(key, given) for key in keys}
        return (
            isinstance(document, dict)
            and document.keys() == given.keys() | added
            and all(document[name] == value for name, value in given.items())
        )

    @property
    def _keys(self) -> set[str]:
        """The keys that are added to the record's own."""
        units = set() if self.per == "sentence" else {f"{self.per}s"}
        return {
            self.measure,
            "num_tokens",
            "num_words",
            "num_oov",
            "perplexity",
            "perplexity_per_token",
            "perplexity_per_word",
            *self.file_names,
        } | units

    @property
    def file_names(self) -> list[str]:
        """The name of the field with the file's name, if it is wanted."""
        return [] if self.file_field is None else [self.file_field]

    def added(
        self, record: Record, score: Score, measured: TextMeasures | None = None
    ) -> dict[str, Any]:
        """What is added to the fields of a record."""
        document: dict[str, Any] = {
            **{name: input_name(record.file) for name in self.file_names},
            self.measure: self._value(score),
            "num_tokens": score.num_tokens,
            "num_words": score.num_words,
            "num_oov": score.num_oov,
            # JSON has no nan (there is no token) and no inf.
            "perplexity_per_token": finite(score.perplexity_per_token),
            "perplexity_per_word": finite(score.perplexity_per_word),
            "perplexity": finite(score.perplexity_per_token),  # the name of earlier versions
        }
        if self.per != "sentence":
            units = self._units(score)
            further = self._measured(units, measured)
            document[f"{self.per}s"] = [
                {**self._object(unit), **values}
                for unit, values in zip(units, further, strict=True)
            ]
        return document

    def _document(
        self, record: Record, score: Score, measured: TextMeasures | None = None
    ) -> dict[str, Any]:
        given = record.as_fields()
        added = self.added(record, score, measured)
        return {**given, **{self._name(key, given): value for key, value in added.items()}}

    def _name(self, key: str, given: Collection[str]) -> str:
        """The name of a key that is added to a record with the keys `given`: none of these."""
        return free_name(self.prefix + key, given)

    def _last_name(self, key: str, document: Collection[str]) -> str:
        """The name that `_name` gave to a key of a document."""
        name = self.prefix + key
        while (longer := free_name(name, [name])) in document:
            name = longer
        return name

    def _object(self, unit: TokenScore | WordScore | PartScore) -> dict[str, Any]:
        return {
            "text": unit.text,
            "start": unit.start,
            "end": unit.end,
            self.measure: self._value(unit),
            **_counts(unit),
        }


def cell(text: str) -> str:
    """A text as a cell that is not the last of its line: as it is, unless it would be several."""
    return text.translate(ESCAPES) if any(mark in text for mark in "\t\n\r") else text


def _on_a_line(text: str) -> str:
    """The text as the last cell of a line: as it is, unless it holds line breaks."""
    return text.translate(ESCAPES) if "\n" in text else text


def _only_part(score: Score) -> PartScore:
    """A text that was not split, as its only part."""
    from lmscore.runtime.scoring import PartScore

    counts = (score.num_tokens, score.num_words, score.num_oov)
    return PartScore(score.text, score.log_prob, 0, len(score.text), *counts)


def _counts(unit: TokenScore | WordScore | PartScore) -> dict[str, int]:
    """What stands beside the log-probability of a unit."""
    from lmscore.runtime.scoring import PartScore

    if isinstance(unit, PartScore):
        return {"num_tokens": unit.num_tokens, "num_oov": unit.num_oov}
    return {"is_oov": unit.is_oov}


def measure_cell(value: Any) -> str:
    """An entropy, a rank, or alternatives as `token log_prob` with spaces between them."""
    if isinstance(value, float):
        return f"{value:z.4f}"
    if isinstance(value, tuple):
        return " ".join(f"{text.translate(ESCAPES)} {log_prob:.4f}" for text, log_prob in value)
    return "" if value is None else str(value)


def _row(cells: Sequence[str]) -> str:
    return "\t".join(cells) + "\n"
