"""Texts through a tokenizer: in parallel, with errors that name a text, long ones in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from lmscore.errors import InputError
from lmscore.runtime.text.cuts import Cuts
from lmscore.runtime.text.id_rows import IdRows, Ids
from lmscore.runtime.text.tokenizer_file import panics_as_errors

PART = 1 << 16  # characters of a long text that are tokenized at once
_PARTS = 16  # that are tokenized side by side

Part = TypeVar("Part")
Encode = Callable[..., list[Encoding]]  # of a batch
Found = tuple[Ids, NDArray[np.int64]]  # n ids, and their offsets [n, 2] in characters


def check_text(text: object, number: int, name: str = "text") -> None:
    """Raise InputError, with the item's name and number, unless `text` is a string."""
    if not isinstance(text, str):
        raise InputError(f"{name} {number}: expected a string, got {type(text).__name__}")


def each_text(texts: Iterable[Any]) -> Iterable[Any]:
    """The items of a collection of texts; a column of Arrow gives Python's strings.

    Raises:
        InputError: it is one string, a table, whose items would be the names of its columns, or
            nothing that has items.
    """
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):  # pandas, polars, Arrow, dicts
        raise InputError(
            f"expected several texts, got a table, {type(texts).__name__}: give the column of the "
            "texts, table['text']"
        )
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InputError(f"expected several texts, got {type(texts).__name__}")
    return texts.to_pylist() if hasattr(texts, "to_pylist") else texts


def check_texts(texts: Sequence[str], first: int, name: str) -> None:
    """Raise InputError unless `texts` is a list of strings, the first with the number `first`."""
    given: object = texts
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"expected a list of texts, got {type(given).__name__}")
    if set(map(type, texts)) - {str}:
        for number, text in enumerate(texts, first):
            check_text(text, number, name)


def encodings(encode: Encode, texts: Sequence[str], first: int, name: str) -> list[Encoding]:
    """The encodings of strings; InputError names the number of one that cannot be tokenized."""
    try:
        with panics_as_errors():
            return encode(texts, add_special_tokens=False)
    except Exception as error:  # tokenizers raises bare Exception and TypeError
        if len(texts) == 1:
            raise InputError(f"{name} {first}: {_reason(texts[0], error)}") from error
    # One of the texts cannot be tokenized: tokenized alone, it raises with its own number.
    return [encodings(encode, [text], n, name)[0] for n, text in enumerate(texts, first)]


def id_rows(found: Sequence[Encoding]) -> IdRows:
    """The ids of R encodings."""
    ids = [encoding.ids for encoding in found]
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return IdRows(np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum())), lengths)


def has_long(texts: Sequence[str]) -> bool:
    """Whether a text is so long that it is worth cutting."""
    return any(len(text) > 2 * PART for text in texts)


def rows_in_parts(encode: Encode, texts: Sequence[str], cuts: Cuts) -> IdRows | None:
    """The ids of texts that are read in parts: tokenizers keeps a hundred times what it reads.

    None if a text cannot be tokenized; read whole, it is named with the reason.
    """
    numbered = ((n, part) for n, text in enumerate(texts) for _, part in cuts.parts(text, PART))
    lengths = np.zeros(len(texts), np.int64)
    found = []
    try:
        for group in _grouped(numbered):
            with panics_as_errors():
                rows = id_rows(encode([part for _, part in group], add_special_tokens=False))
            np.add.at(lengths, [number for number, _ in group], rows.lengths)
            found.append(rows.ids)
    except Exception:  # tokenizers raises bare Exception and TypeError
        return None
    return IdRows(np.concatenate(found), lengths)


def spans_in_parts(encode: Encode, text: str, cuts: Cuts, number: int) -> Found:
    """The ids and offsets of a text that is read in parts; see `spans_of`.

    Raises:
        InputError: it cannot be tokenized; names its number.
    """
    found: list[Found] = []
    try:
        for group in _grouped(cuts.parts_in_context(text, PART)):
            with panics_as_errors():
                parts = encode([part.text for part in group], add_special_tokens=False)
                leads = encode([part.lead for part in group], add_special_tokens=False)
            for part, encoding, lead in zip(group, parts, leads, strict=True):
                ids, offsets = spans_of(encoding)
                own = len(lead.ids)
                found.append((ids[own:], offsets[own:] + part.begin))
    except Exception as error:  # tokenizers raises bare Exception and TypeError
        raise InputError(f"text {number}: {_reason(text, error)}") from error
    return (
        np.concatenate([ids for ids, _ in found]),
        np.concatenate([offsets for _, offsets in found]),
    )


def spans_of(encoding: Encoding) -> Found:
    """The ids and offsets of an encoding."""
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    return np.array(encoding.ids, np.int64), offsets


def _grouped(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts in groups that are tokenized side by side."""
    remaining = iter(parts)
    while group := list(islice(remaining, _PARTS)):
        yield group


def _reason(text: str, error: Exception) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as surrogate:
        return f"lone surrogate at character {surrogate.start + 1}, which is not valid Unicode"
    return f"cannot be tokenized: {error}"
