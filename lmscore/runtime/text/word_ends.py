"""Which tokenizers read each word of a text apart, and which characters a word may end with.

`cuts.py` says which tokenizers can read both sides of a space between letters apart. Here the
space may be between any letters, digits, punctuation and symbols: no step may change it because of
them, or make white space or nothing of them. What lies beside other white space, and what begins
or ends with a mark or a control character, is not told apart.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from tokenizers import AddedToken, Tokenizer

from lmscore.runtime.text.cut_patterns import SPACES, STRIPS
from lmscore.runtime.text.cuts import (
    MARKED_SPACE,
    SPACE,
    added_words,
    matches_one_character,
    normalizer_of,
    pattern_of,
)
from lmscore.runtime.text.steps import Step, steps_of


class WordEnds(dict[str, bool]):
    """Whether a character may be the first or last of a word: the characters asked for so far."""

    def __init__(self, normalizer: Any | None) -> None:
        """`normalizer` is the tokenizer's, but puts nothing in front of a text."""
        super().__init__()
        self._normalizer = normalizer

    def __missing__(self, character: str) -> bool:
        fits = self[character] = self._fits(character)
        return fits

    def _fits(self, character: str) -> bool:
        if unicodedata.category(character)[0] not in "LNPS":
            return False
        made = character
        if self._normalizer is not None:
            made = self._normalizer.normalize_str(character)
        blank = any(each.isspace() or each == MARKED_SPACE for each in made)
        return bool(made) and not blank and unicodedata.category(made[0])[0] != "M"


def find_word_ends(tokenizer: Tokenizer) -> WordEnds | None:
    """For a tokenizer whose texts can be cut (`find_cuts`); None if words cannot be told apart."""
    steps = steps_of(tokenizer.normalizer)
    if not all(map(_keeps_spaces, steps)) or _take_spaces(added_words(tokenizer), steps):
        return None
    own = [step for step in steps if step["type"] != "Prepend"]
    return WordEnds(normalizer_of({"type": "Sequence", "normalizers": own}) if own else None)


def _take_spaces(added: list[AddedToken], steps: list[Step]) -> bool:
    """Whether an added token takes spaces beside it, or has a prefix put before what follows it."""
    prefixed = any(step["type"] == "Prepend" for step in steps)
    return any(prefixed or token.lstrip or token.rstrip for token in added)


def _keeps_spaces(step: Step) -> bool:
    """Whether a step of a normalizer leaves a space alone that has other characters beside it."""
    if step["type"] != "Replace":
        return True
    pattern, content = pattern_of(step), step["content"]
    if "String" in step["pattern"]:
        blank = any(each.isspace() or each == MARKED_SPACE for each in content)
        return pattern == SPACE or len(pattern) == 1 or (bool(content) and not blank)
    return pattern in SPACES | STRIPS or matches_one_character(pattern)
