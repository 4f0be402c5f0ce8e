"""The weight-tied recurrent language model in PyTorch.

Jurafsky & Martin, Speech and Language Processing, ch. 13, eq. 13.12-13.14: one matrix E embeds the
input word, e_t = E x_t, and scores the output word, y_t = softmax(E^T h_t), here with a bias.
If what the layers yield has another size, it is first projected to the size of the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lmscore.bundle import ENCODER, WRITING, Config, HeadName
from lmscore.train.cells import State, join_states, make_layer, split_state, start_layers
from lmscore.train.classes import ClassHead
from lmscore.train.connections import Connections
from lmscore.train.dropout import LockedDropout, Rates, drop_words
from lmscore.train.halves import Outputs, read_in_halves
from lmscore.train.heads import SelfNormalisedHead, SoftmaxHead
from lmscore.train.initial_state import LearnedState

__all__ = ["Outputs", "RecurrentLM", "State"]

HEADS: Mapping[HeadName, type[SoftmaxHead]] = {
    "softmax": SoftmaxHead,
    "self-normalised": SelfNormalisedHead,
    "classes": ClassHead,
}
"""All output layers."""

_NO_DROPOUT = Rates()


class Encoder(nn.Module):
    """The layers that read the first texts of pairs, if they have layers of their own."""

    def __init__(self, config: Config, rates: Rates) -> None:
        super().__init__()
        layers = range(config.num_hidden_layers)
        self.layers = nn.ModuleList(make_layer(config, layer, rates.weights) for layer in layers)
        self.connections = Connections(config)


class RecurrentLM(nn.Module):
    """Embedding, recurrent layers, output layer; if tied, the embedding is the output matrix."""

    def __init__(self, config: Config, rates: Rates = _NO_DROPOUT) -> None:
        super().__init__()
        self.config, self.rates = config, rates
        E, L = config.embedding_dim, config.num_hidden_layers
        embedding = nn.Embedding(config.vocab_size, E)
        # Before the embedding: checkpoints hold the optimizer's state in this order.
        self.head = HEADS[config.head_spec.name](config, embedding)
        self.embedding = embedding
        self.layers = nn.ModuleList(make_layer(config, layer, rates.weights) for layer in range(L))
        self.connections = Connections(config)
        self.encoder = Encoder(config, rates) if config.separate else None
        self.initial = LearnedState(config) if config.learned_initial_state else None
        self.projection = None
        if config.is_projected:
            self.projection = nn.Linear(config.layers_dim, E, bias=False)
        between = [LockedDropout(rates.layers) for _ in range(L - 1)]
        self.input_dropout = LockedDropout(rates.embedding)
        self.dropouts = nn.ModuleList([*between, LockedDropout(rates.output)])
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.head.start()
        start_layers(self.layers, config.cell_spec)
        if self.encoder is not None:
            start_layers(self.encoder.layers, config.cell_spec)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embedding.weight.device

    def initial_state(self, batch_size: int) -> State:
        """Zeros, as Config.state declares them; the network replaces them by a learned state."""
        shapes = [tensor.shape(batch_size) for tensor in self.config.state]
        return tuple(torch.zeros(shape, device=self.device) for shape in shapes)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the network, and return the features and state of `run`."""
        outputs = self.run(tokens, state)
        return outputs.features, outputs.state

    def run(self, tokens: Tensor, state: State) -> Outputs:
        """Run the network over tokens int64 [T, B]; time comes first as in recurrent kernels."""
        if self.initial is not None:
            state = self.initial(state)
        decode = partial(self._run, part=self)
        if self.encoder is not None:
            encode = partial(self._run, part=self.encoder)
            return read_in_halves(self.config, tokens, state, encode=encode, decode=decode)
        if not self.config.has_phase:
            return decode(tokens, state)
        *cell, phase = state
        outputs = decode(tokens, tuple(cell))
        return replace(outputs, state=(*outputs.state, torch.full_like(phase, WRITING)))

    def _run(self, tokens: Tensor, state: State, *, part: RecurrentLM | Encoder) -> Outputs:
        """Run the layers of the network, or of its encoder."""
        matrix = self.embedding.weight
        if self.training:
            matrix = drop_words(matrix, self.rates.words)
        x = self.input_dropout(F.embedding(tokens, matrix))  # [T, B, E]
        hidden = x
        after, outputs = [], []
        before = split_state(self.config, state)
        for index, (layer, dropout) in enumerate(zip(part.layers, self.dropouts, strict=True)):
            hidden, following = layer(x, before[index])  # [T, B, H]
            after.append(following)
            outputs.append(hidden)
            hidden, x = part.connections(index, x, hidden, dropout)
        features = x if self.projection is None else self.projection(x)
        return Outputs(features, join_states(after), tuple(outputs), hidden=hidden, dropped=x)

    def log_probs(self, features: Tensor) -> Tensor:
        """The log-probabilities [..., V], nats, from features [..., E], or H if untied."""
        return self.head.log_probs(features)

    def to_weights(self) -> dict[str, NDArray[np.float32]]:
        """The tensors of model.safetensors, by the names of Config.weight_shapes."""
        return {name: w.detach().float().cpu().numpy() for name, w in self._weights().items()}

    def load_weights(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Copy tensors, with the names and shapes of Config.weight_shapes, into the network."""
        with torch.no_grad():
            for name, weight in self._weights().items():
                weight.copy_(torch.from_numpy(weights[name]))

    def _weights(self) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = {"embedding.weight": self.embedding.weight}
        weights.update(_weights_of_layers(self))
        if self.encoder is not None:
            own = _weights_of_layers(self.encoder)
            weights.update({f"{ENCODER}{name}": weight for name, weight in own.items()})
        if self.initial is not None:
            weights.update(self.initial.weights())
        if self.projection is not None:
            weights["projection.weight"] = self.projection.weight
        return {**weights, **self.head.weights()}


def _weights_of_layers(part: RecurrentLM | Encoder) -> dict[str, Tensor]:
    """The tensors of layers and of the connections past them."""
    weights: dict[str, Tensor] = {}
    for index, layer in enumerate(part.layers):
        for name, weight in layer.named_parameters():
            weights[f"rnn.{name}_l{index}"] = weight
    return {**weights, **part.connections.weights()}
