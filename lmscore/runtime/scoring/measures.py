"""The entropy of each distribution, the rank of each token, and the likeliest alternatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmscore.runtime.engine import Engine, Measured, reading_order
from lmscore.runtime.scoring.words import word_tokens
from lmscore.runtime.text import Encoded, IdRows, Ids, TextTokenizer

_TEXTS = 64  # read at once

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


def measure_texts(
    engine: Engine, tokenizer: TextTokenizer, texts: Sequence[str], *, k: int
) -> Iterator[TextMeasures]:
    """Measure texts, each from the initial state, <s> read and </s> scored.

    A word is measured at the first of its tokens that the model reads: in a backward model the last
    of its text.
    """
    for start in range(0, len(texts), _TEXTS):
        some = texts[start : start + _TEXTS]
        encoded = tokenizer.encode_spans(some, first=start + 1)
        for text, tokens in zip(some, encoded, strict=True):
            yield _measure(engine, tokenizer, text, tokens, k)


def _measure(
    engine: Engine, tokenizer: TextTokenizer, text: str, encoded: Encoded, k: int
) -> TextMeasures:
    config = engine.config
    ids = reading_order(IdRows.of([encoded.ids]), config).ids
    targets = np.append(ids, config.eos_token_id)
    read = np.insert(ids, 0, config.bos_token_id)
    parts = list(_runs(engine, read, targets, k))
    columns = (
        np.concatenate([part.target_log_probs[0, :, 0] for part in parts]).tolist(),
        np.concatenate([part.entropies[0] for part in parts]).tolist(),
        np.concatenate([part.target_ranks[0, :, 0] for part in parts]).tolist(),
    )
    best = [
        tuple(zip(map(tokenizer.token, row.tolist()), values.tolist(), strict=True))
        for part in parts
        for row, values in zip(part.top_tokens[0], part.top_log_probs[0], strict=True)
    ]
    order = np.arange(len(targets))
    if config.direction == "backward":
        order[:-1] = order[:-1][::-1]
    size = len(text)
    places = [*encoded.spans.tolist(), [size, size]]
    tokens = []
    for place, (begin, end) in zip(order.tolist(), places, strict=True):
        log_prob, entropy, rank = (column[place] for column in columns)
        token = int(targets[place])
        spelt = tokenizer.token(token)
        tokens.append(TokenMeasures(token, spelt, begin, end, log_prob, entropy, rank, best[place]))
    words = _words(text, encoded.spans, tokens, backward=config.direction == "backward")
    return TextMeasures(text, tuple(tokens), words)


def _runs(engine: Engine, read: Ids, targets: Ids, k: int) -> Iterator[Measured]:
    """Run one row through the graph, in pieces of bounded size."""
    state = engine.initial_state()
    for start in range(0, len(read), engine.token_budget):
        part = slice(start, start + engine.token_budget)
        found = engine.measures(read[None, part], targets[None, part, None], state, k=k)
        engine.check_finite(found.target_log_probs)
        engine.check_finite(found.entropies)
        state = found.state
        yield found


def _words(
    text: str, spans: Ids, tokens: Sequence[TokenMeasures], *, backward: bool
) -> tuple[WordMeasures, ...]:
    words = word_tokens(text, spans, eos=True)
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
