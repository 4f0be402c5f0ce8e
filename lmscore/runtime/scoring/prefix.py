"""Texts that something comes before: what is read, and how the two are tokenized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmscore.errors import InputError
from lmscore.runtime.text import Encoded, Ids, TextTokenizer


@dataclass(frozen=True)
class Prefix:
    """What is read before a text, none of it scored."""

    text: str  # empty where there is none
    space: str  # white space after it, which is tokenized with what follows
    ids: Ids  # the tokens of its text
    lead: Ids  # what the model reads before `first`
    first: Ids  # [1], from which the text's first token is predicted; [0]: that is read only

    @cached_property
    def tokens(self) -> Ids:
        """All that is read before the text."""
        return np.concatenate((self.lead, self.first))


def split_space(tokenizer: TextTokenizer, text: str, ids: Ids) -> tuple[str, str, Ids]:
    """A prefix, the white space at its end where a word takes that into its token, and its ids.

    The tokens of "the " are no beginning of those of "the cat" in a subword model, in which " cat"
    is one token: "the" is to be read there. A model of characters reads "the " as it is.
    """
    stripped = text.rstrip()
    if stripped == text or np.array_equal(tokenizer.encode(text + "a")[: len(ids)], ids):
        return text, "", ids
    return stripped, text[len(stripped) :], tokenizer.encode(stripped)


def word_before(tokenizer: TextTokenizer) -> Prefix:
    """Some word for others to come after: their tokens may differ from those at a beginning."""
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
    """The tokens of texts that continue the sentence which their prefix begins.

    The two are tokenized as one string, where that leaves the tokens of the prefix as they are;
    else the joiner and the text are tokenized without the prefix. Tokens of the joiner are the
    text's, with offsets (0, 0).

    Args:
        prefixes: one per text.
        texts: at least one.
        joiner: between a prefix and its text, unless one of them is empty or there is white space.
        number: of the first text, for errors.

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
    """The joiner, or nothing where either side is empty or has white space there already."""
    if not prefix or not text or prefix[-1].isspace() or text[0].isspace():
        return ""
    return joiner


def _rest(whole: Encoded, prefix: Prefix, joiner: int) -> Encoded | None:
    """What follows the prefix; None where it has other tokens there, or shares one."""
    n, end = len(prefix.ids), len(prefix.text)
    if not np.array_equal(whole.ids[:n], prefix.ids) or (whole.spans[:n, 1] > end).any():
        return None
    return _shifted(Encoded(whole.ids[n:], whole.spans[n:]), end + joiner)


def _shifted(encoded: Encoded, characters: int) -> Encoded:
    return Encoded(encoded.ids, np.maximum(encoded.spans - characters, 0))
