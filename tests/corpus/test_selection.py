"""Bounds, percentiles, buckets and draws, against figures worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.corpus import (
    Draw,
    Selection,
    percentile_bounds,
    quantile,
    reservoir,
    sorted_figures,
)
from lmscore.errors import InputError, OptionError


def test_quantiles() -> None:
    figures = [10.0, 20.0, 30.0, 40.0]
    found = [quantile(figures, share) for share in (0.01, 0.25, 0.26, 0.5, 0.75, 0.76, 1.0)]
    assert found == [10, 10, 20, 20, 30, 40, 40]
    assert quantile(list(range(1, 101)), 0.29) == 29  # 0.29 * 100 is 28.999999999999996


@given(
    st.lists(st.floats(0, 1e9), min_size=1, max_size=50),
    st.lists(st.floats(0, 100), max_size=4),
    st.lists(st.floats(0, 1e9), max_size=20),
)
def test_percentiles_leave_nothing_out(
    sample: list[float], cuts: list[float], others: list[float]
) -> None:
    edges = sorted({0.0, 100.0, *cuts})
    figures = sorted(sample)
    parts = [
        Selection(lowest=low, highest=high)
        for low, high in (percentile_bounds(figures, *pair) for pair in pairwise(edges))
    ]
    for figure in sample + others:
        assert sum(part.keeps(figure, "") for part in parts) == 1
    below = Selection(highest=percentile_bounds(figures, 0, 60)[1])
    assert sum(below.keeps(figure, "") for figure in sample) >= 0.6 * len(sample) - 1e-6


def test_bounds_and_oovs() -> None:
    selection = Selection(lowest=2, highest=4, max_oov=0.25)
    assert [selection.keeps(x, "") for x in (1.9, 2, 4, 4.1, math.nan)] == [0, 1, 1, 0, 0]
    assert [selection.keeps(3, "", rate) for rate in (0.25, 0.26, math.nan)] == [True, False, True]
    outside = Selection(lowest=2, highest=4, invert=True)
    assert [outside.keeps(x, "") for x in (1.9, 3, math.nan)] == [True, False, True]


def test_buckets() -> None:
    selection = Selection(thirds=(10, 20))
    names = [selection.bucket(x) for x in (1, 10, 10.1, 20, 20.1, math.inf, math.nan)]
    assert names == ["head", "head", "middle", "middle", "tail", "tail", None]
    assert Selection().bucket(5) is None


def test_draw() -> None:
    draw = Draw(median=100, share=0.8, width=2)
    assert draw.probability(100) == 0.8
    assert draw.probability(300) == pytest.approx(0.8 * math.exp(-2))
    assert draw.probability(math.inf) == draw.probability(math.nan) == 0
    texts = [f"text {number}" for number in range(2000)]
    for perplexity in (100, 250):
        kept = sum(Selection(draw=draw).keeps(perplexity, text) for text in texts)
        assert kept == pytest.approx(2000 * draw.probability(perplexity), abs=100)
    again = Draw(median=100, share=0.8, width=2, seed=1)
    assert [draw.keeps(100, text) for text in texts] != [again.keeps(100, text) for text in texts]
    for share, width in ((0, 1), (1.1, 1), (0.5, 0), (0.5, math.inf)):
        with pytest.raises(OptionError, match=r"^draw_(share|width) must be"):
            Draw(median=1, share=share, width=width)


def test_a_reservoir_is_a_fair_sample() -> None:
    assert reservoir(range(3), 5) == [0, 1, 2]
    assert reservoir(range(100), 10) == reservoir(iter(range(100)), 10)
    counts = Counter(item for seed in range(2000) for item in reservoir(range(20), 5, seed=seed))
    assert all(count == pytest.approx(500, abs=100) for count in counts.values())
    assert len(counts) == 20


def test_no_figures() -> None:
    assert sorted_figures([3, math.nan, 1]) == [1, 3]
    with pytest.raises(InputError, match="no text of the sample has a figure"):
        sorted_figures([math.nan])
