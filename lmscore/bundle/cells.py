"""The cells: one row for each, with what config.json, training, export and the runtime ask of it.

Letters in shapes: B batch, H hidden, E embedding, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Cell = Literal["lstm", "gru", "rnn-tanh", "rnn-relu", "rnn-sigmoid", "lstm-coupled", "window"]


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """The facts of one cell."""

    gates: int = 1
    """A layer's weights have gates * H rows, the gates in PyTorch's order."""

    state: tuple[str, ...] = ("h",)
    """The tensors of the recurrent state, each float32 [L, B, H]; the first is the output."""

    is_recurrent: bool = True
    """False: the first layer reads the last window_size tokens at once, and the state is the
    embeddings of all of them but the newest, float32 [window_size - 1, B, E]. No layer has
    `weight_hh` and `bias_hh`."""

    is_bounded: bool = True
    """Whether every unit of a layer's output lies within -1..1."""

    is_elman: bool = False
    """Whether h' = f(W x + R h + biases). R starts orthogonal, or as the identity."""

    remembering_gate: tuple[int, float] | None = None
    """The gate whose bias starts at this value, so that the cell remembers by default."""

    onnx_gates: tuple[int, ...] = (0,)
    """For each gate of the ONNX operator, the number of the stored gate that it is."""

    onnx_negated: int | None = None
    """The gate of the ONNX operator whose weights are the stored ones with the opposite sign."""


CELLS: Mapping[Cell, CellSpec] = {
    # PyTorch: i f g o, ONNX: i o f c. The forget gate starts at 1 (Jozefowicz et al. 2015).
    "lstm": CellSpec(gates=4, state=("h", "c"), remembering_gate=(1, 1.0), onnx_gates=(0, 3, 1, 2)),
    # PyTorch: r z n, ONNX: z r h.
    "gru": CellSpec(gates=3, onnx_gates=(1, 0, 2)),
    "rnn-tanh": CellSpec(is_elman=True),
    "rnn-relu": CellSpec(is_elman=True, is_bounded=False),
    "rnn-sigmoid": CellSpec(is_elman=True),
    # Stored: i g o, ONNX: i o f c. It forgets as much as it takes in, f = 1 - i (Greff et al. 2017,
    # CIFG), and 1 - sigmoid(a) = sigmoid(-a). What it does not take in at first, it remembers.
    "lstm-coupled": CellSpec(
        gates=3,
        state=("h", "c"),
        remembering_gate=(0, -1.0),
        onnx_gates=(0, 2, 0, 1),
        onnx_negated=2,
    ),
    # Bengio et al. 2003.
    "window": CellSpec(state=("window",), is_recurrent=False),
}
"""Every cell that a model can have."""
