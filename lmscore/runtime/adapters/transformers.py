"""Shallow fusion with a model of Hugging Face's transformers, while it generates.

`generate(..., logits_processor=[ShallowFusion(lm, tokens)])` takes any callable of this shape.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from lmscore.errors import InputError, OptionError
from lmscore.runtime.adapters.cache import Cache
from lmscore.runtime.adapters.rows import read_next
from lmscore.runtime.adapters.tensors import Tensor, as_tensor
from lmscore.runtime.adapters.vocabulary import Vocabulary
from lmscore.runtime.engine import Row
from lmscore.runtime.model import LanguageModel

_CACHED = 4096  # hypotheses at most; a step needs those of the step before
_CACHE_BYTES = 128 << 20  # of their states


class ShallowFusion:
    """Adds the weighted log-probabilities of a language model to the scores of a decoder.

    `generate` does not say which hypothesis continues which, so they are found by their tokens.

    Attributes:
        rows: a bounded cache of the hypotheses read; dropped ones are read again.
    """

    def __init__(
        self,
        lm: LanguageModel,
        tokens: Sequence[str],
        *,
        weight: float = 0.3,
        end: str = "</s>",
        skip: Collection[str] = (),
        skip_log_prob: float = -math.inf,
    ) -> None:
        """Fuse with these tokens; see `Vocabulary.match` for requirements and errors.

        Args:
            lm: a model of the same tokens.
            tokens: the decoder's N tokens, in the order of their ids:
                `tokenizer.convert_ids_to_tokens(range(N))`.
            weight: of the language model.
            end: the decoder's end of sequence.
            skip: those of the tokens that are no text.
            skip_log_prob: their score, before it is weighted.

        Raises:
            OptionError: the weight is not a positive number, too.
        """
        if not 0 < weight < math.inf:
            raise OptionError(f"weight must be a positive number, not {weight!r}")
        row_bytes = 4 * max(1, lm.config.state_size)  # a unigram has no state
        self.rows: Cache[tuple[int, ...], Row] = Cache(
            min(_CACHED, max(64, _CACHE_BYTES // row_bytes))
        )
        self._lm, self._weight = lm, weight
        self._vocabulary = Vocabulary.match(
            lm, tokens, end=end, skip=skip, skip_log_prob=skip_log_prob
        )

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Any:
        """Tokens int64 [B, n], scores [B, N] -> scores [B, N], as a new tensor.

        Raises:
            InputError: N is not the number of tokens given, or a token is out of range.
            ModelError: the model yields nan or inf.
        """
        N = len(self._vocabulary.ids)
        if scores.shape[-1] != N:
            raise InputError(
                f"{scores.shape[-1]} scores for {N} tokens: give all of the decoder's tokens, and "
                "skip those that pad its vocabulary"
            )
        texts = [tuple(self._vocabulary.read(ids)) for ids in input_ids.tolist()]
        parents = [self.rows.get(text[:-1]) if text else None for text in texts]
        log_probs, rows = read_next(self._lm, texts, parents)
        for text, row in zip(texts, rows, strict=True):
            self.rows.put(text, row)
        return scores + as_tensor(self._weight * self._vocabulary.scores(log_probs), scores)
