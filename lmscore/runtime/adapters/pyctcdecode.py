"""The language model of a pyctcdecode decoder, and a decoder that asks it for many words at once.

    decoder = build_ctcdecoder(labels, "my-lm")

The model weights scores as pyctcdecode weights those of an n-gram model, to base 10, so the same
weights have the same meaning.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmscore.errors import MissingExtraError, OptionError
from lmscore.runtime.adapters.histories import History, WordHistories
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel as _LanguageModel
from lmscore.runtime.scoring import LN10

_ORDER = 2**31 - 1  # the decoder merges beams whose last order - 1 words are the same
_USUAL_LENGTH = 6  # characters of a partial word, past which it is penalised further
_WEIGHTS = ("alpha", "beta", "unk_score_offset", "score_boundary")


class LanguageModel:
    """A language model with the methods of `AbstractLanguageModel`, which it does not inherit.

    Attributes:
        scorer: the model, and its caches.
    """

    order = _ORDER

    def __init__(
        self,
        lm: _LanguageModel,
        unigrams: Collection[str] | None = None,
        *,
        alpha: float = 0.5,
        beta: float = 1.5,
        unk_score_offset: float = -10.0,
        score_boundary: bool = True,
        cache_size: int | None = None,
    ) -> None:
        """Use a loaded model.

        Args:
            lm: the model.
            unigrams: the known words; others get `unk_score_offset`, and so does a partial word
                that begins none of them. Default: a word is known unless the model reads it as
                <unk>, and any partial word may become one.
            alpha: the weight of the language model.
            beta: is added for each word.
            unk_score_offset: base 10; is added for each unknown word.
            score_boundary: whether a text begins with <s> and ends with </s>.
            cache_size: of `WordHistories`.

        Raises:
            OptionError: the model reads backward, or a weight is no number.
        """
        self.scorer = WordHistories(lm, cache_size=cache_size)
        self._unigrams = None if unigrams is None else sorted(set(unigrams))
        self._weights: dict[str, float] = {}
        self.reset_params(
            alpha=alpha, beta=beta, unk_score_offset=unk_score_offset, score_boundary=score_boundary
        )

    def reset_params(self, **params: float | None) -> None:
        """Set weights by name; None leaves one as it is.

        Raises:
            OptionError: no such weight, or no number.
        """
        for name, value in params.items():
            if name not in _WEIGHTS:
                raise OptionError(f"no weight {name!r}; there are {', '.join(_WEIGHTS)}")
            given: object = value
            if value is None:
                continue
            if not isinstance(given, int | float) or not math.isfinite(given):
                raise OptionError(f"{name} must be a number, not {value!r}")
            self._weights[name] = value

    @property
    def weights(self) -> Mapping[str, float]:
        """The current weights."""
        return dict(self._weights)

    def get_start_state(self) -> History:
        """The history before the first word."""
        return self.scorer.begin() if self._weights["score_boundary"] else self.scorer.nothing()

    def score_partial_token(self, partial_token: str) -> float:
        """The penalty for a partial word that begins no known word."""
        if self._unigrams is None or _begins(self._unigrams, partial_token):
            return 0.0
        return self._weights["unk_score_offset"] * max(1.0, len(partial_token) / _USUAL_LENGTH)

    def score(
        self, prev_state: History, word: str, is_last_word: bool = False
    ) -> tuple[float, History]:
        """The weighted score of a word, and the history after it; `prev_state` does not change.

        At the end of a text the word may be empty: then only the end is scored.

        Raises:
            InputError: white space in the word, or no string that the model can read.
            ModelError: the model yields nan or inf.
        """
        step = self.scorer.score(prev_state, word)
        log_prob = step.log_prob
        if is_last_word and self._weights["score_boundary"]:
            log_prob += self.scorer.end(step.history).log_prob
        if word and (step.is_oov or not self._is_known(word)):
            log_prob += self._weights["unk_score_offset"] * LN10
        bonus = self._weights["beta"] if word else 0.0
        return self._weights["alpha"] * log_prob + bonus, step.history

    def score_ahead(
        self, queries: Sequence[tuple[History, str]], is_last_word: bool = False
    ) -> None:
        """Score words after histories in one batch, so that `score` has to look them up only.

        Raises:
            InputError, ModelError: as `score`.
        """
        steps = self.scorer.score_batch(queries)
        if is_last_word and self._weights["score_boundary"]:
            self.scorer.score_batch([(step.history, None) for step in steps])

    def _is_known(self, word: str) -> bool:
        if self._unigrams is None:
            return True
        place = bisect_left(self._unigrams, word)
        return self._unigrams[place : place + 1] == [word]


class BatchedBeams:
    """Mixed into `BeamSearchDecoderCTC`: the words that end in a frame are scored in one batch.

    The decoder of pyctcdecode asks for one word of one beam at a time. The results are the same.
    Other language models than `LanguageModel` are asked as always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Pass all arguments on to the decoder.

        Raises:
            OptionError: there is no decoder to mix this into, or none that works like that of
                pyctcdecode 0.5.
        """
        if not hasattr(super(), "_get_lm_beams"):
            raise OptionError(
                "BatchedBeams must be mixed into the BeamSearchDecoderCTC of pyctcdecode 0.5: "
                "class Decoder(BatchedBeams, BeamSearchDecoderCTC)"
            )
        super().__init__(*args, **kwargs)

    def _get_lm_beams(
        self,
        beams: Sequence[tuple[Any, ...]],
        hotword_scorer: Any,
        cached_lm_scores: Mapping[tuple[str, bool], tuple[float, float, History]],
        cached_partial_token_scores: Any,
        is_eos: bool = False,
    ) -> Any:
        """Score beams (text, next word, ...) of one frame; the name is the decoder's own."""
        decoder: Any = super()
        model = self._language_model  # type: ignore[attr-defined]  # the decoder's
        if isinstance(model, LanguageModel):
            queries = {
                (text, word): (cached_lm_scores[text, False][2], word)
                for text, word, *_ in beams
                if (" ".join(filter(None, (text, word))), is_eos) not in cached_lm_scores
            }
            model.score_ahead(list(queries.values()), is_last_word=is_eos)
        return decoder._get_lm_beams(
            beams, hotword_scorer, cached_lm_scores, cached_partial_token_scores, is_eos
        )


def build_ctcdecoder(
    labels: Sequence[str],
    model: str | Path | _LanguageModel | None = None,
    unigrams: Collection[str] | None = None,
    alpha: float = 0.5,
    beta: float = 1.5,
    unk_score_offset: float = -10.0,
    lm_score_boundary: bool = True,
    *,
    cache_size: int | None = None,
) -> Any:
    """Build a `BeamSearchDecoderCTC` that asks a model for many words at once.

    As the function of that name in pyctcdecode, with a model directory in the place of an n-gram
    file; see `LanguageModel` for the other arguments.

    Args:
        labels: the outputs of the acoustic model.
        model: a model directory or a loaded model. Default: $LMSCORE_MODEL, else the bundled
            English model.
        unigrams: the known words.
        alpha: the weight of the language model.
        beta: is added for each word.
        unk_score_offset: base 10; is added for each unknown word.
        lm_score_boundary: whether a text begins with <s> and ends with </s>.
        cache_size: of `WordHistories`.

    Raises:
        MissingExtraError: pyctcdecode is not installed.
        ModelNotFoundError, ModelError, OptionError: as `lmscore.load` and `LanguageModel`.
    """
    try:
        from pyctcdecode import (  # type: ignore[import-not-found,unused-ignore]
            Alphabet,
            BeamSearchDecoderCTC,
        )
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "this needs the package 'pyctcdecode': pip install pyctcdecode"
        ) from error

    class Decoder(BatchedBeams, BeamSearchDecoderCTC):  # type: ignore[misc]  # of any base
        """A decoder whose language model scores the words of a frame in one batch."""

    lm = model if isinstance(model, _LanguageModel) else load(model)
    language_model = LanguageModel(
        lm,
        unigrams,
        alpha=alpha,
        beta=beta,
        unk_score_offset=unk_score_offset,
        score_boundary=lm_score_boundary,
        cache_size=cache_size,
    )
    return Decoder(Alphabet.build_alphabet(list(labels)), language_model)


def _begins(words: list[str], start: str) -> bool:
    """Return whether any of the sorted words begins with `start`."""
    place = bisect_left(words, start)
    return place < len(words) and words[place].startswith(start)
