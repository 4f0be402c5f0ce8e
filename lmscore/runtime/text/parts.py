"""The parts of a text: its lines, or its sentences."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmscore.errors import OptionError, needs_extra
from lmscore.names import Split

_LINE = re.compile(r"[^\r\n]+")
_BREAKS = str.maketrans("\r\n", "  ")


class Part(NamedTuple):
    """A part of a text that is scored, or trained on, as one sentence."""

    text: str  # line breaks inside of it are spaces
    start: int  # the offset of its first character in the whole text


def text_parts(text: str, split: Split, language: str = "en") -> list[Part]:
    r"""The parts of a text, at least one; blank ones are left out.

    Args:
        text: the text. Blank, or empty: one empty part.
        split: "lines" ends a part at `\n`, `\r\n` or `\r`; "sentences" after each sentence, as
            sentencex finds them, white space around them left out; "none" makes one part of all.
        language: the code of the language, "de", "zh", for sentences.

    Raises:
        OptionError: there is no such way to split.
        MissingExtraError: sentencex is not installed.
    """
    if split == "none":
        return [Part(text, 0)]
    if split == "lines":
        if "\n" not in text and "\r" not in text and not text.isspace():
            return [Part(text, 0)]  # as most are
        parts = [Part(match[0], match.start()) for match in _LINE.finditer(text)]
        return [part for part in parts if not part.text.isspace()] or [Part("", 0)]
    if split != "sentences":
        raise OptionError(f"split must be lines, sentences or none, not {split!r}")
    with needs_extra("sentences"):
        import sentencex
    parts = []
    for found in sentencex.get_sentence_boundaries(language, text):
        sentence = text[found["start_index"] : found["end_index"]]
        start = found["start_index"] + len(sentence) - len(sentence.lstrip())
        parts.append(Part(sentence.strip().translate(_BREAKS), start))
    return [part for part in parts if part.text] or [Part("", 0)]


def split_text(text: str, split: Split, language: str = "en") -> list[str]:
    """The texts of `text_parts`."""
    return [part.text for part in text_parts(text, split, language)]
