"""Sample, the result of decoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lmscore.runtime.scoring import TokenScore

FinishReason = Literal["eos", "length", "stop"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A continuation of a prompt, and the reason for its end."""

    text: str  # without the prompt
    log_prob: float  # nats, of all its tokens, as the model gives it: no temperature, no cuts
    tokens: tuple[TokenScore, ...] = field(repr=False)  # with </s> where it ended so; in `text`
    finish_reason: FinishReason  # </s>, max_tokens, or a stop string
