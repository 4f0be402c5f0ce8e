"""Lines of text, and how fast a model scores them."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmscore import LanguageModel

WARM_UP = 200  # lines


def first_lines(path: str, count: int | None = None) -> list[str]:
    """The first lines of a file; all by default."""
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in islice(file, count)]


def tokens_per_second(lm: LanguageModel, lines: list[str]) -> float:
    """The rate from text to sums, each line a sentence: tokenising and batching are in it."""
    lm.score_batch(lines[:WARM_UP], context="sentence", tokens=False)
    start = time.perf_counter()
    scores = lm.score_stream(lines, context="sentence", tokens=False)
    tokens = sum(score.num_tokens for score in scores)
    return tokens / (time.perf_counter() - start)
