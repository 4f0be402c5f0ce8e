"""All options of a training run.

Each option is stated once, in the group that it belongs to: its type, default, bounds and help, and
its form on the command line and in a TOML file. Needs no PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmscore.names import Context
from lmscore.train.options.combinations import check_combinations
from lmscore.train.options.declaration import Field, check_each, fields_of
from lmscore.train.options.effect import without_effect
from lmscore.train.options.learning import LearningOptions
from lmscore.train.options.network import NetworkOptions
from lmscore.train.options.run import RunOptions
from lmscore.train.options.text import TextOptions
from lmscore.train.options.vocabulary import VocabularyOptions


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions, TextOptions, VocabularyOptions, NetworkOptions, LearningOptions):
    """The options of one training run; every field is also a key of the TOML file."""

    def __post_init__(self) -> None:
        """Check every value and the combinations; raises OptionError with the allowed values."""
        check_values(vars(self))
        check_combinations(self)

    @property
    def model_context(self) -> Context:
        """The context of the model: the first text of a pair is scored as a sentence before."""
        return self.context if self.prefix_field is None else "document"

    def to_dict(self) -> dict[str, Any]:
        """The options as a dict for JSON."""
        return dataclasses.asdict(self)

    def in_force(self) -> dict[str, Any]:
        """The options that have an effect, as a dict for JSON."""
        idle = without_effect(vars(self))
        return {name: value for name, value in self.to_dict().items() if name not in idle}


def option_fields() -> Mapping[str, Field]:
    """The fields of TrainOptions by name, group by group."""
    return fields_of(TrainOptions)


def check_values(values: Mapping[str, Any]) -> None:
    """Check each value, by the name of its option, without regard to the others.

    Raises OptionError with the allowed values.
    """
    check_each(values, option_fields())
