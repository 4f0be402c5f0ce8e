"""What the tokens and words of a score are computed from, when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.columns import made_of_columns
from lmscore.runtime.scoring.regions import RegionScore, Span, region_scores, region_tokens
from lmscore.runtime.scoring.score import TokenScore, WordScore
from lmscore.runtime.scoring.words import word_scores, word_tokens
from lmscore.runtime.text import Ids, Spans, TextTokenizer


@dataclass(frozen=True, slots=True)
class Convention:
    """What the texts of a stream have in common."""

    tokenizer: TextTokenizer
    unk_id: int  # -1 where the vocabulary has no <unk>
    eos: bool  # whether </s> is scored
    characters: bool = False  # whether words are user-perceived characters


@dataclass(slots=True)
class ScoredText:
    """The m scored tokens of one text, in the text's own order; no view of a larger array.

    The text has as many tokens of its own, with </s> where it is scored, or one more at the
    beginning, which was only read.
    """

    convention: Convention
    ids: bytes  # int32 [m]
    log_probs: bytes  # float32 [m], nats
    log_z: bytes | None  # float32 [m], where a token shows that a word is over; None: all 0
    spans: Ids | None  # [n, 2], offsets of the text's own tokens; None: they are found when read

    def tokens(self, text: str) -> tuple[TokenScore, ...]:
        """The scored tokens."""
        id_array = np.frombuffer(self.ids, np.int32)
        ids, end = id_array.tolist(), len(text)
        starts, ends = self._spans(text, ids)
        if self.convention.eos:
            starts, ends = [*starts, end], [*ends, end]
        unscored = len(starts) - len(ids)
        found = made_of_columns(
            TokenScore,
            len(ids),
            id=ids,
            text=self.convention.tokenizer.tokens(ids),
            log_prob=np.frombuffer(self.log_probs, np.float32).tolist(),
            is_oov=(id_array == self.convention.unk_id).tolist(),
            start=starts[unscored:],
            end=ends[unscored:],
        )
        return tuple(found)

    def words(self, text: str) -> tuple[WordScore, ...]:
        """The words, and </s>."""
        found = word_tokens(
            text,
            self._span_array(text),
            eos=self._has_end,
            characters=self.convention.characters,
        )
        return word_scores(found, *self._scores)

    def regions(self, text: str, spans: Sequence[Span]) -> tuple[RegionScore, ...]:
        """The scores of regions of the text, none of which overlap, in the order of `spans`."""
        order = sorted(range(len(spans)), key=spans.__getitem__)
        ordered = [spans[number] for number in order]
        found = region_tokens(text, self._span_array(text), ordered, eos=self._has_end)
        scores = region_scores(text, ordered, found, *self._scores)
        of_number = dict(zip(order, scores, strict=True))
        return tuple(of_number[number] for number in range(len(spans)))

    @property
    def _has_end(self) -> bool:
        """Whether </s> is among the scored tokens."""
        return self.convention.eos and len(self.ids) > 0

    @property
    def _scores(self) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
        """Of each scored token: log-probability and log Z (nats, 0 where there is none), OOV."""
        log_probs = np.frombuffer(self.log_probs, np.float32)
        log_z = (
            np.zeros_like(log_probs)
            if self.log_z is None
            else np.frombuffer(self.log_z, np.float32)
        )
        return log_probs, log_z, np.frombuffer(self.ids, np.int32) == self.convention.unk_id

    def _span_array(self, text: str) -> Ids:
        """The offsets [n, 2] of the text's own tokens."""
        ids = np.frombuffer(self.ids, np.int32).tolist()
        return np.array(self._spans(text, ids), np.int64).T

    def unknown(self, text: str) -> list[str]:
        """What each scored token that is <unk> stands for in the text."""
        ids = np.frombuffer(self.ids, np.int32)
        starts, ends = self._spans(text, ids.tolist())
        at = np.flatnonzero(ids == self.convention.unk_id)
        at += len(starts) + self.convention.eos - len(ids)  # the first may have been only read
        return [text[starts[place] : ends[place]] for place in at.tolist()]

    def _spans(self, text: str, ids: list[int]) -> Spans:
        """The offsets of the text's own tokens, of which `ids` are the scored ones, with </s>."""
        if self.spans is not None:
            return Spans(*self.spans.T.tolist())
        own = ids[:-1] if self.convention.eos else ids
        return self.convention.tokenizer.spans(text, own)
