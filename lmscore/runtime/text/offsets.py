"""Offsets of tokens that a normaliser composed of several characters of the text."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

_LONGEST = 3  # characters before a mark that may compose with it: the jamo of a syllable


def cover_composed(text: str, spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """Extend tokens over the rest of the characters that their last one was composed of.

    A tokenizer's normaliser reports the first character alone: after NFC, that of `e` and U+0301 is
    `e`. Marks that a normaliser drops belong to the character before them, too.

    Args:
        text: the text as it was given.
        spans: [n, 2], the character offsets that the tokenizer reports.
    """
    if not len(spans) or text.isascii():
        return spans
    ends = spans[:, 1]
    last = np.unique(ends)
    following = np.append(np.unique(spans[:, 0]), len(text))
    limits = following[np.searchsorted(following, last)]
    longer = last.copy()
    for index in np.flatnonzero(limits > last):
        longer[index] = _end_of_character(text, int(last[index]), int(limits[index]))
    if np.array_equal(longer, last):
        return spans
    return np.stack([spans[:, 0], longer[np.searchsorted(last, ends)]], axis=1)


def _end_of_character(text: str, end: int, limit: int) -> int:
    """The end, at most `limit`, of the character that ends at `end` without its last parts."""
    while end < limit and _composes(text[max(0, end - _LONGEST) : end], text[end]):
        end += 1
    return end


def _composes(before: str, character: str) -> bool:
    """Whether a character is a mark on, or a part of, the one before it."""
    if not before or character.isspace():
        return False
    if unicodedata.category(character).startswith("M"):
        return True
    parts = (unicodedata.normalize("NFKC", part) for part in (before, character))
    return "".join(parts) != unicodedata.normalize("NFKC", before + character)
