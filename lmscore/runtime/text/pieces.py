"""The bytes that each token adds to a text: for decoding, and to find where words begin."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, pre_tokenizers

from lmscore.runtime.text.steps import steps_of

# The name of a byte as tokenizers reads it, whose numbers may have a sign; `<0xZZ>` is a text.
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>")


def token_pieces(tokenizer: Tokenizer, special: Sequence[int]) -> tuple[bytes, ...]:
    """The bytes that each token of the vocabulary adds to a text that has begun.

    A word of a word model brings the space before it. A token of a byte-level or byte-fallback
    tokenizer may be a part of a character, so only the joined pieces are UTF-8. The `special` ids,
    such as <s> and </s>, add nothing.
    """
    ids = range(tokenizer.get_vocab_size())
    kinds = {step["type"] for step in steps_of(tokenizer.decoder)}
    if "ByteLevel" in kinds:
        pieces = list(map(BytePieces(tokenizer).__getitem__, ids))
    else:
        pieces = _by_decoding(tokenizer, special, byte_fallback="ByteFallback" in kinds)
    return tuple(b"" if i in special else piece for i, piece in zip(ids, pieces, strict=True))


class BytePieces(dict[int, bytes]):
    """Pieces of a byte-level tokenizer by token id, each found when it is first asked for.

    A character of a token stands for a byte, except in added tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self._byte_of = _alphabet()
        self._added = tokenizer.get_added_tokens_decoder().keys()

    def __missing__(self, token_id: int) -> bytes:
        token = self._tokenizer.id_to_token(token_id) or ""
        if token_id in self._added or not self._byte_of.keys() >= set(token):
            piece = token.encode()
        else:
            piece = bytes(self._byte_of[character] for character in token)
        self[token_id] = piece
        return piece


def _alphabet() -> dict[str, int]:
    """Map each character of GPT-2's byte-level alphabet to the byte that it stands for.

    Printable bytes stand for themselves; the others are numbered from U+0100 on, in their order.
    """
    characters = sorted(pre_tokenizers.ByteLevel.alphabet())
    itself = {character: ord(character) for character in characters if ord(character) <= 0xFF}
    unprintable = sorted(set(range(256)) - set(itself.values()))
    return itself | dict(zip(characters[len(itself) :], unprintable, strict=True))


def _by_decoding(
    tokenizer: Tokenizer, special: Sequence[int], *, byte_fallback: bool
) -> list[bytes]:
    """Pieces found by decoding each token after another one."""
    size = tokenizer.get_vocab_size()
    names = [tokenizer.id_to_token(token_id) or "" for token_id in range(size)]
    # A common letter or word, after which decoding is regular.
    anchor = next((i for i, name in enumerate(names) if i not in special and name.isalnum()), 0)
    alone = tokenizer.decode([anchor], skip_special_tokens=False)
    pairs = [[anchor, i] for i in range(size)]
    texts = tokenizer.decode_batch(pairs, skip_special_tokens=False)
    pieces = [text.removeprefix(alone).encode() for text in texts]
    if byte_fallback:
        for i, name in enumerate(names):
            if byte := _BYTE.fullmatch(name):
                pieces[i] = bytes([int(byte[1], 16)])
    return pieces


def without_space_before(piece: bytes) -> bytes:
    """Bytes without the white space at their beginning, all of Unicode's."""
    text = piece.decode("utf-8", "surrogateescape")
    return text.lstrip().encode("utf-8", "surrogateescape")


class PieceIndex:
    """The tokens of a vocabulary by the letters with which their pieces begin."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        order = sorted(range(len(pieces)), key=pieces.__getitem__)
        self._sorted = [pieces[token] for token in order]
        self._tokens = np.array(order, np.int64)

    def fitting(self, beginnings: Iterable[bytes]) -> NDArray[np.int64]:
        """The tokens whose piece begins with one of several strings, or is the beginning of one."""
        begun = set(beginnings)
        shorter = {b"", *(text[:size] for text in begun for size in range(len(text)))}
        spans = [self._beginning_with(text) for text in begun] + [
            self._equal_to(text) for text in shorter
        ]
        return np.concatenate([self._tokens[span] for span in spans] or [self._tokens[:0]])

    def _beginning_with(self, text: bytes) -> slice:
        low = bisect_left(self._sorted, text)
        return slice(
            low, bisect_right(self._sorted, text, low, key=lambda piece: piece[: len(text)])
        )

    def _equal_to(self, text: bytes) -> slice:
        low = bisect_left(self._sorted, text)
        return slice(low, bisect_right(self._sorted, text, low))
