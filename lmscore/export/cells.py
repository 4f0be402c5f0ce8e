"""The ONNX nodes of each recurrent cell: an ONNX operator, and the same step spelled out.

Letters in shapes: B batch, D input size, G gates of the ONNX operator, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import OPEN, OPEN_BIAS, Cell, Config, Weights
from lmscore.export.builder import GraphBuilder


@dataclass(frozen=True)
class Step:
    """The inputs of one step of one layer, and the graph that takes its nodes."""

    body: GraphBuilder
    layer: int  # every name ends with it
    hidden_size: int  # H
    x: str  # the projected input, [B, G*H]
    product: str  # the recurrent product, [B, G*H]; both biases are in their sum
    previous: Sequence[str]  # the state, [B, H] each
    peepholes: Sequence[str] = ()  # weights [H] each, of the gates i o f

    def op(self, operator: str, *inputs: str, to: str) -> str:
        """Add a node with one output, and return that output's name."""
        return self.body.op(operator, *inputs, to=f"{to}_{self.layer}")

    def split(self, value: str, *names: str, first: int = 1) -> list[str]:
        """Split a value [B, n*H]: its first gates together, then each of the others."""
        H = self.hidden_size
        sizes = "" if first == 1 else self.body.integers(f"gates_{self.layer}", first * H, H)
        return self.body.split(value, names, axis=1, sizes=sizes)


def _elman_step(activation: str, step: Step) -> list[str]:
    total = step.op("Add", step.x, step.product, to="total")
    return [step.op(activation, total, to="new_h")]


def _gru_step(step: Step) -> list[str]:
    """H' = n + z (h - n), where n = tanh(x_n + r (R h + bias)_n)."""
    (x_zr, x_n), (product_zr, product_n) = (
        step.split(name, f"{name}_zr", f"{name}_n", first=2) for name in (step.x, step.product)
    )
    zr = step.op("Sigmoid", step.op("Add", x_zr, product_zr, to="zr_sum"), to="zr")
    z, r = step.split(zr, *(f"{gate}_{step.layer}" for gate in "zr"))
    reset = step.op("Mul", r, product_n, to="reset")
    n = step.op("Tanh", step.op("Add", x_n, reset, to="n_sum"), to="n")
    change = step.op("Sub", step.previous[0], n, to="change")
    kept = step.op("Mul", z, change, to="kept")
    return [step.op("Add", n, kept, to="new_h")]


def _lstm_step(step: Step) -> list[str]:
    """C' = f c + i g, H' = o tanh(C')."""
    total = step.op("Add", step.x, step.product, to="total")
    names = (f"{gates}_sum_{step.layer}" for gates in ("iof", "g"))
    iof_sum, g_sum = step.split(total, *names, first=3)
    iof = step.op("Sigmoid", iof_sum, to="iof")
    i, o, f = step.split(iof, *(f"{gate}_{step.layer}" for gate in "iof"))
    g = step.op("Tanh", g_sum, to="g")
    kept = step.op("Mul", f, step.previous[1], to="kept")
    c = step.op("Add", kept, step.op("Mul", i, g, to="added"), to="new_c")
    return [step.op("Mul", o, step.op("Tanh", c, to="bounded_c"), to="new_h"), c]


def _peephole_step(step: Step) -> list[str]:
    """An LSTM step whose gates add weights of the cell state: i and f of the old, o of the new."""
    total = step.op("Add", step.x, step.product, to="total")
    i_sum, o_sum, f_sum, g_sum = step.split(total, *(f"{gate}_sum_{step.layer}" for gate in "iofg"))
    old, (p_i, p_o, p_f) = step.previous[1], step.peepholes
    i = _seeing_gate(step, "i", i_sum, p_i, old)
    f = _seeing_gate(step, "f", f_sum, p_f, old)
    g = step.op("Tanh", g_sum, to="g")
    added = step.op("Mul", i, g, to="added")
    c = step.op("Add", step.op("Mul", f, old, to="kept"), added, to="new_c")
    o = _seeing_gate(step, "o", o_sum, p_o, c)
    return [step.op("Mul", o, step.op("Tanh", c, to="bounded_c"), to="new_h"), c]


def _seeing_gate(step: Step, gate: str, total: str, peephole: str, cell: str) -> str:
    seen = step.op("Mul", cell, peephole, to=f"{gate}_peephole")
    return step.op("Sigmoid", step.op("Add", total, seen, to=f"{gate}_total"), to=gate)


def _coupled_step(step: Step) -> list[str]:
    """C' = c + i (g - c), H' = o tanh(C'): an LSTM whose forget gate is f = 1 - i."""
    total = step.op("Add", step.x, step.product, to="total")
    names = (f"{gates}_sum_{step.layer}" for gates in ("io", "g"))
    io_sum, g_sum = step.split(total, *names, first=2)
    io = step.op("Sigmoid", io_sum, to="io")
    i, o = step.split(io, *(f"{gate}_{step.layer}" for gate in "io"))
    g = step.op("Tanh", g_sum, to="g")
    change = step.op("Sub", g, step.previous[1], to="change")
    c = step.op("Add", step.previous[1], step.op("Mul", i, change, to="added"), to="new_c")
    return [step.op("Mul", o, step.op("Tanh", c, to="bounded_c"), to="new_h"), c]


@dataclass(frozen=True)
class CellNodes:
    """The ONNX nodes of a recurrent cell.

    The gates are in the order of the ONNX operator; in a step, of `CellSpec.step_gates` if the cell
    has them.
    """

    operator: str | None  # the ONNX operator that computes a whole layer, if there is one
    step: Callable[[Step], list[str]]  # adds one step, returns the next state, [B, H] each
    attributes: Mapping[str, Any] = field(default_factory=dict)  # of the operator
    adds_products: bool = True  # a step reads only the sum of projected input and product


def _elman(activation: str) -> CellNodes:
    return CellNodes("RNN", partial(_elman_step, activation), {"activations": [activation]})


CELL_NODES: Mapping[Cell, CellNodes] = {
    "lstm": CellNodes("LSTM", _lstm_step),
    "lstm-coupled": CellNodes("LSTM", _coupled_step),
    "lstm-peephole": CellNodes("LSTM", _peephole_step),
    "lstm-no-input": CellNodes("LSTM", _lstm_step),
    "lstm-no-forget": CellNodes("LSTM", _lstm_step),
    "lstm-no-output": CellNodes("LSTM", _lstm_step),
    "lstm-mogrifier": CellNodes(None, _lstm_step),  # after its input and output were changed
    # r * (R h + bias), as in PyTorch.
    "gru": CellNodes("GRU", _gru_step, {"linear_before_reset": 1}, adds_products=False),
    "rnn-tanh": _elman("Tanh"),
    "rnn-relu": _elman("Relu"),
    "rnn-sigmoid": _elman("Sigmoid"),
}
"""All cells with a recurrent matrix."""


def cell_weights(
    weights: Weights, config: Config, layer: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A layer's W [G*H, D], R [G*H, H] and both biases, W's first, [2*G*H], for the operator."""
    spec = config.cell_spec
    W, R, W_bias, R_bias = _converted(
        weights, config, layer, spec.onnx_gates, negated=spec.onnx_negated
    )
    return W, R, np.concatenate([W_bias, R_bias])


def step_weights(weights: Weights, config: Config, layer: int) -> list[NDArray[np.float32]]:
    """A layer's W [G*H, D], R [G*H, H] and the bias of each [G*H], for a step spelled out."""
    spec = config.cell_spec
    if spec.step_gates:
        return _converted(weights, config, layer, spec.step_gates)
    return _converted(weights, config, layer, spec.onnx_gates, negated=spec.onnx_negated)


def peepholes(weights: Weights, config: Config, layer: int) -> list[NDArray[np.float32]]:
    """The weights [H] of a layer's peepholes, in the order of the ONNX operator: i o f, or none."""
    order = config.cell_spec.onnx_peepholes
    if not order:
        return []
    stored = np.split(weights[f"rnn.peephole_l{layer}"], len(order))
    return [stored[gate] for gate in order]


def _converted(
    weights: Weights,
    config: Config,
    layer: int,
    order: Sequence[int],
    *,
    negated: int | None = None,
) -> list[NDArray[np.float32]]:
    """A layer's W, R and both biases, W's first, with their gates in an order.

    A gate that the cell lacks has no weights, and a bias that keeps it open.
    """
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    found = []
    for name in names:
        stored = np.split(weights[f"rnn.{name}_l{layer}"], config.cell_spec.gates)
        value = OPEN_BIAS if name == "bias_ih" else 0.0
        absent = np.full_like(stored[0], value)
        gates = np.stack([absent if gate == OPEN else stored[gate] for gate in order])
        if negated is not None:
            gates[negated] *= -1
        found.append(np.concatenate(gates))
    return found
