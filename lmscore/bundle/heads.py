"""The output layers ("heads"): one row for each, with what the other rooms ask of it.

Letters in shapes: V vocabulary, D columns of the output matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from lmscore.bundle.config import Config

OutputLayer = Literal["softmax", "classes"]
HeadName = Literal["softmax", "self-normalised", "classes"]

OUTPUT_LAYERS: tuple[OutputLayer, ...] = get_args(OutputLayer)

_IN_CLASSES = 32
"""Of the words that are in classes, one in so many is computed for a token, on average."""


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """The facts of one output layer."""

    name: HeadName

    summary: Callable[[Config], str]
    """The output layer in a few words, for people."""

    weights: Callable[[Config], dict[str, tuple[int, ...]]]
    """Name and shape of the weights that it has besides the output matrix [V, D]."""

    target_rows: Callable[[Config], int]
    """The rows of weights [rows, D] that every token is multiplied by to score one target."""

    target_width: Callable[[Config], int]
    """The floats of the widest arrays per token where targets alone are scored."""

    can_be_sampled: bool = False
    """Whether a sample of the vocabulary can estimate its loss."""

    has_scores: bool = False
    """Whether a target's logit alone is nearly its log-probability: the output target_scores."""

    has_classes: bool = False
    """Whether the words from the first of `cutoffs` on are scored by class."""

    @property
    def has_partial_output(self) -> bool:
        """Whether a graph can score targets without distributions over the whole vocabulary."""
        return self.has_scores or self.has_classes

    @property
    def targets_need_whole(self) -> bool:
        """Whether a target's log-probability takes the distribution over the whole vocabulary."""
        return not self.has_classes


def _class_summary(config: Config) -> str:
    return f"classes, from the ids {', '.join(map(str, config.cutoffs))} on"


def _bias(config: Config) -> dict[str, tuple[int, ...]]:
    return {"output.bias": (config.vocab_size,)}


def _class_weights(config: Config) -> dict[str, tuple[int, ...]]:
    count = len(config.cutoffs)
    return {
        **_bias(config),
        "output.classes.weight": (count, config.output_dim),
        "output.classes.bias": (count,),
    }


def _class_width(config: Config) -> int:
    first = config.cutoffs[0]
    return first + (config.vocab_size - first) // _IN_CLASSES


HEADS: Mapping[tuple[OutputLayer, bool], HeadSpec] = {
    ("softmax", False): HeadSpec(
        name="softmax",
        can_be_sampled=True,
        summary=lambda _: "softmax",
        weights=_bias,
        target_rows=lambda config: config.vocab_size,
        target_width=lambda config: config.vocab_size,
    ),
    ("softmax", True): HeadSpec(
        name="self-normalised",
        summary=lambda _: "softmax, self-normalised",
        weights=_bias,
        target_rows=lambda config: config.vocab_size,
        # A target's row, and its products with the hidden state.
        target_width=lambda config: 2 * config.output_dim,
        has_scores=True,
    ),
    ("classes", False): HeadSpec(
        name="classes",
        summary=_class_summary,
        weights=_class_weights,
        target_rows=lambda config: config.cutoffs[0] + len(config.cutoffs),
        target_width=_class_width,
        has_classes=True,
    ),
}
"""Every output layer that a model can have, by `output_layer` and `self_normalized`."""
