"""An n-gram model in the place of a graph: the state is the last words, and so all else follows.

Letters in shapes: B batch, T time (tokens), K targets per position, S rows of the incoming state,
V vocabulary, N the order of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.errors import ModelError
from lmscore.runtime.engine.graph import Graph, state_rows
from lmscore.runtime.engine.sessions import CPU_DEVICE
from lmscore.runtime.engine.state import Tensor
from lmscore.runtime.ngram import BOS, EOS, UNK, NgramModel

_MAX_WORDS = (1 << 24) - 2  # a float32 of the state holds each number exactly
_TARGET_BUDGET = 1 << 16  # tokens: NumPy's calls are not free, and targets need no distributions
_FLOATS = 1 << 21  # of distributions that are made at a time


class NgramGraph(Graph):
    """A back-off model that takes and gives the arrays of a graph.

    The state of a row is its last N - 1 words, float32 [N - 1, B, 1]: their numbers plus 1, and 0
    where nothing came before. So it is the state of a window of words.
    """

    def __init__(self, model: NgramModel, source: str | Path) -> None:  # it has no session
        """Take a model; `source` names it in errors.

        Raises:
            ModelError: it has too many words.
        """
        if model.vocab_size > _MAX_WORDS:
            raise ModelError(f"{source}: {model.vocab_size} words, {_MAX_WORDS} at most")
        self._model, self._source = model, source
        self.config = ngram_config(model)
        self.variant, self.device, self.has_measures = f"{model.order}-gram", CPU_DEVICE, False

    def target_budget(self, *, unnormalized: bool) -> int:  # noqa: ARG002  # nothing is normalised
        """The tokens B * T that one run for targets should read at most."""
        return _TARGET_BUDGET

    def run(
        self,
        outputs: list[str],
        tokens: NDArray[np.int64],
        *,
        state: Sequence[Tensor],
        targets: NDArray[np.int64] | None = None,
        k: int = 0,
        lengths: NDArray[np.int32] | None = None,
        parents: NDArray[np.int64] | None = None,
        checked: bool = False,
    ) -> list[NDArray[Any]]:
        """Compute the named outputs, as `Graph.run` does.

        Raises:
            InputError: an argument has the wrong shape, type or range.
        """
        S = state_rows(self.config, state)
        if not checked:
            self._check(tokens, S, k, targets=targets, lengths=lengths, parents=parents)
        B, T = tokens.shape
        rows = np.arange(B) if parents is None else parents
        before = state[0][:, rows, 0].T.astype(np.int64) - 1  # [B, N - 1], oldest word first
        window = np.concatenate([before, tokens], axis=1)
        nodes = [found[:, before.shape[1] :] for found in self._model.suffixes(window)]
        ends = np.full(B, T) if lengths is None else lengths.astype(np.int64)
        last = ends[:, None] + np.arange(before.shape[1])
        after = (np.take_along_axis(window, last, axis=1) + 1).astype(np.float32).T[:, :, None]
        made = {self.state_outputs[0]: after}
        wanted = np.empty((B, T, 0), np.int64) if targets is None else targets
        if "target_log_probs" in outputs:
            made["target_log_probs"] = self._targets(nodes, wanted)
        if {"log_probs", "top_log_probs", "top_tokens"} & set(outputs):
            made |= self._whole_outputs(nodes, (B, T), k)
        return [np.ascontiguousarray(made[name]) for name in outputs]

    def _targets(self, nodes: Sequence[NDArray[np.int64]], targets: NDArray[np.int64]) -> Tensor:
        """The log-probabilities (nats) of targets [B, T, K], float32."""
        B, T, K = targets.shape
        contexts = [np.broadcast_to(found[:, :, None], (B, T, K)).reshape(-1) for found in nodes]
        found = self._model.log_probs_after(contexts, targets.reshape(-1))
        return found.reshape(B, T, K).astype(np.float32)

    def _whole_outputs(
        self, nodes: Sequence[NDArray[np.int64]], shape: tuple[int, int], k: int
    ) -> dict[str, NDArray[Any]]:
        """Whole distributions of [B, T] positions, and their k likeliest words."""
        V, count = self._model.vocab_size, shape[0] * shape[1]
        flat = [found.reshape(-1) for found in nodes]
        log_probs = np.empty((count, V), np.float32)
        size = max(1, _FLOATS // V)
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            contexts = [found[part] for found in flat]
            log_probs[part] = self._model.distributions_after(contexts, part.stop - part.start)
        best = (
            np.argsort(-log_probs, axis=1, kind="stable")[:, :k] if k else np.empty((count, 0), int)
        )
        return {
            "log_probs": log_probs.reshape(*shape, V),
            "top_log_probs": np.take_along_axis(log_probs, best, axis=1).reshape(*shape, k),
            "top_tokens": best.reshape(*shape, k).astype(np.int64),
        }


def ngram_config(model: NgramModel) -> Config:
    """The facts that the runtime asks for: a model of sentences that reads a window of words."""
    return Config(
        cell="window",
        vocab_size=model.vocab_size,
        hidden_size=1,
        num_hidden_layers=1,
        tie_word_embeddings=False,
        bos_token_id=BOS,
        eos_token_id=EOS,
        unk_token_id=UNK,
        context="sentence",
        tokenizer="word",
        tokenizer_sha256="",
        embedding_size=1,
        window_size=model.order,
    )
