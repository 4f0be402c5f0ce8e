"""Numbers as JSON, tables and floats can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any


def is_finite(value: object) -> bool:
    """Whether a value is a real number that a float can hold, and not nan or infinity."""
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def finite(value: Any) -> Any:
    """Return a value with None for nan and infinity, also within mappings, lists and tuples."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
