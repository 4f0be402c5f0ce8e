"""The training loop: teacher forcing, truncated BPTT, checkpoints, intermediate evaluations."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lmscore.bundle import CHECKPOINTS
from lmscore.errors import InputError, TrainingError
from lmscore.train.batches import Batch, training_batches
from lmscore.train.budget import Budget
from lmscore.train.checkpoint import Position, checkpoints
from lmscore.train.corpus import Corpus
from lmscore.train.evaluate import HeldOut
from lmscore.train.interrupt import postponed_interrupt
from lmscore.train.learner import Learner
from lmscore.train.losses import perplexity
from lmscore.train.metrics import Means, MetricsLog
from lmscore.train.network import RecurrentLM
from lmscore.train.options import TrainOptions
from lmscore.train.selection import Selection
from lmscore.train.status import Status
from lmscore.train.stream import batch_stream
from lmscore.train.teachers import Teachers
from lmscore.train.texts import train_weights
from lmscore.train.unknown import StandIns
from lmscore.train.workers import Workers

_LOG_EVERY = 50  # updates, after the first ones, each of which is recorded
_FIRST_UPDATES = 100

_log = logging.getLogger("lmscore")


class Trainer:
    """A run: a learner, the text, and the position in it; `run` trains to the end of the budget."""

    def __init__(
        self,
        options: TrainOptions,
        network: RecurrentLM,
        train: Corpus,
        valid: HeldOut,
        *,
        stand_ins: StandIns | None = None,
        teachers: Teachers | None = None,
        resume: bool = False,
        workers: Workers,
        keep_best: Callable[[RecurrentLM], None],
        report: Callable[[Status], None],
    ) -> None:
        """Begin, or go on from the last checkpoint if there is one; the clock starts here.

        The network lies on the device to train on. `keep_best` is called with the network whenever
        it is the best so far, `report` after every update. `stand_ins` are words that stand for
        `<unk>`, `teachers` the models to learn from beside the text.

        Raises:
            ModelError: the checkpoint is damaged.
            InputError: the checkpoint belongs to another text.
        """
        self.options = options
        self.network = network
        self.position = Position(texts=[train.sha256, valid.sha256])
        self._workers, self._stand_ins, self._report = workers, stand_ins, report
        self._folder = Path(options.output)
        self._learner = Learner(options, network, teachers=teachers, workers=workers)
        if resume:
            self._restore()
        self._batches = training_batches(train, network.config, options, train_weights(options))
        self._selection = Selection(
            options,
            self._learner,
            valid,
            self.position,
            learns_unk=bool(train.counts.oov or stand_ins),
            workers=workers,
            keep_best=keep_best,
        )
        self._budget = Budget(options, self._batches.tokens, self.position.seconds)
        self._evaluations_due = self._budget.evaluations_due(self._progress)
        self._metrics: MetricsLog | None = None
        if workers.is_first:
            tensorboard = options.tensorboard
            self._metrics = MetricsLog(self._folder, self.position, tensorboard=tensorboard)
        self._means = Means()
        self._inside: dict[str, Any] = {}  # the latest measurements of the network
        self._saved = time.monotonic()

    def run(self) -> None:
        """Train to the end of the budget.

        Raises:
            TrainingError: the loss or a gradient is not finite, or no held-out loss was.
            OutputFileError: a checkpoint or a record cannot be written.
            KeyboardInterrupt: after a checkpoint was written.
        """
        position = self.position
        stream = batch_stream(
            self._batches,
            epoch=position.epoch,
            skip=position.batch,
            stand_ins=self._stand_ins,
            device=self.network.device,
        )
        with closing(self), postponed_interrupt() as interrupted, closing(stream):
            if self.options.init_from and position.evaluated_step is None:
                self._evaluate()  # the initial weights are kept unless training improves them
            while (
                not (stopped := self._any(interrupted.is_set()))
                and (progress := self._progress) < 1
                and not self._selection.is_exhausted
            ):
                self._update(*next(stream), progress)
                self._log_update()
                due = self._budget.evaluations_due(self._progress)
                if due > self._evaluations_due:
                    self._evaluate()
                self._evaluations_due = due
                if self._any(time.monotonic() - self._saved > self.options.checkpoint_minutes * 60):
                    self._save()
            if not stopped:
                self._conclude()
            self._save()
            if stopped:
                _log.info(
                    "interrupted; `resume` goes on from update %d, `finish` makes the model of the "
                    "best weights so far",
                    position.step,
                )
                raise KeyboardInterrupt
            self._selection.check_found()

    def finish(self) -> None:
        """End a resumed run at its last checkpoint: the best weights so far are the model's.

        The run can still go on as if it had not been ended: the checkpoint takes note of the
        weights that are kept, and not of an evaluation or of the time that it took.

        Raises TrainingError if no held-out loss was finite.
        """
        with closing(self):
            self._conclude(counts=False)
            self._write_checkpoint()
            self._selection.check_found()

    def close(self) -> None:
        """Close the log."""
        if self._metrics is not None:
            self._metrics.close()

    @property
    def epochs(self) -> float:
        """The passes through the text that the run has made."""
        return self.position.tokens / self._batches.tokens

    @property
    def _progress(self) -> float:
        """The progress on which the workers agree, since their clocks may differ."""
        return self._workers.largest(self._budget.progress(self.position.tokens))

    def _any(self, condition: bool) -> bool:
        return self._workers.largest(float(condition)) > 0

    def _update(self, epoch: int, batch: Batch, progress: float) -> None:
        """Make an update of a batch, and move the position behind it."""
        started, position = time.monotonic(), self.position
        if epoch > position.epoch:
            position.epoch, position.batch = epoch, 0
        found = self._learner.gradients(batch, inspected=_is_recorded(position.step + 1))
        self._inside = found.inside or self._inside
        self._check_finite(found.loss / batch.num_tokens, found.norm)
        self._learner.step(self._rate(batch, progress))
        position.step += 1
        position.batch += 1
        position.tokens += batch.num_tokens
        self._means.add(
            loss=found.loss,
            tokens=batch.num_tokens,
            norm=found.norm,
            seconds=time.monotonic() - started,
            clipped=found.norm > self.options.clip,
        )

    def _rate(self, batch: Batch, progress: float) -> float:
        """The learning rate of an update."""
        rate = self.options.learning_rate * self._budget.rate(progress) * self.position.rate
        if self.options.random_bptt:
            # A longer batch is a better estimate of the gradient (Merity et al. 2017, section 4.1).
            rate *= len(batch.inputs) / self.options.bptt
        return rate

    def _check_finite(self, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        self._record_failure(loss, norm)
        kept = checkpoints(self._folder / CHECKPOINTS)
        again = f"go on from {kept[-1]} with `resume` and" if kept else "start again with"
        fp32 = "" if self._learner.dtype == torch.float32 else ", or precision='fp32'"
        raise TrainingError(
            f"update {self.position.step + 1}: the loss is {loss:g}, the gradient norm {norm:g}; "
            f"{again} a lower `learning_rate` (now {self.options.learning_rate:g}), "
            f"a lower `clip` (now {self.options.clip:g}){fp32}"
        )

    def _evaluate(self, *, counts: bool = True) -> None:
        self._record(**self._selection.evaluate(counts=counts))

    def _conclude(self, *, counts: bool = True) -> None:
        """Evaluate the last weights, and the mean of the best evaluations if it is wanted."""
        if self.position.evaluated_step != self.position.step:
            self._evaluate(counts=counts)
        self._selection.conclude()

    def _log_update(self) -> None:
        means, progress = self._means, self._progress
        left = self._budget.elapsed / max(progress, 1e-6) * (1 - progress)
        held_out = self._selection.held_out_perplexity
        figures = (means.loss, means.tokens_per_second, left, held_out)
        self._report(Status(progress, self.position.step, *figures))
        if _is_recorded(self.position.step):
            self._record(
                loss=means.loss,
                perplexity=perplexity(means.loss),
                gradient_norm=means.gradient_norm,
                clipping_rate=means.clipping_rate,
                **self._inside,
                learning_rate=self._learner.rate,
                tokens_per_second=means.tokens_per_second,
            )
            self._means = Means()

    def _record_failure(self, loss: float, norm: float) -> None:
        """Record the update whose loss or gradient is not finite: JSON has null in their place."""
        if self._metrics is not None:
            failed = replace(self.position, step=self.position.step + 1)
            values = {"failed_loss": loss, "failed_gradient_norm": norm}
            self._metrics.write(failed, self._budget.elapsed, values)

    def _record(self, **values: Any) -> None:
        if self._metrics is not None:
            self._metrics.write(self.position, self._budget.elapsed, values)

    def _save(self) -> None:
        self.position.seconds = self._budget.elapsed
        self._write_checkpoint()
        self._saved = time.monotonic()

    def _write_checkpoint(self) -> None:
        folder, keep = self._folder / CHECKPOINTS, self.options.keep_checkpoints
        self._learner.save(folder, self.position, keep=keep)

    def _restore(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        kept = checkpoints(self._folder / CHECKPOINTS)
        if not kept:
            _log.info("no checkpoint yet: starting from the beginning")
            return
        texts = self.position.texts
        self.position = self._learner.restore(kept[-1])
        if self.position.texts not in ([], texts):
            which = "text to train on" if self.position.texts[0] != texts[0] else "held-out text"
            raise InputError(
                f"the {which} is not the one that {kept[-1]} was trained with; "
                "put it back, or go on from the model with the new text in another directory: "
                "`init_from`"
            )
        self.position.texts = texts
        _log.info("resuming at update %d", self.position.step)


def _is_recorded(step: int) -> bool:
    """Whether an update gets a record of its own; in a short run each one does."""
    return step < _FIRST_UPDATES or step % _LOG_EVERY == 0
