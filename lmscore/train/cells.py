"""The layers of a network: recurrent layers on PyTorch's fused kernels, window layers, and others.

Letters in shapes: T time (tokens), B batch, D size of the input, H hidden, G gates, W tokens of a
window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmscore.bundle import OPEN_BIAS, Cell, CellSpec, Config
from lmscore.train.gated_delta import GatedDeltaLayer

State = tuple[Tensor, ...]
"""The tensors that a layer, or a network, carries from one token to the next."""

# W [G*H, D], R [G*H, H], a bias of each, and what else the cell has: peepholes, mogrifiers
_Weights = tuple[Tensor, ...]
_GATE_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

_Kernel = Callable[[Tensor, State, _Weights], tuple[Tensor, State]]
"""Input [T, B, D], state [1, B, H] each and weights -> hidden [T, B, H], the next state."""


class RecurrentLayer(nn.Module):
    """One layer of a recurrent cell.

    `weight_drop` is the share of recurrent weights left out of a batch, the same ones at all times
    (DropConnect on the hidden-to-hidden matrices: Merity et al. 2017, section 2).
    """

    def __init__(
        self, kernel: _Kernel, spec: CellSpec, input_size: int, hidden_size: int, weight_drop: float
    ) -> None:
        super().__init__()
        self.kernel, self.weight_drop = kernel, weight_drop
        rows = spec.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        shapes = spec.layer_shapes(input_size, hidden_size)
        self.more = [name for name in shapes if name not in _GATE_WEIGHTS]
        for name in self.more:
            self.register_parameter(name, nn.Parameter(torch.empty(shapes[name])))
        for weight in self.parameters():
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Input [T, B, D], state [1, B, H] each -> hidden [T, B, H], the next state."""
        R = F.dropout(self.weight_hh, self.weight_drop, self.training)
        more = (self.get_parameter(name) for name in self.more)
        return self.kernel(x, state, (self.weight_ih, R, self.bias_ih, self.bias_hh, *more))


def _single(
    function: Callable[..., tuple[Tensor, Tensor]], x: Tensor, state: State, weights: _Weights
) -> tuple[Tensor, State]:
    hidden, after = function(x, state[0], weights, True, 1, 0.0, True, False, False)
    return hidden, (after,)


def _lstm(x: Tensor, state: State, weights: _Weights) -> tuple[Tensor, State]:
    hidden, h, c = torch.lstm(x, state, weights, True, 1, 0.0, True, False, False)
    return hidden, (h, c)


def _coupled_lstm(x: Tensor, state: State, weights: _Weights) -> tuple[Tensor, State]:
    """An LSTM whose forget gate is f = 1 - i (Greff et al. 2017, CIFG); stored gates: i g o.

    1 - sigmoid(a) is sigmoid(-a), so the forget gate has the input gate's weights negated.
    """
    gates = (weight.chunk(3) for weight in weights)
    W, R, W_bias, R_bias = (torch.cat([i, -i, g, o]) for i, g, o in gates)
    return _lstm(x, state, (W, R, W_bias, R_bias))


def _lstm_without(gate: int, x: Tensor, state: State, weights: _Weights) -> tuple[Tensor, State]:
    """An LSTM without one of its gates i f g o, whose value is 1 (Greff et al. 2017)."""

    def whole(weight: Tensor, bias: float) -> Tensor:
        parts = list(weight.chunk(3))
        parts.insert(gate, torch.full_like(parts[0], bias))
        return torch.cat(parts)

    W, R, W_bias, R_bias = weights
    return _lstm(x, state, (whole(W, 0), whole(R, 0), whole(W_bias, OPEN_BIAS), whole(R_bias, 0)))


def _peephole_lstm(x: Tensor, state: State, weights: _Weights) -> tuple[Tensor, State]:
    """An LSTM whose gates see the cell state (Gers & Schmidhuber 2000).

    i = sigmoid(... + p_i c), f = sigmoid(... + p_f c), o = sigmoid(... + p_o c'). PyTorch has no
    kernel for it: each step is computed by itself.
    """
    W, R, W_bias, R_bias, peephole = weights
    p_i, p_f, p_o = peephole.chunk(3)
    h, c = (part[0] for part in state)  # [B, H]
    outputs = []
    for sums in F.linear(x, W, W_bias + R_bias):
        i, f, g, o = (sums + F.linear(h, R)).chunk(4, -1)
        c = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h[None], c[None])


def _mogrifier_lstm(x: Tensor, state: State, weights: _Weights) -> tuple[Tensor, State]:
    """An LSTM whose input and output first gate each other in turn (Melis et al. 2020, section 2).

    PyTorch has no kernel for it: each step is computed by itself.
    """
    W, R, W_bias, R_bias, *mogrifiers = weights
    h, c = (part[0] for part in state)  # [B, H]
    bias = W_bias + R_bias
    outputs = []
    for x_t in x:
        read = x_t
        for number, matrix in enumerate(mogrifiers):
            if number % 2 == 0:
                read = 2 * torch.sigmoid(F.linear(h, matrix)) * read
            else:
                h = 2 * torch.sigmoid(F.linear(read, matrix)) * h
        i, f, g, o = (F.linear(read, W, bias) + F.linear(h, R)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h[None], c[None])


def _sigmoid_rnn(x: Tensor, state: State, weights: _Weights) -> tuple[Tensor, State]:
    """An Elman network with a sigmoid, computed by the tanh kernel.

    sigmoid(a) = (1 + tanh(a / 2)) / 2. With s = 2 h - 1 for the state, s' = tanh of
    (W x + W_bias + R (s + 1) / 2 + R_bias) / 2.
    """
    W, R, W_bias, R_bias = weights
    halved = (W / 2, R / 4, W_bias / 2, R_bias / 2 + R.sum(1) / 4)
    hidden, (after,) = _single(torch.rnn_tanh, x, (2 * state[0] - 1,), halved)
    return (hidden + 1) / 2, ((after + 1) / 2,)


_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"Tanh": torch.tanh, "Relu": torch.relu}


class WindowLayer(nn.Module):
    """A layer that reads the last W tokens at once (Bengio et al. 2003, section 2).

    Its state is the embeddings of the last W - 1 tokens, zeros before the first. With W = 1 it
    has no state, and lies above another layer.
    """

    def __init__(
        self, activation: str, input_size: int, hidden_size: int, window_size: int
    ) -> None:
        """`activation` is the name of the ONNX operator: Tanh or Relu."""
        super().__init__()
        self.activation, self.window_size = _ACTIVATIONS[activation], window_size
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, window_size * input_size))
        self.bias_ih = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Input [T, B, D], state [W - 1, B, D] if any -> hidden [T, B, H], the next state."""
        T = len(x)
        seen = torch.cat([*state, x])  # [W - 1 + T, B, D]
        read = torch.cat([seen[i : i + T] for i in range(self.window_size)], -1)  # [T, B, W * D]
        hidden = self.activation(F.linear(read, self.weight_ih, self.bias_ih))
        return hidden, tuple(seen[T:] for _ in state)


_KERNELS: Mapping[Cell, _Kernel] = {
    "lstm": _lstm,
    "lstm-coupled": _coupled_lstm,
    "lstm-peephole": _peephole_lstm,
    "lstm-no-input": partial(_lstm_without, 0),
    "lstm-no-forget": partial(_lstm_without, 1),
    "lstm-no-output": partial(_lstm_without, 3),
    "lstm-mogrifier": _mogrifier_lstm,
    "gru": partial(_single, torch.gru),
    "rnn-tanh": partial(_single, torch.rnn_tanh),
    "rnn-relu": partial(_single, torch.rnn_relu),
    "rnn-sigmoid": _sigmoid_rnn,
}
"""All cells with a recurrent matrix."""


def make_layer(
    config: Config, layer: int, weight_drop: float
) -> RecurrentLayer | GatedDeltaLayer | WindowLayer:
    """Make a layer of the network that a configuration describes."""
    H = config.hidden_size
    D = config.input_dim(layer)
    if config.cell_spec.has_heads:
        return GatedDeltaLayer(config.cell_spec, D, H)
    if config.cell in _KERNELS:
        return RecurrentLayer(_KERNELS[config.cell], config.cell_spec, D, H, weight_drop)
    window_size = (config.window_size or 1) if layer == 0 else 1
    return WindowLayer(config.cell_spec.activation, D, H, window_size)


def start_layers(layers: nn.Module, spec: CellSpec) -> None:
    """Give layers the initial values for their cell."""
    if spec.has_heads:  # they have theirs already
        return
    for name, weight in layers.named_parameters():
        if spec.is_elman and "weight_hh" in name:
            # An Elman network keeps its gradients alive with a norm-preserving recurrence.
            nn.init.orthogonal_(weight)
        if spec.remembering_gate is not None and "bias" in name:
            # The sum of the gate's two biases starts at the value.
            gate, value = spec.remembering_gate
            with torch.no_grad():
                weight.chunk(spec.gates)[gate].fill_(value if "bias_ih" in name else 0.0)


def start_from_identity(layers: nn.Module) -> None:
    """Make an Elman network copy its state at first: R = I, no bias (Le et al. 2015, IRNN)."""
    with torch.no_grad():
        for name, weight in layers.named_parameters():
            if "weight_hh" in name:
                nn.init.eye_(weight)
            elif "bias" in name:
                nn.init.zeros_(weight)
            else:
                # Standard deviation 0.001 as in the paper: a copied state must not grow.
                nn.init.normal_(weight, std=0.001)


def split_state(config: Config, state: State) -> list[State]:
    """The state of every layer; without recurrence only the first layer has one."""
    L = config.num_hidden_layers
    if not config.cell_spec.is_recurrent:
        return [state, *[()] * (L - 1)]
    return [tuple(part[layer : layer + 1].contiguous() for part in state) for layer in range(L)]


def join_states(states: list[State]) -> State:
    """Join the states of layers; the inverse of `split_state`."""
    return tuple(torch.cat(parts) for parts in zip(*filter(None, states), strict=True))
