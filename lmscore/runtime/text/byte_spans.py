"""Where byte-level tokens lie in a text, from the bytes that they spell, without tokenizing it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer, decoders

from lmscore.runtime.text.pieces import BytePieces
from lmscore.runtime.text.steps import steps_of

# Normalizers that put nothing in front of a text. What they change is seen in the bytes.
_NORMALIZERS = {"Replace", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"}


class Spans(NamedTuple):
    """Offsets of n tokens into their text, in characters."""

    starts: list[int]  # n
    ends: list[int]  # n


class ByteSpans:
    """The offsets that a byte-level tokenizer would report for tokens that spell a text exactly.

    Each token then begins where the one before it ends. A space that the tokenizer puts in front of
    a text counts as a part of its first character, and so does every byte of a character.
    """

    def __init__(self, tokenizer: Tokenizer, *, adds_space: bool) -> None:
        """`adds_space`: the tokenizer puts a space in front of a text that begins with none."""
        self._pieces = BytePieces(tokenizer)
        self._adds_space = adds_space
        self._normalizes = tokenizer.normalizer is not None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> ByteSpans | None:
        """For a byte-level tokenizer; None where it is another one, or reports other offsets."""
        if not isinstance(tokenizer.decoder, decoders.ByteLevel):
            return None
        levels = [step for step in steps_of(tokenizer.pre_tokenizer) if step["type"] == "ByteLevel"]
        normalizers = {step["type"] for step in steps_of(tokenizer.normalizer)}
        trims = any(step.get("trim_offsets") for step in steps_of(tokenizer.post_processor))
        if len(levels) != 1 or trims or not normalizers <= _NORMALIZERS:
            return None
        return cls(tokenizer, adds_space=levels[0]["add_prefix_space"])

    def find(self, text: str, ids: Sequence[int]) -> Spans | None:
        """The spans of the tokens of a text; None unless they spell it byte for byte.

        That is not so if a normalizer changed it, or if a token stands for what it does not spell.
        """
        data, pieces = text.encode(), list(map(self._pieces.__getitem__, ids))
        spelt = b"".join(pieces)
        # A normalizer may have removed the text's own space, and the tokenizer put another there.
        added = self._adds_space and not data.startswith(b" ")
        if not added and self._normalizes and self._adds_space:
            return None
        if spelt != (b" " + data if added and data else data):
            return None
        if not pieces:
            return Spans([], [])
        bounds = list(accumulate(map(len, pieces), initial=-added))
        starts, ends = bounds[:-1], bounds[1:]
        starts[0], ends[0] = 0, max(1, ends[0])
        return Spans(starts, ends) if text.isascii() else _in_characters(data, starts, ends)


def _in_characters(data: bytes, starts: list[int], ends: list[int]) -> Spans:
    """Offsets in characters, from those of non-empty tokens in bytes of UTF-8."""
    begins = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
    number = np.cumsum(begins)  # of the character of each byte, from 1
    first, last = number[np.array(starts)], number[np.array(ends) - 1]
    return Spans((first - 1).tolist(), last.tolist())
