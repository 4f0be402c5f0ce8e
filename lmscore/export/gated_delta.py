"""A layer of linear attention by the gated delta rule, as `lmscore.train.gated_delta` has it.

ONNX Runtime's LinearAttention has the batch as its first axis; it is turned inside, so that states
stay as in every model, [L, B, size]. All but the projections is float32 in every variant.

Letters in shapes: T time (tokens), B batch, D size of the input, H hidden, n heads of size d.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import CONVOLVED, ROOT_EPSILON, Config, head_size
from lmscore.errors import needs_extra
from lmscore.export.builder import CONTRIB, GraphBuilder
from lmscore.export.operators import Operators

with needs_extra("export"):
    from onnx import TensorProto


class _Layer:
    """The nodes of a layer, with names that end with its number."""

    def __init__(self, b: GraphBuilder, config: Config, operators: Operators, layer: int) -> None:
        self.b, self.operators, self.layer = b, operators, layer
        self.H, self.d = config.hidden_size, head_size(config.hidden_size)
        self.n = self.H // self.d

    def op(self, operator: str, *inputs: str, to: str, **attributes: Any) -> str:
        return self.b.op(operator, *inputs, to=f"{to}_{self.layer}", **attributes)

    def reshape(self, x: str, shape: str, *sizes: int, to: str) -> str:
        return self.op("Reshape", x, self.b.integers(shape, *sizes), to=to)

    def split(self, value: str, *names: str, sizes: str = "") -> list[str]:
        return self.b.split(value, [f"{name}_{self.layer}" for name in names], axis=2, sizes=sizes)

    def linear(self, x: str, kind: str, to: str) -> str:
        """Multiply x by `weight_<kind>` and add `bias_<kind>`, as float32."""
        bias = self.weight(f"bias_{kind}")
        name, to = f"rnn.weight_{kind}_l{self.layer}", f"{to}_{self.layer}"
        operators = self.operators
        return operators.as_wide(operators.linear(self.b, x, name, bias=bias, to=to))

    def weight(self, name: str) -> NDArray[np.float32]:
        return self.operators.weights[f"rnn.{name}_l{self.layer}"]

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

    def in_heads(self, x: str, name: str) -> str:
        """[B, T, H] -> [B, T, n, d]."""
        return self.reshape(x, "heads_of_tokens", 0, 0, self.n, self.d, to=name)

    def out_of_heads(self, x: str, name: str) -> str:
        """[B, T, n, d] -> [B, T, H]."""
        return self.reshape(x, "units_of_tokens", 0, 0, self.H, to=name)


def add_gated_delta(
    b: GraphBuilder, config: Config, operators: Operators, layer: int, x: str, state: list[str]
) -> tuple[str, list[str]]:
    """Add one layer: x [T, B, D], state [1, B, size] each -> hidden [T, B, H], next state."""
    g = _Layer(b, config, operators, layer)
    H, n = g.H, g.n
    memory, convolved = state
    projected = g.linear(operators.vectors(x) if layer == 0 else x, "ih", "projected")
    by_row = g.op("Transpose", projected, to="by_row", perm=[1, 0, 2])
    sizes = b.integers("sizes_of_parts_of_input", 3 * H, H, H, n, n)
    mixed, gate, skip, decay, rate = g.split(
        by_row, "mixed", "output_gate", "skip", "decay", "rate", sizes=sizes
    )
    before = g.reshape(convolved, "before_shape", -1, CONVOLVED - 1, 3 * H, to="before")
    seen = g.op("Concat", before, mixed, to="seen", axis=1)  # [B, 3 + T, 3 * H]
    attended, after = _attend(g, _convolve(g, seen), memory, decay, rate)
    normal = g.divided_by_length(g.in_heads(attended, "attended_heads"), "normal", 1 / g.d)
    read = g.op("Mul", g.out_of_heads(normal, "normal_units"), g.silu(gate, "open"), to="gated")
    total = g.op("Add", g.linear(operators.as_input(read), "ho", "joined"), skip, to="total")
    hidden = g.divided_by_length(total, "hidden_by_row", 1 / H)
    following = [
        g.reshape(after, "flat_memory", 1, -1, H * g.d, to="next_memory_state"),
        _last_seen(g, seen),
    ]
    by_time = g.op("Transpose", hidden, to="hidden", perm=[1, 0, 2])
    return operators.as_input(by_time), following


def _convolve(g: _Layer, seen: str) -> str:
    """Add up the newest and the tokens before, each by its weights: -> [B, T, 3 * H]."""
    b, T = g.b, g.op("Shape", "tokens", to="convolved_time", start=1)
    kernel = g.weight("weight_conv").astype(np.float32)
    axis, total = b.integers("axis_of_time", 1), ""
    for place in range(CONVOLVED):
        start = b.integers(f"place_{place}_of_convolution", place)
        end = g.op("Add", T, start, to=f"convolved_end_{place}")
        part = g.op("Slice", seen, start, end, axis, to=f"seen_{place}")
        weight = b.constant(f"kernel_{place}_{g.layer}", kernel[:, 0, place])
        product = g.op("Mul", part, weight, to=f"weighted_{place}")
        total = g.op("Add", total, product, to=f"mixed_{place}") if total else product
    return g.silu(total, "convolution")


def _attend(g: _Layer, convolved: str, memory: str, decay: str, rate: str) -> tuple[str, str]:
    """What queries read, [B, T, H], and the memory [B, n, d, d] after the row."""
    q, k, v = g.split(convolved, "q", "k", "v")
    q, k = (
        g.out_of_heads(g.divided_by_length(g.in_heads(x, f"{name}_heads"), f"{name}_unit"), name)
        for name, x in (("query", q), ("key", k))
    )
    before = g.reshape(memory, "heads_of_rows", -1, g.n, g.d, g.d, to="memory_of_heads")
    outputs = [f"attended_{g.layer}", f"after_{g.layer}"]
    g.b.node(
        "LinearAttention",
        [q, k, v, before, *_decay_and_rate(g, decay, rate)],
        outputs,
        domain=CONTRIB,
        q_num_heads=g.n,
        kv_num_heads=g.n,
        update_rule="gated_delta",
    )
    return outputs[0], outputs[1]


def _decay_and_rate(g: _Layer, decay: str, rate: str) -> tuple[str, str]:
    """The logarithms of decays, and rates, [B, T, n]; a row that has ended keeps its memory."""
    running = g.op("Transpose", g.operators.running, to="running_by_row", perm=[1, 0, 2])
    zero = g.b.constant("zero_float", np.array(0, np.float32))
    # log sigmoid(a) = -softplus(-a)
    negative = g.op("Neg", decay, to="negative_decay")
    log_decay = g.op("Neg", g.op("Softplus", negative, to="softplus_decay"), to="log_decay")
    share = g.op("Sigmoid", rate, to="share")
    return (
        g.op("Where", running, log_decay, zero, to="running_decay"),
        g.op("Where", running, share, zero, to="running_rate"),
    )


def _last_seen(g: _Layer, seen: str) -> str:
    """What the next token's convolution sees of each row, [1, B, 3 * 3 * H]."""
    b, count = g.b, CONVOLVED - 1
    lengths = b.cast("lengths", TensorProto.INT64, to=f"lengths_{g.layer}")
    column = g.op("Unsqueeze", lengths, b.integers("place_axes", 1, 2), to="lengths_column")
    steps = b.constant("last_seen_steps", np.arange(count, dtype=np.int64)[None, :, None])
    places = g.op("Add", column, steps, to="last_seen_places")  # [B, 3, 1]
    rows = g.op("GatherND", seen, places, to="last_seen", batch_dims=1)
    return g.reshape(rows, "flat_seen", 1, -1, count * 3 * g.H, to="next_convolved_state")
