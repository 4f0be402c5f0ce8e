"""Scores of words, one after another, for decoders of words.

A word is scored as in `lmscore.runtime.scoring`: the probability that it is over belongs to it. So
the graph has to read a word before the word has a score, and the words of a sentence sum to its
score. A run of the graph for one word costs nearly what a run for a dozen does: a decoder that
knows which words it will ask for next asks for all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.adapters.cache import Cache
from lmscore.runtime.adapters.spelling import Spelling, Tokens
from lmscore.runtime.arguments import check_count
from lmscore.runtime.engine import State, Tensor, log_sum
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import boundary_tokens
from lmscore.runtime.text import Ids

_CACHE_BYTES = 64 << 20  # of the readings, by default
_STEPS_PER_READING = 8
_ROWS = 64  # of one run; more are no faster on a CPU, and their distributions leave its caches


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
    tokens: Tokens
    num_words: int
    is_beginning: bool
    key: bytes

    def then(self, state: State, tokens: Tokens, *, is_beginning: bool) -> History:
        """Append one word; `state` is one row that has read all of this history."""
        key = blake2b(self.key + np.array(tokens, np.int64).tobytes(), digest_size=16).digest()
        return History(state, tokens, self.num_words + 1, is_beginning, key)

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, History) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


Query = tuple[History, str | None]
"""A history, and a word to score after it; None for the end of the sentence."""


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
            cache_size = max(1, _CACHE_BYTES // (4 * (lm.vocab_size + lm.config.state_size)))
        check_count("cache_size", cache_size)
        self.lm = lm
        self.steps: Cache[Query, WordStep] = Cache(_STEPS_PER_READING * cache_size)
        self.readings: Cache[History, _Reading] = Cache(cache_size)
        self._spelling = Spelling(lm.tokenizer)
        self._boundaries = boundary_tokens(lm.tokenizer, lm.config.bos_token_id)
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
        return self.score_batch([(history, word)])[0]

    def end(self, history: History) -> WordStep:
        """The log-probability that the sentence ends, given that its last word is over."""
        return self.score_batch([(history, None)])[0]

    def score_batch(self, queries: Sequence[Query]) -> list[WordStep]:
        """`score` of words after histories, or `end` where the word is None, in few runs.

        Raises:
            InputError, ModelError: as `score`.
        """
        return self.steps.get_or_make_all(queries, self._make_steps)

    def is_oov(self, word: str) -> bool:
        """Return whether the model reads a word, or a part of it, as <unk>."""
        return self.lm.config.unk_token_id in self.lm.tokenizer.encode(word).tolist()

    def _make_steps(self, queries: Sequence[Query]) -> list[WordStep]:
        words = self._tokens(queries)
        histories = [history for history, _ in queries]
        # Before <s> there is nothing to read, and after no token nothing to score.
        asked = [h for h, tokens in zip(histories, words, strict=True) if tokens and h.tokens]
        before = dict(zip(asked, self._read(asked), strict=True))
        steps = [
            self._step(history, tokens, before.get(history), is_end=word is None)
            for (history, word), tokens in zip(queries, words, strict=True)
        ]
        unread = [
            i for i, step in enumerate(steps) if self._is_read_at_once(step.history, words[i])
        ]
        after = self._read([steps[i].history for i in unread])
        for i, reading in zip(unread, after, strict=True):
            log_prob = steps[i].log_prob + reading.last_log_prob + reading.log_z
            steps[i] = WordStep(log_prob, steps[i].is_oov, steps[i].history)
        return steps

    def _tokens(self, queries: Sequence[Query]) -> list[Tokens]:
        eos = (self.lm.config.eos_token_id,)
        words = [(word, history.is_beginning) for history, word in queries if word is not None]
        spelt = iter(self._spelling.ids(words))
        return [eos if word is None else next(spelt) for _, word in queries]

    def _step(
        self, history: History, tokens: Tokens, before: _Reading | None, *, is_end: bool
    ) -> WordStep:
        """The score of the first token of a word alone, and the history with all of the word."""
        if not tokens:
            return WordStep(0.0, False, history)
        log_prob, state = 0.0, history.state
        if before is not None:
            log_prob, state = float(before.log_probs[tokens[0]]) - before.log_z, before.state
        after = history.then(state, tokens, is_beginning=is_end)
        return WordStep(log_prob, self.lm.config.unk_token_id in tokens, after)

    def _is_read_at_once(self, after: History, tokens: Tokens) -> bool:
        """Return whether a word has no score before the model has read it; else that can wait."""
        if not tokens or after.is_beginning:
            return False
        return len(tokens) > 1 or self._boundaries is not None

    def _read(self, histories: Sequence[History]) -> list[_Reading]:
        return self.readings.get_or_make_all(histories, self._make_readings)

    def _make_readings(self, histories: Sequence[History]) -> list[_Reading]:
        made: dict[History, _Reading] = {}
        for batch in self._batches(histories):
            made.update(zip(batch, self._read_batch(batch), strict=True))
        return [made[history] for history in histories]

    def _batches(self, histories: Sequence[History]) -> Iterator[list[History]]:
        """Histories whose last words are read together: long ones beside long ones."""
        left = sorted(histories, key=lambda history: len(history.tokens), reverse=True)
        while left:
            fit = self.lm.engine.token_budget // len(left[0].tokens)
            size = min(_ROWS, max(1, fit))
            yield left[:size]
            left = left[size:]

    def _read_batch(self, histories: Sequence[History]) -> list[_Reading]:
        """Read the last word of B histories: their last tokens in one run, what is before first."""
        engine, B = self.lm.engine, len(histories)
        state = State.concat([history.state for history in histories])
        tokens, lengths = _padded([history.tokens for history in histories])
        inner, parents, long = np.zeros(B), np.arange(B), np.flatnonzero(lengths > 1)
        if len(long):
            after, inner[long] = self._read_all_but_last(tokens[long], lengths[long], state, long)
            state = State.concat([state, after])
            parents[long] = B + np.arange(len(long))
            engine.check_finite(inner)
        ends = tokens[np.arange(B), lengths - 1]
        engine.check_ids(ends)  # a history may be another model's
        last, state = engine.step(ends, state, parents, checked=True)
        log_z = self._log_z(histories, last)
        return [
            _Reading(*columns)
            for columns in zip(*_rows(last, state), inner.tolist(), log_z.tolist(), strict=True)
        ]

    def _read_all_but_last(
        self, tokens: Ids, lengths: NDArray[np.int32], state: State, parents: Ids | None
    ) -> tuple[State, NDArray[np.float64]]:
        """Read B words [B, T] of two or more tokens but for their last, in one run unless B is 1.

        Returns their state, and float64 [B], the sum of the log-probabilities of the tokens of each
        but the first.
        """
        (B, T), inner = tokens.shape, np.zeros(len(tokens))
        size = max(1, self.lm.engine.token_budget // B)
        for start in range(0, T - 1, size):
            end = min(start + size, T - 1)
            left = np.minimum(lengths - 1 - start, end - start)
            found = self.lm.engine.ranked(
                tokens[:, start:end],
                tokens[:, start + 1 : end + 1, None],
                state,
                k=0,
                lengths=left.astype(np.int32),
                parents=parents,
            )
            state, parents = found.state, None
            is_read = np.arange(end - start) < left[:, None]
            inner += found.target_log_probs[:, :, 0].sum(axis=1, dtype=np.float64, where=is_read)
        return state, inner

    def _log_z(self, histories: Sequence[History], log_probs: Tensor) -> NDArray[np.float64]:
        """The log-probability that the last word is over, after B histories: float64 [B]."""
        found = np.zeros(len(histories))
        if self._boundaries is None:
            return found
        inside = np.array([not history.is_beginning for history in histories])
        found[inside] = log_sum(log_probs, self._boundaries)[inside]
        return found


def _rows(log_probs: Tensor, state: State) -> tuple[list[Tensor], list[State]]:
    """The B rows of a run: copies, lest one that is kept keep all of the run's."""
    state = state.on_host()
    if len(state) == 1:
        return [log_probs[0]], [state]
    states = [
        State.owning(tensor[:, b : b + 1].copy() for tensor in state.tensors)
        for b in range(len(state))
    ]
    return [row.copy() for row in log_probs], states


def _padded(rows: Sequence[Tokens]) -> tuple[Ids, NDArray[np.int32]]:
    """Rows of ids as one array int64 [B, T], padded with zeros, and their lengths int32 [B]."""
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.zeros((len(rows), lengths.max()), np.int64)
    for b, row in enumerate(rows):
        ids[b, : len(row)] = row
    return ids, lengths
