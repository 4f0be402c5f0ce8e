"""The metric as a function of one weight, exactly.

Along a line in the space of weights, the score of a hypothesis is a linear function of the place
on it, and the best hypothesis of a list changes only where two of them cross (Och 2003). Between
two crossings nothing changes, so a finite number of intervals tells all.

Letters in shapes: N, U and S as in `candidates`; M edges between intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.rescoring.lists import Floats, weighted
from lmscore.runtime.rescoring.tuning.candidates import Candidates, Rows

_NARROW = 1e-9  # rounding might miss an interval as narrow as this, so no weight is put there


@dataclass(frozen=True)
class Steps:
    """A function that is constant between its edges."""

    edges: Floats  # [M], ascending
    values: Floats  # [M + 1], before, between and behind them
    ties: Floats  # ascending: where the best hypothesis of a list has an equal; at every edge, too

    def __call__(self, places: Floats | float) -> Floats:
        """The values of the function at some places."""
        return np.asarray(self.values[np.searchsorted(self.edges, places, side="right")])

    def within(self, left: float, right: float) -> tuple[Floats, Floats]:
        """The edges between two places, both places among them, and the values between edges."""
        inner = (self.edges > left) & (self.edges < right)
        edges = np.array([left, *self.edges[inner], right])
        return edges, self(edges[:-1])

    def best(self, *, higher_is_better: bool) -> float:
        """A place where the function is best.

        This is the middle of the widest best interval, which is least likely to be chance. The
        outer intervals, which have no end, are taken to reach as far beyond their edge as 0 is from
        it, but at least 1. At a tie the order of the list decides, which may be worse than both
        sides; if the middle is a tie, the middle of the widest part without a tie is taken.
        """
        order = self.values if higher_is_better else -self.values
        good = order == order.max()
        runs = np.flatnonzero(np.diff(good, prepend=False, append=False)).reshape(-1, 2)
        ends = _with_ends(self.edges)[runs]
        left, right = ends[np.diff(ends).argmax()]
        middle = (left + right) / 2
        if (np.abs(self.ties - middle) < _NARROW).any():
            cuts = np.array([left, *self.ties[(self.ties > left) & (self.ties < right)], right])
            widest = np.diff(cuts).argmax()
            middle = cuts[widest : widest + 2].mean()
        return float(middle)


def _with_ends(edges: Floats) -> Floats:
    if not len(edges):
        return np.array([-1.0, 1.0])
    first, last = edges[0], edges[-1]
    return np.array([first - max(1.0, abs(first)), *edges, last + max(1.0, abs(last))])


def search_line(candidates: Candidates, origin: Floats, direction: Floats) -> Steps:
    """The metric of the best hypotheses under the weights `origin + place * direction`.

    `origin` and `direction` are float64 [F].
    """
    base = weighted(candidates.terms, origin)
    slope = weighted(candidates.terms, direction)
    first = _firsts(candidates, base, slope)
    moves = list(_moves(candidates.owners, base, slope, first))
    places, before, after = (np.concatenate(parts) for parts in zip(*moves, strict=True))
    changes = candidates.statistics[after] - candidates.statistics[before]
    counts = changes.any(axis=1)
    # Stable: the moves of a list keep their order.
    order = np.flatnonzero(counts)[np.argsort(places[counts], kind="stable")]
    start = candidates.statistics[first].sum(0)
    totals = np.concatenate([start[None], start + np.cumsum(changes[order], axis=0)])
    edges = places[order]
    wide = np.diff(edges, append=np.inf) > _NARROW
    values = candidates.metric.value(totals[np.append(True, wide)])
    return Steps(edges[wide], values, np.sort(places))


def _firsts(candidates: Candidates, base: Floats, slope: Floats) -> Rows:
    """The row of each list that is best at minus infinity, [U]."""
    starts, owners = candidates.starts, candidates.owners
    flattest = slope == np.minimum.reduceat(slope, starts)[owners]
    height = np.where(flattest, base, -np.inf)
    return _first_where(flattest & (height == np.maximum.reduceat(height, starts)[owners]), starts)


def _moves(
    owners: Rows, base: Floats, slope: Floats, current: Rows
) -> Iterator[tuple[Floats, Rows, Rows]]:
    """The changes of the best row of each list: places, rows before, rows after.

    All lists go on to their next change at once; each only looks at what rises more steeply than
    its best row, which is what can overtake it.

    Args:
        owners: the list of each row, [N].
        base: the score of each row at 0.
        slope: its growth.
        current: the best row of each list at minus infinity, [U]; not changed.
    """
    current, last = current.copy(), np.full(len(current), -np.inf)
    rows = np.arange(len(owners))
    while True:
        rows = rows[slope[rows] > slope[current[owners[rows]]]]
        lists, starts, groups = np.unique(owners[rows], return_index=True, return_inverse=True)
        now = current[lists]
        places, after = _next_best(base, slope, rows, now[groups], starts, groups)
        last[lists] = np.maximum(places, last[lists])  # rounding must not change the order
        yield last[lists], now, after
        if not len(rows):
            return
        current[lists] = after


def _next_best(
    base: Floats, slope: Floats, rows: Rows, now: Rows, starts: Rows, groups: Rows
) -> tuple[Floats, Rows]:
    """The row of each group that overtakes the best one first, and the place where it does."""
    if not len(rows):
        return np.empty(0), rows
    crossings = (base[now] - base[rows]) / (slope[rows] - slope[now])
    places = np.minimum.reduceat(crossings, starts)
    ties = crossings == places[groups]
    steepness = np.where(ties, slope[rows], -np.inf)
    steepest = ties & (steepness == np.maximum.reduceat(steepness, starts)[groups])
    return places, rows[_first_where(steepest, starts)]


def _first_where(condition: NDArray[np.bool_], starts: Rows) -> Rows:
    """The first index of each group at which a condition holds."""
    indices = np.where(condition, np.arange(len(condition)), len(condition))
    first: Rows = np.minimum.reduceat(indices, starts)
    return first
