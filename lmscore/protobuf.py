"""Protobuf messages, read without the protobuf package: the format of ONNX and SentencePiece files.

A message is a sequence of fields, each a key (the field's number and kind) and a value. Values are
not copied: a text, a message or a number of fixed size is the place where it lies in the file.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_MOST_FIELDS = 4_000_000  # of a file; a graph of a thousand layers has half a million

_SIZES = {1: 8, 5: 4}  # bytes of a value, by the kind of its field
_VARINT, _BYTES = 0, 2

Refused = Mapping[str, Mapping[int, str]]


class RefusedError(ValueError):
    """Something in a file that is not accepted there; the message names it."""


Place = tuple[int, int]
"""Where a value lies in the file: its start and end."""


@dataclass(frozen=True)
class Fields:
    """The fields of one message, by number: places of bytes, and numbers."""

    reader: Reader
    found: Mapping[int, list[Place | int]]

    def messages(self, number: int) -> list[Place]:
        """The places of all values of a field that is not stored as integers."""
        places = self.found.get(number, [])
        if not all(isinstance(place, tuple) for place in places):
            raise ValueError("a number in the place of bytes")
        return [place for place in places if isinstance(place, tuple)]

    def texts(self, number: int) -> tuple[str, ...]:
        """The values of a field of texts."""
        return tuple(
            self.reader.data[start:end].decode("utf-8") for start, end in self.messages(number)
        )

    def text(self, number: int) -> str:
        """The value of a field that is there once, or the empty string."""
        texts = self.texts(number)
        if len(texts) > 1:
            raise ValueError("a text that is there twice")
        return texts[0] if texts else ""

    def numbers(self, number: int) -> tuple[int, ...]:
        """The values of a field of integers, one by one or packed into bytes."""
        values: list[int] = []
        for value in self.found.get(number, []):
            values += [value] if isinstance(value, int) else self.reader.packed(*value)
        return tuple(value - (1 << 64) if value >> 63 else value for value in values)

    def number(self, number: int) -> int:
        """The value of an integer that is there once, or 0."""
        values = self.numbers(number)
        if len(values) > 1:
            raise ValueError("a number that is there twice")
        return values[0] if values else 0


class Reader:
    """Reads messages of a file, up to a number of fields.

    Args:
        data: the file.
        refused: fields that may not be there, by message and number, and what to call them.
    """

    def __init__(self, data: bytes | mmap.mmap, refused: Refused | None = None) -> None:
        self.data = data
        self._refused = refused or {}
        self._num_fields = 0

    def fields(self, message: str, start: int, end: int) -> Fields:
        """Read the fields of a message; RefusedError for those that are refused in it."""
        found: dict[int, list[Place | int]] = {}
        refused = self._refused.get(message, {})
        for number, value in self._fields(start, end):
            if number in refused:
                raise RefusedError(refused[number])
            found.setdefault(number, []).append(value)
        return Fields(self, found)

    def packed(self, position: int, end: int) -> Iterator[int]:
        """Read integers that are packed into bytes."""
        while position < end:
            value, position = self._varint(position, end)
            self._count()
            yield value

    def _count(self) -> None:
        self._num_fields += 1
        if self._num_fields > _MOST_FIELDS:
            raise RefusedError(f"more than {_MOST_FIELDS} parts")

    def _fields(self, position: int, end: int) -> Iterator[tuple[int, Place | int]]:
        """Yield number and value of each field of the message up to `end`."""
        while position < end:
            self._count()
            key, position = self._varint(position, end)
            kind, start, value = key & 7, position, 0
            if kind == _VARINT:
                value, position = self._varint(position, end)
            elif kind == _BYTES:
                size, start = self._varint(position, end)
                position = start + size
            elif kind in _SIZES:
                position += _SIZES[kind]
            else:
                raise ValueError(f"a field of kind {kind}")
            if position > end or key >> 32:
                raise ValueError("truncated or damaged")
            yield key >> 3, value if kind == _VARINT else (start, position)

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """Read a number in groups of seven bits, lowest first; return it and where it ends."""
        value = 0
        for shift in range(0, 70, 7):
            if position >= end:
                break
            byte = self.data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position
        raise ValueError("truncated or damaged")
