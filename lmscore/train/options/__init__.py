"""The options of a training run: their declaration, and what of them goes together."""

from lmscore.train.options.combinations import NT_ASGD_PATIENCE
from lmscore.train.options.declaration import Field
from lmscore.train.options.effect import check_effect, without_effect
from lmscore.train.options.train_options import (
    TrainOptions,
    check_values,
    option_fields,
)
from lmscore.train.options.vocabulary import NORMALIZATION_STEPS

__all__ = [
    "NORMALIZATION_STEPS",
    "NT_ASGD_PATIENCE",
    "Field",
    "TrainOptions",
    "check_effect",
    "check_values",
    "option_fields",
    "without_effect",
]
