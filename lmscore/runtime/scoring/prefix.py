"""Texts that follow a prefix: what the model reads, and how prefix and text are tokenized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmscore.bundle import Config
from lmscore.errors import InputError
from lmscore.forks import lazy
from lmscore.runtime.text import Encoded, Ids, TextTokenizer


@dataclass(frozen=True)
class Prefix:
    """The text that is read, but not scored, before another one."""

    text: str  # empty where there is none
    space: str  # white space after it, which is tokenized with what follows
    ids: Ids  # the tokens of its text
    lead: Ids  # the tokens that the model reads before `first`
    first: Ids  # [1], which predicts the text's first token; [0]: that token is only read

    @lazy
    def tokens(self) -> Ids:
        """All tokens that are read before the text."""
        return np.concatenate((self.lead, self.first))


def prefix_lead(config: Config, ids: Ids, begin: Ids) -> Ids:
    """What a model of documents reads before the <s> of a text: `begin`, the tokens of its prefix.

    `begin` is the config's prefix_token_id, or nothing.

    Of a model that was trained so, they come from the end of the prefix (Sutskever et al. 2014,
    section 3.3: the beginnings of both sequences lie next to each other).
    """
    return np.concatenate((begin, ids[::-1] if config.reversed_prefix else ids))


def split_space(tokenizer: TextTokenizer, text: str, ids: Ids) -> tuple[str, str, Ids]:
    """Split a prefix into text and the white space that belongs to the next token; give its ids.

    In a subword model " cat" is one token, so the tokens of "the " do not begin "the cat": the
    model must read "the". A model of characters reads "the " as it is.
    """
    stripped = text.rstrip()
    if stripped == text or np.array_equal(tokenizer.encode(text + "a")[: len(ids)], ids):
        return text, "", ids
    return stripped, text[len(stripped) :], tokenizer.encode(stripped)


def word_before(tokenizer: TextTokenizer) -> Prefix:
    """A prefix of one word, for words in the middle: at the beginning their tokens may differ."""
    nothing = np.empty(0, np.int64)
    return Prefix("a", "", tokenizer.encode("a"), lead=nothing, first=nothing)


def encode_after(
    tokenizer: TextTokenizer,
    prefixes: Sequence[Prefix],
    texts: Sequence[str],
    *,
    joiner: str,
    number: int,
) -> list[Encoded]:
    """The tokens of texts (at least one), each of which continues the sentence of its prefix.

    Prefix and text are tokenized as one string if that keeps the tokens of the prefix; else the
    joiner and the text are tokenized alone. Tokens of the joiner belong to the text, with offsets
    (0, 0). `joiner` stands between the two unless one is empty or there is white space; `number` is
    the number of the first text, for errors.

    Raises:
        InputError: a text has no ids; names its number.
    """
    joiners = [
        prefix.space if prefix.space and text else joiner_between(prefix.text, text, joiner)
        for prefix, text in zip(prefixes, texts, strict=True)
    ]
    parts = list(zip(prefixes, joiners, texts, strict=True))
    try:
        whole = tokenizer.encode_spans([prefix.text + j + text for prefix, j, text in parts])
        rests = [_rest(w, prefix, len(j)) for w, (prefix, j, _) in zip(whole, parts, strict=True)]
        needed = [part for part, rest in zip(parts, rests, strict=True) if rest is None]
        apart = tokenizer.encode_spans([j + text for _, j, text in needed])
    except InputError:
        tokenizer.encode_batch(texts, first=number)  # names the text, and counts in it alone
        raise
    own = (_shifted(e, len(j)) for e, (_, j, _) in zip(apart, needed, strict=True))
    return [next(own) if rest is None else rest for rest in rests]


def joiner_between(prefix: str, text: str, joiner: str) -> str:
    """The joiner, or nothing if either side is empty or has white space there already."""
    if not prefix or not text or prefix[-1].isspace() or text[0].isspace():
        return ""
    return joiner


def _rest(whole: Encoded, prefix: Prefix, joiner: int) -> Encoded | None:
    """The tokens after the prefix; None if the prefix has other tokens there, or shares one."""
    n, end = len(prefix.ids), len(prefix.text)
    if not np.array_equal(whole.ids[:n], prefix.ids) or (whole.spans[:n, 1] > end).any():
        return None
    return _shifted(Encoded(whole.ids[n:], whole.spans[n:]), end + joiner)


def _shifted(encoded: Encoded, characters: int) -> Encoded:
    return Encoded(encoded.ids, np.maximum(encoded.spans - characters, 0))
