"""What each token adds to a text, as bytes: for decoding, and to see where words begin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers


def token_pieces(tokenizer: Tokenizer, special: Sequence[int]) -> tuple[bytes, ...]:
    """The bytes that each token of the vocabulary adds to a text that has begun.

    A word of a word model brings the space before it. A token of a byte-level or byte-fallback
    tokenizer may be a part of a character, so that only the joined pieces are UTF-8.

    Args:
        tokenizer: any Hugging Face tokenizer.
        special: ids that add nothing, such as <s> and </s>.
    """
    ids = range(tokenizer.get_vocab_size())
    document = json.loads(tokenizer.to_str())
    kinds = set(_decoder_types(document["decoder"]))
    if "ByteLevel" in kinds:
        pieces = _byte_level(tokenizer, document)
    else:
        pieces = _by_decoding(tokenizer, special, byte_fallback="ByteFallback" in kinds)
    return tuple(b"" if i in special else piece for i, piece in zip(ids, pieces, strict=True))


def _decoder_types(decoder: dict[str, Any] | None) -> Iterator[str]:
    if decoder is not None:
        yield decoder["type"]
        for part in decoder.get("decoders", ()):
            yield from _decoder_types(part)


def _byte_level(tokenizer: Tokenizer, document: dict[str, Any]) -> list[bytes]:
    """Each character of such a token stands for a byte; added tokens are spelt as they are."""
    byte_of = _alphabet()
    added = {token["id"] for token in document["added_tokens"]}
    pieces = []
    for token_id in range(tokenizer.get_vocab_size()):
        token = tokenizer.id_to_token(token_id) or ""
        if token_id in added or not byte_of.keys() >= set(token):
            pieces.append(token.encode())
        else:
            pieces.append(bytes(byte_of[character] for character in token))
    return pieces


def _alphabet() -> dict[str, int]:
    """The byte that each character of GPT-2's byte-level alphabet stands for.

    Printable bytes stand for themselves; the others are numbered from U+0100 on, in their order.
    """
    characters = set(pre_tokenizers.ByteLevel.alphabet())
    others = sorted(character for character in characters if ord(character) > 0xFF)
    itself = {character: ord(character) for character in characters if ord(character) <= 0xFF}
    unprintable = sorted(set(range(256)) - set(itself.values()))
    return {**itself, **dict(zip(others, unprintable, strict=True))}


def _by_decoding(
    tokenizer: Tokenizer, special: Sequence[int], *, byte_fallback: bool
) -> list[bytes]:
    """What decoding adds to a text when the token comes after another."""
    size = tokenizer.get_vocab_size()
    anchor = next((i for i in range(size) if _is_plain(tokenizer, i, special)), 0)
    alone = tokenizer.decode([anchor], skip_special_tokens=False)
    pairs = [[anchor, i] for i in range(size)]
    texts = tokenizer.decode_batch(pairs, skip_special_tokens=False)
    pieces = [text.removeprefix(alone).encode() for text in texts]
    if byte_fallback:
        for token_id in range(size):
            token = tokenizer.id_to_token(token_id) or ""
            if len(token) == len("<0x00>") and token.startswith("<0x") and token.endswith(">"):
                pieces[token_id] = bytes.fromhex(token[3:5])
    return pieces


def _is_plain(tokenizer: Tokenizer, token_id: int, special: Sequence[int]) -> bool:
    """Whether a token is a common letter or word, after which nothing is special."""
    return token_id not in special and (tokenizer.id_to_token(token_id) or "").isalnum()
