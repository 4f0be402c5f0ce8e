"""Continuous batching: completions of many requests step together, in one batch.

A completion that ends makes room for one that waits. Letters in shapes: B live drafts, V
vocabulary, n tokens of a prompt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmscore.runtime.decoding import (
    Draft,
    Prompt,
    Sample,
    SamplingOptions,
    after_line_end,
    choose_tokens,
)
from lmscore.runtime.engine import ReadPrompt, Row, Tensor, gather, read_prompts
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import TokenScore
from lmscore.runtime.text import Ids

_ARRAYS = 8  # arrays [B, V] that warping and drawing need, beside those of the graph

Alternatives = list[tuple[int, float]]
"""The likeliest tokens, best first, and their log-probabilities in nats."""


@dataclass(frozen=True)
class Piece:
    """What became certain of a sample in one step."""

    text: str
    tokens: Sequence[TokenScore]
    alternatives: Sequence[Alternatives]  # of each token, where they were asked for
    sample: Sample | None  # the whole of it, once it is finished


@dataclass(eq=False)
class Completion:
    """A prompt, what is wanted of it, and what became of it.

    Attributes:
        ids: int64 [n + 1], what the model reads: <s> and the tokens of the prompt.
        prompt: the same as a prompt of a draft.
        options: how to continue; None: the prompt is only read.
        echo: the number of alternatives of the prompt's tokens; None: they are not scored.
        alternatives: the number of alternatives of the drawn tokens; None: none.
        on_read, on_piece: called in the model's thread.
        read: the prompt as it was read.
        samples: finished, by number.
        drawn: the alternatives of the tokens of each sample.
    """

    ids: Ids
    prompt: Prompt
    options: SamplingOptions | None
    echo: int | None = None
    alternatives: int | None = None
    on_read: Callable[[ReadPrompt], object] | None = None
    on_piece: Callable[[int, Piece], object] | None = None
    read: ReadPrompt | None = None
    samples: dict[int, Sample] = field(default_factory=dict)
    drawn: dict[int, Sequence[Alternatives]] = field(default_factory=dict)
    error: Exception | None = None
    is_wanted: bool = True

    @property
    def is_finished(self) -> bool:
        """Whether all samples are there."""
        wanted = 0 if self.options is None else self.options.num_samples
        return self.read is not None and len(self.samples) == wanted

    @property
    def goes_on(self) -> bool:
        """Whether there is still something to do for it."""
        return self.is_wanted and self.error is None


@dataclass(eq=False)
class _Live:
    """A draft among the others, and what it reads next."""

    completion: Completion
    number: int
    draft: Draft
    token: int
    row: Row
    alternatives: list[Alternatives] = field(default_factory=list)
    released: int = 0  # tokens that were given to `on_piece`

    def piece(self, text: str) -> Piece:
        """What the last token made certain; tokens that may fall to a stop string wait."""
        sample = self.draft.sample() if self.draft.is_finished else None
        if sample is not None:
            tokens: Sequence[TokenScore] = sample.tokens
        else:
            certain = len(self.draft.continuation.text)
            tokens = [token for token in self.draft.continuation.tokens if token.end <= certain]
        part = slice(self.released, len(tokens))
        self.released = max(self.released, len(tokens))
        return Piece(text, tokens[part], self.alternatives[part], sample)


class Decoder:
    """Reads prompts and draws their continuations, a token of each in every step."""

    def __init__(self, lm: LanguageModel, *, budget: int, rows: int | None = None) -> None:
        """Take a model; `budget` is the tokens of prompts read at once, `rows` the most drafts."""
        self._engine, self._tokenizer = lm.engine, lm.tokenizer
        self._budget = budget
        self._most = rows or max(1, lm.engine.token_budget // _ARRAYS)
        self._unread: deque[Completion] = deque()
        self._ready: deque[tuple[Completion, SamplingOptions, int, Row]] = deque()
        self._live: list[_Live] = []

    @property
    def num_live(self) -> int:
        """The drafts that step together."""
        return len(self._live)

    def add(self, completions: Iterable[Completion]) -> None:
        """Put completions at the end of the queue."""
        self._unread.extend(completions)

    def step(self) -> None:
        """Read some prompts, then draw one token of each draft."""
        self._live = [one for one in self._live if one.completion.goes_on]
        if len(self._ready) < self._most:
            self._read()
        while self._ready and len(self._live) < self._most:
            completion, options, number, row = self._ready.popleft()
            if completion.goes_on:
                self._live.append(self._begin(completion, options, number, row))
        if self._live:
            try:
                self._advance(self._live)
            except Exception as error:  # the graph itself fails: for all of them
                for one in self._live:
                    one.completion.error = error
        self._live = [one for one in self._live if not one.draft.is_finished]

    def _read(self) -> None:
        """Read the prompts that have waited longest, as many as fit the budget."""
        left = self._budget
        some: list[Completion] = []
        while self._unread and (not some or left >= len(self._unread[0].ids)):
            completion = self._unread.popleft()
            if completion.goes_on:
                left -= len(completion.ids)
                some.append(completion)
        for echo in sorted({c.echo for c in some}, key=lambda k: -1 if k is None else k):
            group = [completion for completion in some if completion.echo == echo]
            self._read_group(group, echo)

    def _read_group(self, group: Sequence[Completion], echo: int | None) -> None:
        try:
            found = read_prompts(self._engine, [c.ids for c in group], k=echo)
        except Exception as error:
            for completion in group:
                completion.error = error
            return
        for completion, read in zip(group, found, strict=True):
            if completion.on_read is not None:
                completion.on_read(read)
            if (options := completion.options) is not None:
                for number in range(options.num_samples):
                    self._ready.append((completion, options, number, read.row))
            completion.read = read

    def _begin(
        self, completion: Completion, options: SamplingOptions, number: int, row: Row
    ) -> _Live:
        draft = Draft.start(
            self._tokenizer,
            self._engine.config,
            completion.prompt,
            options,
            number=number,
        )
        return _Live(completion, number, draft, int(completion.ids[-1]), row)

    def _advance(self, live: Sequence[_Live]) -> None:
        state, parents = gather([one.row for one in live])
        step = self._engine.step(np.array([one.token for one in live]), state, parents)
        for number, one in enumerate(live):
            one.row = Row(step.state, number)
            if one.completion.alternatives is not None:
                one.alternatives.append(_best(step.log_probs[number], one.completion.alternatives))
        config = self._engine.config
        tokens = choose_tokens(step.log_probs, [one.draft for one in live], config)
        drawn = step.log_probs[np.arange(len(live)), tokens].tolist()
        read = after_line_end(tokens, config).tolist()
        for one, token, log_prob, one.token in zip(live, tokens.tolist(), drawn, read, strict=True):
            text = one.draft.extend(token, log_prob)
            if one.completion.on_piece is not None:
                one.completion.on_piece(one.number, one.piece(text))
            if one.draft.is_finished:
                one.completion.samples[one.number] = one.draft.sample()
                one.completion.drawn[one.number] = one.alternatives


def _best(log_probs: Tensor, k: int) -> Alternatives:
    """The k likeliest of log-probs [V]; of equally likely ones the lower id comes first."""
    k = min(k, len(log_probs))
    if k == 0:
        return []
    least = np.partition(log_probs, len(log_probs) - k)[len(log_probs) - k]
    ids = np.flatnonzero(log_probs >= least)
    ids = ids[np.argsort(-log_probs[ids], kind="stable")][:k]
    return list(zip(ids.tolist(), log_probs[ids].tolist(), strict=True))
