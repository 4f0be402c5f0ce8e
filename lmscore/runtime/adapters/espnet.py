"""A scorer for ESPnet's beam searches, which batch their hypotheses.

ESPnet only accepts instances of its own class, so mix the two:

    class RecurrentLM(Scorer, BatchScorerInterface): ...
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from lmscore.runtime.adapters.rows import read_next
from lmscore.runtime.adapters.tensors import Tensor, as_tensor
from lmscore.runtime.adapters.vocabulary import Vocabulary
from lmscore.runtime.engine import Row
from lmscore.runtime.model import LanguageModel


class Scorer:
    """A full scorer: log-probabilities (nats) of all tokens, after each hypothesis.

    The state of a hypothesis is a `Row`, None before it has read any token.
    """

    def __init__(
        self,
        lm: LanguageModel,
        tokens: Sequence[str],
        *,
        end: str = "<sos/eos>",
        skip: Collection[str] = ("<blank>",),
        skip_log_prob: float = -math.inf,
    ) -> None:
        """Score these tokens; see `Vocabulary.match` for requirements and errors.

        Args:
            lm: a model of the same tokens.
            tokens: ESPnet's token_list, N of them.
            end: begins a hypothesis (the model reads <s>), and ends it.
            skip: tokens of the list that are no text.
            skip_log_prob: their score.
        """
        super().__init__()
        self._lm = lm
        self._vocabulary = Vocabulary.match(
            lm, tokens, end=end, skip=skip, skip_log_prob=skip_log_prob
        )

    def init_state(self, x: object) -> None:
        """The state before any token is read."""

    batch_init_state = init_state

    def select_state(
        self,
        state: Sequence[Row] | None,
        i: int,
        new_id: int | None = None,  # noqa: ARG002
    ) -> Row | None:
        """The state of one hypothesis of a batch."""
        return None if state is None else state[i]

    def score(self, y: Tensor, state: Row | None, x: object) -> tuple[Any, Row]:  # noqa: ARG002
        """Score the next token of one hypothesis: int64 [n] -> float32 [N], and its state."""
        scores, (after,) = self._score(y, [y.tolist()], [state])
        return scores[0], after

    def batch_score(
        self,
        ys: Tensor,
        states: Sequence[Row | None],
        xs: object,  # noqa: ARG002
    ) -> tuple[Any, list[Row]]:
        """Score the next token of B hypotheses: int64 [B, n] -> float32 [B, N], and their states.

        Raises:
            InputError: a token is out of range.
            ModelError: the model yields nan or inf.
        """
        return self._score(ys, ys.tolist(), states)

    def final_score(self, state: object) -> float:  # noqa: ARG002
        """Zero: the end is a token like any other, and scored with them."""
        return 0.0

    def _score(
        self, ys: Tensor, hypotheses: Sequence[Sequence[int]], states: Sequence[Row | None]
    ) -> tuple[Any, list[Row]]:
        known = [
            state if self._vocabulary.text_id(hypothesis[-1]) is not None else None
            for hypothesis, state in zip(hypotheses, states, strict=True)
        ]
        texts = [  # of one that goes on from a state, the last token is read
            self._vocabulary.read(hypothesis if state is None else hypothesis[-1:])
            for hypothesis, state in zip(hypotheses, known, strict=True)
        ]
        log_probs, rows = read_next(self._lm, texts, known)
        return as_tensor(self._vocabulary.scores(log_probs), ys.float()), rows
