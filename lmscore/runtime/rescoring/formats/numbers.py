"""Scores as files spell them."""

from __future__ import annotations

import math

from lmscore.errors import InputError


def to_float(text: str) -> float | None:
    """The number that a text spells, or None."""
    try:
        return None if "_" in text else float(text)  # Python would read 1_000
    except ValueError:
        return None


def parse_score(text: str, where: str, *, unit: float = 1.0) -> float:
    """A score in nats, from one in `unit` nats: -1 for costs, ln 10 for base 10.

    Raises:
        InputError: the text is no number, NaN or plus infinity; minus infinity, which is a
            probability of zero, is legal.
    """
    value = to_float(text)
    if value is None:
        raise InputError(f"{where}: {text!r} is no number")
    return checked_score(value, where, unit=unit)


def checked_score(value: float, where: str, *, unit: float = 1.0) -> float:
    """A score in nats from a number in `unit` nats; checked as by `parse_score`."""
    score = value * unit
    if math.isnan(score) or score == math.inf:
        raise InputError(f"{where}: the score {value} cannot be used; mend it or drop the feature")
    return score
