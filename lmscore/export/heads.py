"""The output heads: hidden states to log-probabilities of everything, of targets, of the likeliest.

Letters in shapes: B batch, T time (tokens), N = B * T, K targets per position, H hidden (E where
the last layer is projected to the embedding's size), V vocabulary, F the first rows of the batch,
which get distributions over the whole vocabulary.

ONNX Runtime computes every node, whatever is fetched. So what a run does not need must have no
rows: the input `distributions` says F, and where it is 0 the products for whole distributions are
those of empty matrices, which cost nothing. That takes no branch in the graph, and each matrix has
one product only, so that the runtime holds it once in the layout that products want.
"""

from __future__ import annotations

from typing import Protocol

from lmscore.bundle import Config
from lmscore.export.builder import GraphBuilder


class Projections(Protocol):
    """The products with the output matrix, as a variant computes them."""

    def project(self, hidden: str) -> str:
        """Hidden [N, H] -> logits [N, V]."""

    def score(self, hidden: str, targets: str) -> str:
        """Hidden [B, T, H], targets [B, T, K] -> the targets' logits alone [B, T, K]."""


def add_heads(b: GraphBuilder, config: Config, projections: Projections, by_row: str) -> None:
    """Add every output but the state of a softmax, from the last layer's hidden [B, T, H]."""
    targets = "targets"
    if config.self_normalized:
        b.op("Identity", projections.score(by_row, targets), to="target_scores")
        b.integers("first_row", 0)
        by_row, targets = (first_rows(b, name, "distributions") for name in (by_row, targets))
    shape = b.op("Shape", by_row, to="rows_and_time", end=2)
    logits = projections.project(as_rows(b, config, by_row))
    full_shape = b.op("Concat", shape, b.integers("V", config.vocab_size), to="full_shape", axis=0)
    # Reshaping here is free; reshaping the log-probs would copy them, since they are an output.
    # A 0 in the shape is no row, not "as it was".
    logits_3d = b.op("Reshape", logits, full_shape, to="logits_3d", allowzero=1)
    # LogSoftmax and a gather: ReduceLogSumExp is several times slower in ONNX Runtime.
    b.op("LogSoftmax", logits_3d, to="log_probs", axis=2)
    b.op("GatherElements", "log_probs", targets, to="target_log_probs", axis=2)
    add_best(b)


def add_best(b: GraphBuilder) -> None:
    """Add the likeliest tokens of the log-probs."""
    b.node("TopK", ["log_probs", "k"], ["top_log_probs", "top_tokens"], axis=2)


def as_rows(b: GraphBuilder, config: Config, by_row: str) -> str:
    """[B, T, H] -> [B * T, H]."""
    return b.op("Reshape", by_row, b.integers("rows_shape", -1, config.output_dim), to="rows")


def first_rows(b: GraphBuilder, name: str, count: str) -> str:
    """The first `count` entries along the first axis."""
    return b.op("Slice", name, "first_row", count, to=f"first_{name}")


def add_target_product(b: GraphBuilder, hidden: str, rows: str) -> str:
    """Hidden [B, T, H] times each target's row [B, T, K, H], summed -> [B, T, K]."""
    b.integers("target_axis", 2)
    b.integers("hidden_axis", -1)
    once = b.op("Unsqueeze", hidden, "target_axis", to="hidden_of_targets")
    products = b.op("Mul", rows, once, to="target_products")
    return b.op("ReduceSum", products, "hidden_axis", to="target_product", keepdims=0)
