"""The paired bootstrap: confidence intervals of a metric, and of differences between systems.

Utterances are drawn with replacement, the same ones for all systems, and the metric is computed
again (Koehn 2004 for BLEU, Bisani & Ney 2004 for word error rates).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lmscore.runtime.rescoring.lists import Floats, Metric, Statistics

CONFIDENCE = 95  # per cent
SAMPLES = 2000

_DRAWS_AT_ONCE = 1 << 22  # bounds memory: 32 MiB of counts


@dataclass(frozen=True)
class Estimate:
    """A number, and the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def bootstrap(
    metric: Metric, systems: Sequence[Statistics], *, samples: int = SAMPLES, seed: int = 1
) -> Floats:
    """The metric of each system on corpora drawn from the utterances, float64 [systems, samples].

    Args:
        systems: for each the statistics of its choice for every utterance, int64 [U, S].
        samples: how many corpora are drawn, each of U utterances.
    """
    stacked = np.concatenate(systems, axis=1).astype(np.float64)
    drawn = [counts @ stacked for counts in _counts(len(stacked), samples, seed)]
    totals = np.concatenate(drawn).reshape(samples, len(systems), -1)
    return metric.value(totals).T


def _counts(num_utterances: int, samples: int, seed: int) -> Iterator[Floats]:
    """The number of times that each utterance is drawn, [some samples, U]."""
    random = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // num_utterances)
    for first, end in pairwise([*range(0, samples, at_once), samples]):
        shares = np.full(num_utterances, 1 / num_utterances)
        yield random.multinomial(num_utterances, shares, end - first).astype(np.float64)


def estimate(value: float, resampled: Floats) -> Estimate:
    """A value with the percentile interval of what resampling made of it."""
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))
