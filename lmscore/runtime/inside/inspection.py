"""The gates and states of a model along a text, computed in NumPy from its weights.

Letters in shapes: T tokens that are read, H hidden, E embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import INITIAL, Config, Weights
from lmscore.runtime.inside.cells import STEPS, Array, relu, sigmoid
from lmscore.runtime.text import Ids, TextTokenizer

_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {"Tanh": np.tanh, "Relu": relu}


@dataclass(frozen=True)
class Inspection:
    """What the layers of a model do at each token of a text.

    Attributes:
        tokens: T, as the vocabulary spells them; <s> first, as it is read.
        layers: for each layer, arrays float64 [T, H] by name: the gates of the cell, and the state
            after the token: "h", and "c" in an LSTM. A gated-delta layer has its output "h" and,
            [T, n] for its n heads, the gates "decay" and "rate"; its memory is not kept.
    """

    tokens: tuple[str, ...]
    layers: tuple[Mapping[str, NDArray[np.float64]], ...]


def inspect_text(
    config: Config, weights: Weights, tokenizer: TextTokenizer, text: str
) -> Inspection:
    """Run a model's layers over a text, without its output layer.

    Raises InputError if the text has no ids.
    """
    ids = read_order(config, tokenizer.encode(text))
    read = np.concatenate(([config.bos_token_id], ids)).astype(np.int64)
    x = weights["embedding.weight"][read].astype(np.float64)  # [T, E]
    layers = []
    for layer in range(config.num_hidden_layers):
        found = _layer(config, weights, layer, x)
        x = _connected(config, weights, layer, x, found["h"])
        layers.append(found)
    return Inspection(tuple(tokenizer.tokens(read.tolist())), tuple(layers))


def _layer(config: Config, weights: Weights, layer: int, x: Array) -> Mapping[str, Array]:
    """A layer's gates and states, [T, H] each, from its input [T, D]."""
    if not config.cell_spec.is_recurrent:
        return {"h": _read_windows(config, weights, layer, x)}
    spec = config.cell_spec
    own = {
        name: weights[f"rnn.{name}_l{layer}"].astype(np.float64)
        for name in spec.layer_shapes(config.input_dim(layer), config.hidden_size)
    }
    of_gates = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if spec.has_recurrent_matrix else ()
    given = [own.pop(name) for name in of_gates]
    names, step = spec.state, STEPS[config.cell]
    state = tuple(part[layer] for part in _first_state(config, weights))
    if spec.has_heads:  # whose output is not part of their state
        names, state = ("h", *names), (np.zeros(config.hidden_size), *state)
    rows = []
    for x_t in x:
        state, gates = step(x_t, state, *given, **own)
        kept = zip(names, state[:1] if spec.has_heads else state, strict=False)
        rows.append({**gates, **dict(kept)})
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _connected(config: Config, weights: Weights, layer: int, x: Array, h: Array) -> Array:
    """What follows a layer reads, [T, D'], from its input [T, D] and its output [T, H]."""
    if config.connections == "dense":
        return np.concatenate([x, h], axis=1)
    if layer == 0 or config.connections == "plain":
        return h
    if config.connections == "residual":
        return h + x
    W, b = weights[f"highway.weight_l{layer}"], weights[f"highway.bias_l{layer}"]
    return x + sigmoid(x @ W.astype(np.float64).T + b) * (h - x)


def _read_windows(config: Config, weights: Weights, layer: int, x: Array) -> Array:
    W, b = (weights[f"rnn.{name}_l{layer}"].astype(np.float64) for name in ("weight_ih", "bias_ih"))
    size = (config.window_size or 1) if layer == 0 else 1
    before = _first_state(config, weights)[0] if layer == 0 else x[:0]
    seen = np.concatenate([before, x])
    read = np.concatenate([seen[place : place + len(x)] for place in range(size)], axis=1)
    activation = _ACTIVATIONS[config.cell_spec.activation]
    return np.asarray(activation(read @ W.T + b))


def _first_state(config: Config, weights: Weights) -> list[Array]:
    """The state before a text: each of its tensors without the axis of rows."""
    if not config.learned_initial_state:
        return [np.zeros((part.layers, part.size)) for part in config.cell_state]
    return [weights[f"{INITIAL}{part.name}"][:, 0].astype(np.float64) for part in config.cell_state]


def read_order(config: Config, ids: Sequence[int] | Ids) -> Ids:
    """Token ids in the order in which the model reads them."""
    row = np.asarray(ids, np.int64)
    return row[::-1] if config.direction == "backward" else row
