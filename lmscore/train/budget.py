"""The length of a run, and the learning rate at each point of it."""

from __future__ import annotations

import math
import time

from lmscore.train.options import TrainOptions

_DEFAULT_EPOCHS = 10.0
_FIRST_RATE = 1e-3  # where the warm-up starts, as part of the peak learning rate


class Budget:
    """A budget in epochs or in minutes; `progress` runs from 0 to 1.

    A budget in minutes ties the schedule to the clock: a slower machine makes fewer updates, but
    completes the schedule. The time of the intermediate evaluations counts.
    """

    def __init__(self, options: TrainOptions, tokens_per_epoch: int, seconds_before: float) -> None:
        """Start the clock at `seconds_before`, the time spent before the run was resumed."""
        self._seconds = None if options.minutes is None else options.minutes * 60
        self._tokens = (options.epochs or _DEFAULT_EPOCHS) * tokens_per_epoch
        self._options = options
        self._started = time.monotonic() - seconds_before

    @property
    def elapsed(self) -> float:
        """The seconds spent, including the time before a resumption."""
        return time.monotonic() - self._started

    def progress(self, tokens_done: int) -> float:
        """The part of the budget that is spent, 0 to 1."""
        if self._seconds is not None:
            return min(1.0, self.elapsed / self._seconds)
        return min(1.0, tokens_done / self._tokens)

    def rate(self, progress: float) -> float:
        """The learning rate as part of its peak: linear warm-up, then half a cosine down to 0.

        The other schedules stay at the peak after the warm-up.
        """
        warmup = self._options.warmup
        if progress < warmup:
            return max(progress / warmup, _FIRST_RATE)
        if self._options.schedule != "cosine":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))

    def evaluations_due(self, progress: float) -> int:
        """The number of evenly spread intermediate evaluations that lie at or before `progress`."""
        count = self._options.evaluations
        return min(count, int(progress * (count + 1)))
