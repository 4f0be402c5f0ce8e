"""The inputs and outputs of every graph: names, types and shapes, as export writes them.

Letters in shapes: B batch, T time (tokens), K targets per position, S rows of the incoming state,
F rows with distributions over the whole vocabulary.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lmscore.bundle import Config

TOKENS, TARGETS, K, LENGTHS, PARENTS = "tokens", "targets", "k", "lengths", "parents"
DISTRIBUTIONS = "distributions"
LOG_PROBS, TARGET_LOG_PROBS, TARGET_SCORES = "log_probs", "target_log_probs", "target_scores"
TOP_LOG_PROBS, TOP_TOKENS = "top_log_probs", "top_tokens"


class Argument(NamedTuple):
    """An input or output; an axis of dynamic size has a name in the place of a number."""

    dtype: Literal["float", "int32", "int64"]
    shape: tuple[int | str, ...]


def graph_inputs(config: Config) -> dict[str, Argument]:
    """The inputs of a model's graphs by name, in order."""
    return {
        TOKENS: Argument("int64", ("B", "T")),
        TARGETS: Argument("int64", ("B", "T", "K")),
        K: Argument("int64", (1,)),
        LENGTHS: Argument("int32", ("B",)),
        PARENTS: Argument("int64", ("B",)),
        **({DISTRIBUTIONS: Argument("int64", (1,))} if config.has_partial_output else {}),
        **{s.name: Argument("float", (s.layers, "S", s.size)) for s in config.state},
    }


def graph_outputs(config: Config) -> dict[str, Argument]:
    """The outputs of a model's graphs by name, in order."""
    whole = "F" if config.has_partial_output else "B"
    exact = whole if config.self_normalized else "B"
    scores = {TARGET_SCORES: Argument("float", ("B", "T", "K"))}
    return {
        LOG_PROBS: Argument("float", (whole, "T", config.vocab_size)),
        TARGET_LOG_PROBS: Argument("float", (exact, "T", "K")),
        **(scores if config.self_normalized else {}),
        TOP_LOG_PROBS: Argument("float", (whole, "T", "top")),
        TOP_TOKENS: Argument("int64", (whole, "T", "top")),
        **{s.next: Argument("float", (s.layers, "B", s.size)) for s in config.state},
    }


def whole_outputs(config: Config) -> frozenset[str]:
    """The outputs for which distributions over the whole vocabulary must be computed."""
    exact = [TARGET_LOG_PROBS] if config.self_normalized else []
    return frozenset((LOG_PROBS, TOP_LOG_PROBS, TOP_TOKENS, *exact))
