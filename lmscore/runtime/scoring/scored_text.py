"""What the tokens and words of a score are computed from, when they are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.columns import made_of_columns
from lmscore.runtime.scoring.score import TokenScore, WordScore
from lmscore.runtime.scoring.words import word_scores, word_tokens
from lmscore.runtime.text import Placed, TextTokenizer, offsets_in


@dataclass(frozen=True, slots=True)
class Convention:
    """What the texts of a stream have in common."""

    tokenizer: TextTokenizer
    unk_id: int  # -1 where the vocabulary has no <unk>
    eos: bool  # whether </s> is scored


@dataclass(slots=True)
class ScoredText:
    """The m scored tokens of one text, in the text's own order; no view of a larger array.

    The text has as many tokens of its own, with </s> where it is scored, or one more at the
    beginning, which was only read.
    """

    convention: Convention
    place: Placed  # of the text's own tokens
    ids: NDArray[np.int32]  # [m]
    log_probs: Tensor  # [m], nats
    log_z: Tensor | None  # [m], where a token shows that the word before it is over; None: all 0

    def tokens(self, text: str) -> tuple[TokenScore, ...]:
        """The scored tokens."""
        ids, end = self.ids.tolist(), len(text)
        offsets = offsets_in(text, self.place)
        if self.convention.eos:
            offsets.append((end, end))
        scored = offsets[len(offsets) - len(ids) :]
        found = made_of_columns(
            TokenScore,
            len(ids),
            id=ids,
            text=self.convention.tokenizer.tokens(ids),
            log_prob=self.log_probs.tolist(),
            is_oov=(self.ids == self.convention.unk_id).tolist(),
            start=[start for start, _ in scored],
            end=[stop for _, stop in scored],
        )
        return tuple(found)

    def words(self, text: str) -> tuple[WordScore, ...]:
        """The words, and </s>."""
        spans = np.array(offsets_in(text, self.place), np.int64).reshape(-1, 2)
        found = word_tokens(text, spans, eos=self.convention.eos and len(self.ids) > 0)
        log_z = np.zeros_like(self.log_probs) if self.log_z is None else self.log_z
        return word_scores(found, self.log_probs, log_z, self.ids == self.convention.unk_id)
