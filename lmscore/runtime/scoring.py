"""Texts to scores: what is read, what is scored, and what of it is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Context
from lmscore.runtime.batching import (
    TokenRows,
    score_document,
    score_rows,
    token_budget,
    token_rows,
)
from lmscore.runtime.graph import Graph
from lmscore.runtime.score import Score, TokenScore
from lmscore.runtime.state import Tensor
from lmscore.runtime.tokenizer import Ids, TextTokenizer


@dataclass(frozen=True)
class Scorer:
    """A graph, its tokenizer, and the convention by which texts are scored."""

    graph: Graph
    tokenizer: TextTokenizer
    bos: bool
    eos: bool
    context: Context
    tokens: bool  # whether to fill Score.tokens

    def score(
        self, texts: Sequence[str], state: tuple[Tensor, ...], *, first: int
    ) -> tuple[Iterator[Score], tuple[Tensor, ...]]:
        """Score some texts in one go.

        Args:
            texts: at least one.
            state: of one row, from which a document goes on.
            first: the number of the first text, for errors.

        Returns:
            The scores in the order of the texts, and the state from which the document goes on.
        """
        config = self.graph.config
        ids = self.tokenizer.encode_batch(texts, first=first)
        rows = token_rows(
            ids, bos=config.bos_token_id if self.bos else None, eos=config.eos_token_id
        )
        budget = token_budget(config)
        if self.context == "document":
            log_probs, state = score_document(self.graph, rows, state, budget=budget)
        else:
            log_probs = score_rows(self.graph, rows, budget=budget)
        return self._scores(texts, rows, log_probs), state

    def _scores(self, texts: Sequence[str], rows: TokenRows, log_probs: Tensor) -> Iterator[Score]:
        unk_id = self.graph.config.unk_token_id
        oov = rows.targets == (-1 if unk_id is None else unk_id)
        ends = rows.starts + rows.lengths - (0 if self.eos else 1)
        for text, start, end in zip(texts, rows.starts.tolist(), ends.tolist(), strict=True):
            part = slice(start, max(start, end))
            yield self._score(text, rows.targets[part], log_probs[part], oov[part])

    def _score(self, text: str, targets: Ids, log_probs: Tensor, oov: NDArray[np.bool_]) -> Score:
        return Score(
            text=text,
            log_prob=float(log_probs.sum(dtype=np.float64)),
            num_tokens=len(targets),
            num_words=len(text.split()),
            num_oov=int(np.count_nonzero(oov)),
            oov_log_prob=float(log_probs[oov].sum(dtype=np.float64)),
            tokens=self._token_scores(targets, log_probs, oov) if self.tokens else (),
        )

    def _token_scores(
        self, targets: Ids, log_probs: Tensor, oov: NDArray[np.bool_]
    ) -> tuple[TokenScore, ...]:
        texts = map(self.tokenizer.token, targets.tolist())
        return tuple(map(TokenScore, texts, log_probs.tolist(), oov.tolist()))
