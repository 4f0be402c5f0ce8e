"""The output heads of a class-factored model: P(w | h) = P(class of w | h) * P(w | its class, h).

Adaptive softmax, Grave et al. 2017; `lmscore.train.classes` has the same in PyTorch. The head (the
frequent words, and the classes of the others) is computed for every token, a class for those tokens
alone that have a target in it, or whose whole distribution is wanted.

Letters in shapes: B batch, T time (tokens), N = B * T, K targets per position, H hidden,
V vocabulary, F rows of the batch and M = F * T tokens that get whole distributions, n tokens for
which a class of W words is computed.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.bundle.weights import Weights
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.heads import add_best, as_rows, first_rows

with needs_extra("export"):
    from onnx import TensorProto


class PartProjections(Protocol):
    """The products with the parts of the output matrix, as a variant computes them."""

    def split_output(self) -> None:
        """Cut the output matrix into its parts: the head with the classes' rows, each class."""

    def project_part(self, number: int, hidden: str) -> str:
        """Hidden [n, H] -> logits of a part, [n, words]; of part 0 [n, words + classes]."""


def add_class_heads(
    b: GraphBuilder, config: Config, projections: PartProjections, by_row: str
) -> None:
    """Add every output but the state, from the last layer's hidden [B, T, H]."""
    _add_counts(b)
    projections.split_output()
    rows = as_rows(b, config, by_row)
    head = b.op("LogSoftmax", projections.project_part(0, rows), to="head_log_probs", axis=1)
    names = ["head_words", *(f"class_{number}" for number, _ in _numbered(config))]
    b.node("Split", [head, _head_sizes(b, config)], names, axis=1)
    masks = [_mask(b, number, part) for number, part in _numbered(config)]
    found = b.op(
        "GatherElements", head, _head_targets(b, config, masks), to="found_in_head", axis=1
    )
    pieces = [_whole(b, "head_words", config.cutoffs[0])]
    for (number, part), mask in zip(_numbered(config), masks, strict=True):
        members = _members(b, number, mask)
        chosen = b.op("Gather", rows, members, to=f"rows_of_class_{number}", axis=0)
        logits = projections.project_part(number, chosen)
        log_probs = b.op("LogSoftmax", logits, to=f"words_of_class_{number}", axis=1)
        found = _add_found(b, number, mask, members, log_probs, found)
        within = _whole(b, log_probs, part.stop - part.start)
        of_class = _whole(b, f"class_{number}", 1)
        pieces.append(b.op("Add", within, of_class, to=f"whole_of_class_{number}"))
    b.op("Concat", *pieces, to="log_probs", axis=2)
    shape = b.op("Shape", "targets", to="targets_shape")
    b.op("Reshape", found, shape, to="target_log_probs", allowzero=1)
    add_best(b)


def split_by_class(b: GraphBuilder, config: Config, matrix: str, to: str) -> list[str]:
    """Cut a matrix or vector by rows, one per word: the head's, then those of each class.

    The runtime does that when it loads the graph; in the file a tied matrix stands once.
    """
    names = [f"{to}_{number}" for number in range(len(config.cutoffs) + 1)]
    sizes = [config.cutoffs[0], *(part.stop - part.start for part in config.classes)]
    b.node("Split", [matrix, b.integers(f"{to}_sizes", *sizes)], names, axis=0)
    return names


def part_biases(config: Config, weights: Weights) -> list[NDArray[np.float32]]:
    """The bias of each part: of the head and the classes in it, then of each class."""
    head, *others = np.split(weights["output.bias"], config.cutoffs)
    return [np.concatenate([head, weights["output.classes.bias"]]), *others]


def _numbered(config: Config) -> list[tuple[int, slice]]:
    """The classes and their ids; the head is number 0."""
    return list(enumerate(config.classes, 1))


def _add_counts(b: GraphBuilder) -> None:
    """Add the flat targets [N, K], and M, and which tokens get whole distributions, bool [N]."""
    b.integers("first_row", 0)
    b.constant("none", np.array(0, np.int64))
    b.constant("one", np.array(1, np.int64))
    b.op("Flatten", "targets", to="flat_targets", axis=2)
    T = b.op("Shape", "tokens", to="time", start=1)
    M = b.op("Mul", "distributions", T, to="num_whole")
    N = b.op("Size", "tokens", to="num_tokens")
    b.op("Less", b.op("Range", "none", N, "one", to="numbers"), M, to="is_whole")
    b.op("Concat", "distributions", T, to="whole_shape", axis=0)


def _head_sizes(b: GraphBuilder, config: Config) -> str:
    return b.integers("head_sizes", config.cutoffs[0], *[1] * len(config.cutoffs))


def _mask(b: GraphBuilder, number: int, part: slice) -> str:
    """Which targets are in a class, bool [N, K]."""
    start = b.constant(f"start_of_class_{number}", np.array(part.start, np.int64))
    stop = b.constant(f"stop_of_class_{number}", np.array(part.stop, np.int64))
    not_before = b.op("GreaterOrEqual", "flat_targets", start, to=f"not_before_of_class_{number}")
    before_next = b.op("Less", "flat_targets", stop, to=f"before_next_of_class_{number}")
    return b.op("And", not_before, before_next, to=f"is_in_of_class_{number}")


def _head_targets(b: GraphBuilder, config: Config, masks: list[str]) -> str:
    """The place of each target, or of its class, in the head, [N, K]."""
    place = "flat_targets"
    for number, mask in enumerate(masks, 1):
        of_class = np.array(config.cutoffs[0] + number - 1, np.int64)
        column = b.constant(f"column_of_class_{number}", of_class)
        place = b.op("Where", mask, column, place, to=f"place_of_class_{number}")
    return place


def _members(b: GraphBuilder, number: int, mask: str) -> str:
    """The tokens that a class is computed for, rising, [n]."""
    axis = b.integers(f"target_axis_of_class_{number}", 1)
    b.node("Cast", [mask], [f"counts_of_class_{number}"], to=TensorProto.INT32)
    count = b.op(
        "ReduceSum", f"counts_of_class_{number}", axis, to=f"count_of_class_{number}", keepdims=0
    )
    b.node("Cast", [count], [f"any_of_class_{number}"], to=TensorProto.BOOL)
    wanted = b.op("Or", f"any_of_class_{number}", "is_whole", to=f"wanted_of_class_{number}")
    found = b.op("NonZero", wanted, to=f"wanted_2d_of_class_{number}")
    return b.op(
        "Squeeze", found, b.integers(f"only_of_class_{number}", 0), to=f"members_of_class_{number}"
    )


def _add_found(
    b: GraphBuilder,
    number: int,
    mask: str,
    members: str,
    log_probs: str,
    found: str,
) -> str:
    """Found [N, K], and what the class's log_probs [n, W] add to those of its targets."""
    targets = b.op("Gather", "flat_targets", members, to=f"targets_of_class_{number}", axis=0)
    in_class = b.op("Gather", mask, members, to=f"in_class_of_class_{number}", axis=0)
    shifted = b.op("Sub", targets, f"start_of_class_{number}", to=f"shifted_of_class_{number}")
    index = b.op("Where", in_class, shifted, "none", to=f"index_of_class_{number}")
    picked = b.op("GatherElements", log_probs, index, to=f"picked_of_class_{number}", axis=1)
    nothing = b.constant(f"nothing_of_class_{number}", np.array(0, np.float32))
    within = b.op("Where", in_class, picked, nothing, to=f"within_of_class_{number}")
    before = b.op("Gather", found, members, to=f"before_of_class_{number}", axis=0)
    total = b.op("Add", before, within, to=f"total_of_class_{number}")
    axis = b.integers(f"member_axis_of_class_{number}", 1)
    column = b.op("Unsqueeze", members, axis, to=f"member_column_of_class_{number}")
    return b.op("ScatterND", found, column, total, to=f"found_of_class_{number}")


def _whole(b: GraphBuilder, log_probs: str, size: int) -> str:
    """The first M rows, which get whole distributions: [n, size] -> [F, T, size].

    Whoever gets one comes first, so the first rows are theirs in a class's log-probs too.
    """
    first = first_rows(b, log_probs, "num_whole")
    shape = b.op(
        "Concat",
        "whole_shape",
        b.integers(f"size_of_{log_probs}", size),
        to=f"whole_shape_of_{log_probs}",
        axis=0,
    )
    return b.op("Reshape", first, shape, to=f"whole_{log_probs}", allowzero=1)
