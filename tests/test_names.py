"""Names stated once are the names of what there is."""

from __future__ import annotations

from typing import get_args

from lmscore import names
from lmscore.bundle import CELLS, CONTEXTS, GATES, TOKENIZER_KINDS
from lmscore.runtime.rescoring.formats.reading import FORMATS
from lmscore.runtime.rescoring.lattices import reading
from lmscore.runtime.rescoring.lists.metrics import METRICS


def test_names_of_formats_and_metrics() -> None:
    assert get_args(names.ListFormat) == tuple(FORMATS)
    assert get_args(names.LatticeFormat) == reading.FORMATS
    assert get_args(names.MetricName) == tuple(METRICS)


def test_names_of_models() -> None:
    assert get_args(names.Cell) == CELLS == tuple(GATES)
    assert get_args(names.Context) == CONTEXTS
    assert get_args(names.TokenizerKind) == TOKENIZER_KINDS
