"""Linear mixtures: several models, interpolated word by word.

    P(word | before) = Σ weight · P_model(word | before)

The words are those of `Score.words`, so models of different vocabularies can be mixed, and so can
models of subwords and models of words; the end of a sentence is the last word. A model to which a
word is unknown has a probability for unknown words, but none for this one: to the mixture it adds
nothing, unless all models are at a loss; then the word is unknown to the mixture, too. So each word
is counted once, and no more than a probability of 1 is given away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import tee, zip_longest
from math import log

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Direction
from lmscore.errors import InputError, OptionError
from lmscore.runtime.ngram import check_shares
from lmscore.runtime.rescoring.models.em import Fit, Floats, fit_to
from lmscore.runtime.rescoring.models.list_scorer import WordScorer, score_distinct, score_of_words
from lmscore.runtime.rescoring.models.list_scoring import ListScores
from lmscore.runtime.scoring import Score, WordScore


@dataclass(frozen=True)
class Mixture:
    """Models, and what share each has in a word's probability.

    Raises:
        OptionError: the weights are no shares of 1, one for each model, or the models do not all
            read in the same direction. What a forward and a backward model say of a word is given
            different sides of it: their mixtures multiply to no probability of the sentence. Such
            models are combined log-linearly, as features of their own (Chen et al., "Future word
            contexts in neural network language models", 2017).
    """

    name: str
    models: tuple[WordScorer, ...]
    weights: tuple[float, ...]
    fit: Fit | None = None  # how the weights were found, if they were

    def __post_init__(self) -> None:
        """Check the weights and the directions."""
        _check_directions(self.models)
        check_shares(self.weights, len(self.models))

    @property
    def direction(self) -> Direction:
        """The direction in which all models read a sentence."""
        return self.models[0].direction

    def __str__(self) -> str:
        """The shares, and how well they fit the text that they were fitted to, for people."""
        pairs = zip(self.weights, self.models, strict=True)
        shares = " + ".join(f"{weight:.4f} {model.name}" for weight, model in pairs)
        return shares if self.fit is None else f"{shares}: {self.fit}"

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[ListScores]:
        """Score n-best lists as they come, in their order, in bounded memory.

        Equal hypotheses are scored once.

        Raises:
            InputError: a hypothesis is not a string that the models can read, or they divide it
                into different words; says which.
            ModelError: a model yields nan or inf.
        """
        return score_distinct(lists, self.score_batch)

    def score_batch(self, texts: Iterable[str]) -> list[Score]:
        """The scores of several texts, in their order, as by `score_stream`."""
        return list(self.score_stream(texts))

    def score_stream(self, texts: Iterable[str]) -> Iterator[Score]:
        """Score texts as they come, each a sentence of its own, in bounded memory.

        In the scores the words, and `</s>`, are the tokens: perplexities are per word.

        Raises:
            InputError: a text is not a string that the models can read, or they divide it into
                different words; says which.
            ModelError: a model yields nan or inf.
        """
        used = [(m, log(w)) for m, w in zip(self.models, self.weights, strict=True) if w > 0]
        shares = np.array([share for _, share in used])
        for aligned in _aligned([model for model, _ in used], texts):
            mixed = np.logaddexp.reduce(aligned.log_probs + shares[:, None], axis=0)
            yield aligned.score(mixed)


def fit_mixture(name: str, models: Sequence[WordScorer], texts: Iterable[str]) -> Mixture:
    """The mixture under which texts are most probable. Words unknown to all models do not count.

    The texts are sentences that no model was trained on.

    Raises:
        OptionError: the models cannot be mixed, or there is no text.
        InputError: as in `Mixture.score_stream`.
        ModelError: a model yields nan or inf.
    """
    _check_directions(models)
    unknown = np.full((len(models), 1), -np.inf)
    columns = [
        np.where(aligned.unknown, unknown, aligned.log_probs) for aligned in _aligned(models, texts)
    ]
    if not columns:
        raise OptionError("no text to fit the mixture to")
    fit = fit_to(np.concatenate(columns, axis=1))
    return Mixture(name, tuple(models), fit.weights, fit)


@dataclass(frozen=True)
class _Aligned:
    """The n words of a text, by M models."""

    text: str
    words: list[WordScore]  # n, of the first model
    log_probs: Floats  # [M, n], nats; -inf for a word that is unknown to this model only
    unknown: NDArray[np.bool_]  # [n], to all of them

    def score(self, log_probs: Floats) -> Score:
        """The score of the text, if its words had these log-probabilities."""
        columns = zip(self.words, log_probs.tolist(), self.unknown.tolist(), strict=True)
        words = [replace(w, log_prob=p, is_oov=unknown, num_tokens=1) for w, p, unknown in columns]
        return score_of_words(self.text, words)


def _aligned(models: Sequence[WordScorer], texts: Iterable[str]) -> Iterator[_Aligned]:
    copies = zip(models, tee(texts, len(models)), strict=True)
    streams = [model.score_stream(copy) for model, copy in copies]
    for number, scores in enumerate(zip(*streams, strict=True), 1):
        words = [[word for word in score.words if word.text] for score in scores]
        _check_words(models, words, number)
        log_probs = np.array([[word.log_prob for word in row] for row in words], np.float64)
        oov = np.array([[word.is_oov for word in row] for row in words], np.bool_)
        unknown: NDArray[np.bool_] = np.logical_and.reduce(oov)
        log_probs[oov & ~unknown] = -np.inf
        yield _Aligned(scores[0].text, words[0], log_probs, unknown)


def _check_words(models: Sequence[WordScorer], words: list[list[WordScore]], number: int) -> None:
    """Models whose tokens reach over white space make one record of what others have as two."""
    texts = [[word.text for word in row] for row in words]
    for model, found in zip(models, texts, strict=True):
        if found == texts[0]:
            continue
        ours, theirs = next(
            pair for pair in zip_longest(texts[0], found, fillvalue="") if len({*pair}) > 1
        )
        raise InputError(
            f"text {number}: {ours!r} to {models[0].name!r} is {theirs!r} to {model.name!r}, so "
            "their words cannot be mixed; use the models as features of their own"
        )


def _check_directions(models: Sequence[WordScorer]) -> None:
    if not models:
        raise OptionError("a mixture needs at least one model")
    for model in models:
        if model.direction != models[0].direction:
            raise OptionError(
                f"{models[0].name!r} is a {models[0].direction} model and {model.name!r} a "
                f"{model.direction} one, which cannot be mixed word by word; use them as features "
                "of their own"
            )
