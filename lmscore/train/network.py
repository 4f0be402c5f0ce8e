"""The weight-tied recurrent language model in PyTorch.

Jurafsky & Martin, Speech and Language Processing, ch. 13, eq. 13.12-13.14: one matrix E embeds the
input word, e_t = E x_t, and scores the output word, y_t = softmax(E^T h_t), here with a bias.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmscore.bundle import Config
from lmscore.train.classes import ClassLayer
from lmscore.train.loss import linear_cross_entropy

State = tuple[Tensor, ...]  # as Config.state declares it: h, and c for the LSTM, each [L, B, H]


class LockedDropout(nn.Module):
    """Dropout with one mask for all time steps (Gal & Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, H] -> [T, B, H]."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = x.new_empty(1, x.size(1), x.size(2)).bernoulli_(keep) / keep
        return x * mask


class RecurrentLM(nn.Module):
    """Embedding, recurrent layers, output layer; the embedding is the output matrix if tied."""

    def __init__(self, config: Config, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        V, H = config.vocab_size, config.hidden_size
        self.embedding = nn.Embedding(V, H)
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.num_hidden_layers))
        self.output_weight = None if config.tie_word_embeddings else nn.Parameter(torch.empty(V, H))
        self.output_bias = nn.Parameter(torch.zeros(V))
        if config.output_layer == "classes":
            self.class_weight = nn.Parameter(torch.empty(len(config.cutoffs), H))
            self.class_bias = nn.Parameter(torch.zeros(len(config.cutoffs)))
        self.dropout = LockedDropout(dropout)
        self._initialize()

    def _initialize(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        if self.output_weight is not None:
            nn.init.uniform_(self.output_weight, -0.1, 0.1)
        if self.config.output_layer == "classes":
            nn.init.uniform_(self.class_weight, -0.1, 0.1)
        H = self.config.hidden_size
        for name, weight in self.layers.named_parameters():
            if self.config.cell.startswith("rnn") and "weight_hh" in name:
                # An Elman network keeps its gradients alive with a norm-preserving recurrence.
                nn.init.orthogonal_(weight)
            if self.config.cell == "lstm" and "bias" in name:
                # Remember by default: the two biases of the forget gate start at 1 together
                # (Jozefowicz et al. 2015).
                with torch.no_grad():
                    weight[H : 2 * H] = 1.0 if "bias_ih" in name else 0.0

    def set_output_bias(self, counts: Tensor) -> None:
        """Start the output bias at the log unigram frequencies of counts [V], add-one smoothed."""
        with torch.no_grad():
            smoothed = counts.double() + 1.0
            self.output_bias.copy_((smoothed / smoothed.sum()).log())
            for number, part in enumerate(self.config.classes):
                self.class_bias[number] = self.output_bias[part].logsumexp(0)

    @property
    def output_matrix(self) -> Tensor:
        """[V, H]: the embedding itself if tied."""
        return self.embedding.weight if self.output_weight is None else self.output_weight

    def initial_state(self, batch_size: int) -> State:
        """Zeros, [L, B, H] each."""
        device = self.output_bias.device
        return tuple(
            torch.zeros(tensor.shape(batch_size), device=device) for tensor in self.config.state
        )

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the recurrence.

        Args:
            tokens: int64 [T, B], time first, as the recurrent kernels want it.
            state: the state before the first token.

        Returns:
            The last layer's hidden states [T, B, H], and the state after the last token.
        """
        hidden = self.dropout(self.embedding(tokens))  # [T, B, H]
        after = []
        for index, layer in enumerate(self.layers):
            # A torch RNN takes and gives a bare tensor where there is one state, a tuple for two.
            before = tuple(part[index : index + 1].contiguous() for part in state)
            hidden, final = layer(hidden, before if len(before) > 1 else before[0])
            hidden = self.dropout(hidden)
            after.append(final if isinstance(final, tuple) else (final,))
        return hidden, tuple(torch.cat(parts) for parts in zip(*after, strict=True))

    def log_probs(self, hidden: Tensor) -> Tensor:
        """[..., H] -> log-probabilities [..., V], nats."""
        if self.config.output_layer == "classes":
            return self._class_layer.log_probs(hidden)
        return F.log_softmax(F.linear(hidden, self.output_matrix, self.output_bias), dim=-1)

    def loss(
        self, hidden: Tensor, targets: Tensor, dtype: torch.dtype, *, self_normalize: float = 0.0
    ) -> Tensor:
        """Summed negative log-likelihood (nats) of targets [N] after hidden [N, H].

        `self_normalize` is the weight of what `linear_cross_entropy` adds.
        """
        if self.config.output_layer == "classes":
            return self._class_layer.loss(hidden, targets, dtype)
        weight, bias = self.output_matrix, self.output_bias
        return linear_cross_entropy(
            hidden, weight, bias, targets, dtype, self_normalize=self_normalize
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
        weights = {"embedding.weight": self.embedding.weight}
        for index, layer in enumerate(self.layers):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                weights[f"rnn.{name}_l{index}"] = getattr(layer, f"{name}_l0")
        if self.output_weight is not None:
            weights["output.weight"] = self.output_weight
        weights["output.bias"] = self.output_bias
        if self.config.output_layer == "classes":
            weights["output.classes.weight"] = self.class_weight
            weights["output.classes.bias"] = self.class_bias
        return {
            name: weight.detach().float().cpu().contiguous() for name, weight in weights.items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the tensors of a model.safetensors whose names and shapes were checked."""
        with torch.no_grad():
            self.embedding.weight.copy_(weights["embedding.weight"])
            for index, layer in enumerate(self.layers):
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    getattr(layer, f"{name}_l0").copy_(weights[f"rnn.{name}_l{index}"])
            if self.output_weight is not None:
                self.output_weight.copy_(weights["output.weight"])
            self.output_bias.copy_(weights["output.bias"])
            if self.config.output_layer == "classes":
                self.class_weight.copy_(weights["output.classes.weight"])
                self.class_bias.copy_(weights["output.classes.bias"])


def _layer(config: Config) -> nn.RNNBase:
    H = config.hidden_size
    match config.cell:
        case "lstm":
            return nn.LSTM(H, H)
        case "gru":
            return nn.GRU(H, H)
        case "rnn-tanh":
            return nn.RNN(H, H, nonlinearity="tanh")
        case "rnn-relu":
            return nn.RNN(H, H, nonlinearity="relu")
