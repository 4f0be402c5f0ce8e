"""Rows in a flat array against rows in lists."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.text.id_rows import IdRows, Ids, places

lists_of_rows = st.lists(st.lists(st.integers(0, 99), max_size=5))


def rows_of(rows: list[list[int]]) -> IdRows:
    return IdRows.of([np.array(row, np.int64) for row in rows])


def as_lists(rows: list[Ids]) -> list[list[int]]:
    return [row.tolist() for row in rows]


@given(lists_of_rows)
def test_rows_come_back(rows: list[list[int]]) -> None:
    found = rows_of(rows)
    assert found.ids.dtype == found.lengths.dtype == np.int64
    assert as_lists(found.split()) == rows
    assert as_lists(found.backward().split()) == [row[::-1] for row in rows]
    bounds = list(itertools.accumulate(map(len, rows), initial=0))
    assert (found.starts.tolist(), found.ends.tolist()) == (bounds[:-1], bounds[1:])


@given(st.lists(st.integers(0, 99), max_size=3), st.integers(0, 4))
def test_a_row_many_times(row: list[int], count: int) -> None:
    assert as_lists(IdRows.repeated(np.array(row, np.int64), count).split()) == [row] * count


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5))))
def test_places_are_ranges(ranges: list[tuple[int, int]]) -> None:
    table = np.array(ranges, np.int64).reshape(-1, 2)
    expected = [place for start, length in ranges for place in range(start, start + length)]
    assert places(table[:, 0], table[:, 1]).tolist() == expected
