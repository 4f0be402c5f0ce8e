"""User-perceived characters, and the scripts that write no spaces between words.

The rules are those of extended grapheme clusters (Unicode Standard Annex 29) without prepended
marks: a character, and the marks, joiners, jamo and flag letters that belong to it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_JOINER = "\u200d"
_MARKS = ("Mn", "Me", "Mc")
_LETTER = re.compile(r"[^\W\d_]")
# Thai to Tibetan, Myanmar, Khmer, kana, Han.
_SPACELESS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)

# Characters that never join their neighbours: ASCII, kana, Han, full-width and common punctuation.
_ALONE = re.compile(
    "[ -~\u00a0-\u00ff\u2010-\u2027\u3000-\u3029\u3030-\u3098\u309b-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff60]*"
)


def is_spaceless(text: str) -> bool:
    """Whether most letters of a text are of scripts that write no spaces between words."""
    letters = len(_LETTER.findall(text))
    return letters > 0 and 2 * len(_SPACELESS.findall(text)) > letters


def count_characters(text: str) -> int:
    """The number of user-perceived characters of a text that are not white space."""
    if _ALONE.fullmatch(text):
        return len("".join(text.split()))
    return sum(not text[start:end].isspace() for start, end in character_spans(text))


def character_spans(text: str) -> Iterator[tuple[int, int]]:
    """The offsets of the user-perceived characters of a text, white space among them."""
    start = 0
    while start < len(text):
        end = start + first_character(text, start)
        yield start, end
        start = end


def first_character(text: str, start: int = 0) -> int:
    """The number of code points of the user-perceived character that begins at `start`."""
    end = start + 1
    while end < len(text) and _goes_on(text, start, end):
        end += 1
    return end - start


def extends_character(character: str) -> bool:
    """Whether a code point belongs to the user-perceived character before it, whatever that is."""
    return (
        unicodedata.category(character) in _MARKS
        or character in (_JOINER, "\u200c")
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags of flags
    )


def _goes_on(text: str, start: int, end: int) -> bool:
    before, character = text[end - 1], text[end]
    if before == "\r":
        return character == "\n"
    if unicodedata.category(before) == "Cc" or unicodedata.category(character) == "Cc":
        return False
    if extends_character(character):
        return True
    if before == _JOINER:
        return end - start > 1 and unicodedata.category(character) == "So"
    if _is_flag_letter(before) and _is_flag_letter(character):
        return end - start == 1  # flags are pairs
    return _is_syllable(before, character)


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_syllable(before: str, character: str) -> bool:
    """Whether two Korean letters belong to one syllable: L LV, L V, V V, V T, LV V, LVT T."""
    if "\u1100" <= before <= "\u115f":
        return "\u1100" <= character <= "\u11a7" or "\uac00" <= character <= "\ud7a3"
    is_open = "\uac00" <= before <= "\ud7a3" and (ord(before) - 0xAC00) % 28 == 0
    if is_open or "\u1160" <= before <= "\u11a7":
        return "\u1160" <= character <= "\u11ff"
    if "\uac00" <= before <= "\ud7a3" or "\u11a8" <= before <= "\u11ff":
        return "\u11a8" <= character <= "\u11ff"
    return False
