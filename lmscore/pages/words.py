"""Words that show how surprising they are: a paragraph a text, and what the page tells of each."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from xml.etree.ElementTree import Element

from lmscore.pages.elements import Child, element

# Upper bounds of the levels 0 to 5, in bits; what is above is 6. `words.js` has the same.
LEVELS = (1, 3, 5, 8, 11, 15)

_END = "⏎"  # shown for the end of a sentence
_LETTERS = 80  # of a word
_BYTES = 54  # of the markup and the figures of a word, about
_TENTHS = 10
_THOUSANDTHS = 1000


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a token, and what is known of it."""

    text: str  # "" for the end of a sentence
    bits: float  # its surprisal
    is_oov: bool = False
    rank: int | None = None
    entropy: float | None = None  # bits
    alternatives: Sequence[tuple[str, float]] = ()  # likely ones and their probabilities
    joined: bool = False  # no space stands before it


class WordTexts:
    """Texts as paragraphs of words, and the page's knowledge of their words."""

    def __init__(self) -> None:
        """Begin without any text."""
        self.paragraphs: list[Element] = []
        self.size = 0  # bytes of the page, about
        self._details: list[list[int | list[int]]] = []
        self._names: dict[str, int] = {}

    def add(self, words: Sequence[Word], *, label: Child | Iterable[Child] = ()) -> None:
        """Append a text; `label` stands in front of it."""
        parts: list[Child] = [element("small", label), " "]
        for place, word in enumerate(words):
            if place and not word.joined:
                parts.append(" ")
            parts.append(_word(word))
            self._details.append(self._known(word))
        self.paragraphs.append(element("p", parts))
        self.size += sum(map(_size, words))

    def fitting(self, words: Sequence[Word], most: int) -> Sequence[Word]:
        """The first words of a text, as many as fit into a page of `most` bytes."""
        sizes = accumulate(map(_size, words), initial=self.size)
        return words[: sum(size < most for size in islice(sizes, 1, None))]

    def elements(self) -> list[Element]:
        """The texts, with a legend; what is known of their words is hidden, for the script."""
        known = {"names": list(self._names), "words": self._details}
        document = json.dumps(known, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return [
            _legend(),
            element("div", self.paragraphs, class_="words", id="words"),
            element("div", class_="panel", id="panel", aria_live="polite"),
            element("div", document, id="known", hidden="hidden"),
        ]

    def _known(self, word: Word) -> list[int | list[int]]:
        """Tenths of bits; then rank, tenths of bits of entropy, alternatives with thousandths."""
        found: list[int | list[int]] = [round(_TENTHS * word.bits)]
        if word.rank is not None and word.entropy is not None:
            found += [word.rank, round(_TENTHS * word.entropy)]
            for name, probability in word.alternatives:
                number = self._names.setdefault(name, len(self._names))
                found += [number, round(_THOUSANDTHS * probability)]
        return found


def level(bits: float) -> int:
    """The level of a surprisal, from 0, expected, to 6."""
    return bisect_left(LEVELS, bits)


def _size(word: Word) -> int:
    """The bytes of a word on a page, about."""
    return _BYTES + len(word.text[:_LETTERS].encode(errors="replace"))


def _word(word: Word) -> Element:
    text = word.text if len(word.text) <= _LETTERS else f"{word.text[:_LETTERS]}…"
    marks = [f"l{level(word.bits)}", *["end"] * (not word.text), *["u"] * word.is_oov]
    return element("i", text or _END, class_=" ".join(marks))


def _legend() -> Element:
    bounds = zip((0, *LEVELS), (*LEVELS, None), strict=True)
    samples: list[Child] = ["Surprisal in bits: "]
    for number, (low, high) in enumerate(bounds):
        text = f"{low} to {high}" if high is not None else f"above {low}"
        samples += [element("i", text, class_=f"l{number}"), " "]
    return element("p", samples, class_="words legend")
