"""Corpora: which texts of them are kept, and scores for pipelines over tables."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmscore.corpus.selection import (
        Draw,
        Selection,
        percentile_bounds,
        quantile,
        reservoir,
        sorted_figures,
    )
    from lmscore.corpus.text_scorer import TextScorer

__all__ = [
    "Draw",
    "Selection",
    "TextScorer",
    "percentile_bounds",
    "quantile",
    "reservoir",
    "sorted_figures",
]

_HOMES = {
    **dict.fromkeys(__all__, "lmscore.corpus.selection"),
    "TextScorer": "lmscore.corpus.text_scorer",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: verbs that only read records need none."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lmscore.corpus' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
