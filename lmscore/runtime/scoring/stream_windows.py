"""A stream of texts, or of their token ids, cut into lists of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from numpy.typing import ArrayLike

from lmscore.errors import InputError
from lmscore.runtime.arguments import as_integers
from lmscore.runtime.text import Ids, check_text

_WINDOW_TEXTS = 2048  # enough to sort into batches of even length, few enough to answer soon
_WINDOW_CHARACTERS = 1 << 18
_WINDOW_TOKENS = 1 << 16


@dataclass(frozen=True)
class Window:
    """Consecutive texts of a stream."""

    first: int  # the number of the first text, from 1
    texts: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)  # one per text, or none at all


def windows(
    texts: Iterable[str],
    prefixes: Iterable[str] | None = None,
    *,
    size: int | None = None,
    overhead: int = 0,
    scale: int = 1,
) -> Iterator[Window]:
    """Cut a stream of texts into non-empty windows of bounded size.

    Args:
        texts: the stream.
        prefixes: one for each text, if any.
        size: the most texts in a window. Default: enough to sort into batches of even length.
        overhead: characters to count for each text beside its own and its prefix's.
        scale: how much larger the default windows are than for a CPU.

    Raises:
        InputError: an item is not a string, or has no counterpart; says which.
    """
    size = size or _WINDOW_TEXTS * scale
    most = _WINDOW_CHARACTERS * scale
    window, characters = Window(1), 0
    for number, (text, prefix) in enumerate(_pairs(texts, prefixes), 1):
        window.texts.append(text)
        characters += len(text) + overhead
        if prefix is not None:
            window.prefixes.append(prefix)
            characters += len(prefix)
        if len(window.texts) == size or characters >= most:
            yield window
            window, characters = Window(number + 1), 0
    if window.texts:
        yield window


def id_windows(
    texts: Iterable[ArrayLike], vocab_size: int, *, scale: int = 1
) -> Iterator[list[Ids]]:
    """Cut a stream of texts that are token ids into non-empty windows of bounded size.

    Args:
        texts: the ids int64 [n] of each.
        vocab_size: V; ids are below it.
        scale: how much larger the windows are than for a CPU.

    Raises:
        InputError: an item is no list of integers, or an id is out of range; says which.
    """
    window: list[Ids] = []
    tokens = 0
    for number, text in enumerate(texts, 1):
        ids = as_integers(f"text {number}", text)
        outside = ids[(ids < 0) | (ids >= vocab_size)]
        if outside.size:
            raise InputError(f"text {number}: token id {outside[0]} is not in the vocabulary")
        window.append(ids)
        tokens += len(ids)
        if len(window) == _WINDOW_TEXTS * scale or tokens >= _WINDOW_TOKENS * scale:
            yield window
            window, tokens = [], 0
    if window:
        yield window


def _pairs(
    texts: Iterable[str], prefixes: Iterable[str] | None
) -> Iterator[tuple[str, str | None]]:
    if prefixes is None:
        for number, alone in enumerate(texts, 1):
            check_text(alone, number)
            yield alone, None
        return
    pairs = zip_longest(texts, prefixes, fillvalue=_Missing())
    for number, (text, prefix) in enumerate(pairs, 1):
        if isinstance(text, _Missing):
            raise InputError(f"prefix {number} has no text: give one prefix for each text")
        if isinstance(prefix, _Missing):
            raise InputError(f"text {number} has no prefix: give one prefix for each text")
        check_text(text, number)
        check_text(prefix, number, "prefix")
        yield text, prefix


class _Missing:
    """Stands for the items of the stream that has ended first."""
