"""What `lmscore score` prints of a scored record: a line, or a row for each token or word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lmscore.cli.records import Record, json_line
from lmscore.errors import InputError

if TYPE_CHECKING:
    from lmscore.runtime.score import Score, TokenScore, WordScore

OutputFormat = Literal["tsv", "jsonl"]
Per = Literal["sentence", "token", "word"]

# A cell must not end its row, and what stands for a tab must not be mistaken for it.
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class Layout:
    """Which columns or keys."""

    output_format: OutputFormat
    per: Per
    surprisal: bool  # bits in the place of nats
    ids: bool  # whether the input has some

    @property
    def header(self) -> str:
        """The names of the columns of tsv."""
        if self.per == "sentence":
            names = [*["id"] * self.ids, self._measure, "num_tokens", "num_oov", "text"]
        else:
            names = ["id", "index", "text", "start", "end", self._measure, "is_oov"]
        return _row(names)

    def lines(self, number: int, record: Record, score: Score) -> str:
        """All that is printed of one record, which is the `number`th.

        Raises:
            InputError: its text does not fit on a line.
        """
        if self.output_format == "jsonl":
            return json_line(self._document(record, score))
        if self.per == "sentence":
            return self._sentence(record, score)
        key = str(number) if record.id is None else record.id
        return "".join(self._rows(key, self._units(score)))

    @property
    def _measure(self) -> str:
        return "surprisal" if self.surprisal else "log_prob"

    def _value(self, score: Score | TokenScore | WordScore) -> float:
        return score.surprisal if self.surprisal else score.log_prob

    def _cell(self, score: Score | TokenScore | WordScore) -> str:
        return f"{self._value(score):z.4f}"

    def _units(self, score: Score) -> Sequence[TokenScore | WordScore]:
        return score.tokens if self.per == "token" else score.words

    def _sentence(self, record: Record, score: Score) -> str:
        if "\n" in record.text:
            raise InputError(f"a text holds a line break: {record.text!r}; use --format jsonl")
        cells = [self._cell(score), str(score.num_tokens), str(score.num_oov), record.text]
        return _row(cells if record.id is None else [record.id, *cells])

    def _rows(self, key: str, units: Sequence[TokenScore | WordScore]) -> Iterator[str]:
        for index, unit in enumerate(units, 1):
            span = [str(unit.start), str(unit.end)]
            text = unit.text.translate(_ESCAPES)
            yield _row([key, str(index), text, *span, self._cell(unit), str(int(unit.is_oov))])

    def _document(self, record: Record, score: Score) -> dict[str, Any]:
        document: dict[str, Any] = dict(record.fields or _fields(record))
        document[self._measure] = self._value(score)
        document["num_tokens"] = score.num_tokens
        document["num_words"] = score.num_words
        document["num_oov"] = score.num_oov
        # JSON has no nan (there is no token) and no inf.
        document["perplexity"] = score.perplexity if math.isfinite(score.perplexity) else None
        if self.per != "sentence":
            document[f"{self.per}s"] = list(map(self._object, self._units(score)))
        return document

    def _object(self, unit: TokenScore | WordScore) -> dict[str, Any]:
        return {
            "text": unit.text,
            "start": unit.start,
            "end": unit.end,
            self._measure: self._value(unit),
            "is_oov": unit.is_oov,
        }


def _fields(record: Record) -> dict[str, str]:
    named = {"id": record.id, "prefix": record.prefix, "text": record.text}
    return {name: value for name, value in named.items() if value is not None}


def _row(cells: Sequence[str]) -> str:
    return "\t".join(cells) + "\n"
