"""Marks of the beginning and the end of a sentence, which recognisers leave in their texts.

In a text that a user types they are words like any other; at the ends of a hypothesis they are what
the decoder's own model began and ended with, or a symbol of its search.
"""

from __future__ import annotations

import re

MARKS = frozenset({"<s>", "</s>", "<eos>", "<sos>", "<sos/eos>", "<blank>", "<blk>"})
"""The marks that are neither scored nor counted at the ends of a hypothesis; `<unk>` is none."""

_ANY = "|".join(map(re.escape, sorted(MARKS)))
_AT_START = re.compile(rf"^(?:\s*(?:{_ANY})(?!\S))+\s*")
_AT_END = re.compile(rf"\s*(?:(?<!\S)(?:{_ANY})\s*)+$")


def without_marks(text: str) -> str:
    """The text without marks at its ends, and the white space beside them."""
    if "<" not in text:  # nearly always
        return text
    return _AT_END.sub("", _AT_START.sub("", text))
