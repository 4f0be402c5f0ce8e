"""The output layers ("heads"): one row for each, with what the other rooms ask of it.

Letters in shapes: V vocabulary, D columns of the output matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from lmscore.names import HeadName, OutputLayer

if TYPE_CHECKING:
    from lmscore.bundle.config import Config

OUTPUT_LAYERS: tuple[OutputLayer, ...] = get_args(OutputLayer)

_IN_CLASSES = 32  # of the words in classes, one in so many is computed for a token, on average


def _no_weights(_: Config) -> dict[str, tuple[int, ...]]:
    return {}


def _class_weights(config: Config) -> dict[str, tuple[int, ...]]:
    n, D = len(config.cutoffs), config.output_dim
    return {"output.classes.weight": (n, D), "output.classes.bias": (n,)}


def _vocabulary(config: Config) -> int:
    return config.vocab_size


def _class_width(config: Config) -> int:
    first = config.cutoffs[0]
    return first + (config.vocab_size - first) // _IN_CLASSES


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """The facts of one output layer."""

    name: HeadName
    summary: str  # for people; {} stands for the cutoffs
    # Name and shape of the weights besides the output matrix [V, D] and its bias [V].
    weights: Callable[[Config], dict[str, tuple[int, ...]]] = _no_weights
    # The rows of weights [rows, D] that every token is multiplied by to score one target.
    target_rows: Callable[[Config], int] = _vocabulary
    # The floats of the widest arrays per token where targets alone are scored.
    target_width: Callable[[Config], int] = _vocabulary
    can_be_sampled: bool = False  # a sample of the vocabulary can estimate its loss
    has_scores: bool = False  # a target's logit alone is nearly its log-prob: output target_scores
    has_classes: bool = False  # the words from the first of `cutoffs` on are scored by class

    @property
    def has_partial_output(self) -> bool:
        """Whether a graph can score targets without distributions over the whole vocabulary."""
        return self.has_scores or self.has_classes

    @property
    def targets_need_whole(self) -> bool:
        """Whether a target's log-probability takes the distribution over the whole vocabulary."""
        return not self.has_classes


HEADS: Mapping[tuple[OutputLayer, bool], HeadSpec] = {
    ("softmax", False): HeadSpec(name="softmax", summary="softmax", can_be_sampled=True),
    ("softmax", True): HeadSpec(
        name="self-normalised",
        summary="softmax, self-normalised",
        # A target's row, and its products with the hidden state.
        target_width=lambda config: 2 * config.output_dim,
        has_scores=True,
    ),
    ("classes", False): HeadSpec(
        name="classes",
        summary="classes, from the ids {} on",
        weights=_class_weights,
        target_rows=lambda config: config.cutoffs[0] + len(config.cutoffs),
        target_width=_class_width,
        has_classes=True,
    ),
}
"""Every output layer, by `output_layer` and `self_normalized` in config.json."""
