"""The options of lattice rescoring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from lmscore.errors import OptionError
from lmscore.finite import is_finite
from lmscore.runtime.arguments import check_count
from lmscore.runtime.rescoring.lattices.lattice import Scales
from lmscore.runtime.rescoring.models import LODR_SHARE

_NUMBERS = (
    "lm_weight",
    "old_lm_weight",
    "lodr_weight",
    "acoustic_scale",
    "lm_scale",
    "word_penalty",
)


def as_it_is(word: str) -> str:
    """The word itself."""
    return word


@dataclass(frozen=True, slots=True)
class LatticeOptions:
    """The options of lattice rescoring.

    The score of a path is

        acoustic_scale * acoustic + word_penalty * words + other
        + lm_scale * (lm_weight * new LM + old_lm_weight * old LM + lodr_weight * LODR)

    with all scores in nats; `other` is the sum of other scores in the file, for pronunciations, and
    LODR is the score of an n-gram model that is given beside the LM.

    Raises:
        OptionError: an option has an impossible value.
    """

    lm_weight: float = 0.5  # of the new language model
    old_lm_weight: float | None = None  # of the file's language model; default: 1 - lm_weight
    lodr_weight: float | None = None  # of the n-gram model; default: -lm_weight / 2
    acoustic_scale: float | None = None  # default: the file's, or 1
    lm_scale: float | None = None  # default: the file's, or 1
    word_penalty: float | None = None  # nats; default: the file's, or 0
    order: int | None = 5  # histories differ if their last order - 1 words do; None: if any does
    beam: float | None = 12.0  # nats, at the scale of the language model; None: no pruning
    max_tokens: int | None = 20  # partial hypotheses at a node; None: no limit
    prepare: Callable[[str], str] = (
        as_it_is  # the text that the model reads for a word; "": nothing
    )

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("order", "max_tokens"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        for name in _NUMBERS:
            _check_number(name, getattr(self, name), is_finite, "a finite number")
        for name in ("lm_scale", "beam"):
            _check_number(name, getattr(self, name), lambda value: value > 0, "above 0")
        if not callable(self.prepare):
            raise OptionError(f"prepare must be a function of a word, not {self.prepare!r}")

    def scales(self, given: Scales, *, has_lodr: bool = False) -> Scales:
        """The scales of the search, given the scales of the file; `has_lodr`: with an n-gram."""
        return Scales(
            acoustic=_or(self.acoustic_scale, given.acoustic),
            lm=_or(self.lm_scale, given.lm),
            word_penalty=_or(self.word_penalty, given.word_penalty),
            old_weight=_or(self.old_lm_weight, 1.0 - self.lm_weight),
            new_weight=self.lm_weight,
            lodr_weight=_or(self.lodr_weight, -LODR_SHARE * self.lm_weight) if has_lodr else 0.0,
        )


def _check_number(name: str, value: object, is_legal: Callable[[Any], bool], what: str) -> None:
    if value is not None and not (isinstance(value, Real) and is_legal(value)):
        raise OptionError(f"{name} must be {what}, not {value!r}")


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
