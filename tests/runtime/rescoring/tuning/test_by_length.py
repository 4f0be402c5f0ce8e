"""Choices compared in lists of like lengths."""

from __future__ import annotations

import numpy as np

from lmscore.runtime.rescoring.tuning.by_length import LengthGroup, by_length
from lmscore.runtime.rescoring.tuning.tune import compare
from tests.runtime.rescoring.tuned import make_candidates

# Lists of 1, 3, 4 and 12 hypotheses; the last hypothesis of each has no errors of 10 words.
LENGTHS = (1, 3, 4, 12)
CANDIDATES = make_candidates(
    [[[0.0]] * n for n in LENGTHS], [[2] * (n - 1) + [0 if n > 1 else 5] for n in LENGTHS]
)
LAST = CANDIDATES.starts + np.array(LENGTHS) - 1


def test_groups_by_hand() -> None:
    assert by_length(CANDIDATES, [CANDIDATES.starts, LAST]) == (
        LengthGroup(1, 1, 1, (50.0, 50.0)),
        LengthGroup(3, 4, 2, (20.0, 0.0)),
        LengthGroup(12, 12, 1, (20.0, 0.0)),
    )


def test_lists_changed_for_better_and_for_worse() -> None:
    found = compare(CANDIDATES, LAST)
    assert (found.first.better, found.first.worse) == (0, 0)
    assert (found.chosen.better, found.chosen.worse) == (3, 0)
    assert found.relative(found.chosen) == 100 * (5 - 11) / 11
    assert found.groups == by_length(CANDIDATES, [CANDIDATES.starts, LAST, LAST])
    worse = compare(make_candidates([[[0.0]] * 2], [[0, 1]]), np.array([1]))
    assert (worse.chosen.better, worse.chosen.worse) == (0, 1)
    assert worse.relative(worse.chosen) is None  # of no errors at all
