"""TextScorer: a callable that adds scores to the rows of a table, for pipelines over corpora."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from lmscore.corpus.reading import free_name
from lmscore.corpus.selection import Selection
from lmscore.errors import InputError, OptionError
from lmscore.finite import finite
from lmscore.names import OnError, Segmentation, Split, Unit

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Score

Columns = dict[str, list[Any]]

_INTEGERS = ("num_tokens", "num_words", "num_oov")
_NUMBERS = (
    "log_prob",
    *_INTEGERS,
    "perplexity_per_token",
    "perplexity_per_word",
)


class TextScorer:
    """Adds columns with the scores of a column of texts to a batch of rows.

    A batch is a `pyarrow.Table`, a `pyarrow.RecordBatch`, or a dict of arrays or lists by the names
    of the columns; the result is of the same kind. The figures are those of `lmscore score --format
    jsonl`. The model is loaded by the first batch, so an object is cheap to make and to send to
    other processes: it is pickled as its options. Threads may share it.

    Attributes:
        column: the name of the column of texts.
        columns: the names of the columns that are added, unless the batch has them already: then
            `lmscore_` comes before them.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        column: str = "text",
        columns: Sequence[str] = _NUMBERS,
        selection: Selection | None = None,
        per: Unit = "word",
        bucket_column: str | None = None,
        on_error: OnError = "stop",
        split: Split = "lines",
        language: str = "en",
        bos: bool = True,
        eos: bool = True,
        oov_cost: float | str | Path | None = None,
        segmentation: Segmentation = "auto",
        variant: str | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        """Note the options; the model must lie at its path wherever the scorer is called.

        Args:
            model: as for `lmscore.load`.
            column: the name of the column of texts.
            columns: which figures are added: log_prob (nats), num_tokens, num_words, num_oov,
                perplexity_per_token, perplexity_per_word. One that is not finite is null, in NumPy
                nan.
            selection: leave out the rows that it does not keep.
            per: the unit of the perplexity that the selection goes by.
            bucket_column: the name of a column with head, middle or tail, by `selection.thirds`.
            on_error: what happens to a text that is null or no text: "stop" raises InputError,
                "skip" leaves the row out, "keep" makes its figures null.
            split: as for `LanguageModel.score_stream`; lines unless told.
            language: likewise.
            bos: likewise.
            eos: likewise.
            oov_cost: likewise; the model that spells is given as for `lmscore.load`.
            segmentation: likewise.
            variant: as for `lmscore.load`.
            device: likewise; pipelines run a process for each core.
            threads: likewise.

        Raises:
            OptionError: there is no such figure or unit, or a bucket column without thirds.
        """
        for name in columns:
            if name not in _NUMBERS:
                raise OptionError(f"columns must be of {', '.join(_NUMBERS)}, not {name!r}")
        if per not in get_args(Unit):
            raise OptionError(f"per must be one of {', '.join(get_args(Unit))}, not {per!r}")
        if bucket_column is not None and (selection is None or selection.thirds is None):
            raise OptionError("bucket_column needs a selection with thirds")
        self.columns = tuple(columns)
        self._model = None if model is None else str(model)
        self._variant = variant
        self._loading: dict[str, Any] = {"device": device, "threads": threads}
        self._scoring: dict[str, Any] = {
            "split": split,
            "language": language,
            "bos": bos,
            "eos": eos,
            "segmentation": segmentation,
            "context": "sentence",
            "tokens": False,
        }
        self.column = column
        self._selection = selection
        self._per: Unit = per
        self._bucket_column = bucket_column
        self._on_error = on_error
        self._oov_cost = str(oov_cost) if isinstance(oov_cost, Path) else oov_cost
        self._lm: LanguageModel | None = None
        self._speller: LanguageModel | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The options: a model does not travel."""
        return {**vars(self), "_lm": None, "_speller": None}

    @property
    def lm(self) -> LanguageModel:
        """The model; raises what `lmscore.load` raises."""
        if self._lm is None:
            self._lm = self._load(self._model, self._variant)
        return self._lm

    def _load(self, model: str | None, variant: str | None = None) -> LanguageModel:
        from lmscore.runtime.load import load

        return load(model, variant=variant, **self._loading)

    def _cost(self) -> float | LanguageModel | None:
        """What unknown words cost, or the model that spells them."""
        if not isinstance(self._oov_cost, str):
            return self._oov_cost
        if self._speller is None:
            self._speller = self._load(self._oov_cost)
        return self._speller

    def __call__(self, batch: Any) -> Any:
        """The batch with the columns added, and without the rows that are left out.

        Raises:
            InputError: there is no column of that name, or a value in it is no text.
            ModelError: the model yields nan or inf.
        """
        if isinstance(batch, Mapping):
            return self._dict(batch)
        if hasattr(batch, "schema") and hasattr(batch, "column"):
            return self._table(batch)
        raise InputError(f"expected a table or a dict of columns, got {type(batch).__name__}")

    def _table(self, table: Any) -> Any:
        import pyarrow as pa

        texts = self._texts(table.schema.names, lambda name: table.column(name).to_pylist())
        rows, columns = self._figures(texts)
        if len(rows) < len(texts):
            table = table.take(pa.array(rows, pa.int64()))
        for name, values in columns.items():
            kind = pa.int64() if name in _INTEGERS else pa.float64()
            kind = pa.string() if name == self._bucket_column else kind
            array = pa.array(values, kind)
            table = table.append_column(free_name(name, table.schema.names), array)
        return table

    def _dict(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        texts = self._texts(list(batch), lambda name: list(batch[name]))
        rows, columns = self._figures(texts)
        kept = dict(batch)
        if len(rows) < len(texts):
            kept = {name: _taken(values, rows) for name, values in kept.items()}
        for name, values in columns.items():
            is_text = name == self._bucket_column
            array = np.array(values, object if is_text else np.float64)
            if name in _INTEGERS and None not in values:
                array = np.array(values, np.int64)
            kept[free_name(name, kept)] = array
        return kept

    def _texts(self, names: Sequence[str], column: Callable[[str], list[Any]]) -> list[Any]:
        if self.column not in names:
            found = ", ".join(map(repr, names))
            raise InputError(f"no column {self.column!r}, only {found}; name another: `column`")
        return column(self.column)

    def annotate(self, texts: Sequence[Any]) -> list[tuple[dict[str, Any], bool]]:
        """The figures of each text by the names of the columns, and whether it is kept.

        Raises:
            InputError: an item is no text, unless `on_error` says otherwise.
            ModelError: the model yields nan or inf.
        """
        good = [number for number, text in enumerate(texts) if isinstance(text, str)]
        if self._on_error == "stop" and len(good) < len(texts):
            bad = min(set(range(len(texts))) - set(good))
            raise InputError(
                f"row {bad + 1} of a batch: column {self.column!r} is "
                f"{type(texts[bad]).__name__}, expected a text; on_error='skip' goes on without it"
            )
        given = (texts[n] for n in good)
        scores = self.lm.score_stream(given, oov_cost=self._cost(), **self._scoring)
        found = dict(zip(good, scores, strict=True))
        each = map(found.get, range(len(texts)))
        return [(self._row(score), self._keeps(score)) for score in each]

    def _figures(self, texts: list[Any]) -> tuple[list[int], Columns]:
        """The numbers of the rows that are kept, from 0, and their figures."""
        found = self.annotate(texts)
        kept = [number for number, (_, is_kept) in enumerate(found) if is_kept]
        names = [*self.columns, *([self._bucket_column] if self._bucket_column else [])]
        return kept, {name: [found[number][0][name] for number in kept] for name in names}

    def _keeps(self, score: Score | None) -> bool:
        if score is None:
            return self._on_error == "keep"
        if self._selection is None:
            return True
        return self._selection.keeps(score.perplexity_per(self._per), score.text, score.oov_rate)

    def _row(self, score: Score | None) -> dict[str, Any]:
        row: dict[str, Any] = {name: finite(getattr(score, name, None)) for name in self.columns}
        if self._bucket_column is not None and self._selection is not None:
            figure = math.nan if score is None else score.perplexity_per(self._per)
            row[self._bucket_column] = self._selection.bucket(figure)
        return row


def _taken(values: Any, rows: list[int]) -> Any:
    """Some rows of a column: of an array, or of a list."""
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]
