"""The units of continuations: what a next word is, and which words are wanted."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import OptionError
from lmscore.names import NextUnit
from lmscore.runtime.arguments import check_argument
from lmscore.runtime.scoring import boundary_tokens
from lmscore.runtime.text import (
    TextTokenizer,
    character_spans,
    count_characters,
    without_space_before,
)

_LETTERS = 3  # bytes of an allowed word by which tokens are looked up; more would find few less
_UNITS: tuple[NextUnit, ...] = ("auto", "word", "character", "token")

_LONG_SPACES = [chr(code).encode() for code in range(0x80, 0x3001) if chr(code).isspace()]

Mask = NDArray[np.bool_]


class NextKeywords(TypedDict, total=False):
    """The keywords of `LanguageModel.next_words`, `next_words_batch` and `next_words_after`.

    Attributes:
        unit: "word": text between white space. "character": a user-perceived character. "token":
            one token, as text, or as the vocabulary spells it where its bytes are no text. "auto",
            the default: words where the vocabulary shows where words begin, otherwise tokens.
        partial: the beginning of the next word, "" for none: only words that begin so are given.
        allowed: the only words that are wanted. Of characters, a word is a string of them, and its
            probability that the text goes on with it.
        merge: whether "world", "world," and "world." are one outcome, with the sum of their
            probabilities.
        unk: whether <unk> may come. Default: no.
    """

    unit: NextUnit
    partial: str
    allowed: Collection[str] | None
    merge: bool
    unk: bool


@dataclass(frozen=True)
class NextOptions:
    """A value for each of `NextKeywords`.

    Raises:
        OptionError: a value is impossible, or two exclude each other; names the option.
    """

    unit: NextUnit = "auto"
    partial: str = ""
    allowed: Collection[str] | None = None
    merge: bool = False
    unk: bool = False

    def __post_init__(self) -> None:
        if self.unit not in _UNITS:
            raise OptionError(f"unit must be one of {', '.join(_UNITS)}, not {self.unit!r}")
        check_argument(
            "partial", self.partial, str, _is_one_word, "the beginning of a word, no white space"
        )
        if self.allowed is not None:
            if isinstance(self.allowed, str) or not isinstance(self.allowed, Collection):
                raise OptionError(f"allowed must be a set or list of words, not {self.allowed!r}")
            for word in self.allowed:
                check_argument("a word of allowed", word, str, _is_word, "text, no white space")
        if self.unit == "token" and (self.partial or self.allowed is not None or self.merge):
            raise OptionError("partial, allowed and merge are about words, not unit='token'")


def searches_for(unit: NextUnit, options: NextOptions) -> list[tuple[int, NextOptions]]:
    """The lengths of the wanted words in characters, and the options with those of each length.

    Words that are none of a list, and words between white space, are one search.

    Raises:
        OptionError: the beginning of a character is longer than one.
    """
    if unit != "character":
        return [(1, options)]
    if options.allowed is None:
        if count_characters(options.partial) > 1:
            raise OptionError(
                f"partial {options.partial!r} is more than a character, and a word is a character "
                "here: put it at the end of the text"
            )
        return [(1, options)]
    lengths: defaultdict[int, set[str]] = defaultdict(set)
    for word in options.allowed:
        lengths[count_characters(word)].add(word)
    return [(length, replace(options, allowed=words)) for length, words in lengths.items()]


def _is_one_word(text: str) -> bool:
    return not text or _is_word(text)


def _is_word(text: str) -> bool:
    return text.split() == [text] and text.encode("utf-8", "ignore").decode() == text


def chosen_unit(options: NextOptions, tokenizer: TextTokenizer, bos: int, eos: int) -> NextUnit:
    """The unit that is asked for, or that "auto" stands for in a vocabulary.

    Raises:
        OptionError: words are asked for, and no token has the white space that would end one.
    """
    shows_words = bool(np.delete(tokenizer.begins_word, [bos, eos]).any())
    if options.unit == "auto":
        if shows_words and not tokenizer.spaceless:
            return "word"
        of_words = options.partial or options.allowed is not None or options.merge
        return "character" if of_words else "token"
    if options.unit == "word" and not shows_words:
        raise OptionError(
            "unit is 'word', but no token of the vocabulary begins with white space, so a word "
            "would end with the sentence: take `unit` character or token"
        )
    return options.unit


@dataclass(frozen=True)
class Unit:
    """Words, or user-perceived characters, and the tokens that show that one is over.

    Attributes:
        name: "word" or "character".
        begins: which tokens show that the unit before them is over, bool [V].
        all_are_whole: whether every token is a whole unit.
        length: the characters of a unit that is a string of them.
    """

    name: NextUnit
    begins: Mask
    all_are_whole: bool
    length: int = 1

    @classmethod
    def of(cls, unit: NextUnit, tokenizer: TextTokenizer, bos: int, length: int = 1) -> Unit:
        """The unit "word" or "character" of a vocabulary."""
        if unit == "word":
            whole = boundary_tokens(tokenizer, bos) is None
            return cls(unit, tokenizer.begins_word, whole)
        return cls(unit, tokenizer.begins_character, False, length)

    def first(self, spelt: bytes) -> tuple[str, bool]:
        """The first unit of what tokens spell, "" before it begins, and whether it is over.

        It is over if more text follows in the same token, or if every token is a whole unit. Bytes
        that are not UTF-8, or not yet, stand as lone surrogates.
        """
        text = spelt.decode("utf-8", "surrogateescape")
        if self.name == "word":
            text = text.lstrip()
            word = "".join(text.split(maxsplit=1)[:1])
        else:
            ends = (end for _, end in character_spans(text))
            word = text[: max(islice(ends, self.length), default=0)]
        return word, len(word) < len(text) or self.all_are_whole

    def is_full(self, word: str) -> bool:
        """Whether a token that begins another unit ends this one."""
        return bool(word) and (self.length == 1 or count_characters(word) == self.length)


def merged(word: str) -> str:
    """A word without the punctuation at its end, unless there is nothing else."""
    end = len(word)
    while end and unicodedata.category(word[end - 1]).startswith("P"):
        end -= 1
    return word[:end] or word


@dataclass
class Wanted:
    """The words that begin with some text, or that are in a list; the tokens that may spell them.

    Attributes:
        partial: the beginning of every wanted word.
        allowed: the wanted words, sorted; None for all.
    """

    tokenizer: TextTokenizer
    unit: Unit
    partial: str
    allowed: list[str] | None
    _masks: dict[bytes, Mask] = field(default_factory=dict, init=False)

    def accepts(self, word: str) -> bool:
        """Whether a whole word is wanted."""
        if self.allowed is not None and word not in self._set:
            return False
        return word.startswith(self.partial)

    def tokens(self, spelt: bytes) -> Mask:
        """Which tokens can go on to a wanted word after what was spelt, bool [V]."""
        begun = self._begun(spelt)
        if begun not in self._masks:
            self._masks[begun] = self._mask(begun)
        return self._masks[begun]

    def __post_init__(self) -> None:
        self._set = frozenset(self.allowed or ())
        self._spelt = sorted(word.encode() for word in self._set if word.startswith(self.partial))
        self._beginnings = {word[:size] for word in self._spelt for size in range(len(word) + 1)}

    def _begun(self, spelt: bytes) -> bytes:
        return without_space_before(spelt) if self.unit.name == "word" else spelt

    def _mask(self, begun: bytes) -> Mask:
        # Only tokens that begin like a wanted word are looked at: no vocabulary is walked through
        # for each letter that somebody types.
        partial, of_word = self.partial.encode(), self.unit.name == "word"
        index = self.tokenizer.index_in_words if of_word and not begun else self.tokenizer.index
        mask = np.zeros(len(self.tokenizer.pieces), np.bool_)
        # What was spelt may also be the beginning of white space before the word.
        could_be_space = of_word and begun
        spaces = {s[len(begun) :] for s in _LONG_SPACES if could_be_space and s.startswith(begun)}
        if self.allowed is None:
            mask[index.fitting({partial[len(begun) :], *spaces})] = True
            return mask
        low = bisect_left(self._spelt, begun)
        high = bisect_right(self._spelt, begun, key=lambda word: word[: len(begun)])
        rests = {word[len(begun) : len(begun) + _LETTERS] for word in self._spelt[low:high]}
        mask[index.fitting((rests | spaces) - {b""})] = True
        text = begun.decode("utf-8", "surrogateescape")
        is_word = begun in self._beginnings and self.accepts(text)
        # Then the next word may begin, without a look at each token.
        is_full = is_word and self.unit.is_full(text) and not self.unit.all_are_whole
        if is_word and not of_word:  # the rest of a character, a mark
            mask |= ~self.unit.begins if is_full else True
        for token in np.flatnonzero(mask).tolist():
            mask[token] = self._may_go_on(begun + self.tokenizer.pieces[token])
        return mask | self.unit.begins if is_full else mask

    def _may_go_on(self, spelt: bytes) -> bool:
        """Whether what is spelt can become an allowed word, or holds one that is over."""
        begun = self._begun(spelt)
        word, over = self.unit.first(spelt)
        if over and not self.unit.all_are_whole:
            return self.accepts(word)
        return begun in self._beginnings
