"""A scorer for ESPnet's beam searches, which batch their hypotheses.

ESPnet accepts instances of its own class alone, so mix the two:

    class RecurrentLM(Scorer, BatchScorerInterface): ...
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from lmscore.runtime.adapters.rows import read_next
from lmscore.runtime.adapters.tensors import Tensor
from lmscore.runtime.adapters.vocabulary import Vocabulary
from lmscore.runtime.engine import Row
from lmscore.runtime.model import LanguageModel


class Scorer:
    """A full scorer: log-probabilities (nats) of all tokens, after each hypothesis.

    The state of a hypothesis is a `Row`, None before anything was read.
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
        """Score these tokens; `Vocabulary.match` says what is required, and what it raises.

        Args:
            lm: a model of the same tokens.
            tokens: ESPnet's token_list, N of them.
            end: begins a hypothesis, and ends it: what is read first is the model's <s>.
            skip: tokens that are no text; must be in the list.
            skip_log_prob: their score.
        """
        super().__init__()
        self._lm = lm
        self._vocabulary = Vocabulary.match(
            lm, tokens, end=end, skip=skip, skip_log_prob=skip_log_prob
        )

    def init_state(self, x: object) -> None:  # noqa: ARG002
        """Nothing was read."""
        return

    def batch_init_state(self, x: object) -> None:  # noqa: ARG002
        """Nothing was read."""
        return

    def select_state(
        self,
        state: Sequence[Row] | None,
        i: int,
        new_id: int | None = None,  # noqa: ARG002
    ) -> Row | None:
        """That of one hypothesis of a batch."""
        return None if state is None else state[i]

    def score(self, y: Tensor, state: Row | None, x: object) -> tuple[Any, Row]:  # noqa: ARG002
        """After one hypothesis: tokens int64 [n] -> scores float32 [N], and its state."""
        scores, (after,) = self._score(y, [y.tolist()], [state])
        return scores[0], after

    def batch_score(
        self,
        ys: Tensor,
        states: Sequence[Row | None],
        xs: object,  # noqa: ARG002
    ) -> tuple[Any, list[Row]]:
        """After B hypotheses: tokens int64 [B, n] -> scores float32 [B, N], and their states.

        Raises:
            InputError: a token is out of range.
            ModelError: the model yields nan or inf.
        """
        return self._score(ys, ys.tolist(), states)

    def final_score(self, state: object) -> float:  # noqa: ARG002
        """Nothing: the end is a token like any other, and scored with them."""
        return 0.0

    def _score(
        self, ys: Tensor, hypotheses: Sequence[Sequence[int]], states: Sequence[Row | None]
    ) -> tuple[Any, list[Row]]:
        known = [
            state if self._vocabulary.is_text(hypothesis[-1]) else None
            for hypothesis, state in zip(hypotheses, states, strict=True)
        ]
        texts = [self._vocabulary.read(hypothesis) for hypothesis in hypotheses]
        log_probs, rows = read_next(self._lm, texts, known)
        return ys.float().new_tensor(self._vocabulary.scores(log_probs)), rows
