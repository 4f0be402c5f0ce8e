"""The content of a SentencePiece model file.

The numbers of the fields are those of sentencepiece_model.proto in SentencePiece's repository.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from lmscore.errors import ModelError
from lmscore.protobuf import Fields, Reader

Kind = Literal["normal", "unknown", "control", "user-defined", "unused", "byte"]
ModelType = Literal["unigram", "bpe", "word", "char"]

_KINDS: tuple[Kind, ...] = ("normal", "unknown", "control", "user-defined", "unused", "byte")
_TYPES: tuple[ModelType, ...] = ("unigram", "bpe", "word", "char")


@dataclass(frozen=True)
class Piece:
    """A piece of text with its score: a log-probability, or minus its rank among merges."""

    text: str
    score: float
    kind: Kind


@dataclass(frozen=True)
class SentencePieceModel:
    """What a model file says about tokenizing; a piece's place is its id."""

    pieces: tuple[Piece, ...]
    model_type: ModelType
    byte_fallback: bool
    whitespace_is_suffix: bool
    charsmap: bytes  # empty: the text is not normalised
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool

    def of_kind(self, *kinds: Kind) -> list[Piece]:
        """The pieces of some kinds, in the order of their ids."""
        return [piece for piece in self.pieces if piece.kind in kinds]


def read_sentencepiece(data: bytes, *, source: str) -> SentencePieceModel:
    """Read a model file; `source` names it in errors.

    Raises:
        ModelError: it is not one, or is damaged.
    """
    try:
        return _model(Reader(data), len(data))
    except (ValueError, IndexError, struct.error) as error:
        raise ModelError(f"{source}: not a SentencePiece model: {error}") from error


def _model(reader: Reader, size: int) -> SentencePieceModel:
    fields = reader.fields("model", 0, size)
    pieces = tuple(_piece(reader, *place) for place in fields.messages(1))
    if not pieces:
        raise ValueError("it has no pieces")
    trainer, normalizer = _part(reader, fields, 2), _part(reader, fields, 3)
    return SentencePieceModel(
        pieces=pieces,
        model_type=_TYPES[_number(trainer, 3, 1) - 1],
        byte_fallback=bool(_number(trainer, 35, 0)),
        whitespace_is_suffix=bool(_number(trainer, 24, 0)),
        charsmap=b"".join(reader.data[start:end] for start, end in normalizer.messages(2)[-1:]),
        add_dummy_prefix=bool(_number(normalizer, 3, 1)),
        remove_extra_whitespaces=bool(_number(normalizer, 4, 1)),
        escape_whitespaces=bool(_number(normalizer, 5, 1)),
    )


def _part(reader: Reader, fields: Fields, number: int) -> Fields:
    places = fields.messages(number)
    return reader.fields("part", *(places[-1] if places else (0, 0)))


def _piece(reader: Reader, start: int, end: int) -> Piece:
    fields = reader.fields("piece", start, end)
    kind = _KINDS[_number(fields, 3, 1) - 1]
    scores = fields.messages(2)
    score = 0.0
    if scores:
        (score,) = struct.unpack("<f", reader.data[slice(*scores[-1])])
    return Piece(fields.text(1), score, kind)


def _number(fields: Fields, number: int, default: int) -> int:
    values = fields.numbers(number)
    return values[-1] if values else default
