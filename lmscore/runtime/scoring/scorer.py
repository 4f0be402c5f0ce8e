"""Scorer: texts to token rows, and their log-probabilities to scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Context
from lmscore.errors import InputError
from lmscore.runtime.engine import (
    Boundaries,
    Engine,
    RowScores,
    ScoredRows,
    Tensor,
    TokenRows,
    reading_order,
    score_document,
    start_rows,
    token_rows,
)
from lmscore.runtime.scoring.prefix import Prefix, encode_after, split_space
from lmscore.runtime.scoring.score import Score, TokenScore
from lmscore.runtime.scoring.stream_windows import Window
from lmscore.runtime.scoring.words import WordTokens, boundary_tokens, word_scores, word_tokens
from lmscore.runtime.text import Encoded, Ids, TextTokenizer

_NO_IDS = np.empty(0, np.int64)
_NO_SPANS = np.empty((0, 2), np.int64)

Part = slice | Ids


@dataclass(frozen=True)
class Reading:
    """The tokens that the model reads for some texts. R texts, N tokens in all rows."""

    texts: Sequence[str]  # R
    encoded: list[Encoded]  # R
    words: list[WordTokens]  # R, or empty
    rows: TokenRows
    starts: Ids  # [R], where the scored tokens of each text begin among the N
    ends: Ids  # [R]
    parts: Sequence[Part]  # R, the same tokens in the text's own order


@dataclass(frozen=True)
class Scorer:
    """A model, its tokenizer, and the convention by which texts are scored."""

    engine: Engine
    tokenizer: TextTokenizer
    bos: bool
    eos: bool
    context: Context
    tokens: bool  # whether to fill Score.tokens
    words: bool  # whether to fill Score.words
    joiner: str  # between a prefix and its text, in sentence context
    ahead: int  # windows that are read while one is being scored

    def stream(self, windows: Iterable[Window], prefix: str | None) -> Iterator[Score]:
        """Score windows of texts, in their order.

        Args:
            windows: texts, perhaps with a prefix for each.
            prefix: of the texts without one of their own. With prefixes, no state is carried from
                text to text.

        Raises:
            InputError: a text or prefix has no ids; names its number.
            ModelError: the model yields nan or inf.
        """
        (shared,) = self._prefixes([prefix or ""], first=1)
        state = self.engine.state_after(shared.lead, self.engine.initial_state())
        shared = replace(shared, lead=_NO_IDS)
        started: deque[tuple[Reading, ScoredRows]] = deque()
        try:
            for window in windows:
                prefixes = self._prefixes(window.prefixes, first=window.first)
                reading = self._read(window, prefixes or [shared] * len(window.texts))
                if self.context == "document" and prefix is None and not prefixes:
                    found, state = score_document(self.engine, reading.rows, state)
                    yield from self._scores(reading, found)
                else:
                    rows = start_rows(self.engine, reading.rows, state)
                    started.append((reading, rows))
                yield from self._finished(started, left=self.ahead)
            yield from self._finished(started)
        except InputError:  # in a window that was read ahead: the windows before it come first
            yield from self._finished(started)
            raise
        finally:
            for _, rows in started:
                rows.cancel()

    def _finished(
        self, started: deque[tuple[Reading, ScoredRows]], *, left: int = 0
    ) -> Iterator[Score]:
        """Wait for the scores of the windows that were started first, until `left` are left."""
        while len(started) > left:
            reading, rows = started.popleft()
            yield from self._scores(reading, rows.result())

    def _prefixes(self, texts: Sequence[str], *, first: int) -> list[Prefix]:
        ids = self.tokenizer.encode_batch(texts, first=first, name="prefix")
        return list(map(self._prefix, texts, ids))

    def _prefix(self, text: str, ids: Ids) -> Prefix:
        bos = np.array([self.engine.config.bos_token_id] if self.bos else [], np.int64)
        if self.context == "document":  # the text begins as it would after any other
            lead = np.concatenate((bos, ids)) if text else _NO_IDS
            return Prefix(text, "", ids, lead=lead, first=bos)
        text, space, ids = split_space(self.tokenizer, text, ids)
        before = np.concatenate((bos, ids))
        return Prefix(text, space, ids, lead=before[:-1], first=before[-1:])

    def _read(self, window: Window, prefixes: Sequence[Prefix]) -> Reading:
        encoded = self._encode(window, prefixes)
        ids = reading_order([tokens.ids for tokens in encoded], self.engine.config)
        before = [prefix.tokens for prefix in prefixes]
        rows = token_rows(ids, before=before, eos=self.engine.config.eos_token_id)
        starts = rows.starts + np.array([len(prefix.lead) for prefix in prefixes], np.int64)
        ends = np.maximum(starts, rows.starts + rows.lengths - (0 if self.eos else 1))
        parts = list(map(slice, starts.tolist(), ends.tolist()))
        words = [
            word_tokens(text, tokens.spans, eos=self.eos and part.stop > part.start)
            for text, tokens, part in zip(window.texts, encoded, parts, strict=True)
            if self.words
        ]
        if self.engine.config.direction == "backward":
            turned = list(map(self._turned, parts))
            return Reading(window.texts, encoded, words, rows, starts, ends, turned)
        rows = self._with_boundaries(rows, words, parts)
        return Reading(window.texts, encoded, words, rows, starts, ends, parts)

    def _turned(self, part: slice) -> Ids:
        """The places of a text's tokens in a row read from its end, </s> last.

        No Z is needed for its words: the token that begins a word is the last of it to be read.
        """
        places = np.arange(part.start, part.stop)
        ends = len(places) - self.eos
        return np.concatenate((places[:ends][::-1], places[ends:]))

    def _encode(self, window: Window, prefixes: Sequence[Prefix]) -> list[Encoded]:
        if self.context == "sentence" and any(prefix.text or prefix.space for prefix in prefixes):
            return encode_after(
                self.tokenizer, prefixes, window.texts, joiner=self.joiner, number=window.first
            )
        if self.tokens or self.words:
            return self.tokenizer.encode_spans(window.texts, first=window.first)
        ids = self.tokenizer.encode_batch(window.texts, first=window.first)
        return [Encoded(row, _NO_SPANS) for row in ids]

    def _with_boundaries(
        self, rows: TokenRows, words: Sequence[WordTokens], parts: Sequence[slice]
    ) -> TokenRows:
        """Add the places where a token shows that the word before it is over."""
        tokens = boundary_tokens(self.tokenizer, self.engine.config.bos_token_id) if words else None
        if tokens is None:
            return rows
        at = np.zeros(len(rows.targets), np.bool_)
        for part, found in zip(parts, words, strict=True):
            at[part.stop - len(found.owners) + found.boundaries] = True
        at &= self.tokenizer.begins_word[rows.targets]
        return replace(rows, boundaries=Boundaries(at, tokens))

    def _scores(self, reading: Reading, found: RowScores) -> Iterator[Score]:
        unk_id = self.engine.config.unk_token_id
        oov = reading.rows.targets == (-1 if unk_id is None else unk_id)
        scored, owners = _scored(reading)
        scores = sum_scores(reading.texts, owners, found.log_probs[scored], oov[scored])
        self.engine.check_finite([score.log_prob for score in scores])
        if not self.tokens and not self.words:
            yield from scores
            return
        for i, (score, part) in enumerate(zip(scores, reading.parts, strict=True)):
            log_probs, log_z, unknown = found.log_probs[part], found.boundaries[part], oov[part]
            tokens = self._token_scores(reading, i, log_probs, unknown) if self.tokens else ()
            words = word_scores(reading.words[i], log_probs, log_z, unknown) if self.words else ()
            yield replace(score, tokens=tokens, words=words)

    def _token_scores(
        self, reading: Reading, number: int, log_probs: Tensor, oov: NDArray[np.bool_]
    ) -> tuple[TokenScore, ...]:
        ids, spans = reading.encoded[number]
        end = len(reading.texts[number])
        targets = reading.rows.targets[reading.parts[number]].tolist()
        # A first token that was only read has no score; </s> comes after the text's own tokens.
        scored = [*spans.tolist(), *[[end, end]] * self.eos][len(ids) + self.eos - len(targets) :]
        texts = map(self.tokenizer.token, targets)
        columns = zip(targets, texts, log_probs.tolist(), oov.tolist(), scored, strict=True)
        return tuple(
            TokenScore(token, text, log_prob, is_oov, start, stop)
            for token, text, log_prob, is_oov, (start, stop) in columns
        )


def _scored(reading: Reading) -> tuple[NDArray[np.bool_], Ids]:
    """Mark the scored ones of N tokens, bool [N], and name the text of each scored token."""
    owners = np.repeat(np.arange(len(reading.texts)), reading.rows.lengths)
    places = np.arange(len(owners))
    scored = (places >= reading.starts[owners]) & (places < reading.ends[owners])
    return scored, owners[scored]


def sum_scores(
    texts: Sequence[str], owners: Ids, log_probs: Tensor, oov: NDArray[np.bool_]
) -> list[Score]:
    """The scores of R texts, with `Score.tokens` and `Score.words` empty.

    owners int64 [n] is the number of each scored token's text; log_probs float32 [n] are in nats;
    oov bool [n] tells whether the token is <unk>.
    """
    R, unknown = len(texts), owners[oov]
    columns = zip(
        texts,
        _sums(owners, log_probs, R),
        np.bincount(owners, minlength=R).tolist(),
        (len(text.split()) for text in texts),
        np.bincount(unknown, minlength=R).tolist(),
        _sums(unknown, log_probs[oov], R),
        strict=True,
    )
    return [Score(*column) for column in columns]


def _sums(owners: Ids, values: Tensor, R: int) -> Any:
    # For empty arrays NumPy gives integers.
    return np.bincount(owners, values, R).astype(np.float64).tolist()
