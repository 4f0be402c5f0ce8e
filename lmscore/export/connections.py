"""The connections past a layer, as `lmscore.train.connections` has their formulas."""

from __future__ import annotations

from lmscore.bundle import Config
from lmscore.export.builder import GraphBuilder
from lmscore.export.operators import Operators


def connect(
    b: GraphBuilder, config: Config, operators: Operators, layer: int, hidden: str, x: str
) -> str:
    """Join a layer's output [T, B, H] and its input [T, B, D]: what follows reads [T, B, D']."""
    if config.connections == "dense":
        below = operators.vectors(x) if layer == 0 else x
        return b.op("Concat", below, hidden, to=f"dense_{layer}", axis=2)
    if layer == 0 or config.connections == "plain":
        return hidden
    if config.connections == "residual":
        if not config.cell_spec.has_heads:
            return b.op("Add", hidden, x, to=f"residual_{layer}")
        # ONNX Runtime 1.32 crashes on fusing an addition in float16 with a division by a length.
        negated = b.op("Neg", x, to=f"negated_{layer}")
        return b.op("Sub", hidden, negated, to=f"residual_{layer}")
    gate = operators.gate(layer, x)
    change = b.op("Sub", hidden, x, to=f"change_by_{layer}")
    return b.op("Add", x, b.op("Mul", gate, change, to=f"changed_{layer}"), to=f"highway_{layer}")
