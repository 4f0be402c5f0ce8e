"""Hypotheses ranked by the weighted sum of their features, and what the ranking gains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lmscore.runtime.rescoring.lists.metrics import Metric, Statistics
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.references import reference_of
from lmscore.runtime.rescoring.lists.weights import RANK, Weights

LM_WEIGHT = 0.5


def own_scores(nbest: NBestList | None, score: str | tuple[str, ...] | None) -> list[str]:
    """The decoder's own score by name, or `rank` where a list has none.

    Args:
        nbest: a list with hypotheses.
        score: the feature that is the decoder's score, as `Format.score` names it; of several names
            the first that is there. None: all features of the list are parts of it.
    """
    own = [] if nbest is None else list(nbest.hypotheses[0].features)
    if score is not None:
        names = (score,) if isinstance(score, str) else score
        own = [name for name in names if name in own][:1]
    return own or [RANK]


def default_weights(
    nbest: NBestList | None,
    score: str | tuple[str, ...] | None,
    added: Iterable[str],
    *,
    lm_weight: float = LM_WEIGHT,
    word_penalty: float = 0.0,
    length_normalization: float = 0.0,
    given: Mapping[str, float] | None = None,
) -> Weights:
    """Weights of the decoder's own score and of the features that were added.

    Args:
        nbest: a list as it was read.
        score: as in `own_scores`, whose weights are 1. `rank` is left out where `given` weighs a
            feature of the list.
        added: the names of the new features: the weight of each is `lm_weight`.
        lm_weight: of a log-probability in nats.
        word_penalty: as in `Weights`, and so is `length_normalization`.
        given: weights by name, which replace the others or are added to them.

    Raises:
        OptionError: a weight is not finite.
    """
    given = given or {}
    own = own_scores(nbest, score)
    features = set() if nbest is None else {RANK, *nbest.hypotheses[0].features}
    if own == [RANK] and (nbest is None or features & {name.split("*")[0] for name in given}):
        own = []
    weights = dict.fromkeys(own, 1.0) | dict.fromkeys(added, lm_weight) | dict(given)
    return Weights(weights, word_penalty, length_normalization)


def ranking(nbest: NBestList, weights: Weights) -> list[int]:
    """The places of the hypotheses, from 0, best first, equals in their order.

    Raises:
        OptionError: a hypothesis lacks a feature, or has no score to compare.
    """
    order: list[int] = np.argsort(-weights.combine(nbest), kind="stable").tolist()
    return order


@dataclass(frozen=True, slots=True, eq=False)
class Gain:
    """The changes from the first hypotheses to the best; the gains of lists add up."""

    lists: int = 0
    empty: int = 0  # without any hypothesis
    changed: int = 0  # whose best hypothesis says something else than the first
    statistics: Statistics | None = None  # of a metric: of the first ones, of the best ones

    @classmethod
    def of(
        cls,
        nbest: NBestList,
        best: int | None,
        metric: Metric | None = None,
        *,
        normalize: Callable[[str], str] = str,
    ) -> Gain:
        """The gain in one list.

        Args:
            best: the place of its best hypothesis; None in an empty list.
            metric: what compares both hypotheses with the reference, if anything does.
            normalize: changes texts before the metric compares them.

        Raises:
            InputError: the metric needs a reference, and the list has none.
        """
        texts = ["", ""]  # what a list without hypotheses says
        if best is not None:
            texts = [nbest.hypotheses[place].text for place in (0, best)]
        statistics = None
        if metric is not None:
            reference = normalize(reference_of(nbest))
            statistics = metric.statistics(list(map(normalize, texts)), reference)
        return cls(1, int(best is None), int(texts[0] != texts[1]), statistics)

    def __add__(self, other: Gain) -> Gain:
        known = [s for s in (self.statistics, other.statistics) if s is not None]
        return Gain(
            self.lists + other.lists,
            self.empty + other.empty,
            self.changed + other.changed,
            sum(known[1:], known[0]) if known else None,
        )

    def values(self, metric: Metric) -> tuple[float, float] | None:
        """The metric of the first hypotheses and of the best ones; None where there is no list."""
        if self.statistics is None:
            return None
        first, best = metric.value(self.statistics).tolist()
        return first, best
