"""Weights of a linear mixture, by expectation maximisation.

After Jelinek and Mercer, "Interpolated estimation of Markov source parameters from sparse data"
(1980): each model's next weight is its mean share in the probability of a word. No step makes the
text less probable, and since the log-likelihood is concave in the weights, what the steps lead to
is the best there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import OptionError
from lmscore.runtime.scoring import perplexity_of, rounded

Floats = NDArray[np.float64]

_TOLERANCE = 1e-8  # nats per word
_MAX_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Fit:
    """The weights that make a text most probable, and how they were found."""

    weights: tuple[float, ...]  # one per model, summing to 1
    perplexities: tuple[float, ...]  # per word, with equal weights, then after each step
    num_words: int  # that were fitted to, ends of sentences among them
    num_left_out: int  # words that no model gives a probability of its own

    def __str__(self) -> str:
        """The perplexity reached, in words."""
        first, last = (rounded(self.perplexities[i], 2) for i in (0, -1))
        return (
            f"perplexity {last} ({first} with equal weights) per word, </s> counted, of "
            f"{self.num_words} words; {self.num_left_out} that no model knows left out"
        )


def fit_to(log_probs: Floats, *, tolerance: float = _TOLERANCE) -> Fit:
    """Find the weights from what each model says of each word.

    Args:
        log_probs: [M, N], nats, of N words by M models; -inf where a model rules a word out. Words
            that all of them rule out are left out.
        tolerance: of log-likelihood per word; the first step that gains less is the last.

    Raises:
        OptionError: there is no model or no word, or a value is nan or +inf.
    """
    if not len(log_probs) or np.isnan(log_probs).any() or (log_probs == np.inf).any():
        raise OptionError("a mixture is fitted to log-probabilities of at least one model")
    best = log_probs.max(axis=0)
    possible = best > -np.inf
    N = int(possible.sum())
    if not N:
        raise OptionError("no words to fit the mixture to: no model knows any word of the text")
    # Relative to the best model, so that nothing underflows for all of them at once.
    ratios = np.exp(log_probs[:, possible] - best[possible])
    weights, gains = _climb(ratios, tolerance)
    total = float(best[possible].sum())
    perplexities = tuple(perplexity_of(total + N * gain, N) for gain in gains)
    return Fit(tuple(weights.tolist()), perplexities, N, log_probs.shape[1] - N)


def _climb(ratios: Floats, tolerance: float) -> tuple[Floats, list[float]]:
    """The weights, and the mean log-likelihood before each step and after the last."""
    weights = np.full(len(ratios), 1 / len(ratios))
    mixed = weights @ ratios
    reached = [float(np.log(mixed).mean())]
    for _ in range(_MAX_STEPS):
        weights = weights * (ratios / mixed).mean(axis=1)
        weights /= weights.sum()
        mixed = weights @ ratios
        reached.append(float(np.log(mixed).mean()))
        if reached[-1] - reached[-2] < tolerance:
            break
    return weights, reached
