"""A stream of n-best lists, cut into windows of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from lmscore.errors import InputError
from lmscore.runtime.engine import State
from lmscore.runtime.text import check_text

_HYPOTHESES = 1 << 13  # enough to fill the levels of a tree
_CHARACTERS = 1 << 20
_MISSING: Any = object()  # stands in a stream that has ended


@dataclass(frozen=True)
class Window:
    """Some lists that follow each other in a stream."""

    first: int  # the number of the first list, from 1
    lists: list[Sequence[str]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)  # one per list, or none at all


def windows(
    lists: Iterable[Sequence[str]], states: Iterable[State] | None = None
) -> Iterator[Window]:
    """Cut a stream of lists into windows of bounded size; each list stays in one piece.

    If there are states, each list has one, of one row.

    Raises:
        InputError: a hypothesis is not a string, a state is not of one row, or there are not as
            many states as lists; says which.
    """
    window, hypotheses, characters = Window(1), 0, 0
    for number, (texts, state) in enumerate(_pairs(lists, states), 1):
        _check_texts(texts, number)
        window.lists.append(texts)
        if state is not None:
            window.states.append(state)
        hypotheses += len(texts)
        characters += sum(map(len, texts))
        if hypotheses >= _HYPOTHESES or characters >= _CHARACTERS:
            yield window
            window, hypotheses, characters = Window(number + 1), 0, 0
    if window.lists:
        yield window


def _pairs(
    lists: Iterable[Sequence[str]], states: Iterable[State] | None
) -> Iterator[tuple[Sequence[str], State | None]]:
    if states is None:
        for texts in lists:
            yield texts, None
        return
    for number, (some, state) in enumerate(zip_longest(lists, states, fillvalue=_MISSING), 1):
        if some is _MISSING or state is _MISSING:
            raise InputError(f"list {number}: there are not as many states as lists")
        if len(state) != 1:
            raise InputError(f"list {number}: its state has {len(state)} rows, expected 1")
        yield some, state


def _check_texts(texts: object, number: int) -> None:
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise InputError(
            f"list {number}: expected a sequence of strings, got {type(texts).__name__}"
        )
    for position, text in enumerate(texts, 1):
        check_text(text, position, f"list {number}, hypothesis")
