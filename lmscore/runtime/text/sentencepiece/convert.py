"""A SentencePiece model as a tokenizer.json that gives the same ids, or an error that says why not.

A tokenizer's model finds every entry of its vocabulary in a text, and SentencePiece finds neither
control symbols nor `<unk>`. Their entries are spelt with a space in front. No text has one when it
reaches the model: spaces have become U+2581 by then.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from lmscore.errors import ModelError
from lmscore.runtime.text.sentencepiece.charsmap import make_normalizers
from lmscore.runtime.text.sentencepiece.model import (
    Piece,
    SentencePieceModel,
    read_sentencepiece,
)

_SPACE = "\u2581"
_UNMATCHED = ("control", "unknown")
_TYPED_BYTE = "<(?=0x[0-9A-F]{2}>)"  # a byte's name in a text is no byte
_USER_BONUS = 0.1  # of unigram_model.cc


def looks_like_model(data: bytes) -> bool:
    """Whether a file begins as a SentencePiece model does: with a piece, field 1 of the message."""
    return data[:1] == b"\n" and data[2:3] == b"\n"


def tokenizer_from_model(
    data: bytes, *, source: str | Path, approximate: bool = False
) -> Tokenizer:
    """Make the tokenizer of a SentencePiece model; `source` names its file in errors.

    A unigram model takes the most probable pieces. SentencePiece adds log-probabilities in 32 bits
    from the beginning of a text, and the rounding decides between ways that are equally probable,
    such as `..` `.` and `.` `..`; tokenizers adds in 64 bits. No tokenizer.json can round so.

    Args:
        data: the content of the file.
        source: its name.
        approximate: take a unigram model, too: on about 1 of 10,000 lines it gives some pieces
            in another order.

    Raises:
        ModelError: it is not such a model, or a tokenizer.json cannot do what it does.
    """
    source = str(source)
    model = read_sentencepiece(data, source=source)
    _check_kind(model, source)
    if model.model_type == "unigram" and not approximate:
        raise ModelError(
            f"{source}: a SentencePiece model of the type unigram, to which a tokenizer.json comes "
            "close alone: on about 1 of 10,000 lines it gives the pieces of a run, such as '....', "
            "in another order; approximate_tokenizer=True takes it all the same"
        )
    tokenizer = Tokenizer(_unigram(model) if model.model_type == "unigram" else _bpe(model, source))
    tokenizer.normalizer = normalizers.Sequence(_normalizers(model, source))
    splits = _splits(model)
    if splits:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.Sequence(_decoders(model))
    return tokenizer


def _check_kind(model: SentencePieceModel, source: str) -> None:
    texts = [piece.text for piece in model.pieces]
    reasons = {
        f"of the type {model.model_type}": model.model_type not in ("unigram", "bpe"),
        "with white space at the ends of words": model.whitespace_is_suffix,
        "with spaces that stay spaces": not model.escape_whitespaces,
        "with unused pieces": bool(model.of_kind("unused")),
        "without one unknown piece": len(model.of_kind("unknown")) != 1,
        "with the same piece twice": len(set(texts)) < len(texts),
        "with an empty piece": "" in texts,
        "with spaces in pieces": any(" " in text for text in texts),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ModelError(
                f"{source}: a SentencePiece model {reason}, for which a tokenizer.json has no "
                "equivalent; unigram and bpe models as SentencePiece makes them by default have"
            )


def _entry(piece: Piece) -> str:
    """How the vocabulary spells a piece."""
    return f" {piece.text}" if piece.kind in _UNMATCHED else piece.text


def _unigram(model: SentencePieceModel) -> models.Unigram:
    scores = [piece.score for piece in model.of_kind("normal")]
    best, worst = max(scores, default=0.0), min(scores, default=0.0)

    def score(piece: Piece) -> float:
        if piece.kind == "normal":
            return piece.score
        if piece.kind != "user-defined":
            return worst  # it is never found, and sets no new minimum
        # SentencePiece scores one by its bytes, so that it is taken. Below the worst score it
        # would change what an unknown character costs.
        return max(len(piece.text.encode()) * best - _USER_BONUS, worst)

    unknown = next(i for i, piece in enumerate(model.pieces) if piece.kind == "unknown")
    vocabulary = [(_entry(piece), score(piece)) for piece in model.pieces]
    return models.Unigram(vocabulary, unk_id=unknown, byte_fallback=model.byte_fallback)


def _bpe(model: SentencePieceModel, source: str) -> models.BPE:
    """A BPE model; pieces merge by their scores, whatever two parts they are made of."""
    ids = {_entry(piece): index for index, piece in enumerate(model.pieces)}
    unknown = _entry(model.of_kind("unknown")[0])
    merging = {piece.text: piece.score for piece in model.of_kind("normal")}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in sorted(merging, key=merging.__getitem__, reverse=True)
        for cut in range(1, len(piece))
        if piece[:cut] in merging and piece[cut:] in merging
    ]
    found = models.BPE(
        ids,
        merges,
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
        ignore_merges=bool(model.of_kind("user-defined")),
    )
    _check_merges(found, merging, source)
    return found


def _check_merges(model: models.BPE, merging: dict[str, float], source: str) -> None:
    """Raise ModelError unless merges make every piece from its characters.

    Otherwise SentencePiece, which merges what is not in the vocabulary character by character,
    could take another way; and a text that is a piece by itself would be taken as it is.
    """
    document = json.loads(Tokenizer(model).to_str())["model"]
    merged: Any = models.BPE(document["vocab"], [tuple(pair) for pair in document["merges"]])
    for piece in merging:
        if len(merged.tokenize(piece)) != 1:
            raise ModelError(
                f"{source}: a SentencePiece model with the piece {piece!r}, which its merges do "
                "not make; a tokenizer.json has no equivalent"
            )


def _normalizers(model: SentencePieceModel, source: str) -> list[normalizers.Normalizer]:
    charsmap = make_normalizers(model.charsmap, source=source) if model.charsmap else []
    _check_stable(model, charsmap, source)
    prefix = [normalizers.Prepend(" ")] if model.add_dummy_prefix else []
    spaces = [
        normalizers.Replace(Regex(rf"\A +|[ {_SPACE}]+\z"), ""),
        normalizers.Replace(Regex("  +"), " "),
    ]
    # A text that the charsmap or the spaces leave empty has a prefix in one case alone.
    steps = [*charsmap, *spaces, *prefix] if model.remove_extra_whitespaces else prefix + charsmap
    return [*steps, normalizers.Replace(" ", _SPACE)]


def _check_stable(
    model: SentencePieceModel, charsmap: list[normalizers.Normalizer], source: str
) -> None:
    """Raise ModelError if a symbol of the user's, which SentencePiece leaves alone, is replaced."""
    made = normalizers.Sequence(charsmap)
    for piece in model.of_kind("user-defined"):
        if made.normalize_str(piece.text) != piece.text:
            raise ModelError(
                f"{source}: the user-defined symbol {piece.text!r}, which the normalisation would "
                f"make {made.normalize_str(piece.text)!r} of; a tokenizer.json has no equivalent"
            )


def _splits(model: SentencePieceModel) -> list[pre_tokenizers.PreTokenizer]:
    splits: list[pre_tokenizers.PreTokenizer] = []
    symbols = [piece.text for piece in model.of_kind("user-defined")]
    if symbols and model.model_type == "bpe":  # nothing merges with one, and it is taken as it is
        longest_first = sorted(symbols, key=len, reverse=True)
        pattern = "|".join(map(_escaped, longest_first))
        splits.append(pre_tokenizers.Split(Regex(pattern), "isolated"))
    if model.byte_fallback and (symbols or model.model_type == "unigram"):
        splits.append(pre_tokenizers.Split(Regex(_TYPED_BYTE), "isolated"))
    return splits


def _escaped(text: str) -> str:
    return re.sub(r"[^\w]", lambda match: f"\\x{{{ord(match[0]):x}}}", text)


def _decoders(model: SentencePieceModel) -> list[decoders.Decoder]:
    parts: list[decoders.Decoder] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback()]
    parts.append(decoders.Fuse())
    if model.add_dummy_prefix:
        parts.append(decoders.Strip(" ", 1, 0))
    return parts
