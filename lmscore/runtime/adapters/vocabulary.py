"""The mapping from a decoder's tokens to the model's.

A decoder of tokens can only be fused with a model of the same tokens, trained with the decoder's
own tokenizer. So each token of the decoder must be in the model's vocabulary, spelt the same,
except tokens that are no text: the caller names them, and gives their score.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.forks import lazy
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text import Ids

_ABSENT = -1
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A decoder's N tokens.

    Attributes:
        ids: int64 [N], the model's id of each; -1 if the model has none.
        absent: the log-probability (nats) of tokens without an id.
        begin: the id that the model begins with.
        end: the id of its </s>.

    `score`, `read` and `text_id` raise InputError if a token is out of range.
    """

    ids: Ids
    absent: float
    begin: int
    end: int

    @classmethod
    def match(
        cls,
        lm: LanguageModel,
        tokens: Sequence[str],
        *,
        end: str | None,
        skip: Collection[str] = (),
        skip_log_prob: float = -math.inf,
    ) -> Vocabulary:
        """Find each token of a decoder in the model's vocabulary.

        Args:
            lm: a model that reads forward.
            tokens: N, in the order of the decoder's ids.
            end: the token that ends a sentence, the model's </s>. None: there is none.
            skip: tokens that are no text, such as "<blank>", "<pad>" or the task tokens of a speech
                model. The model does not read them.
            skip_log_prob: their score (nats): -inf forbids them, 0 leaves them to the others.

        Raises:
            OptionError: the model reads backward, `end` or a token to skip is not there, or
                skip_log_prob is not -inf..0.
            InputError: a token is not in the model's vocabulary.
        """
        lm.check_forward()
        if not skip_log_prob <= 0:
            raise OptionError(f"skip_log_prob must be at most 0, not {skip_log_prob!r}")
        config = lm.config
        special = dict.fromkeys(skip, _ABSENT)
        if end is not None:
            special[end] = config.eos_token_id
        missing = sorted(special.keys() - set(tokens))
        if missing:
            raise OptionError(f"{_listed(missing)}: to end with or to skip, but not in `tokens`")
        own = {lm.tokenizer.token(i): i for i in range(lm.vocab_size)} | special
        unknown = [token for token in tokens if token not in own]
        if unknown:
            raise InputError(
                f"{len(unknown)} of {len(tokens)} tokens are not in the vocabulary of {lm.path} "
                f"({_listed(unknown)}): train the model with the decoder's tokenizer, and skip "
                "what is no text"
            )
        ids = np.array([own[token] for token in tokens])
        return cls(ids, skip_log_prob, config.bos_token_id, config.eos_token_id)

    def scores(self, log_probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of the decoder's tokens, from the model's log-probs: [B, V] -> [B, N].

        Of a decoder with the model's own ids they are the same array.
        """
        if self._is_own and log_probs.shape[1] == len(self.ids):
            return log_probs
        # Of an index on the second axis NumPy makes columns, and decoders would copy them slowly.
        found: NDArray[np.float32] = np.take(log_probs, self.ids, axis=1)
        found[:, self.ids == _ABSENT] = self.absent
        return found

    @lazy
    def _own_ids(self) -> list[int]:
        """`ids` as Python's numbers, which decoders ask for one by one."""
        own_ids: list[int] = self.ids.tolist()
        return own_ids

    @lazy
    def _is_own(self) -> bool:
        """Whether the tokens are the first N of the model, in its order."""
        return np.array_equal(self.ids, np.arange(len(self.ids)))

    def score(self, log_probs: NDArray[np.float32], token: int) -> float:
        """The score of one of the decoder's tokens, from the model's log-probs [V]."""
        own = self._own_id(token)
        return self.absent if own == _ABSENT else float(log_probs[own])

    def read(self, tokens: Sequence[int]) -> list[int]:
        """The model's ids of a decoder's tokens, for those that are text."""
        ids = (self.text_id(token) for token in tokens)
        return [own for own in ids if own is not None]

    def text_id(self, token: int) -> int | None:
        """The model's id of a token that it reads; None of one to skip, of <s> and of </s>."""
        own = self._own_id(token)
        return None if own in self._no_text else own

    @lazy
    def _no_text(self) -> frozenset[int]:
        return frozenset((_ABSENT, self.begin, self.end))

    def _own_id(self, token: int) -> int:
        """The model's id of one of the decoder's tokens; -1 if it has none."""
        if not 0 <= token < len(self._own_ids):
            raise InputError(f"token {token} is not one of the decoder's {len(self.ids)} tokens")
        return self._own_ids[token]


def _listed(tokens: Sequence[str]) -> str:
    shown = ", ".join(map(repr, tokens[:_SHOWN]))
    return shown + (", ..." if len(tokens) > _SHOWN else "")
