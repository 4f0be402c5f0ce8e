"""Words of a text, the tokens that spell them, and their scores.

A word is a piece of text between white space, as `str.split` has it, or a user-perceived character
where the vocabulary spells a script without spaces. Its tokens spell it and the
white space before it. A token that reaches into several words joins them into one record (the
tokenizers that lmscore trains split at white space, and have no such token). A word that the
tokenizer drops has no tokens, and log-probability 0. White space after the last word belongs to
</s>; if </s> is not scored, to the last word; if there is no word, to a record with an empty text.

Scores follow Pimentel and Meister, "How to Compute the Probability of a Word" (2024), for
vocabularies that mark where words begin: the token that begins a word also shows that the word
before is over, so the probability Z of any such token is a part of the word before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.score import WordScore
from lmscore.runtime.text import Ids, TextTokenizer, character_spans, count_characters

END = "</s>"  # the text of the record for the end of a sentence

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class WordTokens:
    """The records of a text, and the one that each token belongs to. R records, n tokens."""

    texts: list[str]  # R
    spans: list[tuple[int, int]]  # R, character offsets into the text
    owners: Ids  # [n], numbers of records, never falling; with </s> where it is scored

    @property
    def boundaries(self) -> Ids:
        """The tokens that belong to another record than the token before them."""
        return np.flatnonzero(np.diff(self.owners)) + 1


def word_tokens(text: str, spans: Ids, *, eos: bool, characters: bool = False) -> WordTokens:
    """Find the words of a text, and give them its tokens.

    `spans` int64 [n, 2] has the character offsets of the tokens; `eos`: </s> follows and is scored.
    `characters`: a word is a user-perceived character.
    """
    words = np.array(_word_spans(text, characters=characters), np.int64).reshape(-1, 2)
    starts, ends = words[:, 0], words[:, 1]
    # A token within a word has that word as both. For white space, the first is the word after it.
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


def _word_spans(text: str, *, characters: bool) -> list[tuple[int, int]]:
    if not characters:
        return [match.span() for match in _WORD.finditer(text)]
    return [span for span in character_spans(text) if not text[slice(*span)].isspace()]


def count_words(text: str, *, characters: bool) -> int:
    """The number of words of a text."""
    return count_characters(text) if characters else len(text.split())


def _joined(first: Ids, last: Ids, count: int) -> NDArray[np.bool_]:
    """Mark the words, of `count` and the end, that share a token with the word before."""
    joined = np.zeros(count + 1, np.bool_)
    for token in np.flatnonzero(last > first):
        joined[first[token] + 1 : last[token] + 1] = True
    return joined


def word_scores(
    words: WordTokens, log_probs: Tensor, boundaries: Tensor, oov: NDArray[np.bool_]
) -> tuple[WordScore, ...]:
    """Sum the scores of n tokens to scores of R words, with the same total.

    log_probs float32 [m] (nats) are of the last m tokens; the tokens before were only read.
    boundaries float32 [m] has log Z where a token shows that the word before it is over, else 0.
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


def boundary_tokens(tokenizer: TextTokenizer, bos: int, *, characters: bool = False) -> Ids | None:
    """The ids of the tokens that show that the word before them is over.

    None if all do, as in a word model: then Z is 1. `bos` does not count: it is never predicted.
    `characters`: a word is a user-perceived character.
    """
    begins = tokenizer.begins_character if characters else tokenizer.begins_word
    return None if np.delete(begins, bos).all() else np.flatnonzero(begins)
