"""Words of a text, the tokens that make them up, and what they score.

A word is what white space separates, as `str.split` has it. The tokens that spell it belong to it,
and so do those of the white space before it. A token that reaches into several words joins them
into one record (the tokenizers that lmscore trains split at white space, and have none). A word
that the tokenizer drops has no tokens, and log-probability 0. White space after the last word
belongs to </s>; where </s> is not scored, to the last word; where there is no word, to a record
with an empty text.

Scores follow Pimentel and Meister, "How to Compute the Probability of a Word" (2024), for
vocabularies that mark where words begin: the token that begins a word is also what shows that the
word before is over, so the probability Z of any such token is a part of the word before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.score import WordScore
from lmscore.runtime.text import Ids, TextTokenizer

END = "</s>"  # the text of the record that is the end of a sentence

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class WordTokens:
    """The records of a text, and the one that each token belongs to. R records, n tokens."""

    texts: list[str]  # R
    spans: list[tuple[int, int]]  # R, character offsets into the text
    owners: Ids  # [n], numbers of records, never falling; with </s> where it is scored

    @property
    def boundaries(self) -> Ids:
        """The tokens whose record is another than that of the token before them."""
        return np.flatnonzero(np.diff(self.owners)) + 1


def word_tokens(text: str, spans: Ids, *, eos: bool) -> WordTokens:
    """Find the words of a text, and give them its tokens.

    Args:
        text: what was tokenized.
        spans: int64 [n, 2], the character offsets of its tokens.
        eos: whether </s> follows and is scored.
    """
    words = np.array([match.span() for match in _WORD.finditer(text)], np.int64).reshape(-1, 2)
    starts, ends = words[:, 0], words[:, 1]
    # A token within a word has that word as both. White space has the one after it as its first.
    first = np.maximum.accumulate(np.searchsorted(ends, spans[:, 0], side="right"))
    last = np.searchsorted(starts, spans[:, 1], side="left") - 1
    joined = _joined(first, last, len(words))
    records = list(zip(starts[~joined[:-1]].tolist(), ends[~joined[1:]].tolist(), strict=True))
    texts = [text[start:end] for start, end in records]
    owners = (np.cumsum(~joined) - 1)[first]
    if eos:
        owners = np.append(owners, len(records))
    elif records:
        owners = np.minimum(owners, len(records) - 1)
    if len(owners) and owners[-1] == len(records):
        texts.append(END if eos else "")
        records.append((len(text), len(text)))
    return WordTokens(texts, records, owners)


def _joined(first: Ids, last: Ids, count: int) -> NDArray[np.bool_]:
    """Whether each of `count` words, and their end, shares a token with the word before it."""
    joined = np.zeros(count + 1, np.bool_)
    for token in np.flatnonzero(last > first):
        joined[first[token] + 1 : last[token] + 1] = True
    return joined


def word_scores(
    words: WordTokens, log_probs: Tensor, boundaries: Tensor, oov: NDArray[np.bool_]
) -> tuple[WordScore, ...]:
    """Sum tokens to words; the words sum to what the tokens sum to.

    Args:
        words: R records of n tokens.
        log_probs: float32 [m], nats, of the last m tokens: those before them were only read.
        boundaries: float32 [m], log Z where a token shows that the word before it is over, 0
            elsewhere.
        oov: bool [m].
    """
    R, skipped = len(words.texts), len(words.owners) - len(log_probs)
    owners = words.owners[skipped:]
    at = words.boundaries
    log_z = boundaries[at - skipped]
    sums = np.bincount(owners, log_probs, minlength=R)
    sums += np.bincount(words.owners[at - 1], log_z, minlength=R)
    sums -= np.bincount(words.owners[at], log_z, minlength=R)
    has_oov = np.bincount(owners, oov, minlength=R) > 0
    counts = np.bincount(owners, minlength=R)
    columns = zip(
        words.texts, sums.tolist(), has_oov.tolist(), words.spans, counts.tolist(), strict=True
    )
    return tuple(
        WordScore(text, log_prob, is_oov, *span, count)
        for text, log_prob, is_oov, span, count in columns
    )


def boundary_tokens(tokenizer: TextTokenizer, bos: int) -> Ids | None:
    """The ids that show that the word before them is over.

    None where all do (`bos` does not count, which is never predicted), as in a word model: then Z
    is 1.
    """
    begins = tokenizer.begins_word
    return None if np.delete(begins, bos).all() else np.flatnonzero(begins)
