"""The models that KenLM's lmplz made of `data/sentences.txt`, and how two models differ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lmscore.runtime.ngram import NgramModel

DATA = Path(__file__).parent / "data"


def sentences() -> Iterator[list[str]]:
    return (line.split() for line in (DATA / "sentences.txt").read_text().splitlines())


def entries(model: NgramModel) -> dict[tuple[str, ...], tuple[float, float]]:
    """The log-probability and back-off weight (nats) of every n-gram."""
    found = {}
    for order, table in enumerate(model.tables, 1):
        weights = zip(table.log_probs.tolist(), table.backoffs.tolist(), strict=True)
        for row, pair in zip(model.rows(order).tolist(), weights, strict=True):
            found[tuple(model.words[number] for number in row)] = pair
    return found
