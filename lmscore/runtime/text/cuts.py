"""Where a long text can be cut so that its parts have the ids of the whole.

A text is cut at a single space between letters, or between two ideographs, and only for tokenizers
whose steps are all known to work on both sides of such a place apart:

* no normaliser looks across it, or makes anything but letters and marks of the letters beside it;
* then a pre-tokenizer ends a piece there, or the merges of a BPE model have no token across it;
* what comes before a text, such as a space, comes before the right part as well.

Other tokenizers read a text whole: unigram models without a pre-tokenizer, say, whose best path
is a sum over all of the text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer, models, normalizers

from lmscore.runtime.text.cut_patterns import CHARACTERS, LOCAL, RUNS, STRIPS, WORDS
from lmscore.runtime.text.patterns import PatternError, read_pattern
from lmscore.runtime.text.steps import Step, steps_of
from lmscore.runtime.text.tokenizer_file import panics_as_errors

SPACE, MARKED_SPACE = " ", "\u2581"
_BETWEEN_WORDS = re.compile(r"(?<=([^\W\d_])) (?=([^\W\d_])([^\W\d_]))")
# Both kinds in one search: it ends at the first place of either.
_BETWEEN_WORDS_OR_IDEOGRAPHS = re.compile(
    _BETWEEN_WORDS.pattern + "|(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])"
)
_NO_LETTER = "0"
# Expressions that mean the same to Python and to Oniguruma: a character, or a class of some.
_PLAIN_PATTERN = re.compile(r"\[[^][\\^&]+\]|[^][\\^$.|?*+(){}]")
_BLANK = f"[{SPACE}{MARKED_SPACE}]"
_LONE_SPACE = re.compile(f"(?<!{_BLANK}){_BLANK}(?!{_BLANK})")
_SPACE_BEHIND = re.compile(f"(?!\\A){_LONE_SPACE.pattern}")

_LETTERWISE = {  # kinds of normalisers that change letter by letter
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Precompiled",
    "StripAccents",
}


class PartInContext(NamedTuple):
    """A part of a text behind a lead, whose tokens tell nothing of the part."""

    begin: int  # the place in the whole text of the first character of `text`
    lead: str  # the beginning of `text` that belongs to the part before; "" in front of the first
    text: str


@dataclass(frozen=True)
class Cuts:
    """The places at which the texts of a tokenizer can be cut."""

    drops_space: bool = False  # the right part begins behind the space: the tokenizer adds one
    ideographs: bool = False  # also between two ideographs

    def parts(self, text: str, size: int) -> Iterator[tuple[int, str]]:
        """The parts of a text, each with the place at which it begins.

        Every part but the last has `size` characters or a few more, where there is a place to cut.
        """
        begin = 0
        while (cut := self._next(text, begin + size)) is not None:
            yield begin, text[begin:cut]
            begin = cut + (self.drops_space and text[cut] == SPACE)
        yield begin, text[begin:]

    def parts_in_context(self, text: str, size: int) -> Iterator[PartInContext]:
        """The parts of a text, in which tokens have the offsets that they have in the whole.

        A token may cover the space before a part. Where parts begin behind it, they are given with
        the space and the letter before it.
        """
        for begin, part in self.parts(text, size):
            if begin and self.drops_space:
                yield PartInContext(begin - 2, text[begin - 2], text[begin - 2 : begin] + part)
            else:
                yield PartInContext(begin, "", part)

    def _next(self, text: str, at: int) -> int | None:
        pattern = _BETWEEN_WORDS_OR_IDEOGRAPHS if self.ideographs else _BETWEEN_WORDS
        return next((p.start() for p in pattern.finditer(text, at) if _is_plain(p)), None)


class _NoCut(Exception):  # noqa: N818
    """A step may depend on both sides of a place."""


def find_cuts(tokenizer: Tokenizer) -> Cuts | None:
    """The places at which texts can be cut; None where every text has to be read whole."""
    try:
        with panics_as_errors():
            return _found(tokenizer)
    except (_NoCut, RuntimeError):  # a normaliser that fails says so when it reads the text
        return None


def _found(tokenizer: Tokenizer) -> Cuts:
    place = _follow_normalizer(steps_of(tokenizer.normalizer))
    split = _follow_pre_tokenizer(steps_of(tokenizer.pre_tokenizer), place)
    if split is None:
        _check_merges(tokenizer, place.space)
    drops_space = place.prefix is not None
    for token in added_words(tokenizer):
        _check_added(token, tokenizer.normalizer, drops_space=drops_space)
    everywhere = split is not None and split.everywhere
    return Cuts(drops_space=drops_space, ideographs=everywhere and not drops_space)


@cache
def _letters() -> frozenset[str]:
    """The letters that have a case or none, and that the normal forms leave alone.

    What is a mark in the version of Unicode that tokenizers knows is no letter here.
    """
    letters = (
        letter
        for letter in map(chr, range(0x10000))
        if unicodedata.category(letter) in ("Ll", "Lu", "Lo", "Lt")
        and unicodedata.is_normalized("NFKC", letter)
    )
    return frozenset(normalizers.StripAccents().normalize_str("".join(letters)))


def _is_plain(place: re.Match[str]) -> bool:
    """Whether a place is between plain letters, or between ideographs, which are."""
    return all(letter is None or letter in _letters() for letter in place.groups())


def added_words(tokenizer: Tokenizer) -> list[AddedToken]:
    """The added tokens that are found anywhere in a text."""
    added = tokenizer.get_added_tokens_decoder().values()
    return [token for token in added if not token.special]


def _check_added(token: AddedToken, normalizer: Any, *, drops_space: bool) -> None:
    """Raise _NoCut if an added token may reach over a cut."""
    crossing = _LONE_SPACE if drops_space else _SPACE_BEHIND
    made = token.content
    if normalizer and token.normalized:
        made = normalizer.normalize_str(made)
    _require(crossing.search(made) is None)
    # A token takes white space with it, and a prefix is put before what follows it; neither is at a
    # cut unless a letter is.
    _require(not (token.lstrip or drops_space) or not _is_letter(made[:1]))
    _require(not (token.rstrip or drops_space) or not _is_letter(made[-1:]))


def _is_letter(character: str) -> bool:
    """Whether a character may be what is made of a letter."""
    return character != "" and unicodedata.category(character)[0] in "LM"


@dataclass
class _Place:
    """What the steps make of a place to cut: a space between letters."""

    space: str = SPACE  # what the space is by now
    prefix: str | None = None  # what is put before a text
    strips: bool = False  # whether spaces before a text are dropped
    spaces_ideographs: bool = False  # whether ideographs have spaces around them

    def strip(self) -> None:
        """Follow a step that drops spaces before a text."""
        _require(self.prefix is None)
        self.strips = True

    def prepend(self, prefix: str) -> None:
        """Follow a step that puts something before a text."""
        _require(self.prefix is None and prefix in (self.space, MARKED_SPACE))
        self.prefix = prefix


def _require(condition: bool) -> None:
    if not condition:
        raise _NoCut


def _follow_normalizer(steps: list[Step]) -> _Place:
    """Follow the steps of a normaliser.

    Raises:
        _NoCut: a step is not known to work on both sides of a space apart.
    """
    place, letters = _Place(), _NO_LETTER.join(sorted(_letters()))
    for step in steps:
        _follow(step, place)
        if step["type"] not in ("Prepend", "Strip"):
            spaced = place.spaces_ideographs
            letters = _changed_letters(step, letters, spaced=spaced)
    if place.strips:
        _require(place.prefix is not None)
    if place.prefix == MARKED_SPACE:
        _require(place.space == MARKED_SPACE)
    return place


def _follow(step: Step, place: _Place) -> None:
    kind = step["type"]
    if kind == "Prepend":
        place.prepend(step["prepend"])
    elif kind == "Strip":
        if step["strip_left"]:
            place.strip()
    elif kind == "Replace":
        if pattern_of(step) in STRIPS:
            place.strip()
        place.space = _replaced_space(step, place.space)
    elif kind == "BertNormalizer":
        place.spaces_ideographs |= step["handle_chinese_chars"]
    else:
        _require(kind in _LETTERWISE)


def pattern_of(step: Step) -> str:
    """The string or the expression that a step looks for."""
    (pattern,) = step["pattern"].values()
    return str(pattern)


def _replaced_space(step: Step, space: str) -> str:
    """What a space is after a replacement, which must leave what is beside it alone."""
    pattern = pattern_of(step)
    if "String" in step["pattern"]:
        if pattern == space and step["content"] == MARKED_SPACE:
            return MARKED_SPACE
        _require(not _touches(pattern, space))
        return space
    if pattern in LOCAL | STRIPS:
        return space
    _require(matches_one_character(pattern))
    found: str = normalizer_of(step).normalize_str(space)
    _require(found in (space, MARKED_SPACE))
    return found


def _touches(pattern: str, space: str) -> bool:
    """Whether a match of a string may hold the space, or what is made of a letter."""
    return space in pattern or any(map(_is_letter, pattern))


def matches_one_character(pattern: str) -> bool:
    """Whether every match of an expression is one character."""
    try:
        part = read_pattern(pattern)
    except PatternError:
        return False
    return part.is_exact and part.size == 1


def normalizer_of(step: Step) -> Any:
    """The normalizer of tokenizers that does this step."""
    document = json.loads(Tokenizer(models.WordLevel({}, unk_token="")).to_str())
    return Tokenizer.from_str(json.dumps(document | {"normalizer": step})).normalizer


def _changed_letters(step: Step, letters: str, *, spaced: bool) -> str:
    """What a step makes of letters with a 0 between each two of them: letters and marks again."""
    pattern = step.get("pattern", {}).get("Regex", "")
    if _PLAIN_PATTERN.fullmatch(pattern) and re.search(pattern, letters) is None:
        return letters  # found in a tenth of the time
    changed: str = normalizer_of(step).normalize_str(letters)
    parts = changed.split(_NO_LETTER)
    _require(len(parts) == letters.count(_NO_LETTER) + 1)
    for part in parts:
        made = part.strip(SPACE) if spaced else part
        _require(bool(made) and all(map(_is_letter, made)))
    return changed


@dataclass(frozen=True)
class _Split:
    """A pre-tokenizer that ends a piece at a place to cut."""

    everywhere: bool = False  # between all ideographs, too


def _follow_pre_tokenizer(steps: list[Step], place: _Place) -> _Split | None:
    """The first step of a pre-tokenizer that surely splits.

    The steps before it must work on both sides apart; those behind it are given the same pieces as
    in the whole text.
    """
    for step in steps:
        found = _split_by(step, place)
        if found is not None:
            return found
        if step["type"] == "Metaspace" and step["replacement"] == MARKED_SPACE:
            place.space = MARKED_SPACE
        elif step["type"] == "Split" and pattern_of(step) in RUNS:
            _require("Regex" in step["pattern"])
        elif step["type"] == "Split" and "String" in step["pattern"]:
            _require(not _touches(pattern_of(step), place.space))
        else:
            _require(step["type"] in ("Digits", "Punctuation"))
    return None


def _split_by(step: Step, place: _Place) -> _Split | None:
    kind, is_space = step["type"], place.space == SPACE
    if kind in ("WhitespaceSplit", "Whitespace", "BertPreTokenizer") and is_space:
        return _Split(everywhere=place.spaces_ideographs)
    _require(not place.spaces_ideographs)  # others may treat two spaces in another way
    splits: dict[str, Callable[[], bool]] = {
        "ByteLevel": lambda: step["use_regex"] and is_space,
        "Metaspace": lambda: step.get("split", True) and step["replacement"] == MARKED_SPACE,
        "CharDelimiterSplit": lambda: step["delimiter"] == place.space,
    }
    if kind in splits:
        return _Split() if splits[kind]() else None
    return _split_by_pattern(step, place.space) if kind == "Split" else None


def _split_by_pattern(step: Step, space: str) -> _Split | None:
    pattern, behavior = pattern_of(step), step["behavior"]
    if "String" in step["pattern"]:
        before = ("Removed", "Isolated", "MergedWithNext", "Contiguous")
        splits = pattern == space and behavior in before and not step["invert"]
        return _Split() if splits else None
    if behavior != ("Removed" if step["invert"] else "Isolated"):
        return None
    if pattern in CHARACTERS:
        return _Split(everywhere=True)
    return _Split() if pattern in WORDS and space == SPACE else None


def _check_merges(tokenizer: Tokenizer, space: str) -> None:
    """Raise _NoCut unless the merges of a BPE model have no token across a place to cut.

    Merges on both sides go on apart then. The space itself has to be a token, so that no unknown
    characters are joined across it.
    """
    model = tokenizer.model
    _require(isinstance(model, models.BPE) and not model.ignore_merges)
    _require(not (model.continuing_subword_prefix or model.end_of_word_suffix))
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    _require(space in vocabulary)
    _require(not any(map(re.compile(f"[^{space}]{space}").search, vocabulary)))
