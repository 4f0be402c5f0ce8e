"""A comparison of choices, apart for short and for long n-best lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lmscore.runtime.rescoring.tuning.candidates import Candidates, Rows

_BOUNDS = (0, 1, 2, 5, 10, 20, 50, 100, 1000)  # of the numbers of hypotheses, the upper ones within


@dataclass(frozen=True)
class LengthGroup:
    """The lists whose numbers of hypotheses are alike, and the metric of several choices there."""

    fewest: int  # hypotheses of one of the lists
    most: int
    num_lists: int
    values: tuple[float, ...]  # the metric of each choice


def by_length(candidates: Candidates, choices: Sequence[Rows]) -> tuple[LengthGroup, ...]:
    """The metric of some choices, each a row for every list [U], in lists of like lengths.

    A list without hypotheses counts as one of the empty text.
    """
    return tuple(_groups(candidates, choices))


def _groups(candidates: Candidates, choices: Sequence[Rows]) -> Iterator[LengthGroup]:
    lengths = candidates.lengths
    for above, up_to in pairwise((*_BOUNDS, np.inf)):
        lists = np.flatnonzero((lengths > above) & (lengths <= up_to))
        if len(lists):
            yield LengthGroup(
                int(lengths[lists].min()),
                int(lengths[lists].max()),
                len(lists),
                tuple(candidates.value(rows[lists]) for rows in choices),
            )
