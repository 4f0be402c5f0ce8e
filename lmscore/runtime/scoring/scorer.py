"""Scorer: texts to token rows, and their log-probabilities to scores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Context
from lmscore.errors import OptionError
from lmscore.runtime.engine import (
    Boundaries,
    Engine,
    RowScores,
    ScoredRows,
    State,
    Tensor,
    TokenRows,
    reading_order,
    score_document,
    start_rows,
    token_rows,
)
from lmscore.runtime.scoring.ahead import ahead
from lmscore.runtime.scoring.columns import made_of_columns
from lmscore.runtime.scoring.measures import TextMeasures, measured_texts
from lmscore.runtime.scoring.oov_cost import OovCost
from lmscore.runtime.scoring.prefix import Prefix, encode_after, prefix_lead, split_space
from lmscore.runtime.scoring.score import Parts, Score, unread_scores
from lmscore.runtime.scoring.scored_text import Convention, ScoredText
from lmscore.runtime.scoring.stream_windows import Window
from lmscore.runtime.scoring.words import boundary_tokens
from lmscore.runtime.text import IdRows, Ids, TextTokenizer, count_characters, places

Result = TypeVar("Result")

_NO_IDS = np.empty(0, np.int64)


@dataclass(frozen=True)
class Reading:
    """The tokens that the model reads for some texts. R texts, N tokens in all rows."""

    texts: Sequence[str]  # R
    spans: Sequence[Ids | None]  # R, the offsets [n, 2] of each text's tokens if they are known
    rows: TokenRows
    scored: Ids  # [n], the scored ones of the N tokens: text by text, each in its own order
    counts: Ids  # [R], how many of the n belong to each text


_Found = tuple[Reading, RowScores]


@dataclass(frozen=True)
class Scorer:
    """A model, its tokenizer, and the convention by which texts are scored."""

    engine: Engine
    tokenizer: TextTokenizer
    bos: bool = True
    eos: bool = True
    context: Context = "sentence"
    tokens: bool = False  # whether to fill Score.tokens
    words: bool = False  # whether to fill Score.words
    joiner: str = ""  # between a prefix and its text, in sentence context
    ahead: int = 1  # windows that are read while one is being scored
    alternatives: int | None = None  # of `measured`: the likeliest tokens that are given
    oov_cost: OovCost | None = None  # of each <unk>, beside its log-probability
    characters: bool = False  # whether words are user-perceived characters

    def stream(
        self, windows: Iterable[Window], prefix: str | None, *, carry: bool
    ) -> Iterator[Score]:
        """Score windows of texts, in their order.

        Args:
            windows: texts, perhaps with a prefix for each.
            prefix: of the texts without one of their own.
            carry: whether each text begins in the state after the text before it.

        Raises:
            InputError: a text or prefix has no ids; names its number.
            ModelError: the model yields nan or inf.
        """
        return _flat(self._found(windows, prefix, carry=carry), self._scores)

    def measured(self, windows: Iterable[Window]) -> Iterator[TextMeasures]:
        """Score and measure texts that each begin with <s>, as sentences of their own."""
        return _flat(self._found(windows, None, carry=False), self._measures)

    def _found(
        self, windows: Iterable[Window], prefix: str | None, *, carry: bool
    ) -> Generator[_Found, None, None]:
        """What the model reads and finds for each window."""
        (shared,) = self._prefixes([prefix or ""], first=1)
        state = self.engine.state_after(shared.lead, self.engine.initial_state())
        shared = replace(shared, lead=_NO_IDS)
        return (
            self._carried(windows, shared, state) if carry else self._apart(windows, shared, state)
        )

    def _apart(
        self, windows: Iterable[Window], shared: Prefix, state: State
    ) -> Generator[_Found, None, None]:
        """Run windows of texts that each begin in the same state."""

        def start(window: Window) -> tuple[Reading, ScoredRows]:
            reading = self._read(window, shared)
            return reading, start_rows(self.engine, reading.rows, state)

        started = ahead(start, windows, count=self.ahead, drop=lambda pair: pair[1].cancel())
        with closing(started):
            for reading, rows in started:
                yield reading, rows.result()

    def _carried(
        self, windows: Iterable[Window], shared: Prefix, state: State
    ) -> Generator[_Found, None, None]:
        """Run windows of texts that pass their state on."""
        read = partial(self._read, shared=shared)
        with closing(ahead(read, windows, count=self.ahead, drop=lambda _: None)) as readings:
            for reading in readings:
                found, state = score_document(self.engine, reading.rows, state)
                yield reading, found

    def _prefixes(self, texts: Sequence[str], *, first: int) -> list[Prefix]:
        ids = self.tokenizer.encode_batch(texts, first=first, name="prefix")
        return list(map(self._prefix, texts, ids))

    def _prefix(self, text: str, ids: Ids) -> Prefix:
        bos = np.array([self.engine.config.bos_token_id] if self.bos else [], np.int64)
        if self.context == "document":  # the text begins as it would after any other
            begin = np.array([self.engine.config.prefix_token_id]) if self.bos else bos
            lead = prefix_lead(self.engine.config, ids, begin) if text else _NO_IDS
            return Prefix(text, "", ids, lead=lead, first=bos)
        text, space, ids = split_space(self.tokenizer, text, ids)
        before = np.concatenate((bos, ids))
        return Prefix(text, space, ids, lead=before[:-1], first=before[-1:])

    def log_probs(self, windows: Iterable[Sequence[Ids]]) -> Iterator[Tensor]:
        """Score windows of texts that are token ids already, as sentences of their own.

        Yields the log-probabilities float32 [n] (nats) of each text's scored tokens, in its order.
        """
        before = np.array([self.engine.config.bos_token_id] if self.bos else [], np.int64)
        state = self.engine.initial_state()

        def start(texts: Sequence[Ids]) -> tuple[Ids, Ids, ScoredRows]:
            repeated = IdRows.repeated(before, len(texts))
            rows, scored, counts = self._rows(IdRows.of(texts), repeated, np.zeros(1, np.int64))
            return scored, counts, start_rows(self.engine, rows, state)

        started = ahead(start, windows, count=self.ahead, drop=lambda found: found[2].cancel())
        with closing(started):
            for scored, counts, rows in started:
                log_probs = rows.result().log_probs[scored]
                self.engine.check_finite(log_probs)
                ends = np.cumsum(counts)
                # Copies: one text that is kept must not keep its whole window.
                for first, end in zip((ends - counts).tolist(), ends.tolist(), strict=True):
                    yield log_probs[first:end].copy()

    def _read(self, window: Window, shared: Prefix) -> Reading:
        R = len(window.texts)
        own = self._prefixes(window.prefixes, first=window.first)
        ids, spans = self._encode(window, own or [shared] * R)
        before = (
            IdRows.of([prefix.tokens for prefix in own])
            if own
            else IdRows.repeated(shared.tokens, R)
        )
        leads = np.array([len(prefix.lead) for prefix in own] or [0], np.int64)
        rows, scored, counts = self._rows(ids, before, leads)
        rows = replace(rows, alternatives=self.alternatives)
        return Reading(window.texts, spans, rows, scored, counts)

    def _rows(self, ids: IdRows, before: IdRows, leads: Ids) -> tuple[TokenRows, Ids, Ids]:
        """The rows that the model reads for R texts, `scored` and `counts` of a `Reading`.

        `before` is what is read before each text; the first `leads` [R] or [1] tokens of it predict
        nothing that is scored.
        """
        config = self.engine.config
        texts = reading_order(ids, config)
        rows = token_rows(texts, before=before, eos=config.eos_token_id)
        starts = rows.starts + leads
        ends = np.maximum(starts, rows.starts + rows.lengths - (not self.eos))
        counts = ends - starts
        scored = places(starts, counts)
        if config.direction == "backward":
            scored = self._turned(scored, starts, ends, counts)
        elif self.words:
            whole = (counts > 0) & (counts == texts.lengths + self.eos)
            rows = self._with_boundaries(rows, scored, starts[whole])
        return rows, scored, counts

    def _turned(self, scored: Ids, starts: Ids, ends: Ids, counts: Ids) -> Ids:
        """The places of tokens in rows that are read from their end, </s> last.

        No Z is needed for the words: the token that begins a word is the last of it to be read.
        """
        own = ends - self.eos  # where the tokens of the text itself end
        turned = np.repeat(starts + own - 1, counts) - scored
        return np.where(scored < np.repeat(own, counts), turned, scored)

    def _encode(
        self, window: Window, prefixes: Sequence[Prefix]
    ) -> tuple[IdRows, Sequence[Ids | None]]:
        """The tokens of R texts; their offsets, where the texts alone do not tell them."""
        if self.context == "sentence" and any(prefix.text or prefix.space for prefix in prefixes):
            found = encode_after(
                self.tokenizer, prefixes, window.texts, joiner=self.joiner, number=window.first
            )
            return IdRows.of([each.ids for each in found]), [each.spans for each in found]
        rows = self.tokenizer.encode_rows(window.texts, first=window.first)
        return rows, [None] * len(window.texts)

    def _with_boundaries(self, rows: TokenRows, scored: Ids, firsts: Ids) -> TokenRows:
        """Add the places where a token shows that the word before it is over.

        `scored` are the places of scored tokens, `firsts` those of the first tokens of texts.
        """
        characters, tokenizer = self.characters, self.tokenizer
        bos = self.engine.config.bos_token_id
        tokens = boundary_tokens(tokenizer, bos, characters=characters)
        if tokens is None:
            return rows
        at = np.zeros(len(rows.targets), np.bool_)
        begins = tokenizer.begins_character if characters else tokenizer.begins_word
        at[scored] = begins[rows.targets[scored]]
        at[firsts] = False
        return replace(rows, boundaries=Boundaries(at, tokens))

    def _scores(self, reading: Reading, found: RowScores) -> list[Score]:
        log_probs = found.log_probs[reading.scored]
        self.engine.check_finite(log_probs)
        ids = reading.rows.targets[reading.scored]
        owners = np.repeat(np.arange(len(reading.texts)), reading.counts)
        oov = ids == self._unk_id
        if self.oov_cost is not None and oov.any():
            log_probs[oov] -= self.oov_cost.of(self._unknown(reading, ids, owners[oov]))
        parts: Sequence[ScoredText] = ()
        if self.tokens or self.words:
            with_z = reading.rows.boundaries is not None
            log_z = found.boundaries[reading.scored] if with_z else None
            parts = self._parts(reading, ids, log_probs, log_z)
        return sum_scores(
            reading.texts,
            owners,
            log_probs,
            oov,
            parts=parts,
            tokens=self.tokens,
            words=self.words,
            # Where neither <s> nor a prefix is read, nothing predicts the end of an empty text.
            num_ends=(self.eos & (reading.counts > 0)).astype(np.int64).tolist(),
            num_words=list(map(count_characters, reading.texts)) if self.characters else None,
        )

    def _measures(self, reading: Reading, found: RowScores) -> Iterator[TextMeasures]:
        if found.measures is None:
            raise OptionError("a scorer that measures has a number of alternatives")
        self.engine.check_finite(found.measures.entropies)
        return measured_texts(
            self._scores(reading, found),
            found.measures.at(reading.scored),
            self.tokenizer,
            backward=self.engine.config.direction == "backward",
            characters=self.characters,
        )

    def _parts(
        self, reading: Reading, ids: Ids, log_probs: Tensor, log_z: Tensor | None
    ) -> list[ScoredText]:
        """What the tokens and words of each text are computed from; copies, text by text."""
        convention = Convention(self.tokenizer, self._unk_id, self.eos, self.characters)
        R, ends = len(reading.texts), 4 * np.cumsum(reading.counts)
        cuts = list(map(slice, (ends - 4 * reading.counts).tolist(), ends.tolist()))
        return made_of_columns(
            ScoredText,
            R,
            convention=[convention] * R,
            ids=_cut(ids.astype(np.int32), cuts),
            log_probs=_cut(log_probs, cuts),
            log_z=[None] * R if log_z is None else _cut(log_z, cuts),
            spans=reading.spans,
        )

    def _unknown(self, reading: Reading, ids: Ids, owners: Ids) -> list[str]:
        """What the unknown tokens among the scored `ids` stand for; `owners` are their texts."""
        convention = Convention(self.tokenizer, self._unk_id, self.eos)
        ends = np.cumsum(reading.counts)
        found: list[str] = []
        for text in np.unique(owners).tolist():
            own = ids[ends[text] - reading.counts[text] : ends[text]].astype(np.int32).tobytes()
            scored = ScoredText(convention, own, b"", None, reading.spans[text])
            found += scored.unknown(reading.texts[text])
        return found

    @property
    def _unk_id(self) -> int:
        """The id of <unk>; -1 if there is none."""
        unk_id = self.engine.config.unk_token_id
        return -1 if unk_id is None else unk_id


def _flat(
    found: Generator[_Found, None, None],
    results: Callable[[Reading, RowScores], Iterable[Result]],
) -> Iterator[Result]:
    """The results of each window, one text after another."""
    with closing(found):
        for reading, scores in found:
            yield from results(reading, scores)


def _cut(array: NDArray[Any], cuts: Sequence[slice]) -> list[bytes]:
    """The bytes of parts of an array: quicker to copy than small arrays, and smaller."""
    return list(map(array.tobytes().__getitem__, cuts))


def sum_scores(
    texts: Sequence[str],
    owners: Ids,
    log_probs: Tensor,
    oov: NDArray[np.bool_],
    *,
    parts: Sequence[Parts] = (),
    tokens: bool = False,
    words: bool = False,
    num_ends: Sequence[int] | None = None,
    num_words: Sequence[int] | None = None,
) -> list[Score]:
    """The scores of R texts.

    Args:
        texts: R.
        owners: int64 [n], the number of each scored token's text.
        log_probs: float32 [n], nats.
        oov: bool [n], whether the token is <unk>.
        parts: R, from which tokens and words are computed when they are read.
        tokens: whether `Score.tokens` is computed so; else it is empty.
        words: whether `Score.words` is.
        num_ends: R, the scored </s> of each text. Default: 1.
        num_words: R, the words of each text. Default: they are counted between white space.
    """
    R, unknown = len(texts), owners[oov]
    return unread_scores(
        texts,
        _sums(owners, log_probs, R),
        np.bincount(owners, minlength=R).tolist(),
        np.bincount(unknown, minlength=R).tolist(),
        _sums(unknown, log_probs[oov], R),
        parts,
        tokens=tokens,
        words=words,
        num_ends=num_ends,
        num_words=num_words,
    )


def _sums(owners: Ids, values: Tensor, R: int) -> Any:
    # For empty arrays NumPy gives integers.
    return np.bincount(owners, values, R).astype(np.float64).tolist()
