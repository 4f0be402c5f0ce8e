"""The entropy of each distribution, the rank of each token, and the likeliest alternatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.score import Score
from lmscore.runtime.scoring.words import word_tokens
from lmscore.runtime.text import Ids, TextTokenizer

Alternative = tuple[str, float]
"""A token as the vocabulary spells it, and its log-probability in nats."""


@dataclass(frozen=True, slots=True)
class TokenMeasures:
    """A scored token, and the distribution from which its probability came."""

    id: int
    text: str  # as the vocabulary spells it
    start: int  # offsets into the text, in characters; </s>: its length, twice
    end: int
    log_prob: float  # nats
    entropy: float  # nats, of the distribution
    rank: int  # 1 and the number of likelier tokens
    alternatives: tuple[Alternative, ...]  # the likeliest tokens, best first


@dataclass(frozen=True, slots=True)
class WordMeasures:
    """A word, and the distribution at its first token; not one over words."""

    text: str  # as in the text; "</s>" for the end
    start: int  # offsets into the text, in characters; </s>: its length, twice
    end: int
    onset_entropy: float  # nats
    onset_rank: int
    onset_alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class TextMeasures:
    """The measures of one text."""

    text: str
    tokens: tuple[TokenMeasures, ...]  # in the order of the text, </s> last
    words: tuple[WordMeasures, ...]
    score: Score  # of the same text, with the same log-probabilities


class DistributionMeasures(Protocol):
    """The measures of N distributions, such as the engine's."""

    @property
    def entropies(self) -> Tensor:
        """float32 [N], nats."""

    @property
    def ranks(self) -> Ids:
        """int64 [N], of the tokens that are there."""

    @property
    def top_log_probs(self) -> Tensor:
        """float32 [N, k], nats, best first."""

    @property
    def top_tokens(self) -> Ids:
        """int64 [N, k]."""


def measured_texts(
    scores: Sequence[Score],
    measures: DistributionMeasures,
    tokenizer: TextTokenizer,
    *,
    backward: bool,
    eos: bool = True,
    characters: bool = False,
) -> Iterator[TextMeasures]:
    """Put the measures of all scored tokens, in their order, beside the scores of R texts.

    The scores have tokens, with </s> among them if `eos`. With `characters`, words are
    user-perceived characters. A word is measured at the first of its
    tokens that the model reads: in a backward model the last of its text.
    """
    start = 0
    for score in scores:
        own = slice(start, start + score.num_tokens)
        start = own.stop
        columns = zip(
            score.tokens,
            measures.entropies[own].tolist(),
            measures.ranks[own].tolist(),
            _spelt(measures.top_tokens[own], measures.top_log_probs[own], tokenizer),
            strict=True,
        )
        tokens = tuple(
            TokenMeasures(t.id, t.text, t.start, t.end, t.log_prob, entropy, rank, best)
            for t, entropy, rank, best in columns
        )
        words = _words(score.text, tokens, backward=backward, eos=eos, characters=characters)
        yield TextMeasures(score.text, tokens, words, score)


def _spelt(
    tokens: Ids, log_probs: Tensor, tokenizer: TextTokenizer
) -> list[tuple[Alternative, ...]]:
    """The k alternatives of each of n tokens, from arrays [n, k]."""
    rows = zip(tokens.tolist(), log_probs.tolist(), strict=True)
    return [tuple(zip(tokenizer.tokens(row), values, strict=True)) for row, values in rows]


def _words(
    text: str, tokens: Sequence[TokenMeasures], *, backward: bool, eos: bool, characters: bool
) -> tuple[WordMeasures, ...]:
    own = tokens[: len(tokens) - eos]
    spans = np.array([(token.start, token.end) for token in own], np.int64).reshape(-1, 2)
    words = word_tokens(text, spans, eos=eos, characters=characters)
    onsets: dict[int, TokenMeasures] = {}
    for owner, token in zip(words.owners.tolist(), tokens, strict=True):
        if backward or owner not in onsets:
            onsets[owner] = token
    records = enumerate(zip(words.texts, words.spans, strict=True))
    return tuple(
        WordMeasures(word, *span, onsets[i].entropy, onsets[i].rank, onsets[i].alternatives)
        for i, (word, span) in records
        if i in onsets  # a word that the tokenizer drops has no token
    )
