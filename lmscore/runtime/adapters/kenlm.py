"""A drop-in for the package `kenlm`: `from lmscore.runtime.adapters import kenlm`.

Logarithms are to base 10, as in `kenlm`. A recurrent model differs in this:

* A score depends on the whole history, so `State` holds all of it, and `order` is only a number
  that is larger than any text.
* `NullContextWrite` and bos=False: without <s> the model has no distribution for a first token. It
  is read and not scored, as in `LanguageModel.score`.
* A word is over when it is scored, also the last one with eos=False: the score is that of whole
  words, of which `LanguageModel.score` leaves the last one open.
* A word ends at ASCII white space. One that begins or ends with other white space may have other
  tokens in a sentence, where white space meets white space, than after a state.
* In a sentence, <s> and </s> are text like any other; the word "</s>" of `BaseScore` is the end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import total_ordering
from pathlib import Path
from typing import NamedTuple

from lmscore.errors import InputError
from lmscore.runtime.adapters.histories import History, WordHistories, WordStep
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel as _LanguageModel
from lmscore.runtime.scoring import (
    END,
    LN10,
    Score,
    WordScore,
    perplexity_of,
    tool_word_scores,
    tool_words,
)

_ORDER = 2**31 - 1  # the largest that KenLM's type can hold


class FullScoreReturn(NamedTuple):
    """The result of `Model.BaseFullScore`."""

    log_prob: float  # base 10
    ngram_length: int  # words that it depends on, itself included: the whole history
    oov: bool


class LoadMethod:
    """The ways in which KenLM reads a binary file; a model directory is always read whole."""

    LAZY = 0
    POPULATE_OR_LAZY = 1
    POPULATE_OR_READ = 2
    READ = 3
    PARALLEL_READ = 4


class ARPALoadComplain:
    """What KenLM says of ARPA files; there are none here."""

    ALL = 0
    EXPENSIVE = 1
    NONE = 2


@dataclass
class Config:
    """The settings that programs give to `Model`; they change nothing about a model directory."""

    show_progress: bool = True
    arpa_complain: int = ARPALoadComplain.ALL
    load_method: int = LoadMethod.POPULATE_OR_READ


@total_ordering
class State:
    """A holder of a history, to which `Model` writes; compared, ordered and hashed by it."""

    __slots__ = ("history",)

    def __init__(self, history: History | None = None) -> None:
        """Hold a history; without one, a null context."""
        self.history = history

    @property
    def _key(self) -> bytes:
        return b"" if self.history is None else self.history.key

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, State) else NotImplemented

    def __lt__(self, other: State) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __copy__(self) -> State:
        return State(self.history)

    def __deepcopy__(self, memo: object) -> State:
        return State(self.history)  # a history is immutable


class Model:
    """A language model with the methods of `kenlm.Model`.

    Attributes:
        scorer: the model, and its caches.
    """

    order = _ORDER

    def __init__(
        self,
        path: str | bytes | Path | None = None,
        config: Config | None = None,
        *,
        device: str = "auto",
        variant: str | None = None,
        threads: int | None = None,
        cache_size: int | None = None,
    ) -> None:
        """Load a model directory; see `lmscore.load` for the options and errors.

        A `config` is taken as KenLM takes it, and changes nothing; InputError if it is none.
        The default of `path` is $LMSCORE_MODEL, else the bundled English model; see `WordHistories`
        for `cache_size`.
        """
        if not isinstance(config, Config | None):
            raise InputError(f"expected a Config of this module, got {_described(config)}")
        lm = load(
            os.fsdecode(path) if isinstance(path, bytes) else path,
            device=device,
            variant=variant,
            threads=threads,
        )
        self.scorer = WordHistories(lm, cache_size=cache_size)

    @classmethod
    def of(cls, lm: _LanguageModel, *, cache_size: int | None = None) -> Model:
        """Use a loaded model."""
        model = cls.__new__(cls)
        model.scorer = WordHistories(lm, cache_size=cache_size)
        return model

    @property
    def path(self) -> bytes:
        """The model directory."""
        return os.fsencode(self.scorer.lm.path.absolute())

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """Log10 of the probability of a sentence: the sum of `full_scores`, in one run."""
        (log_prob,) = self.scores([sentence], bos, eos)
        return log_prob

    def scores(
        self, sentences: Iterable[str | bytes], bos: bool = True, eos: bool = True
    ) -> list[float]:
        """`score` of several sentences, in batches; the package `kenlm` has no such method."""
        _check_several(sentences)
        if not eos:
            found = self.full_scores_batch(sentences, bos, eos)
            return [math.fsum(log_prob for log_prob, _, _ in words) for words in found]
        texts = (" ".join(_words(sentence)) for sentence in sentences)
        lm = self.scorer.lm
        scored = lm.score_stream(texts, bos=bos, context="sentence", tokens=False)
        return [score.log_prob / LN10 for score in scored]

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """For each word, and </s>: log10 probability, words so far (and <s>), whether it is OOV."""
        for words in self.full_scores_batch([sentence], bos, eos):
            yield from words

    def full_scores_batch(
        self, sentences: Iterable[str | bytes], bos: bool = True, eos: bool = True
    ) -> Iterator[list[tuple[float, int, bool]]]:
        """`full_scores` of several sentences, in batches; `kenlm` has no such method."""
        _check_several(sentences)
        texts = (" ".join(_words(sentence)) for sentence in sentences)
        found = self.scorer.lm.score_stream(
            texts,
            bos=bos,
            context="sentence",
            tokens=False,
            words=True,
            segmentation="spaces",
        )
        return (list(self._words(score, bos=bos, eos=eos)) for score in found)

    def _words(self, score: Score, *, bos: bool, eos: bool) -> Iterator[tuple[float, int, bool]]:
        """What `full_scores` gives for a sentence, from its score."""
        # Without a word there is none before </s>.
        scores = tool_word_scores(score, "kenlm") or (WordScore(END, 0.0, False, 0, 0, 0),)
        words = tool_words(score.text, "kenlm")
        for number, word in enumerate(scores if eos else scores[:-1]):
            read_only = number == 0 and not bos and words
            is_oov = word.is_oov or bool(read_only and words[0] not in self)
            yield word.log_prob / LN10, number + 1 + bos, is_oov

    def perplexity(self, sentence: str | bytes) -> float:
        """Perplexity per word, </s> counted as one; inf where it is past a float."""
        words = len(_words(sentence)) + 1
        return perplexity_of(self.score(sentence) * LN10, words)

    def BeginSentenceWrite(self, state: State) -> None:  # noqa: N802
        """Write the beginning of a sentence to a state."""
        _checked(state).history = self.scorer.begin()

    def NullContextWrite(self, state: State) -> None:  # noqa: N802
        """Write the empty context to a state; the next token is read, not scored."""
        _checked(state).history = self.scorer.nothing()

    def BaseScore(self, in_state: State, word: str, out_state: State) -> float:  # noqa: N802
        """Log10 of the probability of a word, or "</s>", after a state; writes the next state.

        The states may be one object.

        Raises:
            InputError: white space in the word, or no string that the model can read.
        """
        return self._step(in_state, word, out_state).log_prob / LN10

    def BaseFullScore(  # noqa: N802
        self, in_state: State, word: str, out_state: State
    ) -> FullScoreReturn:
        """Like `BaseScore`, with the number of words it depends on, and whether it is an OOV."""
        step = self._step(in_state, word, out_state)
        return FullScoreReturn(step.log_prob / LN10, step.history.num_words, step.is_oov)

    def _step(self, in_state: State, word: str, out_state: State) -> WordStep:
        history = _checked(in_state).history or self.scorer.nothing()
        _checked(out_state)
        text = _text(word)
        step = self.scorer.end(history) if text == END else self.scorer.score(history, text)
        out_state.history = step.history
        return step

    def __contains__(self, word: str | bytes) -> bool:
        text = _text(word)
        return text in ("<s>", END) or not self.scorer.is_oov(text)

    def __repr__(self) -> str:
        return f"<Model from {self.scorer.lm.path.name}>"

    def __reduce__(self) -> tuple[Callable[[_LanguageModel], Model], tuple[_LanguageModel]]:
        return type(self).of, (self.scorer.lm,)


LanguageModel = Model  # its name in old code


def _checked(state: State) -> State:
    """The state; raises InputError for one of another module, which cannot hold a history."""
    if not isinstance(state, State):
        raise InputError(
            f"expected a State of {__name__}, got {_described(state)}: import the module from "
            "there everywhere; in pyctcdecode use lmscore.runtime.adapters.pyctcdecode"
        )
    return state


def _described(given: object) -> str:
    """The class of an object, and its module unless that is Python's own."""
    kind = type(given)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _check_several(sentences: Iterable[str | bytes]) -> None:
    """Raise InputError for one sentence in the place of several."""
    if isinstance(sentences, str | bytes) or not isinstance(sentences, Iterable):
        raise InputError(f"expected a list of sentences, got {_described(sentences)}; use score")


def _words(sentence: str | bytes) -> list[str]:
    """The words of a sentence, which ASCII white space alone divides."""
    return tool_words(_text(sentence), "kenlm")


def _text(given: str | bytes) -> str:
    """Decode a string; raises InputError (a ValueError) where KenLM raises TypeError."""
    if isinstance(given, bytes):
        try:
            return given.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8: byte {error.start + 1} of {given!r}") from error
    if not isinstance(given, str):
        raise InputError(f"expected a string, got {type(given).__name__}")
    return given
