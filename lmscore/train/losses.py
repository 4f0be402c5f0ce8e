"""The losses of held-out texts, with the part of unknown words, and their perplexities."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from lmscore.runtime.scoring import perplexity_of


@dataclass(frozen=True)
class Losses:
    """Negative log-likelihoods (nats) summed over tokens, and the part of unknown words."""

    total: float
    tokens: int
    oov: float = 0.0  # the part of tokens that are <unk>
    oovs: int = 0

    def __add__(self, other: Losses) -> Losses:
        """The losses over two texts."""
        return Losses(*map(operator.add, astuple(self), astuple(other)))

    def scaled(self, tokens: int) -> Losses:
        """The losses of a text of so many tokens of which this is a sample."""
        share = tokens / self.tokens
        return Losses(self.total * share, tokens, self.oov * share, round(self.oovs * share))

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.total / self.tokens

    @property
    def mean_without_oovs(self) -> float:
        """Nats per token that is in the vocabulary; nan if there is none."""
        known = self.tokens - self.oovs
        return (self.total - self.oov) / known if known else math.nan


def sum_of(losses: Mapping[str, Losses]) -> Losses:
    """The losses over several texts."""
    return functools.reduce(operator.add, losses.values())


def in_words(losses: Mapping[str, Losses]) -> str:
    """The perplexity of held-out texts per token, together and apart, for a log."""
    whole = sum_of(losses)
    apart = "; ".join(f"{name} {_perplexities(part)}" for name, part in losses.items())
    return _perplexities(whole) + (f" ({apart})" if len(losses) > 1 else "")


def _perplexities(losses: Losses) -> str:
    with_oovs = f"{perplexity(losses.mean):.2f}"
    if not losses.oovs:
        return with_oovs
    return f"{with_oovs}, without OOVs {perplexity(losses.mean_without_oovs):.2f}"


def perplexity(loss: float) -> float:
    """The perplexity of a mean loss (nats per token); inf if it is too large for a float."""
    return perplexity_of(-loss, 1)
