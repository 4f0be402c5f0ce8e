"""Every recurrent cell in NumPy, one step as the textbook writes it.

A step takes the input x [D], the state, [H] each, and the weights: W [G*H, D] with its bias b, and
R [G*H, H] with its bias c, the gates one above another in PyTorch's order. It gives the next state,
the output h first, and the value of every gate, [H] each. What other weights a cell has are given
by their names. A cell with heads has other sizes, and weights by name alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import CONVOLVED, ROOT_EPSILON, Cell, head_size

Array = NDArray[np.float64]
State = tuple[Array, ...]
Gates = dict[str, Array]
Step = Callable[..., tuple[State, Gates]]


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), which tanh gives without overflow."""
    return np.asarray((1 + np.tanh(a / 2)) / 2)


def relu(a: Array) -> Array:
    """The larger of a and 0."""
    return np.maximum(a, 0)


def elman(
    f: Callable[[Array], Array], x: Array, state: State, W: Array, R: Array, b: Array, c: Array
) -> tuple[State, Gates]:
    """The simple recurrent network: h' = f(W x + b + R h + c) (Elman 1990)."""
    (h,) = state
    return (f(W @ x + b + R @ h + c),), {}


def lstm(x: Array, state: State, W: Array, R: Array, b: Array, c: Array) -> tuple[State, Gates]:
    """The LSTM: c' = f c + i g, h' = o tanh(c') (Hochreiter & Schmidhuber 1997)."""
    h, cell = state
    i, f, g, o = np.split(W @ x + b + R @ h + c, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    cell = f * cell + i * g
    return (o * np.tanh(cell), cell), {"input": i, "forget": f, "new": g, "output": o}


def coupled_lstm(
    x: Array, state: State, W: Array, R: Array, b: Array, c: Array
) -> tuple[State, Gates]:
    """An LSTM with f = 1 - i (Greff et al. 2017, CIFG)."""
    h, cell = state
    i, g, o = np.split(W @ x + b + R @ h + c, 3)
    i, g, o = sigmoid(i), np.tanh(g), sigmoid(o)
    cell = (1 - i) * cell + i * g
    return (o * np.tanh(cell), cell), {"input": i, "forget": 1 - i, "new": g, "output": o}


def lstm_without(
    missing: str, x: Array, state: State, W: Array, R: Array, b: Array, c: Array
) -> tuple[State, Gates]:
    """An LSTM one of whose gates is always 1 (Greff et al. 2017: NIG, NFG, NOG)."""
    h, cell = state
    names = [name for name in ("input", "forget", "new", "output") if name != missing]
    sums = dict(zip(names, np.split(W @ x + b + R @ h + c, 3), strict=True))
    gates = {name: np.tanh(a) if name == "new" else sigmoid(a) for name, a in sums.items()}
    cell = gates.get("forget", 1) * cell + gates.get("input", 1) * gates["new"]
    return (gates.get("output", 1) * np.tanh(cell), cell), gates


def peephole_lstm(
    x: Array, state: State, W: Array, R: Array, b: Array, c: Array, *, peephole: Array
) -> tuple[State, Gates]:
    """An LSTM whose gates see the cell state: i and f the old one, o the new (Gers et al. 2000)."""
    h, cell = state
    i, f, g, o = np.split(W @ x + b + R @ h + c, 4)
    p_i, p_f, p_o = np.split(peephole, 3)
    i, f, g = sigmoid(i + p_i * cell), sigmoid(f + p_f * cell), np.tanh(g)
    cell = f * cell + i * g
    o = sigmoid(o + p_o * cell)
    return (o * np.tanh(cell), cell), {"input": i, "forget": f, "new": g, "output": o}


def mogrifier_lstm(
    x: Array, state: State, W: Array, R: Array, b: Array, c: Array, **mogrifiers: Array
) -> tuple[State, Gates]:
    """An LSTM whose input and output first gate each other in turn (Melis et al. 2020)."""
    h, cell = state
    for number in range(1, len(mogrifiers) + 1):
        matrix = mogrifiers[f"mogrifier_{number}"]
        if number % 2:
            x = 2 * sigmoid(matrix @ h) * x
        else:
            h = 2 * sigmoid(matrix @ x) * h
    return lstm(x, (h, cell), W, R, b, c)


def gated_delta(
    x: Array,
    state: State,
    *,
    weight_ih: Array,
    bias_ih: Array,
    weight_conv: Array,
    weight_ho: Array,
    bias_ho: Array,
) -> tuple[State, Gates]:
    """Linear attention by the gated delta rule (Yang et al. 2025); the gates are of each head, [n].

    lmscore/train/gated_delta.py has the formulas.
    """
    _, memory, convolved = state  # the output before is not read
    H = len(weight_ho)
    n, d = H // head_size(H), head_size(H)
    parts = np.cumsum([3 * H, H, H, n])
    mixed, gate, skip, decay, rate = np.split(weight_ih @ x + bias_ih, parts)
    decay, rate = sigmoid(decay), sigmoid(rate)
    seen = np.concatenate([convolved.reshape(CONVOLVED - 1, 3 * H), mixed[None]])
    sums = (seen.T * weight_conv[:, 0]).sum(axis=1)
    q, k, v = (sums * sigmoid(sums)).reshape(3, n, d)
    q, k = (each / np.sqrt((each**2).sum(axis=1, keepdims=True) + ROOT_EPSILON) for each in (q, k))
    S = decay[:, None, None] * memory.reshape(n, d, d)  # [n, d, d], keys first
    known = (k[:, :, None] * S).sum(axis=1)
    S = S + rate[:, None, None] * k[:, :, None] * (v - known)[:, None, :]
    o = (q[:, :, None] * S).sum(axis=1) / np.sqrt(d)
    read = _rms(o).reshape(H) * gate * sigmoid(gate)
    h = _rms(weight_ho @ read + bias_ho + skip)
    return (h, S.reshape(-1), seen[1:].reshape(-1)), {"decay": decay, "rate": rate}


def _rms(x: Array) -> Array:
    return np.asarray(x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + ROOT_EPSILON))


def gru(x: Array, state: State, W: Array, R: Array, b: Array, c: Array) -> tuple[State, Gates]:
    """The GRU: h' = (1 - z) n + z h, n = tanh(W x + r (R h)) (Cho et al. 2014)."""
    (h,) = state
    x_r, x_z, x_n = np.split(W @ x + b, 3)
    h_r, h_z, h_n = np.split(R @ h + c, 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * h,), {"reset": r, "update": z, "new": n}


STEPS: Mapping[Cell, Step] = {
    "lstm": lstm,
    "gru": gru,
    "rnn-tanh": partial(elman, np.tanh),
    "rnn-relu": partial(elman, relu),
    "rnn-sigmoid": partial(elman, sigmoid),
    "lstm-coupled": coupled_lstm,
    "lstm-peephole": peephole_lstm,
    "lstm-no-input": partial(lstm_without, "input"),
    "lstm-no-forget": partial(lstm_without, "forget"),
    "lstm-no-output": partial(lstm_without, "output"),
    "lstm-mogrifier": mogrifier_lstm,
    "gated-delta": gated_delta,
}
"""All recurrent cells."""
