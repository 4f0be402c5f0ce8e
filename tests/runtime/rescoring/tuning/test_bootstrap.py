"""Confidence intervals by resampling utterances."""

from __future__ import annotations

import numpy as np
import pytest

from lmscore.runtime.rescoring.lists.metrics import METRICS, Statistics
from lmscore.runtime.rescoring.tuning.bootstrap import bootstrap, estimate

WER = METRICS["wer"]


def errors(*counts: int) -> Statistics:
    """Substitutions in utterances of 10 words."""
    return np.array([[count, 0, 0, 10] for count in counts], np.int64)


def test_every_value_by_hand() -> None:
    """Of two utterances three corpora can be drawn: both the first, mixed, both the second."""
    found = bootstrap(WER, [errors(0, 2), errors(1, 1)], samples=4000)
    values, counts = np.unique(found[0], return_counts=True)
    assert values.tolist() == [0, 10, 20]
    assert (counts / 4000).tolist() == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert np.unique(found[1]).tolist() == [10]


def test_it_is_paired() -> None:
    """All systems are judged on the same draws, so that a constant difference has no spread."""
    counts = np.random.default_rng(0).integers(1, 9, 50).tolist()
    worse = [count + 1 for count in counts]
    first, second = bootstrap(WER, [errors(*counts), errors(*worse)], samples=200)
    assert first.std() > 0.5
    assert (second - first).tolist() == pytest.approx([10] * 200)


def test_the_interval_of_a_mean() -> None:
    """400 utterances, half of them wrong in one word of ten: 5 % plus or minus 1.96 · 0.25 %."""
    found = estimate(5.0, bootstrap(WER, [errors(*[0, 1] * 200)], samples=4000)[0])
    assert found.value == 5
    assert (found.low, found.high) == pytest.approx((4.51, 5.49), abs=0.06)


def test_seeds_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = errors(*range(10))
    found = bootstrap(WER, [counts], samples=100, seed=3)
    assert found.shape == (1, 100)
    assert np.array_equal(found, bootstrap(WER, [counts], samples=100, seed=3))
    assert not np.array_equal(found, bootstrap(WER, [counts], samples=100, seed=4))
    monkeypatch.setattr("lmscore.runtime.rescoring.tuning.bootstrap._DRAWS_AT_ONCE", 70)
    assert np.array_equal(found, bootstrap(WER, [counts], samples=100, seed=3))
