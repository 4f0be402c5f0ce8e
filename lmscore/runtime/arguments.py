"""Arguments that cannot be, refused with the option's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmscore.errors import InputError, OptionError

_MOST_THREADS = 1024  # a typing error beyond them would start as many


def check_argument(
    name: str, value: Any, kind: type, fits: Callable[[Any], object], expected: str
) -> None:
    """Refuse what is not of a kind (True and False are no numbers), or does not fit.

    Raises:
        OptionError: names the option, and what was expected.
    """
    if not isinstance(value, kind) or isinstance(value, bool) or not fits(value):
        raise OptionError(f"{name} must be {expected}, not {value!r}")


def check_count(name: str, value: object) -> None:
    """Refuse what is no positive integer.

    Raises:
        OptionError: names the option.
    """
    check_argument(name, value, Integral, lambda n: n >= 1, "an integer, 1 or more")


def check_device(device: object) -> None:
    """Raise OptionError unless a device is named as `lmscore.load` wants it."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", str(device)):
        raise OptionError(f"device must be auto, cpu, cuda or cuda:N, not {device!r}")


def check_threads(threads: object) -> None:
    """Raise OptionError unless `threads` is a number of threads that a session may have."""
    allowed = f"an integer in 1..{_MOST_THREADS}"
    check_argument("threads", threads, int, lambda n: 1 <= n <= _MOST_THREADS, allowed)


def check_stop(stop: object) -> None:
    """Refuse what is no list of strings to stop at.

    Raises:
        OptionError: it is a single string, or one of them is empty or no string.
    """
    if isinstance(stop, str) or not isinstance(stop, Sequence):
        raise OptionError(f"stop must be a list of strings, not {stop!r}")
    for text in stop:
        check_argument("stop", text, str, len, "strings of one character or more")


def as_integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """A list or 1-d array of integers as int64 [n].

    Raises:
        InputError: it is none; names it.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"{name} must be a list or 1-d array of integers: {error}") from error
    is_integral = array.size == 0 or np.issubdtype(array.dtype, np.integer)
    if array.ndim != 1 or not is_integral:
        raise InputError(f"{name} must be a list or 1-d array of integers")
    return array.astype(np.int64)
