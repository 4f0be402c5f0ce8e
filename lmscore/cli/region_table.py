"""The rows of `lmscore regions`: the columns of the input, and behind them those of the regions."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmscore.cli.csv_layout import csv_cell
from lmscore.cli.layout import ESCAPES
from lmscore.cli.region_texts import RegionText
from lmscore.corpus.reading import free_name, json_line
from lmscore.errors import InputError
from lmscore.names import Measure, ScoreFormat

if TYPE_CHECKING:
    from lmscore.runtime.scoring import RegionScore, Score, TextMeasures


class RegionTable:
    """The output, row after row, and what is counted of it.

    Args:
        output_format: CSV or TSV, with the names of the columns first, or an object for each row.
        surprisal: bits instead of nats.
        measures: of the first token of each region.
        prefix: before the names of our columns.
        is_row: whether each row of the input is one region, so that it needs no number.
    """

    def __init__(
        self,
        output_format: ScoreFormat,
        *,
        surprisal: bool,
        measures: Sequence[Measure],
        prefix: str,
        is_row: bool,
    ) -> None:
        self._format = output_format
        self._surprisal = surprisal
        self._measures = measures
        self._prefix = prefix
        self._is_row = is_row
        self._names: list[str] = []  # of the input's columns
        self._texts = self._regions = self._divided = 0

    @property
    def summary(self) -> str:
        """What was written, for people."""
        said = f"{self._texts} texts, {self._regions} regions"
        return f"{said}, {self._divided} of them with a part of a token" if self._divided else said

    def rows(self, text: RegionText, result: Score | TextMeasures) -> str:
        """The rows of a text, as they are written.

        Raises:
            InputError: a record has other fields than the first one.
        """
        from lmscore.runtime.scoring import Score

        measured = None if isinstance(result, Score) else result
        score = result if isinstance(result, Score) else result.score
        found = score.regions(text.spans)
        self._texts += 1
        self._regions += len(found)
        self._divided += sum(not region.is_exact for region in found)
        lines = []
        for index, (given, region) in enumerate(zip(text.rows, found, strict=True), 1):
            place = {} if self._is_row else {"record": text.number, "index": index}
            ours = {**place, **self._figures(region), **self._measured(region, measured)}
            lines.append(self._line(given, ours, text.record.where))
        return "".join(lines)

    def _figures(self, region: RegionScore) -> dict[str, Any]:
        text = {} if self._is_row else {"region": region.text}
        value = region.surprisal if self._surprisal else region.log_prob
        return {
            **text,
            "start": region.start,
            "end": region.end,
            "surprisal" if self._surprisal else "log_prob": value if region.num_tokens else None,
            "num_tokens": region.num_tokens,
            "num_words": region.num_words,
            "num_oov": region.num_oov,
            "is_exact": region.is_exact,
        }

    def _measured(self, region: RegionScore, measured: TextMeasures | None) -> dict[str, Any]:
        """The wanted measures of the first token that the model reads of a region."""
        names = [f"onset_{name}" for name in self._measures]
        if measured is None or not region.num_tokens:
            return dict.fromkeys(names)
        token = measured.tokens[region.first_token]
        return {f"onset_{name}": getattr(token, name) for name in self._measures}

    def _line(self, given: Mapping[str, Any], ours: Mapping[str, Any], where: str) -> str:
        names = {name: free_name(self._prefix + name, given) for name in ours}
        if self._format == "jsonl":
            return json_line({**given, **{names[name]: value for name, value in ours.items()}})
        head = ""
        if not self._names:
            self._names = list(given)
            head = self._row([*given, *names.values()])
        elif given.keys() != set(self._names):
            raise InputError(f"{where}: has other fields than the first record")
        cells = [*(given[name] for name in self._names), *ours.values()]
        return head + self._row(list(map(csv_cell, cells)))

    def _row(self, cells: Sequence[str]) -> str:
        if self._format == "tsv":
            return "\t".join(cell.translate(ESCAPES) for cell in cells) + "\n"
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerow(cells)
        return out.getvalue()
