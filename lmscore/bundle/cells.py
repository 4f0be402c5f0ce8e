"""The cells: one row for each, with the facts that config.json, training, export and runtime need.

Letters in shapes: B batch, D size of a layer's input, H hidden, E embedding, L layers, n heads of
size d, H = n * d.
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
    state: tuple[str, ...] = ("h",)  # float32 [L, B, H] each; the first is a layer's output,
    # but in a cell with heads, whose sizes are `memory_sizes`
    is_recurrent: bool = True
    is_bounded: bool = True  # every unit of a layer's output lies within -1..1
    has_row_steps: bool = False  # in int8, every row of a layer's output has a step of its own
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
    mogrifications: int = 0  # times that input and output gate each other before the gates
    has_heads: bool = False  # a memory of several heads in place of a recurrent matrix
    needs_onnxruntime: tuple[int, int] | None = None  # the first version with its operator

    def layer_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """The name and shape of every weight of a recurrent layer."""
        rows = self.gates * H
        if self.has_heads:
            rows += 2 * (H // head_size(H))
            return {
                "weight_ih": (rows, D),
                "bias_ih": (rows,),
                "weight_conv": (3 * H, 1, CONVOLVED),
                "weight_ho": (H, H),
                "bias_ho": (H,),
            }
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, D),
            "weight_hh": (rows, H),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        if self.onnx_peepholes:
            shapes["peephole"] = (len(self.onnx_peepholes) * H,)
        for number in range(1, self.mogrifications + 1):
            shapes[f"mogrifier_{number}"] = (D, H) if number % 2 else (H, D)
        return shapes

    @property
    def has_recurrent_matrix(self) -> bool:
        """Whether a layer multiplies its own output, by `weight_hh`."""
        return self.is_recurrent and not self.has_heads

    @property
    def open_gate(self) -> int | None:
        """The place, among the gates of the ONNX operator, of one that is always open, if any."""
        return self.onnx_gates.index(OPEN) if OPEN in self.onnx_gates else None


OPEN = -1
"""In `CellSpec.onnx_gates`: the cell lacks this gate."""

OPEN_BIAS = 30.0
"""The bias of a gate without weights that is always open: in 32 bits, sigmoid(30) is 1."""

CONVOLVED = 4
"""The tokens that the convolution of a cell with heads sees: the newest and three before."""

ROOT_EPSILON = 1e-6
"""What a cell with heads adds to the squares of a vector before it divides by their root."""

LARGEST_HEAD = 64


def head_size(hidden_size: int) -> int:
    """d: the largest size of at most 64 that divides H."""
    return next(d for d in range(LARGEST_HEAD, 0, -1) if hidden_size % d == 0)


def memory_sizes(hidden_size: int) -> tuple[int, int]:
    """A matrix [d, d] for each head; what a convolution of 3 * H has seen, the oldest first."""
    return hidden_size * head_size(hidden_size), (CONVOLVED - 1) * 3 * hidden_size


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
    # An LSTM whose input and output first gate each other, five times (Melis et al. 2020, section
    # 2): x = 2 sigmoid(Q_1 h) x, h = 2 sigmoid(Q_2 x) h, ...; the odd matrices are [D, H], the
    # even ones [H, D].
    "lstm-mogrifier": CellSpec(
        gates=4,
        state=("h", "c"),
        remembering_gate=(1, 1.0),
        onnx_gates=(0, 3, 1, 2),
        mogrifications=5,
    ),
    # Linear attention by the gated delta rule (Yang et al. 2025, Gated DeltaNet, section 3): see
    # lmscore/train/gated_delta.py. Stored: query, key, value, output gate, skip, and of each head
    # decay and rate.
    "gated-delta": CellSpec(
        gates=5,
        state=("memory", "convolved"),
        is_bounded=False,
        has_row_steps=True,
        has_heads=True,
        needs_onnxruntime=(1, 32),
    ),
    "window": CellSpec(state=("window",), is_recurrent=False),  # Bengio et al. 2003
    "window-relu": CellSpec(
        state=("window",), is_recurrent=False, is_bounded=False, activation="Relu"
    ),
}
"""All cells that a model can have."""
