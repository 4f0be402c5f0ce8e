"""A comparison of scores without the softmax with log-probabilities: log Z and its effect on ranks.

Letters in shapes: M sentences of at most T tokens.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import LogZRecord

Floats = NDArray[np.float32]


def measure_log_z(scores: Floats, log_probs: Floats, mask: NDArray[np.bool_]) -> LogZRecord:
    """Compare scores with log-probs [M, T] (nats) where mask [M, T] holds.

    Sentences are ranked by their means per token; by their sums, long ones would all be last.
    """
    log_z = (scores - log_probs)[mask].astype(np.float64)
    means = [
        np.where(mask, values, 0).sum(axis=1, dtype=np.float64) / mask.sum(axis=1)
        for values in (scores, log_probs)
    ]
    return LogZRecord(float(log_z.mean()), float(log_z.std()), rank_agreement(*means))


def rank_agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Kendall's tau of two scores [M] of the same items: 1 for the same order, -1 for the reverse.

    Pairs that either score ties are left out; the result is 1 if no pair is left.
    """
    upper = np.triu_indices(len(one), 1)
    signs = [np.sign(values[:, None] - values)[upper] for values in (one, other)]
    agree = signs[0] * signs[1]
    told_apart = agree[agree != 0]
    return float(told_apart.mean()) if told_apart.size else 1.0
