"""What a tokenizer.json may do to a text: its steps are followed before any text goes through them.

A tokenizer.json is a program: steps that replace, split and join. Each step here has a row with the
keys that it may have and a bound on its growth, the bytes that it makes of one. A file whose steps
are all known, whose growth is bounded, and whose patterns take bounded time (`patterns.py`) encodes
a text in time and memory in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lmscore.errors import ModelError
from lmscore.runtime.text.charsmap import charsmap_growth
from lmscore.runtime.text.patterns import PatternError, read_pattern

_MOST_GROWTH = 1000.0  # bytes that all steps together may make of one
_MOST_STEPS = 100  # of one kind, such as normalisers
_MOST_ADDED = 1 << 26  # bytes that all added tokens may become
_LONGEST_WORD = 200  # characters that WordPiece looks at: its time is their cube
_LONGEST_AFFIX = 64  # characters that BPE and WordPiece put before or after parts of words
_LONGEST_PIECE = 256  # bytes of a unigram piece: its time is their square

Step = dict[str, Any]


_INSERTION = re.compile(r"\(\?!\\A\)\(\?=(\[[^\\\[\]]+\])(?:\(\?<!.*\))?\)\Z", re.DOTALL)


class _StepError(ValueError):
    """A tokenizer.json holds a step that could do harm; says what."""


@dataclass(frozen=True)
class _Kind:
    """A kind of step: the keys that it may have, and its growth."""

    keys: str = ""
    growth: float | Callable[[Step], float] = 1.0


def _of_replacement(step: Step) -> float:
    content = _text(step, "content")
    pattern = step.get("pattern")
    shortest = _shortest(pattern)
    size = len(_bytes(content))
    if shortest == 0:
        return 1.0 + size / _shortest_after_insertion(pattern)
    return max(1.0, size / shortest)


def _shortest_after_insertion(pattern: object) -> int:
    """The bytes, at least, of the character before which an empty match puts something.

    It is 1 unless the pattern is a look ahead, not at the beginning, to a class of characters.
    """
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    ahead = _INSERTION.match(regex) if isinstance(regex, str) else None
    return read_pattern(ahead[1]).shortest if ahead else 1


def _shortest(pattern: object) -> int:
    """The bytes that a String or a Regex matches at least."""
    pairs = list(pattern.items()) if isinstance(pattern, dict) else []
    kind, value = pairs[0] if len(pairs) == 1 else ("", "")
    if not isinstance(value, str) or kind not in ("String", "Regex"):
        raise _StepError("its pattern is not one String or Regex")
    if kind == "String":
        return len(_bytes(value))
    try:
        return read_pattern(value).shortest
    except PatternError as error:
        raise _StepError(f"the pattern {_shown(value)} may take too long: {error}") from error


def _of_split(step: Step) -> float:
    _shortest(step.get("pattern"))
    return 1.0


def _of_charsmap(step: Step) -> float:
    encoded = step.get("precompiled_charsmap")
    if not encoded:
        return 1.0
    try:
        return charsmap_growth(_text(step, "precompiled_charsmap"))
    except ValueError as error:
        raise _StepError(f"its precompiled_charsmap cannot be used: {error}") from error


def _of_prefix(key: str) -> Callable[[Step], float]:
    """The growth of a step that puts a text before every piece, and in the place of spaces."""
    return lambda step: 1.0 + len(_bytes(_text(step, key)))


def _of_one_sequence(step: Step) -> float:
    """A template: the text once, whatever control tokens stand around it."""
    single = step.get("single")
    pieces = single if isinstance(single, list) else []
    if sum("Sequence" in piece for piece in pieces if isinstance(piece, dict)) > 1:
        raise _StepError("its template `single` repeats the text")
    return 1.0


def _of_strip(step: Step) -> float:
    """A decoder's: from its end it would cut characters that a token need not have."""
    if step.get("stop"):
        raise _StepError("it strips the ends of tokens, which may be shorter than that")
    return 1.0


_COMPATIBLE = 11.0  # of NFKC and NFKD, in UTF-8: Unicode Standard Annex 15, section 9
_CANONICAL = 3.0  # of NFC and NFD
_LOWERED = 1.5
_BYTE_LEVEL = _Kind("add_prefix_space trim_offsets use_regex", 3.0)  # two for one, and a space
_METASPACE = _Kind(
    "replacement str_rep add_prefix_space prepend_scheme split", _of_prefix("replacement")
)
_REPLACE = _Kind("pattern content", _of_replacement)

NORMALIZERS = {
    "NFC": _Kind(growth=_CANONICAL),
    "NFD": _Kind(growth=_CANONICAL),
    "NFKC": _Kind(growth=_COMPATIBLE),
    "NFKD": _Kind(growth=_COMPATIBLE),
    "Nmt": _Kind(),
    "Lowercase": _Kind(growth=_LOWERED),
    "StripAccents": _Kind(),
    "Strip": _Kind("strip_left strip_right"),
    "BertNormalizer": _Kind(  # spaces around Chinese characters of 3 bytes, or marks apart
        "clean_text handle_chinese_chars strip_accents lowercase", _CANONICAL * _LOWERED
    ),
    "ByteLevel": _Kind(growth=2.0),
    "Precompiled": _Kind("precompiled_charsmap", _of_charsmap),
    "Prepend": _Kind("prepend", _of_prefix("prepend")),
    "Replace": _REPLACE,
}
PRE_TOKENIZERS = {
    "BertPreTokenizer": _Kind(),
    "ByteLevel": _BYTE_LEVEL,
    "CharDelimiterSplit": _Kind("delimiter"),
    "Digits": _Kind("individual_digits"),
    "FixedLength": _Kind("length"),
    "Metaspace": _METASPACE,
    "Punctuation": _Kind("behavior"),
    "Split": _Kind("pattern behavior invert", _of_split),
    "UnicodeScripts": _Kind(),
    "Whitespace": _Kind(),
    "WhitespaceSplit": _Kind(),
}
POST_PROCESSORS = {
    "BertProcessing": _Kind("sep cls"),
    "ByteLevel": _BYTE_LEVEL,
    "RobertaProcessing": _Kind("sep cls trim_offsets add_prefix_space"),
    "TemplateProcessing": _Kind(  # Cohere's have the keys of a ByteLevel, too
        f"single pair special_tokens {_BYTE_LEVEL.keys}", _of_one_sequence
    ),
}
DECODERS = {
    "BPEDecoder": _Kind("suffix"),
    "ByteFallback": _Kind(),
    "ByteLevel": _BYTE_LEVEL,
    "CTC": _Kind("pad_token word_delimiter_token cleanup"),
    "Fuse": _Kind(),
    "Metaspace": _METASPACE,
    "Replace": _REPLACE,
    "Strip": _Kind("content start stop", _of_strip),
    "WordPiece": _Kind("prefix cleanup"),
}


@dataclass(frozen=True)
class _Part:
    """A part of tokenizer.json: its key, the key of the steps in a sequence, and their kinds."""

    name: str
    members: str
    kinds: dict[str, _Kind]


_NORMALIZER = _Part("normalizer", "normalizers", NORMALIZERS)
_PRE_TOKENIZER = _Part("pre_tokenizer", "pretokenizers", PRE_TOKENIZERS)
_OTHERS = (
    _Part("post_processor", "processors", POST_PROCESSORS),
    _Part("decoder", "decoders", DECODERS),
)


def check_tokenizer(document: dict[str, Any], source: str) -> float:
    """Follow the steps of a parsed tokenizer.json; `source` names its file in errors.

    Returns:
        the bytes that all steps together make of one byte of text, at most.

    Raises:
        ModelError: a step is not known, a pattern may take too long, or the steps may make a text
            too much longer.
    """
    try:
        normalized = _growth(document, _NORMALIZER)
        growth = _limited(normalized * _growth(document, _PRE_TOKENIZER))
        for part in _OTHERS:
            _limited(_growth(document, part))
        _check_added(document.get("added_tokens") or [], normalized)
        _check_model(document.get("model"))
        return growth
    except _StepError as error:
        raise ModelError(
            f"{source}: {error}; a tokenizer that does this is loaded only with trust=True, which "
            "is for files of people whom you trust"
        ) from error


def _limited(growth: float) -> float:
    if growth > _MOST_GROWTH:
        raise _StepError(f"its steps may make a text more than {_MOST_GROWTH:.0f} times longer")
    return growth


def _growth(document: dict[str, Any], part: _Part) -> float:
    growth, form = 1.0, 1.0
    for number, (where, step) in enumerate(_steps(document.get(part.name), part, part.name), 1):
        if number > _MOST_STEPS:
            raise _StepError(f"{part.name} has more than {_MOST_STEPS} steps")
        own = _of_step(step, part.kinds, where)
        if step["type"] in ("NFC", "NFD", "NFKC", "NFKD"):
            # Normal forms in a row make a text no longer than the longest of them alone.
            own, form = max(own / form, 1.0), max(own, form)
        elif not _keeps_form(step):
            form = 1.0
        growth *= own
    return growth


def _keeps_form(step: Step) -> bool:
    """Whether a text in a normal form holds no character, after a step, that the form replaces.

    Lower case of such a character, and ASCII, are in every form. The order of marks may change.
    """
    content = step.get("content")
    replaces = isinstance(content, str) and content.isascii()
    return step["type"] in ("Strip", "StripAccents", "Lowercase") or replaces


def _steps(step: object, part: _Part, where: str) -> Iterator[tuple[str, Step]]:
    """The steps of a part in their order, those of sequences in the place of these."""
    if step is None:
        return
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        raise _StepError(f"{where} is not a step with a type")
    if step["type"] != "Sequence":
        yield where, step
        return
    members = step.get(part.members)
    if not isinstance(members, list) or step.keys() != {"type", part.members}:
        raise _StepError(f"{where} is not a sequence of `{part.members}`")
    for index, member in enumerate(members):
        yield from _steps(member, part, f"{where}.{part.members}[{index}]")


def _of_step(step: Step, kinds: dict[str, _Kind], where: str) -> float:
    kind = kinds.get(step["type"])
    if kind is None:
        raise _StepError(f"{where} is of the type {_shown(step['type'])}, which is not known")
    for key in step.keys() - {"type", *kind.keys.split()}:
        # tokenizers may take a step for one of another type that has this key
        raise _StepError(f"{where} has the key {_shown(key)}, which a {step['type']} has not")
    if not callable(kind.growth):
        return kind.growth
    try:
        return kind.growth(step)
    except _StepError as error:
        raise _StepError(f"{where}: {error}") from error


def _check_added(added: object, growth: float) -> None:
    """Loading normalises every added token."""
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise _StepError("added_tokens is not a list of tokens")
    size = sum(len(_bytes(_text(token, "content"))) for token in added)
    if size * growth > _MOST_ADDED:
        raise _StepError("its normaliser may make the added tokens too long")


def _check_model(model: object) -> None:
    """The lengths on which the time depends that a model takes for a word."""
    if not isinstance(model, dict):
        return  # tokenizers itself says what it misses
    longest = model.get("max_input_chars_per_word", 0)
    if not isinstance(longest, int) or longest > _LONGEST_WORD:
        raise _StepError(f"model.max_input_chars_per_word is more than {_LONGEST_WORD}")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if len(_text({key: model.get(key) or ""}, key)) > _LONGEST_AFFIX:
            raise _StepError(f"model.{key} has more than {_LONGEST_AFFIX} characters")
    pieces = model.get("vocab")
    for piece in pieces if isinstance(pieces, list) else []:  # a unigram model has a list
        if len(_bytes(piece[0] if isinstance(piece, list) and piece else piece)) > _LONGEST_PIECE:
            raise _StepError(f"a piece of its unigram model has more than {_LONGEST_PIECE} bytes")


def _text(step: Step, key: str) -> str:
    value = step.get(key)
    if not isinstance(value, str):
        raise _StepError(f"its {key} is not a text")
    return value


def _bytes(text: object) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else b""


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else f"{text[:60]}...")
