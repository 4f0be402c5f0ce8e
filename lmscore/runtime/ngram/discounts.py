"""What is taken from counts, so that words that were not seen have a probability."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmscore.errors import InputError
from lmscore.runtime.ngram.model import Doubles, Numbers

_GOOD_TURING = 5  # counts above are trusted (Katz 1987)
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


class Discounts(NamedTuple):
    """What is taken from n-grams that are counted once, twice, and more often."""

    once: float
    twice: float
    more: float

    def of(self, counts: Numbers) -> Doubles:
        """The discount of each count; none of a count of 0."""
        return np.array([0.0, *self])[np.minimum(counts, 3)]


def kneser_ney_discounts(counts: Numbers, order: int, *, fallback: bool = False) -> Discounts:
    """The three discounts of modified Kneser-Ney, equation (26) of Chen and Goodman (1998).

    Raises:
        InputError: no n-gram is counted once, twice, three or four times, and no `fallback`.
    """
    n1, n2, n3, n4 = (np.count_nonzero(counts == r) for r in range(1, 5))
    if min(n1, n2, n3) > 0:
        y = n1 / (n1 + 2 * n2)
        found = Discounts(1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 <= d <= r for r, d in enumerate(found, 1)):
            return found
    return _fallback(order, fallback)


def absolute_discount(counts: Numbers, order: int, *, fallback: bool = False) -> Discounts:
    """One discount for all counts, n1 / (n1 + 2 n2) (Ney et al. 1994).

    Raises:
        InputError: no n-gram is counted once or twice, and no `fallback`.
    """
    n1, n2 = (np.count_nonzero(counts == r) for r in range(1, 3))
    if min(n1, n2) > 0:
        return Discounts(*[n1 / (n1 + 2 * n2)] * 3)
    return _fallback(order, fallback)


def _fallback(order: int, allowed: bool) -> Discounts:
    if allowed:
        return Discounts(*FALLBACK_DISCOUNTS)
    raise InputError(
        f"the counts of the {order}-grams give no discounts, as happens with small, made-up or "
        "repeated texts: remove repeated lines, use a lower order, or take fixed discounts "
        "(discount_fallback)"
    )


def good_turing_ratios(counts: Numbers) -> Doubles:
    """What remains of counts 0, 1, ... of an order, the last one for all that are higher."""
    n = np.array([np.count_nonzero(counts == r) for r in range(_GOOD_TURING + 2)], np.float64)
    for highest in range(_GOOD_TURING, 0, -1):
        r = np.arange(1, highest + 1)
        if n[1 : highest + 2].min() == 0:
            continue
        beyond = (highest + 1) * n[highest + 1] / n[1]
        ratios = ((r + 1) * n[r + 1] / (r * n[r]) - beyond) / (1 - beyond) if beyond < 1 else -r
        if np.all((ratios > 0) & (ratios < 1)):
            return np.array([0.0, *ratios, 1.0])
    return np.array([0.0, 1.0])
