"""JSON in and out: objects of a line, elements of an array, lines in standard JSON."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from lmscore.errors import InputError
from lmscore.finite import finite

_CHUNK = 1 << 16
_LARGEST = 1 << 26  # characters of one element
_TORN = 16  # an error so near to the end may be of a word or an escape that goes on: -Infinity


def json_object(text: str, where: str) -> dict[str, Any]:
    """The fields of a JSON object; raises InputError, which names `where`, if it is none.

    NaN and Infinity, which some programs write, are read.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {_reason(error)}") from error
    return as_object(fields, where)


def _reason(error: Exception) -> str:
    """What is wrong with a JSON text, in Python's words."""
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    return error.msg.removesuffix(" at")  # a place follows, which is one in a piece of the file


def as_object(value: Any, where: str) -> dict[str, Any]:
    """The value itself; raises InputError if it is no JSON object."""
    if not isinstance(value, dict):
        kind = "null" if value is None else type(value).__name__
        raise InputError(f"{where}: expected a JSON object, got {kind}")
    return value


def json_line(document: Mapping[str, Any]) -> str:
    """A line of standard JSON, in plain characters where UTF-8 can carry them.

    A number that JSON cannot have (nan, inf) is written as null; what Parquet has beside JSON's
    types, dates for example, as text.
    """
    try:
        line = json.dumps(document, ensure_ascii=False, allow_nan=False, default=_as_text)
    except ValueError:
        document = finite(document)
        line = json.dumps(document, ensure_ascii=False, default=_as_text)
    try:
        line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can stand for
        line = json.dumps(document, default=_as_text)
    return line + "\n"


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


class Element(NamedTuple):
    """An element of a JSON array."""

    value: Any
    text: str  # as it is written in the file


def array_elements(file: BinaryIO, name: str, encoding: str, errors: str) -> Iterator[Element]:
    """The elements of a JSON array, one at a time, however long it is.

    Args:
        file: the bytes of the array, from its start.
        name: the file in error messages.
        encoding: of the bytes.
        errors: "replace" puts U+FFFD in the place of bytes that are no text.

    Raises:
        InputError: it is no array, or the array is damaged: nothing behind that can be read.
    """
    text = _Text(file, name, encoding, errors)
    if text.next_character() != "[":
        raise InputError(
            f"{name}: expected a JSON array, [...]; for an object on each line use "
            "input_format='jsonl'"
        )
    text.position += 1
    number = 0
    while text.next_character() != "]" or number:
        number += 1
        yield text.element(f"{name}, element {number}")
        following = text.next_character()
        text.position += 1
        if following == "]":
            return
        if following != ",":
            what = f"{following!r}" if following else "the end of the file"
            raise InputError(f"{name}: expected a comma or ] after element {number}, got {what}")


class _Text:
    """The part of a file's text that has been read and not yet used."""

    def __init__(self, file: BinaryIO, name: str, encoding: str, errors: str) -> None:
        self.position = 0
        self._file = file
        self._name = name
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._text = ""
        self._ended = False

    def next_character(self) -> str:
        """The first character that is no white space; "" at the end of the file."""
        while True:
            rest = self._text[self.position :].lstrip(" \t\r\n\ufeff")
            if rest or self._ended:
                self._text, self.position = rest, 0
                return rest[:1]
            self._read(_CHUNK)

    def element(self, where: str) -> Element:
        """The JSON value that begins here."""
        size = _CHUNK
        while True:
            if not self._ended and len(self._text) - self.position < size:
                self._read(size - len(self._text) + self.position)
            try:
                value, end = _DECODER.raw_decode(self._text, self.position)
            except (json.JSONDecodeError, RecursionError) as error:
                if self._ended or not _may_go_on(error, len(self._text)) or size >= _LARGEST:
                    raise InputError(f"{where}: not JSON: {_reason(error)}") from error
            else:
                if end < len(self._text) or self._ended or self._text[end - 1] in '"}]':
                    break
            size *= 2
        written = self._text[self.position : end]
        self.position = end
        return Element(value, written)

    def _read(self, size: int) -> None:
        data = self._file.read(size)
        self._ended = not data
        try:
            self._text = self._text[self.position :] + self._decoder.decode(data, self._ended)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self._name}: invalid {self._decoder_name}; name the `encoding` of the file, or "
                "use errors='replace'"
            ) from error
        self.position = 0

    @property
    def _decoder_name(self) -> str:
        return type(self._decoder).__module__.removeprefix("encodings.").replace("_", "-").upper()


_DECODER = json.JSONDecoder()


def _may_go_on(error: Exception, length: int) -> bool:
    """Whether the error may only mean that more of the text has to be read."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= length - _TORN
