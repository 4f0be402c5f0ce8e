"""The class-factored output layer: P(w | h) = P(class of w | h) * P(w | its class, h).

Adaptive softmax, Grave et al. 2017; `lmscore.train.classes` computes the same in PyTorch. The head
(the frequent words, and the classes of the others) is computed for every token. A class is computed
only for tokens that have a target in it, or need a distribution over the whole vocabulary.

Letters in shapes: B batch, T time (tokens), N = B * T, K targets per position, D columns of the
output matrix, V vocabulary, F rows of the batch and M = F * T tokens that get whole distributions,
n tokens for which a class of W words is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmscore.bundle import Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.heads import add_best, add_measures, as_rows, first_rows
from lmscore.export.operators import CLASS_ROWS, Matrix, Operators

with needs_extra("export"):
    from onnx import TensorProto


def add_classes(b: GraphBuilder, config: Config, operators: Operators, features: str) -> None:
    """Add every output except the state, from features [B, T, D]."""
    common, first = _add_common(b), config.cutoffs[0]
    head, *parts = _parts(b, config, operators)
    classes = [
        _Class(b, common, part, ids) for part, ids in zip(parts, config.classes, strict=True)
    ]
    rows = as_rows(b, config, features)
    of_head = head.log_probs(b, operators, rows, to="head_log_probs")
    names = ["head_words", *(f"class_{part.number}" for part in parts)]
    sizes = b.integers("head_sizes", first, *[1] * len(parts))
    words, *of_classes = b.split(of_head, names, axis=1, sizes=sizes)
    place = common.targets  # the column in the head of each target, or of its class
    for column, one in enumerate(classes, first):
        place = one.op("Where", one.mask, one.scalar("column", column), place, to="place")
    found = b.op("GatherElements", of_head, place, to="found_in_head", axis=1)
    pieces = [common.whole(b, words, first)]
    for one, of_class in zip(classes, of_classes, strict=True):
        within, found = one.add(operators, rows, found)
        pieces.append(one.op("Add", within, common.whole(b, of_class, 1), to="whole"))
    log_probs = b.op("Concat", *pieces, to="log_probs", axis=2)
    shape = b.op("Shape", "targets", to="targets_shape")
    of_targets = b.op("Reshape", found, shape, to="target_log_probs", allowzero=1)
    add_best(b, log_probs)
    add_measures(b, config, log_probs, of_targets)


@dataclass(frozen=True)
class _Part:
    """One softmax: over the head's words and the classes, or over the words of one class."""

    number: int  # 0: the head
    matrix: Matrix  # [W, D]
    bias: str  # [W]

    def log_probs(self, b: GraphBuilder, operators: Operators, rows: str, *, to: str) -> str:
        """Features [n, D] -> log-probabilities [n, W]."""
        name = f"logits_of_part_{self.number}"
        logits = operators.product(rows, self.matrix, self.bias, to=name)
        return b.op("LogSoftmax", logits, to=to, axis=1)


def _parts(b: GraphBuilder, config: Config, operators: Operators) -> list[_Part]:
    """Split the output matrix by rows into the head, with the rows of the classes, and each class.

    The runtime splits when it loads the graph; the file holds a tied matrix once.
    """
    of_classes = operators.store(CLASS_ROWS)
    counts = [config.cutoffs[0], *(ids.stop - ids.start for ids in config.classes)]
    sizes = b.integers("part_sizes", *counts)
    tensors = []
    for tensor, of_class in zip(operators.output, of_classes, strict=True):
        names = [f"{tensor}_{number}" for number in range(len(counts))]
        cut = b.split(tensor, names, axis=0, sizes=sizes)
        cut[0] = b.op("Concat", cut[0], of_class, to=f"{tensor}_of_head", axis=0)
        tensors.append(cut)
    head, *others = np.split(operators.weights["output.bias"], config.cutoffs)
    biases = [np.concatenate([head, operators.weights["output.classes.bias"]]), *others]
    return [
        _Part(number, tuple(matrix), b.constant(f"output_bias_{number}", bias))
        for number, (bias, *matrix) in enumerate(zip(biases, *tensors, strict=True))
    ]


@dataclass(frozen=True)
class _Common:
    """The values that every class reads."""

    targets: str  # int64 [N, K]
    num_whole: str  # M
    is_whole: str  # which tokens get whole distributions, bool [N]
    whole_shape: str  # [F, T]
    none: str  # the number 0

    def whole(self, b: GraphBuilder, log_probs: str, size: int) -> str:
        """Select the first M rows, which get whole distributions: [n, size] -> [F, T, size].

        Rows that get whole distributions come first in the batch, so also in a class's log-probs.
        """
        first = first_rows(b, log_probs, self.num_whole)
        last = b.integers(f"size_of_{log_probs}", size)
        shape = b.op("Concat", self.whole_shape, last, to=f"whole_shape_of_{log_probs}", axis=0)
        return b.op("Reshape", first, shape, to=f"whole_{log_probs}", allowzero=1)


def _add_common(b: GraphBuilder) -> _Common:
    none, one = (b.constant(name, np.array(n, np.int64)) for n, name in enumerate(("none", "one")))
    targets = b.op("Flatten", "targets", to="flat_targets", axis=2)
    T = b.op("Shape", "tokens", to="time", start=1)
    M = b.op("Mul", "distributions", T, to="num_whole")
    N = b.op("Size", "tokens", to="num_tokens")
    is_whole = b.op("Less", b.op("Range", none, N, one, to="numbers"), M, to="is_whole")
    whole_shape = b.op("Concat", "distributions", T, to="whole_shape", axis=0)
    return _Common(targets, M, is_whole, whole_shape, none)


class _Class:
    """A class of W words and its nodes, whose names end with the class's number."""

    def __init__(self, b: GraphBuilder, common: _Common, part: _Part, ids: slice) -> None:
        """Add the mask of the targets that are in the class, bool [N, K]."""
        self.b, self.common, self.part = b, common, part
        self.size, targets = ids.stop - ids.start, common.targets
        self.start, stop = self.scalar("start", ids.start), self.scalar("stop", ids.stop)
        not_before = self.op("GreaterOrEqual", targets, self.start, to="not_before")
        before_next = self.op("Less", targets, stop, to="before_next")
        self.mask = self.op("And", not_before, before_next, to="is_in")

    def add(self, operators: Operators, rows: str, found: str) -> tuple[str, str]:
        """Add the class's log-probs for the rows [N, D] that need them.

        Returns the whole distributions [F, T, W], and found [N, K] with the targets' log-probs.
        """
        members = self._members()
        chosen = self.op("Gather", rows, members, to="rows", axis=0)
        log_probs = self.part.log_probs(self.b, operators, chosen, to=self._name("words"))
        found = self._add_found(members, log_probs, found)
        return self.common.whole(self.b, log_probs, self.size), found

    def op(self, operator: str, *inputs: str, to: str, **attributes: Any) -> str:
        return self.b.op(operator, *inputs, to=self._name(to), **attributes)

    def _name(self, what: str) -> str:
        return f"{what}_of_class_{self.part.number}"

    def scalar(self, name: str, value: int) -> str:
        return self.b.constant(self._name(name), np.array(value, np.int64))

    def _members(self) -> str:
        """The indices of the tokens for which the class is computed, rising, [n]."""
        counts = self.b.cast(self.mask, TensorProto.INT32, to=self._name("counts"))
        axis = self.b.integers("second_axis", 1)
        count = self.op("ReduceSum", counts, axis, to="count", keepdims=0)
        has_target = self.b.cast(count, TensorProto.BOOL, to=self._name("any"))
        wanted = self.op("Or", has_target, self.common.is_whole, to="wanted")
        found = self.op("NonZero", wanted, to="wanted_2d")
        return self.op("Squeeze", found, self.b.integers("first_axis", 0), to="members")

    def _add_found(self, members: str, log_probs: str, found: str) -> str:
        """Add the class's log_probs [n, W] of the targets in it to `found` [N, K]."""
        targets = self.op("Gather", self.common.targets, members, to="targets", axis=0)
        in_class = self.op("Gather", self.mask, members, to="in_class", axis=0)
        shifted = self.op("Sub", targets, self.start, to="shifted")
        index = self.op("Where", in_class, shifted, self.common.none, to="index")
        picked = self.op("GatherElements", log_probs, index, to="picked", axis=1)
        nothing = self.b.constant("nothing", np.array(0, np.float32))
        within = self.op("Where", in_class, picked, nothing, to="within")
        before = self.op("Gather", found, members, to="before", axis=0)
        total = self.op("Add", before, within, to="total")
        axis = self.b.integers("second_axis", 1)
        column = self.op("Unsqueeze", members, axis, to="member_column")
        return self.op("ScatterND", found, column, total, to="found")
