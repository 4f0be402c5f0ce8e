"""Paths to values in JSON: `results[].alternatives`, `words[].word`, `[0]`, `.`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.formats.json_text import Node


class Each(Enum):
    """The step `[]`: every element of an array."""

    EACH = "[]"


Step = str | int | Each

_STEP = re.compile(r"\.?(?P<key>(?:[^.\[\]\\]|\\.)+)|\[(?P<index>[0-9]{0,9})\]")


@dataclass(frozen=True)
class FieldPath:
    """The steps from a JSON value to others within it; none for the value itself."""

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def parsed(cls, text: str) -> FieldPath:
        """The path that a text spells; raises OptionError."""
        steps: list[Step] = []
        place = 0
        while place < len(text) and text != ".":
            match = _STEP.match(text, place)
            if match is None or (match[0].startswith(".") and not place):
                raise OptionError(
                    f"{text!r} is no path of fields, such as results[].alternatives, [0] or ."
                )
            steps.append(_step(match))
            place = match.end()
        if not text:
            raise OptionError("an empty path of fields; . is the value itself")
        return cls(text, tuple(steps))

    @property
    def name(self) -> str | None:
        """The last key in the path."""
        return next((step for step in reversed(self.steps) if isinstance(step, str)), None)


def _step(match: re.Match[str]) -> Step:
    if match["key"] is not None:
        return re.sub(r"\\(.)", r"\1", match["key"])
    return int(match["index"]) if match["index"] else Each.EACH


def values_at(node: Node, steps: tuple[Step, ...]) -> Iterator[Node]:
    """The values that a path leads to, of those that are there."""
    if not steps:
        yield node
        return
    first, *rest = steps
    for item in _items(node, first):
        yield from values_at(item, tuple(rest))


def _items(node: Node, step: Step) -> tuple[Node, ...]:
    if isinstance(step, str):
        found = node.get(step) if node.is_object() else None
        return () if found is None else (found,)
    items = (node.items or ()) if node.is_array() else ()
    return items if isinstance(step, Each) else items[step : step + 1]


@dataclass(frozen=True, slots=True)
class Place:
    """A value around a list, and the elements that the way to the list takes from there on."""

    node: Node
    indices: tuple[int, ...]  # one for each `[]`

    def at(self, steps: tuple[Step, ...]) -> Node | None:
        """The one value that a path leads to from here, its `[]` taken as on the way to the list.

        None where it is not there, is null, or has more `[]` than the way.
        """
        node, indices = self.node, list(self.indices)
        for step in steps:
            if isinstance(step, Each) and not indices:
                return None
            items = _items(node, indices.pop(0) if isinstance(step, Each) else step)
            if not items:
                return None
            node = items[0]
        return None if node.raw == "null" else node


def lists_at(
    node: Node, steps: tuple[Step, ...]
) -> Iterator[tuple[Node | None, tuple[Place, ...]]]:
    """The arrays that a path leads to, and the values on the way to each, the outermost first.

    None stands for an array that a key does not lead to, that is null, or whose place is in an
    array without elements, as for what was not recognised.
    """
    if not steps:
        yield None if node.raw == "null" else node, ()
        return
    first, *rest = steps
    found = _items(node, first)
    if not found and (isinstance(first, str) or (rest and is_empty(node))):
        yield None, (Place(node, ()),)
    for number, item in enumerate(found):
        index = (number,) if isinstance(first, Each) else ()
        for array, places in lists_at(item, tuple(rest)):
            inner = places[0].indices if places else ()
            yield array, (Place(node, (*index, *inner)), *places)


def is_empty(node: Node) -> bool:
    """Whether a value holds no element that a list could be in."""
    return node.raw == "null" or (node.is_array() and not node.items)
