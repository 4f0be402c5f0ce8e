"""From the text of a hypothesis to the text that a language model scores.

The list itself keeps its text. There is no true-casing: without a model of its own it is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import get_args

from lmscore.errors import OptionError
from lmscore.names import SubwordMark

_CONTINUED = re.compile(r"@@( +|$)")


def preparation(
    *, join: SubwordMark | None = None, remove: Collection[str] = (), lowercase: bool = False
) -> Callable[[str], str]:
    """A function that prepares a text: removes, joins and removes again, lower-cases.

    Args:
        join: the mark of subwords to join: `@@` at the end of all but a word's last (subword-nmt),
            or `▁` at the beginning of a word (SentencePiece).
        remove: words to leave out wherever they stand, such as `<unk>`, `[noise]` or `-pau-`,
            spelt exactly like that.
        lowercase: whether to lower-case.

    Raises:
        OptionError: an unknown mark, or more or less than one word to remove.
    """
    if join is not None and join not in get_args(SubwordMark):
        raise OptionError(f"no subword mark {join!r}; there are {', '.join(get_args(SubwordMark))}")
    for word in remove:
        if word.split() != [word]:
            raise OptionError(f"{word!r} is not one word, and so cannot be removed")
    unwanted = frozenset(remove)

    def without(text: str) -> str:
        words = text.split()
        kept = [word for word in words if word not in unwanted]
        return text if len(kept) == len(words) else " ".join(kept)

    def prepare(text: str) -> str:
        text = without(text)  # before joining, a word is still apart from its neighbours
        if join:
            text = without(join_subwords(text, join))
        return text.lower() if lowercase else text

    return prepare


def join_subwords(text: str, mark: SubwordMark) -> str:
    """Words from subwords; a text without the mark stays as it is."""
    if mark not in text:
        return text
    if mark == "@@":
        return _CONTINUED.sub("", text)
    return text.replace(" ", "").replace(mark, " ").strip()
