"""Names stated once are the names of what there is."""

from __future__ import annotations

from typing import get_args

from lmscore import names
from lmscore.bundle import CELLS, CONTEXTS, HEADS, TOKENIZER_KINDS
from lmscore.runtime.rescoring.lists import METRICS


def test_names_of_metrics() -> None:
    assert get_args(names.MetricName) == tuple(METRICS)


def test_names_of_models() -> None:
    assert get_args(names.Cell) == tuple(CELLS)
    assert set(get_args(names.HeadName)) == {head.name for head in HEADS.values()}
    assert get_args(names.Context) == CONTEXTS
    assert get_args(names.TokenizerKind) == TOKENIZER_KINDS
