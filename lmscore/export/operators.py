"""The operators in which variants differ: the products, and the stored form of weights.

Letters in shapes: B batch, T time (tokens), N tokens, K targets per position, V vocabulary,
H hidden, E embedding, D columns of the output matrix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config, Weights
from lmscore.export.builder import GraphBuilder
from lmscore.export.row_ends import add_last_places, add_running

Matrix = tuple[str, ...]
"""The initializers that make up a stored matrix; the first axis of each is the matrix's rows."""

CLASS_ROWS = "output.classes.weight"
"""The matrix whose rows, one for each class of words, stand beside rows of the output matrix."""


def output_matrix(config: Config) -> str:
    """The name in model.safetensors of the matrix that scores words."""
    return "embedding.weight" if config.tie_word_embeddings else "output.weight"


def matrices(config: Config) -> list[str]:
    """The names in model.safetensors of the matrices that a variant stores in its own way."""
    shapes = config.weight_shapes()
    return [name for name, shape in shapes.items() if len(shape) == 2 and name != CLASS_ROWS]


class Operators(ABC):
    """The operators of one variant; layers and output layers are the same for all variants."""

    def __init__(
        self, b: GraphBuilder, config: Config, weights: Weights, in_fp32: Collection[str] = ()
    ) -> None:
        """Store the embedding, and the output matrix if it is not tied.

        `in_fp32` names the matrices of model.safetensors that int8 leaves in float32.
        """
        self._b, self._config, self.weights, self._in_fp32 = b, config, weights, in_fp32
        self._running = self._last_places = ""
        self._embedding = self.store("embedding.weight")
        self.output = self._embedding  # [V, D]
        if not config.tie_word_embeddings:
            self.output = self.store("output.weight")

    @staticmethod
    @abstractmethod
    def stored_in_8_bits(config: Config, in_fp32: Collection[str] = ()) -> tuple[str, ...]:
        """The parts of the model whose weights are int8, but for matrices `in_fp32`."""

    @abstractmethod
    def store(self, name: str) -> Matrix:
        """Store a matrix of model.safetensors."""

    @abstractmethod
    def embed(self, tokens: str) -> str:
        """Embed tokens [T, B] as vectors [T, B, E] for the first layer."""

    def vectors(self, embedded: str) -> str:
        """The vectors themselves [T, B, E] of what `embed` gives."""
        return embedded

    @abstractmethod
    def linear(
        self,
        b: GraphBuilder,
        x: str,
        name: str,
        *,
        weight: NDArray[np.float32] | None = None,
        bias: NDArray[np.float32] | None = None,
        to: str,
    ) -> str:
        """Multiply x [..., columns] of any range by a matrix, and add a bias -> [..., rows].

        `name` is the matrix's in model.safetensors; `weight` has its rows in another order.
        """

    @property
    def running(self) -> str:
        """The mask of times before each row's length, bool [T, B, 1]."""
        if not self._running:
            self._running = add_running(self._b)
        return self._running

    @property
    def last_places(self) -> str:
        """The time and the row of each row's last token, int64 [B, 2]."""
        if not self._last_places:
            self._last_places = add_last_places(self._b)
        return self._last_places

    @abstractmethod
    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """Add one layer: x [T, B, D], state [1, B, H] each -> hidden [T, B, H], next state."""

    @abstractmethod
    def read(self, layer: int, x: str) -> str:
        """Add a layer without recurrence: x [T, B, any size] -> hidden [T, B, H]."""

    @abstractmethod
    def gate(self, layer: int, x: str) -> str:
        """Add the gate of a highway past a layer, from its input x [T, B, H] -> [T, B, H]."""

    @abstractmethod
    def narrow(self, hidden: str) -> str:
        """Project what the layers yield [T, B, any size] to [T, B, E], as the tied matrix needs."""

    @abstractmethod
    def product(self, features: str, matrix: Matrix, bias: str, *, to: str) -> str:
        """Multiply features [N, D] by a matrix [rows, D] and add the bias -> float32 [N, rows]."""

    @abstractmethod
    def score(self, features: str, targets: str, bias: str) -> str:
        """Compute logits float32 [B, T, K] of targets [B, T, K] from features [B, T, D]."""

    @property
    def scores_apart(self) -> bool:
        """Whether targets can be scored with no rows of the vocabulary in memory."""
        return False

    def score_apart(
        self, b: GraphBuilder, features: str, targets: str, bias: str, *, to: str
    ) -> str:
        """Add to a body log-probs float32 [n, T, K] of targets from features [n, T, D]."""
        raise NotImplementedError

    def as_input(self, state: str) -> str:
        """Convert a float32 state to the type of the operators."""
        return state

    def as_state(self, value: str, name: str) -> str:
        """Convert a value of the operators to the float32 state `name`."""
        return self._b.op("Identity", value, to=name)

    def as_wide(self, value: str) -> str:
        """A value of the operators as float32, since it is summed over a vocabulary or a row."""
        return value


def target_product(b: GraphBuilder, features: str, rows: str) -> str:
    """Multiply features [..., D] by each target's row [..., K, D] -> [..., K]."""
    column = b.op("Unsqueeze", features, b.integers("target_axis", -2), to="hidden_of_targets")
    products = b.op("Mul", rows, column, to="target_products")
    axis = b.integers("hidden_axis", -1)
    return b.op("ReduceSum", products, axis, to="target_product", keepdims=0)
