"""Checks of arguments, whose errors name the argument."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmscore.errors import InputError, OptionError

_MOST_THREADS = 1024  # a typing error must not start thousands of threads
_LARGEST_COST = 1e9  # nats, of a word; the sum over any text is finite


def check_argument(
    name: str, value: Any, kind: type, fits: Callable[[Any], object], expected: str
) -> None:
    """Raise OptionError unless a value is of a kind (True and False are no numbers) and fits."""
    if not isinstance(value, kind) or isinstance(value, bool) or not fits(value):
        raise OptionError(f"{name} must be {expected}, not {value!r}")


def check_keywords(given: Mapping[str, object], known: type) -> None:
    """Raise TypeError, as Python does, if a keyword is not one of a TypedDict's."""
    for name in given:
        if name not in known.__annotations__:
            listed = ", ".join(known.__annotations__)
            raise TypeError(f"unexpected keyword argument {name!r}; there are {listed}")


def check_count(name: str, value: object) -> None:
    """Raise OptionError unless `value` is an integer, 1 or more."""
    check_argument(name, value, Integral, lambda n: n >= 1, "an integer, 1 or more")


def check_device(device: object) -> None:
    """Raise OptionError unless `device` is one that `lmscore.load` accepts."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", str(device)):
        raise OptionError(f"device must be auto, cpu, cuda or cuda:N, not {device!r}")


def check_threads(threads: object) -> None:
    """Raise OptionError unless `threads` is a number of threads that a session may have."""
    allowed = f"an integer in 1..{_MOST_THREADS}"
    check_argument("threads", threads, int, lambda n: 1 <= n <= _MOST_THREADS, allowed)


def check_unk_penalty(unk_penalty: object) -> None:
    """Raise OptionError unless `unk_penalty` is None or a cost in nats, 0 to 1e9."""
    if unk_penalty is not None:
        expected = "a number of nats, 0 to 1e9"
        check_argument(
            "unk_penalty", unk_penalty, Real, lambda x: 0 <= x <= _LARGEST_COST, expected
        )


def check_oov_cost(oov_cost: object) -> None:
    """Raise OptionError unless `oov_cost` is a cost in nats, 0 to 1e9."""
    expected = "a model of characters or subwords, or a number of nats, 0 to 1e9"
    check_argument("oov_cost", oov_cost, Real, lambda x: 0 <= x <= _LARGEST_COST, expected)


def check_lines(max_lines: object, *, constrained: bool) -> None:
    """Raise OptionError unless `max_lines` is a number of lines, 1 of a constrained text."""
    check_count("max_lines", max_lines)
    if constrained and max_lines != 1:
        raise OptionError(
            "max_lines does not go with allowed_words or pattern, which are of one line"
        )


def check_stop(stop: object) -> None:
    """Raise OptionError unless `stop` is a list of strings, none of them empty."""
    if isinstance(stop, str) or not isinstance(stop, Sequence):
        raise OptionError(f"stop must be a list of strings, not {stop!r}")
    for text in stop:
        check_argument("stop", text, str, len, "strings of one character or more")


def as_integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Convert a list or 1-d array of integers to int64 [n]; `name` is its name in errors.

    Raises:
        InputError: `values` is something else.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"{name} must be a list or 1-d array of integers: {error}") from error
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise InputError(f"{name} must be a list or 1-d array of integers")
    return array.astype(np.int64)
