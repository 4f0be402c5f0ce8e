"""The layout of rows: by hand, and as a partition of their tokens into bounded runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.engine.layout import Layout, Run


def layout_of(lengths: list[int], budget: int, *, parts: int = 1) -> Layout:
    found = np.array(lengths, np.int64)
    return Layout.of(np.cumsum(found) - found, found, budget, parts=parts)


def test_by_hand() -> None:
    layout = layout_of([1, 0, 3, 2], budget=4)  # at 0, 1, 1 and 4 of the flat arrays
    assert layout.order.tolist() == [2, 3, 0]
    (batch,) = layout.batches
    assert (batch.row, batch.at, batch.cell) == (0, 0, 0)
    assert batch.runs == [Run(3, 1, 0), Run(2, 2, 1)]
    assert layout.lengths.tolist() == [1, 1, 1, 2, 1]
    assert layout.places.tolist() == [1, 4, 0, 2, 3, 5, 5]
    assert layout.inside.tolist() == [True] * 6 + [False]


def test_nothing_is_laid_out_for_empty_rows() -> None:
    for lengths in ([], [0], [0, 0]):
        layout = layout_of(lengths, budget=4)
        assert not layout.batches
        assert not layout.order.size
        assert not layout.places.size


@pytest.mark.parametrize(
    ("rows", "parts", "expected"),
    [
        (4, 2, [4]),
        (5, 2, [4, 1]),
        (16, 2, [8, 8]),
        (33, 2, [17, 16]),
        (16, 3, [6, 6, 4]),
        (100, 2, [32, 32, 32, 4]),
        (9, 1, [9]),
    ],
)
def test_few_rows_are_shared_out(rows: int, parts: int, expected: list[int]) -> None:
    layout = layout_of([10] * rows, budget=320, parts=parts)
    assert [batch.runs[0].B for batch in layout.batches] == expected


@given(st.lists(st.integers(0, 50), max_size=80), st.integers(1, 300), st.integers(1, 5))
def test_every_token_has_one_cell_in_a_bounded_run(
    lengths: list[int], budget: int, parts: int
) -> None:
    layout = layout_of(lengths, budget, parts=parts)
    assert sorted(layout.places[layout.inside].tolist()) == list(range(sum(lengths)))
    row = cell = done = 0
    for batch in layout.batches:
        assert (batch.row, batch.at, batch.cell) == (done, row, cell)
        for B, T, _ in batch.runs:
            assert 1 <= B * T <= budget
            own = layout.lengths[row : row + B]
            assert own.tolist() == layout.inside[cell : cell + B * T].reshape(B, T).sum(1).tolist()
            assert own.min() >= 1
            row, cell = row + B, cell + B * T
        done += batch.runs[0].B
    assert (row, cell) == (len(layout.lengths), len(layout.places))
