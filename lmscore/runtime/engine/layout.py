"""Token rows laid out for the graph: in padded runs of bounded size, as flat arrays.

Rows are sorted by length, longest first. A batch of them advances in chunks of time, and its
unfinished rows are always the first ones. So a finished row is dropped, never fed with length 0,
and a row of a million tokens takes no more memory in the graph than many short ones. The cells of
all runs are computed together, because runs are small and NumPy's calls are not free.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import neg
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.text import Ids, places

_MIN_ROWS = 32  # of a batch, if there are so many: the recurrent products need them
_MIN_SHARE = 4  # rows of each of several small batches: fewer are not worth a core of their own


class Run(NamedTuple):
    """B rows that read up to T tokens each: one run of the graph."""

    B: int
    T: int
    skipped: int  # tokens of each row that earlier runs read


class Batch(NamedTuple):
    """Rows that advance together; every run continues the first rows of the run before it."""

    row: int  # its first row, among the sorted ones
    at: int  # its first row, among those of all runs
    cell: int  # its first cell
    runs: list[Run]


@dataclass(frozen=True)
class Layout:
    """The runs that read R rows, and their P cells, run by run and row by row.

    A padding cell reads the first token of its row in the run.
    """

    order: Ids  # [R] the numbers of the rows, longest first
    batches: list[Batch]
    lengths: NDArray[np.int32]  # [Q] how many tokens each row of each run reads
    places: Ids  # [P] where each cell's token is in the flat arrays of the rows
    inside: NDArray[np.bool_]  # [P] False for padding

    @classmethod
    def of(cls, starts: Ids, lengths: Ids, budget: int, *, parts: int = 1) -> Layout:
        """Lay out rows whose tokens are at `starts`, `lengths` of them; empty rows are left out.

        `budget` is the number of cells that a run should have at most. `parts` is the number of
        batches that can be run side by side: few rows are shared out among them.
        """
        order = np.argsort(-lengths, kind="stable")
        order = order[: np.count_nonzero(lengths)]
        most = max(_MIN_SHARE, -(-len(order) // parts))
        batches = list(_batches(lengths[order].tolist(), budget, most))
        runs = np.array(
            [(batch.row, *run) for batch in batches for run in batch.runs],
            np.int64,
        ).reshape(-1, 4)
        first, B, T, skipped = runs.T
        rows = order[places(first, B)]  # [Q], the row of each row of each run
        before, width = np.repeat(skipped, B), np.repeat(T, B)
        left = np.minimum(lengths[rows] - before, width)
        # Cells count from 0 in each row.
        cells = places(np.zeros_like(width), width)
        inside = cells < np.repeat(left, width)
        cells *= inside
        cells += np.repeat(starts[rows] + before, width)
        return cls(order, batches, left.astype(np.int32), cells, inside)


def _batches(lengths: Sequence[int], budget: int, most: int) -> Iterator[Batch]:
    """Cut rows of these lengths, longest first, into batches of `most` rows at most.

    A batch has as many whole rows as fit the budget, but not few: long rows go in chunks.
    """
    row = at = cell = 0
    while row < len(lengths):
        size = min(most, max(budget // lengths[row], min(_MIN_ROWS, budget)))
        runs = _runs(lengths[row : row + size], budget)
        yield Batch(row, at, cell, runs)
        row += size
        at += sum(run.B for run in runs)
        cell += sum(run.B * run.T for run in runs)


def _runs(lengths: Sequence[int], budget: int) -> list[Run]:
    runs, B, skipped = [], len(lengths), 0
    while B:
        T = min(lengths[0] - skipped, max(1, budget // B))
        runs.append(Run(B, T, skipped))
        skipped += T
        B = bisect_left(lengths, -skipped, key=neg)  # the rows that are longer
    return runs
