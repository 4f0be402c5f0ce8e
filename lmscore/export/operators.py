"""What a variant computes in its own way: the products, and the form that weights are stored in.

Letters in shapes: B batch, T time (tokens), N tokens, K targets per position, V vocabulary,
H hidden, E embedding, D columns of the output matrix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from lmscore.bundle import Config, Weights
from lmscore.export.builder import GraphBuilder

Matrix = tuple[str, ...]
"""The initializers that make up a stored matrix; each has its rows along the first axis."""


class Operators(ABC):
    """The operators of one variant; layers and output layers are the same for all."""

    def __init__(self, b: GraphBuilder, config: Config, weights: Weights) -> None:
        """Store the embedding, and the output matrix where it is another one."""
        self._b, self._config, self.weights = b, config, weights
        self._embedding = self.store("embedding.weight")
        self.output = self._embedding  # [V, D]
        if not config.tie_word_embeddings:
            self.output = self.store("output.weight")

    @staticmethod
    @abstractmethod
    def stored_in_8_bits(config: Config) -> tuple[str, ...]:
        """The parts of the model whose weights are int8."""

    @abstractmethod
    def store(self, name: str) -> Matrix:
        """Store the matrix of that name in model.safetensors."""

    @abstractmethod
    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, E], as the first layer takes them."""

    @abstractmethod
    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H] (E in layer 0), state [1, B, H] each -> hidden, next state."""

    @abstractmethod
    def read(self, layer: int, x: str) -> str:
        """A tanh layer without recurrence: x [T, B, any size] -> hidden [T, B, H]."""

    @abstractmethod
    def narrow(self, hidden: str) -> str:
        """Hidden [T, B, H] -> [T, B, E], which the tied matrix takes."""

    @abstractmethod
    def product(self, features: str, matrix: Matrix, bias: str, *, to: str) -> str:
        """Features [N, D], a matrix [rows, D] and its bias -> logits float32 [N, rows]."""

    @abstractmethod
    def score(self, features: str, targets: str, bias: str) -> str:
        """Features [B, T, D], targets [B, T, K] -> the targets' logits float32 [B, T, K]."""

    def as_input(self, state: str) -> str:
        """A state float32, as the operators take it."""
        return state

    def as_state(self, value: str, name: str) -> str:
        """A value of the operators as the state `name`, float32."""
        return self._b.op("Identity", value, to=name)

    def _target_product(self, features: str, rows: str) -> str:
        """Features [B, T, D] times each target's row [B, T, K, D], summed -> [B, T, K]."""
        b = self._b
        column = b.op("Unsqueeze", features, b.integers("target_axis", 2), to="hidden_of_targets")
        products = b.op("Mul", rows, column, to="target_products")
        axis = b.integers("hidden_axis", -1)
        return b.op("ReduceSum", products, axis, to="target_product", keepdims=0)
