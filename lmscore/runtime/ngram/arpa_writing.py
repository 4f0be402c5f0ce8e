"""Write models as ARPA files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmscore.files import open_output
from lmscore.runtime.ngram.model import LN10, NgramModel, Table

_LINES = 1 << 16  # formatted at a time
_DIGITS = "%.7g"


def write_arpa(model: NgramModel, path: str | Path) -> None:
    """Write a model whole or not at all; `.gz` and `.xz` compress it.

    Raises:
        OutputFileError: the file cannot be written.
    """
    with open_output(path) as file:
        for text in arpa_text(model):
            file.write(text.encode())


def arpa_text(model: NgramModel) -> Iterator[str]:
    """The text of an ARPA file, in pieces."""
    sizes = [
        len(table) - (n == 1 and not model.has_unknown) for n, table in enumerate(model.tables, 1)
    ]
    counts = "".join(f"ngram {n}={size}\n" for n, size in enumerate(sizes, 1))
    yield f"\\data\\\n{counts}"
    for n, table in enumerate(model.tables, 1):
        yield f"\n\\{n}-grams:\n"
        yield from _section(model, n, table)
    yield "\n\\end\\\n"


def _section(model: NgramModel, n: int, table: Table) -> Iterator[str]:
    """The lines of an order; the highest one has no back-off weights."""
    words, rows = list(model.words), model.rows(n)
    first = 1 if n == 1 and not model.has_unknown else 0
    form = f"{_DIGITS}\t%s\t{_DIGITS}\n" if n < model.order else f"{_DIGITS}\t%s\n"
    for start in range(first, len(table), _LINES):
        part = slice(start, start + _LINES)
        spelt = [map(words.__getitem__, column) for column in rows[part].T.tolist()]
        fields = [
            _base_10(table.log_probs[part]),
            map(" ".join, zip(*spelt, strict=True)),
            *([_base_10(table.backoffs[part])] if n < model.order else []),
        ]
        yield "".join(map(form.__mod__, zip(*fields, strict=True)))


def _base_10(nats: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[float]:
    rounded: list[float] = (nats.astype(np.float64) / LN10 + 0.0).tolist()  # no -0
    return rounded
