"""An n-best list as a distribution over texts, for posterior probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmscore.errors import InputError, OptionError
from lmscore.finite import is_finite
from lmscore.forks import lazy
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.ranking import ranking
from lmscore.runtime.rescoring.lists.weights import Weights
from lmscore.runtime.rescoring.posteriors import WordGraph, confusion_network, expected_edits

_CANDIDATES = 100


@dataclass(frozen=True)
class ListPosteriors:
    """The texts of a list, each with a probability proportional to exp(score / scale).

    Attributes:
        nbest: a list with hypotheses.
        weights: what makes the score of a hypothesis.
        scale: the number that scores are divided by, above 0. With the weight of the language model
            its log-probabilities count as they are, and the decoder's own scores, which are too
            sharp, count less.
        spoken: a function from a text to the text whose words are compared.

    Raises:
        OptionError: the scale is not above 0, or a hypothesis lacks a feature.
        InputError: all hypotheses have a score of minus infinity, or there is none.
    """

    nbest: NBestList
    weights: Weights
    scale: float = 1.0
    spoken: Callable[[str], str] = str

    def __post_init__(self) -> None:
        """Raise an error where there is no distribution."""
        if not (is_finite(self.scale) and self.scale > 0):
            raise OptionError(f"the scale must be above 0, not {self.scale}")
        self.graph  # noqa: B018 - to learn now that there is none

    @lazy
    def graph(self) -> WordGraph:
        """The texts as a graph of words."""
        scores = (self.weights.combine(self.nbest) / self.scale).tolist()
        try:
            return WordGraph.of_texts(self.texts, scores)
        except InputError as error:
            raise InputError(f"list {self.nbest.id!r}: {error}") from error

    @lazy
    def texts(self) -> list[list[str]]:
        """The words of each hypothesis."""
        return [self.spoken(hypothesis.text).split() for hypothesis in self.nbest.hypotheses]

    def ranking(self) -> list[int]:
        """The places of the hypotheses, from 0, by their expected number of word edits.

        Minimum Bayes risk (Stolcke et al. 1997). The expectation is over all hypotheses; the 100
        with the highest scores are compared, and the rest follows by its scores.
        """
        by_score = ranking(self.nbest, self.weights)
        risks: dict[tuple[str, ...], float] = {}
        texts = [tuple(text) for text in self.texts]
        for place in by_score[:_CANDIDATES]:
            if texts[place] not in risks:
                risks[texts[place]] = expected_edits(self.graph, texts[place])
        compared = sorted(by_score[:_CANDIDATES], key=lambda place: risks[texts[place]])
        return [*compared, *by_score[_CANDIDATES:]]

    def confidences(self, place: int) -> list[float]:
        """For each word of the hypothesis at a place, the probability that it was said there.

        All hypotheses are aligned with this one by the fewest word edits.
        """
        return confusion_network(self.graph, self.texts[place]).confidences


def posterior_scale(weights: Weights, models: Sequence[str]) -> float:
    """The scale that `ListPosteriors` has by default: the largest weight of a language model.

    Args:
        weights: the weights that choose.
        models: the features that are scores of language models. Where none has a weight above 0,
            the scale is 1.
    """
    largest = max((weights.features.get(name, 0.0) for name in models), default=0.0)
    return largest if largest > 0 else 1.0
