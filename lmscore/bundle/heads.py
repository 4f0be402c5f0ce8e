"""The output layers ("heads"): one row for each, with the facts that other rooms need.

Letters in shapes: V vocabulary, D columns of the output matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol, get_args

from lmscore.names import HeadName, OutputLayer

OUTPUT_LAYERS: tuple[OutputLayer, ...] = get_args(OutputLayer)

_IN_CLASSES = 32  # on average, one in so many of the words in classes is computed for a token


class Sizes(Protocol):
    """The sizes of a model that its output layer depends on; `Config` has them."""

    @property
    def vocab_size(self) -> int:
        """V."""

    @property
    def output_dim(self) -> int:
        """D."""

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """The ids at which the classes begin."""


def _class_weights(config: Sizes) -> dict[str, tuple[int, ...]]:
    n, D = len(config.cutoffs), config.output_dim
    return {"output.classes.weight": (n, D), "output.classes.bias": (n,)}


def _class_width(config: Sizes) -> int:
    first = config.cutoffs[0]
    return first + (config.vocab_size - first) // _IN_CLASSES


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """The facts of one output layer."""

    name: HeadName
    summary: str  # for people; {} stands for the cutoffs
    # Name and shape of the weights besides the output matrix [V, D] and its bias [V].
    weights: Callable[[Sizes], dict[str, tuple[int, ...]]] = lambda _: {}
    # The number of rows of weights [rows, D] that a token is multiplied by to score one target.
    target_rows: Callable[[Sizes], int] = attrgetter("vocab_size")
    # The number of floats per token in the widest arrays, if only targets are scored.
    target_width: Callable[[Sizes], int] = attrgetter("vocab_size")
    can_be_sampled: bool = False  # a sample of the vocabulary can estimate the loss
    has_scores: bool = False  # a target's logit alone is nearly its log-prob: output target_scores
    has_classes: bool = False  # the words from the first of `cutoffs` on are scored by class

    @property
    def targets_need_whole(self) -> bool:
        """Whether a target's log-probability takes a product with the whole output matrix."""
        return not self.has_classes


HEADS: Mapping[tuple[OutputLayer, bool], HeadSpec] = {
    ("softmax", False): HeadSpec(name="softmax", summary="softmax", can_be_sampled=True),
    ("softmax", True): HeadSpec(
        name="self-normalised",
        summary="softmax, self-normalised",
        # The target's row, and its products with the hidden state.
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
"""All output layers, by `output_layer` and `self_normalized` in config.json."""
