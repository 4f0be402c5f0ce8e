"""The tokens of a decoder, and those of the model that they are.

A decoder of tokens can only be fused with a model of the same tokens: one that was trained with the
decoder's own tokenizer. So each token of the decoder must be spelt in the model's vocabulary,
exactly as it is. Not those that stand for no text: they are named, and what they score is said.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text import Ids

_ABSENT = -1
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A decoder's N tokens.

    Attributes:
        ids: int64 [N], the model's id of each; -1 where it has none.
        absent: the log-probability (nats) of those.
        begin: the id that the model begins with.
        end: the id of its </s>.
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
            end: the one that ends a sentence: it is the model's </s>. None where there is none.
            skip: those that are no text, such as "<blank>", "<pad>" or the task tokens of a speech
                model. The model does not read them.
            skip_log_prob: what they score (nats): -inf forbids them, 0 leaves them to the others.

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
        """What the model says of the decoder's tokens: [B, V] -> [B, N]."""
        found = log_probs[:, self.ids]
        found[:, self.ids == _ABSENT] = self.absent
        return found

    def score(self, log_probs: NDArray[np.float32], token: int) -> float:
        """What the model says of one of the decoder's tokens: [V] -> a number.

        Raises:
            InputError: it is out of range.
        """
        own = self._id(token)
        return self.absent if own == _ABSENT else float(log_probs[own])

    def read(self, tokens: Sequence[int]) -> list[int]:
        """The ids that the model reads of a decoder's: those of text.

        Raises:
            InputError: a token is out of range.
        """
        return [self._id(token) for token in tokens if self.is_text(token)]

    def is_text(self, token: int) -> bool:
        """Whether the model reads a token: it is none to skip, and neither <s> nor </s>.

        Raises:
            InputError: it is out of range.
        """
        return self._id(token) not in (_ABSENT, self.begin, self.end)

    def _id(self, token: int) -> int:
        if not 0 <= token < len(self.ids):
            raise InputError(f"token {token} is not one of the decoder's {len(self.ids)} tokens")
        return int(self.ids[token])


def _listed(tokens: Sequence[str]) -> str:
    shown = ", ".join(map(repr, tokens[:_SHOWN]))
    return shown + (", ..." if len(tokens) > _SHOWN else "")
