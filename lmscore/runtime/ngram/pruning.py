"""Leave out n-grams without which a model changes least.

After Stolcke, "Entropy-based pruning of backoff language models" (1998): the relative entropy
between the model and the same model without an n-gram h w is computed exactly, and the n-gram goes
if the perplexity rises by a smaller part than the threshold.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import OptionError
from lmscore.runtime.ngram.model import BOS, EOS, Doubles, NgramModel
from lmscore.runtime.ngram.weights import normalized, selected, unseen

_TINY = 1e-12  # less than this is the rounding of a sum that should be 0


def pruned_by_entropy(model: NgramModel, threshold: float) -> NgramModel:
    """Leave out n-grams of order 2 and more whose loss raises the perplexity by less.

    Words stay, and so do n-grams that are contexts of longer ones. Back-off weights are computed
    anew, so that probabilities sum to 1.

    Args:
        threshold: relative to the perplexity: 1e-9 leaves little out, 1e-6 most.

    Raises:
        OptionError: the threshold is no positive number.
    """
    if not 0 < threshold < inf:
        raise OptionError(f"threshold must be above 0, not {threshold}")
    kept = [np.ones(len(table), np.bool_) for table in model.tables]
    for n in range(model.order, 1, -1):
        kept[n - 1] = np.expm1(entropy_losses(model, n)) >= threshold
        if n < model.order:  # what stays in the order above needs its contexts
            contexts = model.tables[n].keys[kept[n]] // model.vocab_size
            kept[n - 1][contexts] = True
    return normalized(selected(model, kept))


def entropy_losses(model: NgramModel, n: int) -> Doubles:
    """The relative entropy (nats a word) that the loss of each n-gram costs, float64 [M].

    D = -P(h) (P(w | h) (log P'(w | h) - log P(w | h)) + (log b'(h) - log b(h)) left(h)), where P'
    is the model without h w, b its back-off weight, and left(h) the probability of all words that
    back off after h (Stolcke 1998, equation 5). b is computed from the probabilities.
    """
    table, V = model.tables[n - 1], model.vocab_size
    contexts = table.keys // V
    log_probs = table.log_probs.astype(np.float64)
    lower = replace(model, tables=model.tables[: n - 1])
    below = lower.log_probs_of(model.rows(n)[:, 1:])
    left, free = unseen(table, below, len(model.tables[n - 2]), V)
    before = _log(left / np.maximum(free, _TINY))
    without = _log((left[contexts] + np.exp(log_probs)) / (free[contexts] + np.exp(below)))
    # Where nothing was left to back off to, that term is 0 times the logarithm of 0.
    others = np.where(left > _TINY, left, 0)[contexts] * (without - before[contexts])
    change = np.exp(log_probs) * (without + below - log_probs) + others
    return np.exp(_histories(model, n - 1)[contexts]) * -change


def _log(values: Doubles) -> Doubles:
    """The logarithm of values at least as large as the rounding of a sum."""
    found: Doubles = np.log(np.maximum(values, _TINY))
    return found


def _histories(model: NgramModel, n: int) -> NDArray[np.float64]:
    """The log-probability (nats) of meeting each n-gram in a text, by the chain rule.

    <s> is as frequent as </s>.
    """
    found = model.tables[0].log_probs.astype(np.float64)
    found[BOS] = found[EOS]
    for table in model.tables[1:n]:
        found = found[table.keys // model.vocab_size] + table.log_probs
    return found
