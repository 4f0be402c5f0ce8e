"""A layer of linear attention by the gated delta rule, as `lmscore.train.gated_delta` has it.

ONNX Runtime's LinearAttention has the batch as its first axis; it is turned inside, so that states
stay as in every model, [L, B, size]. All but the projections is float32 in every variant.

Letters in shapes: T time (tokens), B batch, D size of the input, H hidden, n heads of size d.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmscore.bundle import CONVOLVED, ROOT_EPSILON, Config, head_size
from lmscore.errors import needs_extra
from lmscore.export.builder import CONTRIB, GraphBuilder
from lmscore.export.operators import Operators

with needs_extra("export"):
    from onnx import TensorProto


class _Layer:
    """The graph, with names that end with the layer's number."""

    def __init__(self, b: GraphBuilder, layer: int) -> None:
        self.b, self.layer = b, layer

    def op(self, operator: str, *inputs: str, to: str, **attributes: Any) -> str:
        return self.b.op(operator, *inputs, to=f"{to}_{self.layer}", **attributes)

    def split(self, value: str, *names: str, sizes: str = "") -> list[str]:
        return self.b.split(value, [f"{name}_{self.layer}" for name in names], axis=2, sizes=sizes)

    def silu(self, x: str, name: str) -> str:
        """The product x sigmoid(x)."""
        return self.op("Mul", x, self.op("Sigmoid", x, to=f"{name}_sigmoid"), to=name)

    def divided_by_length(self, x: str, name: str, share: float = 1.0) -> str:
        """Divide x [..., size] by the root of the sum of its squares, or of a share of the sum."""
        b, squares = self.b, self.op("Mul", x, x, to=f"{name}_squares")
        total = self.op("ReduceSum", squares, b.integers("last_axis", -1), to=f"{name}_total")
        if share != 1:
            part = b.constant(f"{name}_share_{self.layer}", np.array(share, np.float32))
            total = self.op("Mul", total, part, to=f"{name}_mean")
        epsilon = b.constant("epsilon", np.array(ROOT_EPSILON, np.float32))
        root = self.op("Sqrt", self.op("Add", total, epsilon, to=f"{name}_sum"), to=f"{name}_root")
        return self.op("Div", x, root, to=name)

    def in_heads(self, x: str, n: int, d: int, name: str) -> str:
        """[B, T, H] -> [B, T, n, d]."""
        return self.op("Reshape", x, self.b.integers("heads_of_tokens", 0, 0, n, d), to=name)

    def last(self, rows: str, count: int, size: int, name: str) -> str:
        """Rows [B, any, size] from index `lengths` on, as a state [1, B, count * size]."""
        b = self.b
        column = b.op(
            "Unsqueeze", _ends(b), b.integers("place_axes", 1, 2), to=f"{name}_ends_{self.layer}"
        )
        steps = np.arange(count, dtype=np.int64)[None, :, None]
        places = b.constant(f"{name}_steps_{self.layer}", steps)
        index = self.op("Add", column, places, to=f"{name}_places")  # [B, count, 1]
        found = self.op("GatherND", rows, index, to=f"{name}_rows", batch_dims=1)
        return self.op("Reshape", found, b.integers(f"{name}_shape", 1, -1, count * size), to=name)


def add_gated_delta(
    b: GraphBuilder, config: Config, operators: Operators, layer: int, x: str, state: list[str]
) -> tuple[str, list[str]]:
    """Add one layer: x [T, B, D], state [1, B, size] each -> hidden [T, B, H], next state."""
    g, H = _Layer(b, layer), config.hidden_size
    n, d = H // head_size(H), head_size(H)
    memory, convolved = state
    weights = operators.weights
    projected = operators.as_wide(
        operators.linear(
            b,
            operators.vectors(x) if layer == 0 else x,
            f"rnn.weight_ih_l{layer}",
            bias=weights[f"rnn.bias_ih_l{layer}"],
            to=f"projected_{layer}",
        )
    )
    by_row = g.op("Transpose", projected, to="by_row", perm=[1, 0, 2])
    sizes = b.integers("sizes_of_parts_of_input", 3 * H, H, H, n, n)
    mixed, gate, skip, decay, rate = g.split(
        by_row, "mixed", "output_gate", "skip", "decay", "rate", sizes=sizes
    )
    before = g.op(
        "Reshape", convolved, b.integers("before_shape", -1, CONVOLVED - 1, 3 * H), to="before"
    )
    seen = g.op("Concat", before, mixed, to="seen", axis=1)  # [B, 3 + T, 3 * H]
    kernel = weights[f"rnn.weight_conv_l{layer}"].astype(np.float32)
    q, k, v = g.split(g.silu(_convolve(g, seen, kernel), "convolution"), "q", "k", "v")
    of_heads = b.integers("heads_of_rows", -1, n, d, d)
    attended, after = f"attended_{layer}", f"after_{layer}"
    b.node(
        "LinearAttention",
        [
            _units(g, q, n, d, "query"),
            _units(g, k, n, d, "key"),
            v,
            g.op("Reshape", memory, of_heads, to="memory_of_heads"),
            *_decay_and_rate(g, operators, decay, rate),
        ],
        [attended, after],
        domain=CONTRIB,
        q_num_heads=n,
        kv_num_heads=n,
        update_rule="gated_delta",
    )
    normal = g.divided_by_length(g.in_heads(attended, n, d, "attended_heads"), "normal", 1 / d)
    flat = g.op("Reshape", normal, b.integers("flat_tokens", 0, 0, H), to="normal_flat")
    read = g.op("Mul", flat, g.silu(gate, "open"), to="gated")
    joined = operators.as_wide(
        operators.linear(
            b,
            operators.as_input(read),
            f"rnn.weight_ho_l{layer}",
            bias=weights[f"rnn.bias_ho_l{layer}"],
            to=f"joined_{layer}",
        )
    )
    total = g.op("Add", joined, skip, to="total")
    hidden = g.divided_by_length(total, "hidden_by_row", 1 / H)
    following = [
        g.op("Reshape", after, b.integers("flat_memory", 1, -1, H * d), to="next_memory_state"),
        g.last(seen, CONVOLVED - 1, 3 * H, "next_convolved_state"),
    ]
    by_time = g.op("Transpose", hidden, to="hidden", perm=[1, 0, 2])
    return operators.as_input(by_time), following


def _convolve(g: _Layer, seen: str, kernel: np.ndarray) -> str:
    """Add up the newest and the tokens before, each by its weights: -> [B, T, 3 * H]."""
    b, T = g.b, g.op("Shape", "tokens", to="convolved_time", start=1)
    axis, total = b.integers("axis_of_time", 1), ""
    for place in range(CONVOLVED):
        start = b.integers(f"place_{place}_of_convolution", place)
        end = g.op("Add", T, start, to=f"convolved_end_{place}")
        part = g.op("Slice", seen, start, end, axis, to=f"seen_{place}")
        weight = b.constant(f"kernel_{place}_{g.layer}", kernel[:, 0, place])
        product = g.op("Mul", part, weight, to=f"weighted_{place}")
        total = g.op("Add", total, product, to=f"mixed_{place}") if total else product
    return total


def _units(g: _Layer, x: str, n: int, d: int, name: str) -> str:
    """Each head's vectors with length 1, [B, T, n * d]."""
    units = g.divided_by_length(g.in_heads(x, n, d, f"{name}_heads"), f"{name}_unit")
    return g.op("Reshape", units, g.b.integers("flat_tokens", 0, 0, n * d), to=name)


def _decay_and_rate(g: _Layer, operators: Operators, decay: str, rate: str) -> tuple[str, str]:
    """The logarithms of decays, and rates, [B, T, n]; a row that has ended keeps its memory."""
    b = g.b
    running = g.op("Transpose", operators.running, to="running_by_row", perm=[1, 0, 2])
    zero = b.constant("zero_float", np.array(0, np.float32))
    # log sigmoid(a) = -softplus(-a)
    negative = g.op("Neg", decay, to="negative_decay")
    log_decay = g.op("Neg", g.op("Softplus", negative, to="softplus_decay"), to="log_decay")
    share = g.op("Sigmoid", rate, to="share")
    return (
        g.op("Where", running, log_decay, zero, to="running_decay"),
        g.op("Where", running, share, zero, to="running_rate"),
    )


def _ends(b: GraphBuilder) -> str:
    """`lengths` as indices."""
    if all(node.output[0] != "lengths_of_rows" for node in b.nodes):
        b.cast("lengths", TensorProto.INT64, to="lengths_of_rows")
    return "lengths_of_rows"
