"""N-best lists: the hypotheses of a decoder for an utterance, with their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lmscore.errors import OptionError
from lmscore.finite import is_finite


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text that may have been said, and its features.

    Features that are log-probabilities are in nats, higher is better, whatever unit and sign the
    file uses; counts are counts.
    """

    text: str  # as the list has it, without the white space around it
    features: Mapping[str, float] = field(default_factory=dict)  # by name, in the file's order
    added: tuple[str, ...] = ()  # the features that did not come from the file, but go into it
    source: Any = field(default=None, repr=False, compare=False)  # what the format needs to write

    def with_feature(self, name: str, value: float) -> Hypothesis:
        """The hypothesis with one more feature, in nats where it is a log-probability.

        Raises:
            OptionError: there is a feature of that name already, or the value is not finite.
        """
        if name in self.features:
            raise OptionError(f"the list has a feature {name!r} already; choose another name")
        if not is_finite(value):
            raise OptionError(f"feature {name!r} is {value}, expected a finite number")
        features = {**self.features, name: float(value)}
        return replace(self, features=features, added=(*self.added, name))


@dataclass(frozen=True, slots=True)
class NBestList:
    """The hypotheses for one utterance or sentence, in the order of the file. There may be none."""

    id: str
    hypotheses: tuple[Hypothesis, ...]
    reference: str | None = None
    source: Any = field(default=None, repr=False, compare=False)  # what the format needs to write
    prefix: str | None = None  # the text that the hypotheses translate, correct or continue
    place: str = field(default="", repr=False, compare=False)  # the file and the line, for messages

    @property
    def name(self) -> str:
        """How error messages name the list: by its place and its id."""
        named = f"list {self.id!r}"
        return f"{self.place}: {named}" if self.place else named

    def with_feature(self, name: str, values: Sequence[float]) -> NBestList:
        """The list with one more feature, a value for each hypothesis.

        Raises:
            OptionError: there is a feature of that name already, a value is not finite, or there
                are not as many values as hypotheses.
        """
        if len(values) != len(self.hypotheses):
            raise OptionError(
                f"{self.name}: {len(values)} values of feature {name!r} "
                f"for {len(self.hypotheses)} hypotheses"
            )
        pairs = zip(self.hypotheses, values, strict=True)
        return replace(self, hypotheses=tuple(h.with_feature(name, value) for h, value in pairs))

    def reordered(self, order: Sequence[int]) -> NBestList:
        """The hypotheses at these positions: another order, or only some of them.

        Raises:
            OptionError: a position is not there, or is named twice.
        """
        if len(set(order)) != len(order) or not set(order) <= set(range(len(self.hypotheses))):
            raise OptionError(
                f"list {self.id!r}: {list(order)} is no selection of {len(self.hypotheses)} "
                "hypotheses"
            )
        return replace(self, hypotheses=tuple(self.hypotheses[i] for i in order))
