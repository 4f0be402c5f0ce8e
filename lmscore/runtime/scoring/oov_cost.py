"""What unknown words cost: the spelling, of which the probability of <unk> says nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.score import Score

_CODE_POINTS = 0x110000
_KEPT = 1 << 18  # spellings; most unknown words come once


class OovCost(Protocol):
    """What is added to -log P(<unk>) of each unknown token."""

    def of(self, spellings: Sequence[str]) -> Tensor:
        """The costs of unknown words or characters, float32 [n], in nats."""
        ...


@dataclass(frozen=True)
class FixedCost:
    """The same cost for each."""

    nats: float

    def of(self, spellings: Sequence[str]) -> Tensor:
        """The costs of unknown words, float32 [n], in nats."""
        return np.full(len(spellings), self.nats, np.float32)


@dataclass(frozen=True)
class SpellingCost:
    """The negative log-probability of the spelling, in a model of characters or subwords.

    P(<unk>) P(spelling, </s>) is the probability of this unknown word; over all of them it sums to
    P(<unk>). A character that the model of spellings does not know is taken for one of all code
    points, each as likely as any other.

    Attributes:
        score: scores texts as sentences of their own, with their tokens.
    """

    score: Callable[[Sequence[str]], Iterable[Score]]
    _known: dict[str, float] = field(default_factory=dict, repr=False)

    def of(self, spellings: Sequence[str]) -> Tensor:
        """The costs of unknown words, float32 [n], in nats; each distinct one is scored once."""
        known = self._known
        found = {text: known[text] for text in spellings if text in known}
        new = [text for text in dict.fromkeys(spellings) if text not in found]
        found.update(zip(new, map(_spelling, self.score(new)), strict=True))
        if len(known) > _KEPT:
            known.clear()
        known.update(found)
        return np.array([found[text] for text in spellings], np.float32)


def _spelling(score: Score) -> float:
    """The cost of a spelling, in nats."""
    unknown = 0
    if score.num_oov:
        unknown = sum(token.end - token.start for token in score.tokens if token.is_oov)
    return unknown * math.log(_CODE_POINTS) - score.log_prob
