"""Regions of a text: stretches of characters of anybody's choice, and what their tokens sum to.

A token belongs to the region in which its first character lies that is not white space: the space
before a word belongs to the word, as in `words.py`, and the same probability Z that a word is over
goes to the region before it. A token that begins before a region and reaches into it belongs to it,
too, unless an earlier region has it. Tokens between regions, and </s>, belong to none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError
from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.score import Surprising
from lmscore.runtime.text import Ids

Span = tuple[int, int]
"""The characters start to end - 1 of a text, counted from 0."""


@dataclass(frozen=True, slots=True)
class RegionScore(Surprising):
    """One region of a text."""

    text: str  # as in the text
    log_prob: float  # nats; 0 without a token
    start: int  # offsets into the scored text, in characters
    end: int
    num_tokens: int  # scored tokens
    num_oov: int  # those that are <unk>
    first_token: int  # its tokens are `first_token` to `first_token + num_tokens - 1` of all scored
    is_exact: bool  # no token reaches from this region into another, or past it

    @property
    def num_words(self) -> int:
        """Pieces of the region between white space."""
        return len(self.text.split())


@dataclass(frozen=True, slots=True)
class RegionTokens:
    """Whose tokens are whose. R regions, n tokens."""

    owners: Ids  # [n], numbers of regions; R where a token is of none
    is_exact: NDArray[np.bool_]  # [R]


def check_spans(spans: Sequence[Span], text: str) -> None:
    """Raise InputError for a span that is not in the text, or overlaps with another."""
    for number, (start, end) in enumerate(spans, 1):
        if not 0 <= start <= end <= len(text):
            raise InputError(
                f"region {number} is {start}:{end}, which is not within the text of "
                f"{len(text)} characters"
            )
    order = sorted(range(len(spans)), key=spans.__getitem__)
    for one, other in pairwise(order):
        if spans[one][1] > spans[other][0]:
            raise InputError(
                f"regions {one + 1} ({_shown(spans[one])}) and {other + 1} "
                f"({_shown(spans[other])}) overlap"
            )


def _shown(span: Span) -> str:
    return f"{span[0]}:{span[1]}"


def region_tokens(text: str, tokens: Ids, spans: Sequence[Span], *, eos: bool) -> RegionTokens:
    """Give the tokens of a text to its regions.

    Args:
        text: the text.
        tokens: int64 [n, 2], the character offsets of its tokens.
        spans: those of the R regions, in order; one without a character to print has no token.
        eos: </s> follows and is scored; else white space at the end belongs to a last region that
            ends with the last word.
    """
    R, size = len(spans), len(text)
    printed = [number for number, (start, end) in enumerate(spans) if text[start:end].strip()]
    is_exact = np.ones(R, np.bool_)
    if not printed:
        return RegionTokens(np.full(len(tokens) + eos, R), is_exact)
    numbers = np.append(printed, R)
    starts, ends = np.array([spans[number] for number in printed], np.int64).T
    first, last = _trimmed(text, tokens)
    # A token overlaps with the regions `own` to `reached`, if with any.
    own = np.searchsorted(ends, first, side="right")
    reached = np.searchsorted(starts, last, side="left") - 1
    inside = reached >= own
    at = np.minimum(own, len(printed) - 1)
    divided = inside & ((reached > own) | (first < starts[at]) | (last > ends[at]))
    for token in np.flatnonzero(divided):
        is_exact[numbers[own[token] : reached[token] + 1]] = False
    owners = numbers[np.where(inside, own, len(printed))]
    if eos:
        owners = np.append(owners, R)
    elif ends[-1] >= len(text.rstrip()):
        owners[first == size] = numbers[-2]
    return RegionTokens(owners, is_exact)


def _trimmed(text: str, tokens: Ids) -> tuple[Ids, Ids]:
    """Where the characters of tokens begin and end, white space left out.

    White space alone, and a token without a character, stand for the character that follows.
    """
    if not len(tokens):
        return tokens[:, 0], tokens[:, 1]
    size = len(text)
    printed = np.flatnonzero([not character.isspace() for character in text])
    following = np.append(printed, size)
    first = following[np.searchsorted(printed, tokens[:, 0])]
    before = np.searchsorted(printed, tokens[:, 1]) - 1  # the last character of each token
    last = np.where(before >= 0, np.append(printed, -1)[before] + 1, 0)
    last = np.where(last > first, last, np.minimum(first + 1, size))
    return np.maximum.accumulate(first), np.maximum.accumulate(last)


def region_scores(
    text: str,
    spans: Sequence[Span],
    found: RegionTokens,
    log_probs: Tensor,
    boundaries: Tensor,
    oov: NDArray[np.bool_],
) -> tuple[RegionScore, ...]:
    """Sum the scores of the last m of n tokens to those of R regions; the others were only read.

    log_probs float32 [m] (nats), boundaries float32 [m] (log Z where a token shows that the word
    before it is over, else 0), oov bool [m].
    """
    R, skipped = len(spans), len(found.owners) - len(log_probs)
    owners = found.owners[skipped:]
    at = np.flatnonzero(np.diff(found.owners)) + 1
    log_z = boundaries[at - skipped]
    sums = np.bincount(owners, log_probs, minlength=R + 1)
    sums += np.bincount(found.owners[at - 1], log_z, minlength=R + 1)
    sums -= np.bincount(found.owners[at], log_z, minlength=R + 1)
    counts = np.bincount(owners, minlength=R + 1)
    oovs = np.bincount(owners, oov, minlength=R + 1).astype(np.int64)
    firsts = np.zeros(R + 1, np.int64)
    places = np.arange(len(owners))
    firsts[owners[::-1]] = places[::-1]  # of several values for one place the last one stays
    columns = zip(
        spans,
        sums.tolist(),
        counts.tolist(),
        oovs.tolist(),
        firsts.tolist(),
        found.is_exact.tolist(),
        strict=False,  # the last sum is that of tokens without a region
    )
    return tuple(
        RegionScore(text[start:end], log_prob, start, end, count, num_oov, first, is_exact)
        for (start, end), log_prob, count, num_oov, first, is_exact in columns
    )
