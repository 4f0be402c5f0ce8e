"""Marks of the beginning and the end of a sentence, which recognisers leave in their texts.

In a text that a user types they are words like any other; at the ends of a hypothesis they are what
the decoder's own model began and ended with, or a symbol of its search.
"""

from __future__ import annotations

import re

MARKS = frozenset({"<s>", "</s>", "<eos>", "<sos>", "<sos/eos>", "<blank>", "<blk>"})
"""The marks that are neither scored nor counted at the ends of a hypothesis; `<unk>` is none."""

_WORD = re.compile(r"\S+")


def without_marks(text: str) -> str:
    """The text without marks at its ends, and the white space beside them."""
    if "<" not in text:  # nearly always
        return text
    words = list(_WORD.finditer(text))
    first, last = 0, len(words)
    while first < last and words[first][0] in MARKS:
        first += 1
    while first < last and words[last - 1][0] in MARKS:
        last -= 1
    if first == last:
        return "" if words else text
    start = words[first].start() if first else 0
    return text[start : words[last - 1].end() if last < len(words) else len(text)]
