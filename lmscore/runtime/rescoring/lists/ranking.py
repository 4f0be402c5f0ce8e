"""Hypotheses ranked by the weighted sum of their features, and what the ranking gains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lmscore.runtime.rescoring.lists.metrics import Metric, Statistics
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.references import reference_of
from lmscore.runtime.rescoring.lists.weights import Weights

LM_WEIGHT = 0.5


def default_weights(
    nbest: NBestList | None,
    score: str | None,
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
        score: the feature that is the decoder's score, `Format.score`: its weight is 1. None: all
            features of the list are parts of it. Where the list lacks it, the others have the
            weight 0.
        added: the names of the new features: the weight of each is `lm_weight`.
        lm_weight: of a log-probability in nats.
        word_penalty: as in `Weights`, and so is `length_normalization`.
        given: weights by name, which replace the others or are added to them.

    Raises:
        OptionError: a weight is not finite.
    """
    own = nbest.hypotheses[0].features if nbest is not None else {}
    weights = {name: 1.0 for name in own if score in (None, name)}
    weights |= dict.fromkeys(added, lm_weight) | dict(given or {})
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
