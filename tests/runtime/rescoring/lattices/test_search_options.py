"""Options and their defaults."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.lattices import LatticeOptions, Scales


def test_the_file_says_what_options_do_not() -> None:
    given = Scales(acoustic=0.5, lm=14, word_penalty=-1)
    assert LatticeOptions().scales(given) == Scales(0.5, 14, -1, 0.5, 0.5)
    options = LatticeOptions(lm_weight=0.75, acoustic_scale=1, lm_scale=9, word_penalty=0)
    assert options.scales(given) == Scales(1, 9, 0, 0.25, 0.75)
    assert LatticeOptions(old_lm_weight=1).scales(given) == Scales(0.5, 14, -1, 1, 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "order must be an integer, 1 or more"),
        ({"max_tokens": 1.5}, "max_tokens must be an integer, 1 or more"),
        ({"beam": 0}, "beam must be above 0, not 0"),
        ({"lm_scale": -1}, "lm_scale must be above 0, not -1"),
        ({"lm_weight": math.nan}, "lm_weight must be a finite number, not nan"),
        ({"word_penalty": "1"}, "word_penalty must be a finite number, not '1'"),
        ({"prepare": "lower"}, "prepare must be a function of a word, not 'lower'"),
    ],
)
def test_impossible_values(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{message}"):
        LatticeOptions(**options)
