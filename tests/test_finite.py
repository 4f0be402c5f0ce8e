"""Numbers that floats, JSON and tables can hold."""

from __future__ import annotations

import math

import pytest

from lmscore.finite import finite, is_finite


@pytest.mark.parametrize("value", [0, -1.5, True, 10**308])
def test_what_a_float_can_hold(value: object) -> None:
    assert is_finite(value)


@pytest.mark.parametrize("value", [math.nan, -math.inf, 10**310, "1", None, 1j])
def test_what_a_float_cannot_hold(value: object) -> None:
    assert not is_finite(value)


def test_what_json_cannot_hold_is_null() -> None:
    assert finite({"a": (math.nan, 1, [math.inf])}) == {"a": [None, 1, [None]]}
