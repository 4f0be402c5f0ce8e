"""JSON whose values know where they stand, so that all that is not changed stays as it was.

`json` alone forgets how numbers were spelt, which keys stood twice, and all white space.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.numbers import checked_score

_WHITE_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class JsonText:
    """A text with one JSON value, and what an error message calls it."""

    name: str
    text: str
    line: int = 1  # of its first character

    def error(self, position: int, message: str) -> InputError:
        """An error about a place in the text."""
        line = self.line + self.text.count("\n", 0, position)
        return InputError(f"{self.name}, line {line}{message}")

    def skip(self, position: int) -> int:
        """The end of the white space after a position."""
        match = _WHITE_SPACE.match(self.text, position)
        return match.end() if match else position

    def decode(self, position: int) -> tuple[Any, int]:
        """The value at a position, and where it ends; raises InputError if it is not JSON."""
        try:
            return _DECODER.raw_decode(self.text, position)
        except json.JSONDecodeError as error:
            raise self.error(error.pos, f": not JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:  # a number or a nesting without end
            raise self.error(position, f": not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value: `source.text[start:end]`. A member of an object has its key before that."""

    source: JsonText = field(repr=False)
    start: int
    end: int
    value: Any  # decoded, of a value that was not opened
    items: tuple[Node, ...] | None = None  # of an opened array or object
    key: str = ""
    key_start: int = 0
    key_end: int = 0

    @property
    def raw(self) -> str:
        """The value as it is written."""
        return self.source.text[self.start : self.end]

    @property
    def prefix(self) -> str:
        """The key as it is written, with the colon; nothing for an element of an array."""
        return self.source.text[self.key_start : self.start]

    def is_array(self) -> bool:
        """Whether the value is an array."""
        return self.source.text[self.start] == "["

    def is_object(self) -> bool:
        """Whether the value is an object."""
        return self.source.text[self.start] == "{"

    def get(self, key: str) -> Node | None:
        """An opened object's member; the last one where there are several, as JSON has it."""
        return next((item for item in reversed(self.items or ()) if item.key == key), None)

    def error(self, path: str, message: str) -> InputError:
        """An error about this value, which the reader knows as `path`."""
        return self.source.error(self.start, f", {path}: {message}")

    def replaced(self, pieces: Sequence[str]) -> str:
        """An opened array or object with other elements, laid out as it lays out its own."""
        text, items = self.source.text, self.items or ()
        first, last = text[self.start], text[self.end - 1]
        if not items or not pieces:
            return first + last
        before = text[self.start + 1 : items[0].key_start]
        after = text[items[-1].end : self.end - 1]
        if len(items) > 1:
            between = text[items[0].end : items[1].key_start]
        else:
            between = "," + (before or " " * items[0].prefix.endswith(" "))
        return first + before + between.join(pieces) + after + last


def elements(source: JsonText, start: int, depth: int) -> Iterator[Node]:
    """The elements of the array or object that begins at `start`, each opened `depth` levels.

    Raises:
        InputError: the text is not JSON.
    """
    text, is_object = source.text, source.text[start] == "{"
    close = "}" if is_object else "]"
    at = source.skip(start + 1)
    while not text.startswith(close, at):
        node = _member(source, at, depth) if is_object else open_node(source, at, depth)
        yield node
        at = source.skip(node.end)
        if text.startswith(",", at):
            at = source.skip(at + 1)
            if text.startswith(close, at):
                raise source.error(at, f": not JSON: a comma before {close!r}")
        elif not text.startswith(close, at):
            raise source.error(at, f": not JSON: expected ',' or {close!r}")


def open_node(source: JsonText, start: int, depth: int) -> Node:
    """The value at `start`: to this depth of arrays and objects opened, below that decoded."""
    if depth > 0 and source.text.startswith(("[", "{"), start):
        items = tuple(elements(source, start, depth - 1))
        end = source.skip(items[-1].end if items else start + 1) + 1
        return Node(source, start, end, None, items, key_start=start, key_end=start)
    value, end = source.decode(start)
    return Node(source, start, end, value, key_start=start, key_end=start)


def _member(source: JsonText, start: int, depth: int) -> Node:
    if not source.text.startswith('"', start):
        raise source.error(start, ": not JSON: expected a key in double quotes")
    key, key_end = source.decode(start)
    colon = source.skip(key_end)
    if not source.text.startswith(":", colon):
        raise source.error(colon, f": not JSON: expected ':' after the key {key!r}")
    node = open_node(source, source.skip(colon + 1), depth)
    return Node(source, node.start, node.end, node.value, node.items, key, start, key_end)


def top_elements(source: JsonText, bracket: str, depth: int) -> Iterator[Node]:
    """The elements of a document that is one array (`[`) or object (`{`); raises InputError."""
    start = source.skip(0)
    if not source.text.startswith(bracket, start):
        raise source.error(start, f": expected JSON that begins with {bracket!r}")
    end = start + 1
    for node in elements(source, start, depth):
        yield node
        end = node.end
    check_end(source, source.skip(end) + 1)


def check_end(source: JsonText, end: int) -> None:
    """Raise InputError where something follows the value that ends at `end`."""
    at = source.skip(end)
    if at < len(source.text):
        raise source.error(at, ": not JSON: text after the end")


def string(node: Node, path: str) -> str:
    """The value of a string; raises InputError if it is no string, or no valid text."""
    if not isinstance(node.value, str):
        raise node.error(path, f"expected a string, not {node.raw[:40]!r}")
    try:
        node.value.encode()
    except UnicodeEncodeError as error:
        raise node.error(path, "holds half a surrogate pair") from error
    return node.value


def optional_string(node: Node | None, path: str) -> str | None:
    """The value of a string that may be missing, or null."""
    return None if node is None or node.raw == "null" else string(node, path)


def identifier(node: Node, path: str) -> str:
    """The value of an id; raises InputError if it is neither a string nor an integer."""
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.raw
    return string(node, path)


def is_number(node: Node) -> bool:
    """Whether the value is a number, or NaN or Infinity, which `json` reads beyond the standard."""
    return isinstance(node.value, int | float) and not isinstance(node.value, bool)


def number(node: Node, path: str) -> float:
    """The value of a score; raises InputError if it is no number, or NaN, or too large."""
    if not is_number(node):
        raise node.error(path, f"expected a number, not {node.raw[:40]!r}")
    try:
        return checked_score(float(node.value), "")
    except (OverflowError, InputError) as error:
        raise node.error(path, f"the score {node.raw[:40]} cannot be used") from error


def numbers(node: Node, path: str) -> dict[str, float]:
    """The numbers in an object, by key; raises InputError if one, or `score`, is no valid score."""
    return {
        item.key: number(item, f"{path}.{item.key}")
        for item in node.items or ()
        if is_number(item) or (item.key == "score" and item.raw != "null")
    }


def with_numbers(node: Node, new: Mapping[str, float], values: Mapping[str, str]) -> str:
    """An opened object with new numbers after its last one, and other values for some keys.

    Raises:
        OptionError: a new number has the key of something else.
    """
    items = node.items or ()
    pieces = [item.prefix + values.get(item.key, item.raw) for item in items]
    place = max((i for i, item in enumerate(items, 1) if is_number(item)), default=len(items))
    colon = node.source.text[items[0].key_end : items[0].start]
    for name in new:
        if node.get(name):
            raise OptionError(f"the list has {name!r} for something else; choose another name")
    pieces[place:place] = [f"{json.dumps(name)}{colon}{value!r}" for name, value in new.items()]
    return node.replaced(pieces)
