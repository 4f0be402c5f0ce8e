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
    # The stored gate for each gate of the ONNX operator; OPEN: none, its value is always 1.
    onnx_gates: tuple[int, ...] = (0,)
    onnx_negated: int | None = None  # the ONNX operator's gate that is stored with the other sign
    step_gates: tuple[int, ...] = ()  # the stored gate for each gate of the step spelled out in
    # int8 graphs; by default the operator's
    activation: str = "Tanh"  # of a layer without recurrence, the name of the ONNX operator
    # The stored vector for each peephole of the ONNX operator: weights of the LSTM's cell state.
    onnx_peepholes: tuple[int, ...] = ()

    @property
    def open_gate(self) -> int | None:
        """The place, among the gates of the ONNX operator, of one that is always open, if any."""
        return self.onnx_gates.index(OPEN) if OPEN in self.onnx_gates else None


OPEN = -1
"""In `CellSpec.onnx_gates`: the cell lacks this gate."""

OPEN_BIAS = 30.0
"""The bias of a gate without weights that is always open: in 32 bits, sigmoid(30) is 1."""

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
    # Gates that also see the cell state, with a weight for each unit: i and f the old one, o the
    # new one (Gers & Schmidhuber 2000). Their peepholes are stored as i f o, ONNX: i o f.
    "lstm-peephole": CellSpec(
        gates=4,
        state=("h", "c"),
        remembering_gate=(1, 1.0),
        onnx_gates=(0, 3, 1, 2),
        onnx_peepholes=(0, 2, 1),
    ),
    # An LSTM without one of its gates, whose value is 1 (Greff et al. 2017: NIG, NFG, NOG).
    "lstm-no-input": CellSpec(  # stored: f g o
        gates=3, state=("h", "c"), remembering_gate=(0, 1.0), onnx_gates=(OPEN, 2, 0, 1)
    ),
    "lstm-no-forget": CellSpec(  # stored: i g o
        gates=3, state=("h", "c"), onnx_gates=(0, 2, OPEN, 1)
    ),
    "lstm-no-output": CellSpec(  # stored: i f g
        gates=3, state=("h", "c"), remembering_gate=(1, 1.0), onnx_gates=(0, OPEN, 1, 2)
    ),
    "window": CellSpec(state=("window",), is_recurrent=False),  # Bengio et al. 2003
    "window-relu": CellSpec(
        state=("window",), is_recurrent=False, is_bounded=False, activation="Relu"
    ),
}
"""All cells that a model can have."""
