"""How long a run lasts, and the learning rate that follows from how far it is."""

from __future__ import annotations

import math
import time

from lmscore.train.options import TrainOptions

_DEFAULT_EPOCHS = 10.0
_FIRST_RATE = 1e-3  # the warm-up starts here, as part of the peak learning rate


class Budget:
    """A budget in epochs or in minutes; `progress` runs from 0 to 1.

    In minutes the schedule follows the clock: a slower machine makes fewer updates, and still sees
    the whole schedule. The time of the intermediate evaluations counts.
    """

    def __init__(self, options: TrainOptions, tokens_per_epoch: int, seconds_before: float) -> None:
        """`seconds_before` were spent before the run was resumed."""
        self._seconds = None if options.minutes is None else options.minutes * 60
        self._tokens = (options.epochs or _DEFAULT_EPOCHS) * tokens_per_epoch
        self._warmup = options.warmup
        self._constant = options.schedule == "constant"
        self._evaluations = options.evaluations
        self._started = time.monotonic() - seconds_before

    @property
    def elapsed(self) -> float:
        """Seconds, those before a resumption included."""
        return time.monotonic() - self._started

    def progress(self, tokens_done: int) -> float:
        """The part of the budget that is spent, 0 to 1."""
        spent = (
            tokens_done / self._tokens if self._seconds is None else self.elapsed / self._seconds
        )
        return min(1.0, spent)

    def rate(self, progress: float) -> float:
        """The learning rate as part of its peak: linear warm-up, then half a cosine down to 0.

        With the constant schedule it stays at its peak.
        """
        if progress < self._warmup:
            return max(progress / self._warmup, _FIRST_RATE)
        if self._constant:
            return 1.0
        done = (progress - self._warmup) / (1 - self._warmup)
        return 0.5 * (1 + math.cos(math.pi * done))

    def evaluations_due(self, progress: float) -> int:
        """How many of the intermediate evaluations, evenly spread, lie at or before `progress`."""
        return min(self._evaluations, int(progress * (self._evaluations + 1)))
