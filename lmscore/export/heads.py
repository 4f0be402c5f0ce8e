"""The softmax output layers: log-probabilities of the vocabulary, of targets and of best tokens.

Letters in shapes: B batch, T time (tokens), N = B * T, K targets per position, D columns of the
output matrix, V vocabulary, F the first rows of the batch, which get distributions over the whole
vocabulary, M the first rows whose distributions are measured.

ONNX Runtime computes every node, even if its output is not fetched. So values that a run does not
need must have no rows: the input `distributions` is F, and if F is 0, the products for whole
distributions are products of empty matrices, which cost nothing. This takes no branch in the graph,
and each matrix has only one product, so the runtime holds it once, in the layout for products. Only
the way to targets alone, where there is one, is a branch, and its parts are a second copy.
"""

from __future__ import annotations

import numpy as np

from lmscore.bundle import TARGETS_APART, Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.operators import Operators

with needs_extra("export"):
    from onnx import TensorProto, helper


_ALL_ROWS = 2**31  # more than a batch has


def add_softmax(b: GraphBuilder, config: Config, operators: Operators, features: str) -> None:
    """Add every output except the state, from features [B, T, D].

    A program that knows nothing of the input `distributions` gets whole ones.
    """
    bias, F = _bias(b, operators), b.integers("distributions", _ALL_ROWS)
    is_apart = operators.scores_apart and b.chooses_rows
    apart = _add_targets_apart(b, operators, features, bias) if is_apart else ""
    if not apart:
        F = add_whole_rows(b, F)
    whole, targets = (first_rows(b, name, F) for name in (features, "targets"))
    of_whole = "whole_target_log_probs"
    _add_whole(b, config, operators, whole, targets, bias, to=of_whole)
    if apart:
        b.op("Concat", of_whole, apart, to="target_log_probs", axis=0)
    else:  # B rows even if there are no targets
        shape = b.op("Shape", "targets", to="targets_shape")
        b.op("Reshape", of_whole, shape, to="target_log_probs", allowzero=1)


def add_whole_rows(b: GraphBuilder, wanted: str) -> str:
    """The number of rows that have to be whole: those that are wanted, and all with targets."""
    K = b.op("Shape", "targets", to="num_targets", start=2)
    B = b.op("Shape", "tokens", to="num_rows", start=0, end=1)
    return b.op("Add", wanted, b.op("Mul", K, B, to="rows_with_targets"), to="whole_rows")


def _add_targets_apart(b: GraphBuilder, operators: Operators, features: str, bias: str) -> str:
    """Add log-probs [B - F, T, K] of the targets in rows that do not get whole distributions."""
    b.metadata[TARGETS_APART] = "1"
    end, axis = b.integers("last_row", _ALL_ROWS), b.integers("row_axis", 0)
    rows, targets = (
        b.op("Slice", name, "distributions", end, axis, to=f"other_{name}")
        for name in (features, "targets")
    )
    none = b.constant("no_targets", np.array(0, np.int64))
    wanted = b.op("Less", none, b.op("Size", targets, to="other_size"), to="other_wanted")
    then, otherwise = GraphBuilder(), GraphBuilder()
    operators.score_apart(then, rows, targets, bias, to=f"{TARGETS_APART}_then")
    otherwise.cast(targets, TensorProto.FLOAT, to=f"{TARGETS_APART}_otherwise")  # there are none
    return b.branch(wanted, then, otherwise, to=TARGETS_APART)


def add_self_normalised(
    b: GraphBuilder, config: Config, operators: Operators, features: str
) -> None:
    """Add every output except the state, from features [B, T, D]; the scores are the logits."""
    bias = _bias(b, operators)
    b.op("Identity", operators.score(features, "targets", bias), to="target_scores")
    whole, targets = (first_rows(b, name, "distributions") for name in (features, "targets"))
    _add_whole(b, config, operators, whole, targets, bias)


def _bias(b: GraphBuilder, operators: Operators) -> str:
    return b.constant("output.bias", operators.weights["output.bias"])


def _add_whole(
    b: GraphBuilder,
    config: Config,
    operators: Operators,
    features: str,
    targets: str,
    bias: str,
    *,
    to: str = "target_log_probs",
) -> None:
    """Add log_probs, those of targets named `to`, and the likeliest tokens of the given rows."""
    shape = b.op("Shape", features, to="rows_and_time", end=2)
    rows = as_rows(b, config, features)
    logits = operators.product(rows, operators.output, bias, to="logits")
    full_shape = b.op("Concat", shape, b.integers("V", config.vocab_size), to="full_shape", axis=0)
    # Reshaping here is free; reshaping the log-probs would copy them, since they are an output.
    # allowzero: a 0 in the shape means no rows, not the size of the input.
    logits_3d = b.op("Reshape", logits, full_shape, to="logits_3d", allowzero=1)
    # LogSoftmax and a gather: ReduceLogSumExp is several times slower in ONNX Runtime.
    log_probs = b.op("LogSoftmax", logits_3d, to="log_probs", axis=2)
    of_targets = b.op("GatherElements", log_probs, targets, to=to, axis=2)
    add_best(b, log_probs)
    add_measures(b, config, log_probs, of_targets)


def add_best(b: GraphBuilder, log_probs: str) -> None:
    """Add the most likely tokens and their log-probs."""
    b.node("TopK", [log_probs, "k"], ["top_log_probs", "top_tokens"], axis=2)


def add_measures(b: GraphBuilder, config: Config, log_probs: str, of_targets: str) -> None:
    """Add the entropy of the first M rows' distributions [F, T, V], and the ranks of their targets.

    M is the input `measured`. The rank of a target is 1 and the number of likelier tokens. Sums
    over the vocabulary are products: CUDA's ReduceSum gives a wrong shape if M or K is 0.
    """
    axis = b.integers("measured_axis", 2)
    rows = b.op("Unsqueeze", first_rows(b, log_probs, "measured"), axis, to="measured_row")
    probabilities = b.op("Exp", rows, to="measured_probabilities")  # [M, T, 1, V]
    column = b.op("Transpose", rows, to="measured_column", perm=[0, 1, 3, 2])
    product = b.op("MatMul", probabilities, column, to="negative_entropy_4d")
    axes = b.integers("product_axes", 2, 3)
    b.op("Neg", b.op("Squeeze", product, axes, to="negative_entropy"), to="entropies")

    targets = first_rows(b, of_targets, "measured")
    axis = b.integers("likelier_axis", 3)
    likelier = b.op(
        "Less", b.op("Unsqueeze", targets, axis, to="measured_targets"), rows, to="is_likelier"
    )  # [M, T, K, V]
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [1.0])
    shape = b.integers("ones_shape", config.vocab_size, 1)
    ones = b.op("ConstantOfShape", shape, to="ones", value=value)
    counted = b.cast(likelier, TensorProto.FLOAT, to="likelier")
    count = b.op("Squeeze", b.op("MatMul", counted, ones, to="count_4d"), axis, to="count")
    first = b.constant("first_rank", np.array(1, np.int64))
    b.op("Add", b.cast(count, TensorProto.INT64, to="likelier_tokens"), first, to="target_ranks")


def as_rows(b: GraphBuilder, config: Config, features: str) -> str:
    """Reshape features [B, T, D] to rows [B * T, D]."""
    return b.op("Reshape", features, b.integers("rows_shape", -1, config.output_dim), to="rows")


def first_rows(b: GraphBuilder, name: str, count: str) -> str:
    """Select the first `count` entries along the first axis."""
    return b.op("Slice", name, b.integers("first_row", 0), count, to=f"first_{name}")
