"""The weight-tied recurrent language model in PyTorch.

Jurafsky & Martin, Speech and Language Processing, ch. 13, eq. 13.12-13.14: one matrix E embeds the
input word, e_t = E x_t, and scores the output word, y_t = softmax(E^T h_t), here with a bias.
Where hidden and embedding differ in size, h_t is projected to that of the embedding first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmscore.bundle import Config
from lmscore.train.cells import State, join_states, make_layer, split_state
from lmscore.train.classes import ClassLayer
from lmscore.train.dropout import LockedDropout, Rates, drop_words
from lmscore.train.loss import linear_cross_entropy
from lmscore.train.sampled import SampledSoftmax

__all__ = ["Outputs", "RecurrentLM", "State"]

_NO_DROPOUT = Rates()


@dataclass(frozen=True)
class Outputs:
    """What a network computes of a batch."""

    features: Tensor  # [T, B, E], or H if untied: what the output matrix takes
    state: State  # after the last token
    layers: tuple[Tensor, ...]  # [T, B, H], what each layer gives, before anything is added to it
    hidden: Tensor  # [T, B, H], of the last layer, before dropout
    dropped: Tensor  # the same after it


class RecurrentLM(nn.Module):
    """Embedding, recurrent layers, output layer; the embedding is the output matrix if tied."""

    def __init__(self, config: Config, rates: Rates = _NO_DROPOUT) -> None:
        super().__init__()
        self.config, self.rates = config, rates
        V, H, E, L = (
            config.vocab_size,
            config.hidden_size,
            config.embedding_dim,
            config.num_hidden_layers,
        )
        self.embedding = nn.Embedding(V, E)
        self.layers = nn.ModuleList(make_layer(config, layer, rates.weights) for layer in range(L))
        self.projection = nn.Linear(H, E, bias=False) if config.is_projected else None
        self.output_weight = None if config.tie_word_embeddings else nn.Parameter(torch.empty(V, H))
        self.output_bias = nn.Parameter(torch.zeros(V))
        if config.output_layer == "classes":
            self.class_weight = nn.Parameter(torch.empty(len(config.cutoffs), config.output_dim))
            self.class_bias = nn.Parameter(torch.zeros(len(config.cutoffs)))
        between = [LockedDropout(rates.layers) for _ in range(L - 1)]
        self.input_dropout = LockedDropout(rates.embedding)
        self.dropouts = nn.ModuleList([*between, LockedDropout(rates.output)])
        self._initialize()

    def _initialize(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        if self.output_weight is not None:
            nn.init.uniform_(self.output_weight, -0.1, 0.1)
        if self.config.output_layer == "classes":
            nn.init.uniform_(self.class_weight, -0.1, 0.1)
        cell, H = self.config.cell, self.config.hidden_size
        for name, weight in self.layers.named_parameters():
            if cell.startswith("rnn") and "weight_hh" in name:
                # An Elman network keeps its gradients alive with a norm-preserving recurrence.
                nn.init.orthogonal_(weight)
            if cell.startswith("lstm") and "bias" in name:
                # Remember by default: the two biases of the forget gate start at 1 together
                # (Jozefowicz et al. 2015). A coupled LSTM remembers what it does not take in.
                first, value = (H, 1.0) if cell == "lstm" else (0, -1.0)
                with torch.no_grad():
                    weight[first : first + H] = value if "bias_ih" in name else 0.0

    def start_from_identity(self) -> None:
        """Let an Elman network copy its state at first: R = I, no bias (Le et al. 2015, IRNN)."""
        with torch.no_grad():
            for name, weight in self.layers.named_parameters():
                if "weight_hh" in name:
                    nn.init.eye_(weight)
                elif "bias" in name:
                    nn.init.zeros_(weight)
                else:
                    # As there, standard deviation 0.001: what is copied for ever must not pile up.
                    nn.init.normal_(weight, std=0.001)

    def set_output_bias(self, counts: Tensor) -> None:
        """Start the output bias at the log unigram frequencies of counts [V], add-one smoothed."""
        with torch.no_grad():
            smoothed = counts.double() + 1.0
            self.output_bias.copy_((smoothed / smoothed.sum()).log())
            for number, part in enumerate(self.config.classes):
                self.class_bias[number] = self.output_bias[part].logsumexp(0)

    @property
    def output_matrix(self) -> Tensor:
        """[V, E]: the embedding itself if tied; else [V, H]."""
        return self.embedding.weight if self.output_weight is None else self.output_weight

    def initial_state(self, batch_size: int) -> State:
        """Zeros, as Config.state declares them."""
        device = self.output_bias.device
        return tuple(
            torch.zeros(tensor.shape(batch_size), device=device) for tensor in self.config.state
        )

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the recurrence: the features and the state of `run`."""
        outputs = self.run(tokens, state)
        return outputs.features, outputs.state

    def run(self, tokens: Tensor, state: State) -> Outputs:
        """Run the recurrence.

        Args:
            tokens: int64 [T, B], time first, as the recurrent kernels want it.
            state: the state before the first token.
        """
        matrix = self.embedding.weight
        if self.training:
            matrix = drop_words(matrix, self.rates.words)
        x = self.input_dropout(F.embedding(tokens, matrix))  # [T, B, E]
        hidden = x
        after, layers = [], []
        before = split_state(self.config, state)
        for index, (layer, dropout) in enumerate(zip(self.layers, self.dropouts, strict=True)):
            hidden, following = layer(x, before[index])  # [T, B, H]
            after.append(following)
            layers.append(hidden)
            if self.config.residual and index > 0:
                hidden = hidden + x
            x = dropout(hidden)
        features = x if self.projection is None else self.projection(x)
        return Outputs(features, join_states(after), tuple(layers), hidden=hidden, dropped=x)

    def log_probs(self, features: Tensor) -> Tensor:
        """[..., E], or H if untied -> log-probabilities [..., V], nats."""
        if self.config.output_layer == "classes":
            return self._class_layer.log_probs(features)
        return F.log_softmax(F.linear(features, self.output_matrix, self.output_bias), dim=-1)

    def loss(
        self,
        features: Tensor,
        targets: Tensor,
        dtype: torch.dtype,
        *,
        self_normalize: float = 0.0,
        sampled: SampledSoftmax | None = None,
    ) -> Tensor:
        """Summed negative log-likelihood (nats) of targets [N] after features [N, E] (H if untied).

        `self_normalize` is the weight of what `linear_cross_entropy` adds; `sampled` estimates the
        loss from a part of the vocabulary while gradients are computed.
        """
        if self.config.output_layer == "classes":
            return self._class_layer.loss(features, targets, dtype)
        weight, bias = self.output_matrix, self.output_bias
        if sampled is not None:
            return sampled.loss(features, weight, bias, targets, dtype)
        return linear_cross_entropy(
            features, weight, bias, targets, dtype, self_normalize=self_normalize
        )

    @property
    def _class_layer(self) -> ClassLayer:
        return ClassLayer(
            self.output_matrix,
            self.output_bias,
            self.class_weight,
            self.class_bias,
            self.config.classes,
        )

    def to_weights(self) -> dict[str, Tensor]:
        """The tensors of model.safetensors, by the names of Config.weight_shapes."""
        return {
            name: weight.detach().float().cpu().contiguous()
            for name, weight in self._weights().items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the tensors of a model.safetensors whose names and shapes were checked."""
        with torch.no_grad():
            for name, weight in self._weights().items():
                weight.copy_(weights[name])

    def _weights(self) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = {"embedding.weight": self.embedding.weight}
        for index, layer in enumerate(self.layers):
            for name, weight in layer.named_parameters():
                weights[f"rnn.{name}_l{index}"] = weight
        if self.projection is not None:
            weights["projection.weight"] = self.projection.weight
        if self.output_weight is not None:
            weights["output.weight"] = self.output_weight
        weights["output.bias"] = self.output_bias
        if self.config.output_layer == "classes":
            weights["output.classes.weight"] = self.class_weight
            weights["output.classes.bias"] = self.class_bias
        return weights
