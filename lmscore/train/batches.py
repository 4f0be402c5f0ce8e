"""Batches of token ids: sentences sorted by length, or one long text in parallel tracks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmscore.bundle import Config
from lmscore.errors import OptionError
from lmscore.runtime.text import Ids, places
from lmscore.train.corpus import Corpus
from lmscore.train.line_order import LineOrder
from lmscore.train.options import TrainOptions

PADDING = -1  # as a target: not a token, no loss

# Sentences are shuffled, and so many at a time sorted by length: enough that there is little
# padding, few enough that batches stay random. Large batches need large pools: with four lines for
# each token of a batch, less than 5 % of the tokens of English novels are padding at any size.
_POOL = 1 << 14
_POOL_FOR_A_TOKEN = 4

# Longer sentences are read in pieces with the state carried: no line is too long to train on.
_LONGEST = 256

# Lengths are drawn around bptt, or sometimes around half of it (Merity et al. 2017, section 4.1).
_HALVED = 0.05  # the share of draws around half of bptt
_DEVIATION = 5.0  # tokens
_SHORTEST = 5


@dataclass(frozen=True)
class Batch:
    """The tokens of B rows, time first."""

    inputs: Tensor  # int64 [T, B]
    targets: Tensor  # int64 [T, B], PADDING where a row has ended
    num_tokens: int  # targets that are not PADDING
    continues: bool  # the rows go on where the rows of the previous batch ended
    # int64 [num_tokens], which of the flattened targets are not PADDING, where that is known
    counted: Tensor | None = None

    def pinned(self) -> Batch:
        """The same batch in memory that a GPU copies from while the host goes on."""
        counted = self.places().pin_memory()
        return Batch(
            self.inputs.pin_memory(),
            self.targets.pin_memory(),
            self.num_tokens,
            self.continues,
            counted,
        )

    def places(self) -> Tensor:
        """`counted`, found if it is not known."""
        if self.counted is not None:
            return self.counted
        return (self.targets.flatten() != PADDING).nonzero().squeeze(1)


class SentenceBatches:
    """Batches of sentences of similar length; each row begins with the initial state."""

    def __init__(
        self,
        corpus: Corpus,
        config: Config,
        *,
        tokens: int,
        seed: int | None,
        lines: Ids | None = None,
        order: LineOrder | None = None,
    ) -> None:
        """Plan batches of a corpus, of at most `tokens` tokens with padding.

        Every sentence begins with the config's prefix_token_id. `seed` shuffles the lines; without
        it they keep their order. `lines` are the numbers of the lines to read. Default: all.
        `order` draws the lines of each epoch instead.
        """
        self._corpus, self._bos = corpus, config.prefix_token_id
        self._tokens_at_once, self._seed = tokens, seed
        self._lines, self._order = lines, order

    @property
    def tokens(self) -> int:
        """The number of targets in an epoch."""
        if self._order is not None:
            return self._order.tokens
        if self._lines is None:
            return self._corpus.num_targets
        return int(self._corpus.targets(self._lines).sum())

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """Iterate over the batches of an epoch, without the first `skip`."""
        starts = self._corpus.starts
        for rows in self._plan(number):
            longest = int((starts[rows + 1] - starts[rows]).max())
            # A pair is read whole: a piece of its first text would have no target.
            pieces = range(0, longest, _LONGEST if self._corpus.heads is None else longest)
            if skip < len(pieces):
                yield from self._pieces(rows, longest, pieces[skip:])
            skip = max(0, skip - len(pieces))

    def _plan(self, number: int) -> Iterator[Ids]:
        """The line numbers of each batch."""
        random = np.random.default_rng((self._seed or 0, number))
        order = self._drawn(random)
        if self._order is not None and self._order.in_order:
            yield from self._neighbours(order)
            return
        pool = max(_POOL, _POOL_FOR_A_TOKEN * self._tokens_at_once)
        for first in range(0, len(order), pool):
            batches = self._by_length(order[first : first + pool])
            for index in random.permutation(len(batches)):
                yield batches[index]

    def _drawn(self, random: np.random.Generator) -> Ids:
        if self._order is not None:
            return self._order.draw(random)
        order = np.arange(self._corpus.counts.lines) if self._lines is None else self._lines
        return order if self._seed is None else random.permutation(order)

    def _neighbours(self, order: Ids) -> Iterator[Ids]:
        """Cut lines into batches without another order."""
        lengths = self._corpus.starts[order + 1] - self._corpus.starts[order]
        first = longest = 0
        for number, length in enumerate(lengths.tolist()):
            longest = max(longest, length)
            if number > first and longest * (number + 1 - first) > self._tokens_at_once:
                yield order[first:number]
                first, longest = number, length
        if first < len(order):
            yield order[first:]

    def _by_length(self, pool: Ids) -> list[Ids]:
        """Sort lines by length, longest first, and cut them into batches."""
        lengths = self._corpus.starts[pool + 1] - self._corpus.starts[pool]
        longest_first = np.argsort(-lengths, kind="stable")
        pool, lengths = pool[longest_first], lengths[longest_first]
        batches = []
        start = 0
        while start < len(pool):
            rows = max(1, self._tokens_at_once // int(lengths[start]))
            batches.append(pool[start : start + rows])
            start += rows
        return batches

    def _pieces(self, rows: Ids, longest: int, pieces: range) -> Iterator[Batch]:
        first = np.asarray(self._corpus.starts[rows])
        lengths = self._corpus.starts[rows + 1] - first
        targets = np.full((len(rows), longest), PADDING, np.int64)
        inside = np.arange(longest) < lengths[:, None]
        targets[inside] = self._corpus.tokens[places(first, lengths)]
        inputs = np.full((len(rows), longest), self._bos, np.int64)
        inputs[:, 1:] = np.maximum(targets[:, :-1], 0)
        if self._corpus.heads is not None:
            for row, head in enumerate(self._corpus.heads[rows]):
                targets[row, :head] = PADDING
        for begin in pieces:
            piece = slice(begin, begin + pieces.step)
            yield Batch(
                time_first(inputs[:, piece]),
                time_first(targets[:, piece]),
                int((targets[:, piece] != PADDING).sum()),
                continues=begin > 0,
            )


class DocumentBatches:
    """Batches of one long text, cut into parallel tracks that are read bptt tokens at a time.

    The state is carried from batch to batch (truncated BPTT); `</s>` precedes the first line.
    The few tokens that do not fill the tracks evenly are not read. With `seed`, lengths are drawn
    around bptt, so that different tokens are at the ends of batches in each epoch.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: Config,
        *,
        rows: int,
        bptt: int,
        most_tokens: int | None = None,
        seed: int | None = None,
    ) -> None:
        """Plan batches; of at most `most_tokens` in all, from the beginnings of the tracks."""
        self._corpus = corpus
        self._eos = config.eos_token_id
        # A short text makes fewer tracks: context is worth more than rows.
        self._rows = max(1, min(rows, len(corpus.tokens) // bptt))
        self._bptt, self._seed = bptt, seed
        self._track = len(corpus.tokens) // self._rows
        self._steps = self._track
        if most_tokens is not None:
            self._steps = max(1, min(self._track, most_tokens // self._rows))

    @property
    def tokens(self) -> int:
        """The number of targets in an epoch."""
        return self._rows * self._steps

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """Iterate over the batches of an epoch, without the first `skip`."""
        step = 0
        for index, drawn in enumerate(self._lengths(number)):
            if step >= self._steps:
                return
            length = min(drawn, self._steps - step)
            if index >= skip:
                yield self._batch(step, length)
            step += length

    def _lengths(self, number: int) -> Iterator[int]:
        """Draw lengths of batches, without end."""
        if self._seed is None:
            yield from itertools.repeat(self._bptt)
        random = np.random.default_rng((self._seed or 0, number))
        while True:
            mean = self._bptt / 2 if random.random() < _HALVED else self._bptt
            yield max(_SHORTEST, round(random.normal(mean, _DEVIATION)))

    def _batch(self, step: int, T: int) -> Batch:
        B = self._rows
        begins = np.arange(B)[:, None] * self._track + step
        # One more on the left: the first input.
        window = self._corpus.tokens[begins + np.arange(-1, T)].astype(np.int64)
        if step == 0:
            window[0, 0] = self._eos
        return Batch(
            time_first(window[:, :-1]), time_first(window[:, 1:]), B * T, continues=step > 0
        )


Batches = SentenceBatches | DocumentBatches
"""A source of batches that gives the same ones for the same seed and epoch."""


def training_batches(
    corpus: Corpus, config: Config, options: TrainOptions, weights: Sequence[float] = ()
) -> Batches:
    """The batches for the context mode of a model, with batch_size * bptt tokens per update.

    `weights` say how often an epoch reads the lines of each file; by default once. Raises
    OptionError if they leave it less than a token.
    """
    if config.context == "document" and corpus.heads is None:
        rows, seed = options.batch_size, options.seed if options.random_bptt else None
        return DocumentBatches(corpus, config, rows=rows, bptt=options.bptt, seed=seed)
    tokens = options.batch_size * options.bptt
    order = LineOrder(corpus, weights, in_order=options.order == "given")
    if order.tokens == 0:
        raise OptionError("train: its weights leave no line to an epoch; give larger ones")
    return SentenceBatches(corpus, config, tokens=tokens, seed=options.seed, order=order)


def time_first(rows: Ids) -> Tensor:
    """Convert rows [B, T] to the tensor [T, B] that a network reads."""
    return torch.from_numpy(np.ascontiguousarray(rows.T))
