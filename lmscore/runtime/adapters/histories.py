"""Scores of words, one after another, for decoders of words.

A word is scored as in `lmscore.runtime.scoring`: the probability that it is over belongs to it. So
a word costs one run of the graph, which reads it, and the words of a sentence sum to its score.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from lmscore.errors import InputError
from lmscore.runtime.adapters.cache import Cache
from lmscore.runtime.arguments import check_count
from lmscore.runtime.engine import State, Tensor
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import boundary_tokens, encode_after, word_before

_CACHE_BYTES = 64 << 20  # of the readings, by default
_STEPS_PER_READING = 8


@dataclass(frozen=True, eq=False, slots=True)
class History:
    """The words so far; nothing changes it. Equal histories have the same tokens, read alike.

    Attributes:
        state: one row, before the model reads the last word.
        tokens: ids of the last word, or of the beginning of a sentence; empty before any word.
        num_words: the number of words, <s> included.
        is_beginning: whether a sentence begins here.
        key: a digest of all tokens.
    """

    state: State
    tokens: tuple[int, ...]
    num_words: int
    is_beginning: bool
    key: bytes

    def then(self, state: State, tokens: tuple[int, ...], *, is_beginning: bool) -> History:
        """Append one word; `state` is one row that has read all of this history."""
        key = blake2b(self.key + np.array(tokens, np.int64).tobytes(), digest_size=16).digest()
        return History(state, tokens, self.num_words + 1, is_beginning, key)

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, History) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, slots=True)
class WordStep:
    """The score of a word after a history."""

    log_prob: float  # nats
    is_oov: bool  # whether one of its tokens is <unk>
    history: History  # the word included


@dataclass(frozen=True, slots=True)
class _Reading:
    """The distribution of the next token after a history."""

    log_probs: Tensor  # float32 [V], nats, of the next token
    state: State  # one row
    last_log_prob: float  # of the last word's tokens, the first of them left out
    log_z: float  # that the last word is over; 0 at the beginning of a sentence


class WordHistories:
    """A model that scores one word after another.

    Attributes:
        steps: a bounded cache of the scores of words after histories,
        readings: and one of the distributions after histories. Dropped values are computed again.
    """

    def __init__(self, lm: LanguageModel, *, cache_size: int | None = None) -> None:
        """Score words with a model that reads forward.

        `cache_size` is the number of readings to keep, of 4 bytes for each token of the vocabulary
        and each unit of the state. Default: 64 MiB of them.

        Raises:
            OptionError: the model reads backward, or cache_size is below 1.
        """
        lm.check_forward()
        if cache_size is None:
            units = sum(tensor.layers * tensor.size for tensor in lm.config.state)
            cache_size = max(1, _CACHE_BYTES // (4 * (lm.vocab_size + units)))
        check_count("cache_size", cache_size)
        self.lm = lm
        self.steps: Cache[Hashable, WordStep] = Cache(_STEPS_PER_READING * cache_size)
        self.readings: Cache[History, _Reading] = Cache(cache_size)
        self._boundaries = boundary_tokens(lm.tokenizer, lm.config.bos_token_id)
        self._before = word_before(lm.tokenizer)
        self._nothing = History(lm.initial_state(), (), 0, True, b"")

    def begin(self) -> History:
        """The history at the beginning of a sentence."""
        nothing = self._nothing
        return nothing.then(nothing.state, (self.lm.config.bos_token_id,), is_beginning=True)

    def nothing(self) -> History:
        """The history before any token, even <s>; the next token is read, not scored."""
        return self._nothing

    def score(self, history: History, word: str) -> WordStep:
        """The log-probability of a word after a history, and that it is over.

        An empty word, or one that the tokenizer drops, scores 0 and does not change the history.

        Raises:
            InputError: white space in the word, or no string that the model can read.
            ModelError: the model yields nan or inf.
        """
        return self.steps.get_or_make(
            (history, word), lambda: self._step(history, self._ids(history, word))
        )

    def end(self, history: History) -> WordStep:
        """The log-probability that the sentence ends, given that its last word is over."""
        return self.steps.get_or_make((history, None), lambda: self._end(history))

    def is_oov(self, word: str) -> bool:
        """Return whether the model reads a word, or a part of it, as <unk>."""
        return self.lm.config.unk_token_id in self.lm.tokenizer.encode(word).tolist()

    def _ids(self, history: History, word: str) -> tuple[int, ...]:
        if len(word.split()) > 1 or word != word.strip():
            raise InputError(f"{word!r} is not one word: score the words one after another")
        if history.is_beginning or not word:
            return tuple(self.lm.tokenizer.encode(word).tolist())
        (encoded,) = encode_after(self.lm.tokenizer, [self._before], [word], joiner=" ", number=1)
        return tuple(encoded.ids.tolist())

    def _step(self, history: History, tokens: tuple[int, ...]) -> WordStep:
        if not tokens:
            return WordStep(0.0, False, history)
        log_prob, state = self._first(history, tokens[0])
        after = history.then(state, tokens, is_beginning=False)
        if len(tokens) > 1 or self._boundaries is not None:  # else reading the word can wait
            reading = self._read(after)
            log_prob += reading.last_log_prob + reading.log_z
        return WordStep(log_prob, self.lm.config.unk_token_id in tokens, after)

    def _end(self, history: History) -> WordStep:
        eos = self.lm.config.eos_token_id
        log_prob, state = self._first(history, eos)
        return WordStep(log_prob, False, history.then(state, (eos,), is_beginning=True))

    def _first(self, history: History, token: int) -> tuple[float, State]:
        """The log-probability that a token follows a history, and the state before that token."""
        if not history.tokens:
            return 0.0, history.state
        reading = self._read(history)
        return float(reading.log_probs[token]) - reading.log_z, reading.state

    def _read(self, history: History) -> _Reading:
        return self.readings.get_or_make(history, lambda: self._make_reading(history))

    def _make_reading(self, history: History) -> _Reading:
        engine, tokens = self.lm.engine, np.array(history.tokens)
        state, last_log_prob = history.state, 0.0
        budget = engine.token_budget
        for start in range(0, len(tokens), budget):
            targets = tokens[start + 1 : start + 1 + budget]
            found = engine.distributions(tokens[None, start : start + budget], state)
            rows, state = found.log_probs[0], found.state
            engine.check_finite(rows[-1])
            last_log_prob += float(rows[np.arange(len(targets)), targets].sum(dtype=np.float64))
        engine.check_finite(last_log_prob)
        last = rows[-1].copy()
        return _Reading(last, state, last_log_prob, self._log_z(history, last))

    def _log_z(self, history: History, log_probs: Tensor) -> float:
        if self._boundaries is None or history.is_beginning:
            return 0.0
        chosen = log_probs[self._boundaries]
        highest = float(chosen.max())
        return highest + float(np.log(np.exp(chosen - highest).sum(dtype=np.float64)))
