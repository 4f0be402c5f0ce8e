"""The cells: one row for each, with the facts that config.json, training, export and runtime need.

Letters in shapes: B batch, H hidden, E embedding, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmscore.names import Cell


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """The facts of one cell.

    The first layer of a cell without recurrence reads the last window_size tokens at once. Its
    state, float32 [window_size - 1, B, E], holds the embeddings of all of them but the newest. Its
    layers have neither `weight_hh` nor `bias_hh`.
    """

    gates: int = 1  # a layer's weights have gates * H rows, the gates in PyTorch's order
    state: tuple[str, ...] = ("h",)  # float32 [L, B, H] each; the first is a layer's output
    is_recurrent: bool = True
    is_bounded: bool = True  # every unit of a layer's output lies within -1..1
    is_elman: bool = False  # h' = f(W x + R h + biases): R starts orthogonal, or as the identity
    remembering_gate: tuple[int, float] | None = None  # a gate, and the initial value of its bias
    onnx_gates: tuple[int, ...] = (0,)  # the stored gate for each gate of the ONNX operator
    onnx_negated: int | None = None  # the ONNX operator's gate that is stored with the other sign
    step_gates: tuple[int, ...] = ()  # the stored gate for each gate of the step spelled out in
    # int8 graphs; by default the operator's


CELLS: Mapping[Cell, CellSpec] = {
    # PyTorch: i f g o, ONNX: i o f c. The cell remembers at first (Jozefowicz et al. 2015).
    "lstm": CellSpec(gates=4, state=("h", "c"), remembering_gate=(1, 1.0), onnx_gates=(0, 3, 1, 2)),
    # PyTorch: r z n, ONNX: z r h.
    "gru": CellSpec(gates=3, onnx_gates=(1, 0, 2)),
    "rnn-tanh": CellSpec(is_elman=True),
    "rnn-relu": CellSpec(is_elman=True, is_bounded=False),
    "rnn-sigmoid": CellSpec(is_elman=True),
    # Stored: i g o, ONNX: i o f c. The forget gate is f = 1 - i (Greff et al. 2017, CIFG), and
    # 1 - sigmoid(a) = sigmoid(-a). An input gate that starts nearly closed makes it remember.
    "lstm-coupled": CellSpec(
        gates=3,
        state=("h", "c"),
        remembering_gate=(0, -1.0),
        onnx_gates=(0, 2, 0, 1),
        onnx_negated=2,
        step_gates=(0, 2, 1),  # i o c: f = 1 - i needs no product of its own
    ),
    "window": CellSpec(state=("window",), is_recurrent=False),  # Bengio et al. 2003
}
"""All cells that a model can have."""
