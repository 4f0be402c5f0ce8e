"""What a progress display is told about a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from lmscore.train.losses import perplexity


@dataclass(frozen=True)
class Status:
    """The state of a run, for a progress display."""

    progress: float  # part of the budget, 0 to 1; once it is measuring, of the held-out text
    step: int
    loss: float  # nats per token, over the last updates
    tokens_per_second: float
    seconds_left: float
    held_out_perplexity: float | None  # per token, at the last intermediate evaluation
    is_measuring: bool = False  # the training is over, and the best weights are measured

    @property
    def perplexity(self) -> float:
        """The perplexity per token of the training text, over the last updates."""
        return perplexity(self.loss)


class Measuring:
    """The progress of measuring held-out text of so many tokens, after `step` updates."""

    def __init__(self, tokens: int, step: int, report: Callable[[Status], None]) -> None:
        """Start the clock; `report` is called as tokens are added."""
        self._tokens, self._step, self._report = tokens, step, report
        self._done, self._started = 0, time.monotonic()

    def add(self, tokens: int) -> None:
        """Report that so many more tokens are measured."""
        self._done += tokens
        rate = self._done / max(1e-9, time.monotonic() - self._started)
        self._report(
            Status(
                progress=min(1.0, self._done / self._tokens),
                step=self._step,
                loss=math.nan,
                tokens_per_second=rate,
                seconds_left=max(0, self._tokens - self._done) / rate,
                held_out_perplexity=None,
                is_measuring=True,
            )
        )
