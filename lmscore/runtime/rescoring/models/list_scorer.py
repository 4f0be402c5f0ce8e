"""Scorers of n-best lists: the protocol of any language model, and recurrent models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Protocol

from lmscore.bundle import Direction
from lmscore.errors import InputError
from lmscore.runtime.engine import SharingMethod
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models.list_scoring import ListScores, score_lists
from lmscore.runtime.rescoring.models.list_windows import Window, windows
from lmscore.runtime.scoring import END, Score, WordScore


class ListScorer(Protocol):
    """A model whose scores are a feature of hypotheses."""

    @property
    def name(self) -> str:
        """The name of the feature."""
        ...

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[ListScores]:
        """Score n-best lists as they come, in their order, in bounded memory.

        Returns:
            For each list a score for each hypothesis, in its order; there may be none.

        Raises:
            InputError: a hypothesis is not a string that the model can read; says which.
        """
        ...


class WordScorer(ListScorer, Protocol):
    """A model that also scores word by word, so that it can be a part of a mixture."""

    @property
    def direction(self) -> Direction:
        """The direction in which the model reads a sentence."""
        ...

    def score_stream(self, texts: Iterable[str]) -> Iterator[Score]:
        """Score texts as they come, in their order, in bounded memory, with `Score.words`.

        Raises:
            InputError: a text is not a string that the model can read; says which.
        """
        ...


@dataclass(frozen=True)
class RecurrentScorer:
    """A `LanguageModel`, recurrent or of n-grams; every hypothesis is a sentence of its own."""

    name: str
    lm: LanguageModel
    eos: bool = True  # whether </s> is scored
    method: SharingMethod = "auto"  # of scoring lists

    @property
    def direction(self) -> Direction:
        """The direction in which the model reads a sentence."""
        return self.lm.config.direction

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[ListScores]:
        """Score lists along their prefix trees; `Score.words` is left empty."""
        return score_lists(self.lm, lists, eos=self.eos, method=self.method)

    def score_stream(self, texts: Iterable[str]) -> Iterator[Score]:
        """Score texts word by word."""
        return self.lm.score_stream(
            texts,
            eos=self.eos,
            context="sentence",
            tokens=False,
            words=True,
            segmentation="spaces",
        )


def score_distinct(
    lists: Iterable[Sequence[str]], score_texts: Callable[[Sequence[str]], Iterable[Score]]
) -> Iterator[ListScores]:
    """Score n-best lists by a function of texts, which is given equal hypotheses only once.

    Raises:
        InputError: a hypothesis is not a string, or the function rejects it; says which.
    """
    for window in windows(lists):
        texts = list(dict.fromkeys(text for hypotheses in window.lists for text in hypotheses))
        try:
            found = dict(zip(texts, score_texts(texts), strict=True))
        except InputError:
            _refuse(window, score_texts)
            raise
        for hypotheses in window.lists:
            yield ListScores([found[text] for text in hypotheses])


def _refuse(window: Window, score_texts: Callable[[Sequence[str]], Iterable[Score]]) -> None:
    """Raise an InputError that names the hypothesis that fails alone."""
    for number, hypotheses in enumerate(window.lists, window.first):
        for position, text in enumerate(hypotheses, 1):
            try:
                list(score_texts([text]))
            except InputError as error:
                reason = str(error).removeprefix("text 1: ")
                raise InputError(f"list {number}, hypothesis {position}: {reason}") from error


def score_of_words(text: str, words: Sequence[WordScore]) -> Score:
    """The score of a text whose tokens are words."""
    unknown = [word.log_prob for word in words if word.is_oov]
    return Score(
        text=text,
        log_prob=fsum(word.log_prob for word in words),
        num_tokens=len(words),
        num_words=len(text.split()),
        num_oov=len(unknown),
        oov_log_prob=fsum(unknown),
        words=tuple(words),
        num_ends=sum(word.text == END and word.start == word.end for word in words),
    )
