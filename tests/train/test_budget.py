"""How far a run is, and what follows from it."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.train.budget import Budget
from lmscore.train.options import TrainOptions


def budget(seconds_before: float = 0.0, **values: object) -> Budget:
    return Budget(TrainOptions(train=("a",), output="b", **values), 1000, seconds_before)  # type: ignore[arg-type]


def test_epochs_count_tokens() -> None:
    assert budget(epochs=2).progress(500) == 0.25
    assert budget(epochs=0.5).progress(500) == 1.0
    assert budget(epochs=1).progress(1500) == 1.0


def test_ten_epochs_without_a_word() -> None:
    assert budget().progress(1000) == pytest.approx(0.1)


def test_minutes_count_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    started = budget(minutes=2, seconds_before=30)
    assert started.progress(0) == 0.25
    now += 60
    assert started.elapsed == 90
    assert started.progress(0) == 0.75
    now += 60
    assert started.progress(0) == 1.0


def test_rate_rises_and_falls() -> None:
    half = budget(warmup=0.2)
    assert half.rate(0.0) == 0.001
    assert half.rate(0.1) == pytest.approx(0.5)
    assert half.rate(0.2) == 1.0
    assert half.rate(0.6) == pytest.approx(0.5)
    assert half.rate(1.0) == pytest.approx(0.0)
    assert budget(warmup=0).rate(0.0) == 1.0


def test_a_constant_rate() -> None:
    constant = budget(warmup=0.2, schedule="constant")
    assert constant.rate(0.1) == pytest.approx(0.5)
    assert constant.rate(0.2) == constant.rate(1.0) == 1.0


@given(
    warmup=st.floats(0, 1, exclude_max=True),
    progress=st.floats(0, 1),
    evaluations=st.integers(0, 9),
)
def test_always_in_range(warmup: float, progress: float, evaluations: int) -> None:
    made = budget(warmup=warmup, evaluations=evaluations)
    assert 0 <= made.rate(progress) <= 1
    assert 0 <= made.evaluations_due(progress) <= evaluations


def test_evaluations_are_spread_evenly(tmp_path: Path) -> None:
    four = budget(evaluations=4)
    first = [next(p for p in range(101) if four.evaluations_due(p / 100) == n) for n in range(5)]
    assert first == [0, 20, 40, 60, 80]
    assert math.isclose(four.evaluations_due(1.0), 4)  # the fifth is the last one, after the run
