"""Evaluations on held-out text, and the choice of the weights that are kept."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lmscore.bundle import CHECKPOINTS
from lmscore.errors import TrainingError
from lmscore.train.best import BestWeights
from lmscore.train.checkpoint import Position
from lmscore.train.diagnosis import gradient_by_lag, make_probe, recurrent_matrices
from lmscore.train.evaluate import HeldOut, held_out_samples, measure
from lmscore.train.learner import Learner
from lmscore.train.losses import Losses, in_words, perplexity, sum_of
from lmscore.train.metrics import EVALUATED
from lmscore.train.network import RecurrentLM
from lmscore.train.options import TrainOptions
from lmscore.train.workers import Workers

_SAMPLE_TOKENS = 1 << 16  # the held-out tokens of an intermediate evaluation
_PLATEAU_FACTOR = 0.5  # of the learning rate, after an evaluation without gain

_log = logging.getLogger("lmscore")


class Selection:
    """The evaluations of a run: each may find the best weights so far, or end the run."""

    def __init__(
        self,
        options: TrainOptions,
        learner: Learner,
        valid: HeldOut,
        position: Position,
        *,
        learns_unk: bool,
        workers: Workers,
        keep_best: Callable[[RecurrentLM], None],
    ) -> None:
        """Go on from a position, which takes note of the best loss and of evaluations in vain.

        `keep_best` is called with the network whenever it is the best so far. `learns_unk` says
        whether `<unk>` occurs in training: a loss over tokens that were never trained says nothing
        about the weights, so that it chooses none.
        """
        self.held_out_perplexity: float | None = None  # at the last evaluation
        self._options, self._learner, self._position = options, learner, position
        self._learns_unk, self._workers, self._keep_best = learns_unk, workers, keep_best
        kind, _, count = options.average.partition(":")
        self._best = BestWeights(Path(options.output), int(count)) if kind == "best" else None
        if self._best is not None and workers.is_first:
            self._best.forget_after(position.step)
        config = learner.network.config
        self._samples = held_out_samples(valid, config, _SAMPLE_TOKENS)
        self._tokens = {name: part.num_targets for name, part in valid.texts.items()}
        self._probe = make_probe(valid.whole, config)

    @property
    def is_exhausted(self) -> bool:
        """Whether the evaluations without gain have used up the patience."""
        patience = self._options.patience
        return patience is not None and self._position.fruitless >= patience

    def evaluate(self, *, counts: bool = True) -> dict[str, Any]:
        """Measure the weights, or their average, and keep them if they are the best so far.

        Args:
            counts: whether later updates depend on it, by the patience, the schedule and averages.

        Returns:
            The values of the evaluation's record in metrics.jsonl.
        """
        network, step = self._learner.network, self._position.step
        with self._learner.average.in_place():
            losses = self._losses()
            loss = self._chosen(losses)
            self._keep_if_best(loss)
            if counts and self._best is not None and self._workers.is_first:
                self._best.add(network.to_weights(), loss, step)
        self._workers.wait()
        _log.info("step %d: held-out perplexity %s", step, in_words(losses))
        if counts:
            self._learner.average.evaluated(loss)
            self._take_note(loss)
        lags = gradient_by_lag(network, self._probe)
        return {**self._figures(losses), "gradient_by_lag": lags, **recurrent_matrices(network)}

    def conclude(self) -> None:
        """Measure the mean of the best evaluations, if it is wanted; it may be the best."""
        network = self._learner.network
        mean = self._best.mean(network.config) if self._best is not None else None
        if mean is None:
            return
        last = network.to_weights()
        network.load_weights(mean)
        losses = self._losses()
        _log.info("mean of the best evaluations: held-out perplexity %s", in_words(losses))
        self._keep_if_best(self._chosen(losses))
        network.load_weights(last)

    def check_found(self) -> None:
        """Raise TrainingError if no evaluation had a finite loss; warn if none brought a gain."""
        position = self._position
        if position.best_loss == math.inf:
            raise TrainingError(
                "the loss on the held-out text was never finite; start again with a lower "
                f"`learning_rate` (now {self._options.learning_rate:g})"
            )
        if self._options.init_from and position.best_step == 0 < position.step:
            _log.warning(
                "no evaluation was better than the weights of `init_from`, which are therefore the "
                "model's; a lower `learning_rate` (now %g) or more updates (now %d) may help, and "
                "the last weights are in %s",
                self._options.learning_rate,
                position.step,
                Path(self._options.output) / CHECKPOINTS,
            )

    def _losses(self) -> dict[str, Losses]:
        """The loss of each held-out text; of long ones, from a sample."""
        network, dtype = self._learner.network, self._learner.dtype
        return {
            name: measure(network, sample, dtype=dtype, workers=self._workers).scaled(
                self._tokens[name]
            )
            for name, sample in self._samples.items()
        }

    def _chosen(self, losses: Mapping[str, Losses]) -> float:
        """The loss that chooses the weights, nats per token; infinite if it is NaN."""
        name = self._options.choose_by
        chosen = losses[name] if name is not None else sum_of(losses)
        loss = chosen.mean if self._learns_unk else chosen.mean_without_oovs
        return math.inf if math.isnan(loss) else loss

    def _keep_if_best(self, loss: float) -> None:
        """Keep the network's weights if their loss is the lowest so far."""
        if not _is_lower(loss, self._position.best_loss):
            return
        self._position.best_loss, self._position.best_step = loss, self._position.step
        if self._workers.is_first:
            self._keep_best(self._learner.network)

    def _take_note(self, loss: float) -> None:
        """Count an evaluation, and those without gain for `patience` and the schedule `plateau`."""
        position = self._position
        position.evaluations += 1
        position.evaluated_step = position.step
        if _is_lower(loss, position.lowest_loss):
            position.lowest_loss, position.fruitless = loss, 0
        else:
            position.fruitless += 1
            if self._options.schedule == "plateau":
                position.rate *= _PLATEAU_FACTOR
        if self.is_exhausted:
            _log.info("%d evaluations without gain: the training ends", self._position.fruitless)

    def _figures(self, losses: Mapping[str, Losses]) -> dict[str, float]:
        whole = sum_of(losses)
        self.held_out_perplexity = perplexity(whole.mean)
        values = {EVALUATED: whole.mean, "valid_perplexity": self.held_out_perplexity}
        if whole.oovs:
            values["valid_perplexity_excluding_oovs"] = perplexity(whole.mean_without_oovs)
        if len(losses) > 1:
            values |= {f"{EVALUATED}/{name}": part.mean for name, part in losses.items()}
        return values


def _is_lower(loss: float, before: float | None) -> bool:
    """Whether a loss is below an earlier one; the first one is, and any is below NaN."""
    return before is None or not before <= loss
