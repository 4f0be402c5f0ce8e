"""An LSTM layer whose input and output first gate each other, as a Scan over time.

The formulas are those of `lmscore.train.cells`. The projection of the input is part of the loop,
since the state changes the input before.
"""

from __future__ import annotations

from lmscore.bundle import Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import step_weights
from lmscore.export.operators import Operators
from lmscore.export.recurrence import add_recurrence

with needs_extra("export"):
    from onnx import TensorProto


def add_mogrifier(
    b: GraphBuilder, config: Config, operators: Operators, layer: int, x: str, state: list[str]
) -> tuple[str, list[str]]:
    """Add one layer: x [T, B, D], state [1, B, H] each -> hidden [T, B, H], next state."""
    W, R, W_bias, R_bias = step_weights(operators.weights, config, layer)
    bias = W_bias + R_bias

    def sums(body: GraphBuilder, x: str, h: str) -> tuple[str, str]:
        for number in range(1, config.cell_spec.mogrifications + 1):
            gating, gated = (h, x) if number % 2 else (x, h)
            name = f"mogrifier_{number}_{layer}"
            total = operators.linear(body, gating, f"rnn.mogrifier_{number}_l{layer}", to=name)
            part = body.op(
                "Mul", body.op("Sigmoid", total, to=f"{name}_gate"), gated, to=f"{name}_half"
            )
            gated = body.op("Add", part, part, to=f"{name}_gated")
            x, h = (gated, h) if number % 2 else (x, gated)
        names = f"rnn.weight_ih_l{layer}", f"rnn.weight_hh_l{layer}"
        return (
            operators.linear(body, x, names[0], weight=W, to=f"input_{layer}"),
            operators.linear(body, h, names[1], weight=R, bias=bias, to=f"recurrent_{layer}"),
        )

    is_half = W.dtype.itemsize == 2
    hidden, following = add_recurrence(
        b,
        config,
        layer,
        operators.vectors(x) if layer == 0 else x,
        [operators.as_input(name) for name in state],
        operators=operators,
        x_size=config.input_dim(layer),
        sums=sums,
        dtype=TensorProto.FLOAT16 if is_half else TensorProto.FLOAT,
    )
    if not is_half:
        return hidden, following
    names = (f"next_{name}" for name in state)
    return hidden, [operators.as_state(*pair) for pair in zip(following, names, strict=True)]
