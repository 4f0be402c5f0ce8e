"""The training loop: teacher forcing, truncated BPTT, checkpoints, intermediate evaluations."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmscore.bundle import CHECKPOINTS
from lmscore.errors import InputError, TrainingError
from lmscore.train.averaging import WeightAverage
from lmscore.train.batches import Batch, training_batches
from lmscore.train.best import BestWeights
from lmscore.train.budget import Budget
from lmscore.train.checkpoint import (
    Position,
    checkpoints,
    load_checkpoint,
    random_state,
    save_checkpoint,
)
from lmscore.train.corpus import Corpus
from lmscore.train.diagnosis import (
    dead_units,
    gradient_by_lag,
    gradient_norms,
    make_probe,
    recurrent_matrices,
)
from lmscore.train.evaluate import HeldOut, held_out_samples, measure
from lmscore.train.interrupt import postponed_interrupt
from lmscore.train.loss import batch_loss, distilled_loss
from lmscore.train.losses import Losses, in_words, perplexity, sum_of
from lmscore.train.metrics import EVALUATED, Means, MetricsLog
from lmscore.train.network import Outputs, RecurrentLM, State
from lmscore.train.optimizer import make_optimizer
from lmscore.train.options import TrainOptions
from lmscore.train.penalties import Penalties
from lmscore.train.precision import matrix_dtype
from lmscore.train.prefetch import prefetched
from lmscore.train.teachers import Teachers
from lmscore.train.texts import train_weights
from lmscore.train.unknown import StandIns
from lmscore.train.workers import Workers

_LOG_EVERY = 50  # updates, after the first ones, each of which is recorded
_FIRST_UPDATES = 100
_AHEAD = 4  # batches that are made while a GPU computes
_PLATEAU_FACTOR = 0.5  # of the learning rate, after an evaluation without gain
_SAMPLE_TOKENS = 1 << 16  # the held-out tokens of an intermediate evaluation

_log = logging.getLogger("lmscore")


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


def _made_ahead(device: torch.device) -> int:
    """The number of batches that a thread makes ahead: a CPU has no time to spare for it."""
    return _AHEAD if device.type == "cuda" else 0


class Trainer:
    """A run: network, optimiser, data and position; `run` trains to the end of the budget."""

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
        self._workers, self._keep_best, self._report = workers, keep_best, report
        self._folder = Path(options.output)
        self._dtype = matrix_dtype(options.precision, network.device)
        self._optimizer = make_optimizer(network, options)
        self._average = WeightAverage(network, options.average, options.average_decay)
        self._penalties = Penalties(
            activation=options.activation_penalty,
            temporal=options.temporal_penalty,
            smoothing=options.label_smoothing,
        )
        self._teachers = teachers
        self._state: State | None = None  # of this worker's rows: the network's, the teachers'
        self._rows = 0  # of the last batch, of all workers
        if not workers.is_first:  # other dropout masks for other rows
            torch.manual_seed(options.seed + (workers.rank << 32))
        if resume:
            self._restore()
        weights = train_weights(options)
        self._batches = training_batches(train, network.config, options, weights)
        kind, _, count = options.average.partition(":")
        self._best = BestWeights(self._folder, int(count)) if kind == "best" else None
        self._stand_ins = stand_ins
        self._samples = held_out_samples(valid, network.config, _SAMPLE_TOKENS)
        self._held_out_tokens = {name: part.num_targets for name, part in valid.texts.items()}
        # A loss over tokens that were never trained says nothing about the weights.
        self._learns_unk = bool(train.counts.oov or stand_ins or options.init_from)
        self._budget = Budget(options, self._batches.tokens, self.position.seconds)
        self._evaluations_due = self._budget.evaluations_due(self._progress)
        self._metrics: MetricsLog | None = None
        if workers.is_first:
            tensorboard = options.tensorboard
            self._metrics = MetricsLog(self._folder, self.position, tensorboard=tensorboard)
        self._means = Means()
        self._inside: dict[str, Any] = {}  # the latest diagnosis of the network
        self._probe = make_probe(valid.whole, network.config)
        self._held_out_perplexity: float | None = None
        self._saved = time.monotonic()

    def run(self) -> None:
        """Train to the end of the budget.

        Raises:
            TrainingError: the loss or a gradient is not finite, or no held-out loss was.
            OutputFileError: a checkpoint or a record cannot be written.
            KeyboardInterrupt: after a checkpoint was written.
        """
        with (
            closing(self),
            postponed_interrupt() as interrupted,
            closing(self._stream()) as batches,
        ):
            if self.options.init_from and self.position.evaluated_step is None:
                self._evaluate()  # the initial weights are kept unless training improves them
            while (
                not (stopped := self._any(interrupted.is_set()))
                and (progress := self._progress) < 1
                and not self._is_exhausted
            ):
                self._update(next(batches), progress)
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
                    self.position.step,
                )
                raise KeyboardInterrupt
            self._check_best()

    def finish(self) -> None:
        """End a resumed run at its last checkpoint: the best weights so far are the model's.

        Raises TrainingError if no held-out loss was finite.
        """
        with closing(self):
            self._conclude()
            self._save()
            self._check_best()

    def _conclude(self) -> None:
        """Evaluate the last weights, and the mean of the best evaluations if it is wanted."""
        if self.position.evaluated_step != self.position.step:
            self._evaluate()
        mean = self._best.mean(self.network.config) if self._best is not None else None
        if mean is None:
            return
        last = self.network.to_weights()
        self.network.load_weights(mean)
        losses = self._losses()
        _log.info("mean of the best evaluations: held-out perplexity %s", in_words(losses))
        self._keep_if_best(self._chosen(losses))
        self.network.load_weights(last)

    def _check_best(self) -> None:
        if self.position.best_loss == math.inf:
            raise TrainingError(
                "the loss on the held-out text was never finite; start again with a lower "
                f"`learning_rate` (now {self.options.learning_rate:g})"
            )

    def close(self) -> None:
        """Close the log."""
        if self._metrics is not None:
            self._metrics.close()

    @property
    def _progress(self) -> float:
        """The progress on which the workers agree, since their clocks may differ."""
        return self._workers.largest(self._budget.progress(self.position.tokens))

    def _any(self, condition: bool) -> bool:
        return self._workers.largest(float(condition)) > 0

    def _stream(self) -> Generator[Batch, None, None]:
        """Iterate over batches without end, from the position on."""
        made = self._made(self.position.epoch, self.position.batch)
        count = _made_ahead(self.network.device)
        with closing(prefetched(made, count)) as batches:
            for epoch, batch in batches:
                if epoch > self.position.epoch:
                    self.position.epoch, self.position.batch = epoch, 0
                yield batch

    def _made(self, epoch: int, skip: int) -> Iterator[tuple[int, Batch]]:
        """Make batches without end, each with its epoch, perhaps in another thread."""
        while True:
            for batch in self._batches.epoch(epoch, skip=skip):
                shown = self._stand_ins.in_place(batch, epoch) if self._stand_ins else batch
                yield epoch, shown.pinned() if self.network.device.type == "cuda" else shown
            epoch, skip = epoch + 1, 0

    def _update(self, batch: Batch, progress: float) -> None:
        started = time.monotonic()
        self._set_rate(batch, progress)
        self.network.train()
        share = self._workers.share(batch)
        total, extra, outputs = self._loss(share)
        ((total + extra) / batch.num_tokens).backward()  # type: ignore[no-untyped-call]
        weights = list(self.network.parameters())
        summed = self._workers.sum_gradients(weights, total.detach())
        if _is_recorded(self.position.step + 1):
            dead = dead_units(outputs, share.targets.to(total.device), self._workers)
            self._inside = {"gradient_norms": gradient_norms(self.network), "dead_units": dead}
        clipped = torch.nn.utils.clip_grad_norm_(weights, self.options.clip)
        # Both numbers at once: a GPU is waited for but once.
        loss, norm = torch.stack([summed.double(), clipped.double()]).tolist()
        self._check_finite(loss / batch.num_tokens, norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average.update()
        self._rows = batch.inputs.size(1)
        self.position.step += 1
        self.position.batch += 1
        self.position.tokens += batch.num_tokens
        self._means.add(
            loss=loss,
            tokens=batch.num_tokens,
            norm=norm,
            seconds=time.monotonic() - started,
            clipped=norm > self.options.clip,
        )

    def _loss(self, share: Batch) -> tuple[Tensor, Tensor, Outputs]:
        """The loss of the text (nats), what else is to be lowered, and the network's outputs."""
        own = len(self.network.config.state)
        state = None if self._state is None else self._state[:own]
        if self._teachers is None:
            loss, outputs = batch_loss(self.network, share, state, dtype=self._dtype)
            after: State = ()
            extra = torch.zeros_like(loss)
        else:
            theirs = None if self._state is None else self._state[own:]
            soft, after = self._teachers.read(share, theirs, self._dtype)
            loss, extra, outputs = distilled_loss(
                self.network, share, state, soft, dtype=self._dtype
            )
        # Truncated BPTT: the next batch starts from this state's values, not from its history.
        self._state = tuple(part.detach() for part in (*outputs.state, *after))
        targets = share.targets.to(loss.device, non_blocking=True)
        extra = extra + self._penalties(self.network, outputs, targets)
        return loss, extra, outputs

    def _set_rate(self, batch: Batch, progress: float) -> None:
        rate = self.options.learning_rate * self._budget.rate(progress) * self.position.rate
        if self.options.random_bptt:
            # A longer batch is a better estimate of the gradient (Merity et al. 2017, section 4.1).
            rate *= len(batch.inputs) / self.options.bptt
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _check_finite(self, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        self._record_failure(loss, norm)
        kept = checkpoints(self._folder / CHECKPOINTS)
        again = f"go on from {kept[-1]} with `resume` and" if kept else "start again with"
        fp32 = "" if self._dtype == torch.float32 else ", or precision='fp32'"
        raise TrainingError(
            f"update {self.position.step + 1}: the loss is {loss:g}, the gradient norm {norm:g}; "
            f"{again} a lower `learning_rate` (now {self.options.learning_rate:g}), "
            f"a lower `clip` (now {self.options.clip:g}){fp32}"
        )

    def _log_update(self) -> None:
        means, progress = self._means, self._progress
        left = self._budget.elapsed / max(progress, 1e-6) * (1 - progress)
        figures = (means.loss, means.tokens_per_second, left, self._held_out_perplexity)
        self._report(Status(progress, self.position.step, *figures))
        if _is_recorded(self.position.step):
            self._record(
                loss=means.loss,
                perplexity=perplexity(means.loss),
                gradient_norm=means.gradient_norm,
                clipping_rate=means.clipping_rate,
                **self._inside,
                learning_rate=self._optimizer.param_groups[0]["lr"],
                tokens_per_second=means.tokens_per_second,
            )
            self._means = Means()

    def _evaluate(self) -> None:
        with self._average.in_place():
            losses = self._losses()
            loss = self._chosen(losses)
            self.position.evaluations += 1
            self.position.evaluated_step = self.position.step
            gains = self._keep_if_best(loss)
            if self._best is not None and self._workers.is_first:
                self._best.add(self.network.to_weights(), loss, self.position.step)
        self._workers.wait()
        self._average.evaluated(loss)
        self._record_evaluation(losses)
        self._take_note(gains=gains)

    def _keep_if_best(self, loss: float) -> bool:
        """Keep the network's weights if their loss is the lowest so far; returns whether it is."""
        best = self.position.best_loss
        if best is not None and best <= loss:
            return False
        self.position.best_loss = loss
        if self._workers.is_first:
            self._keep_best(self.network)
        return True

    def _take_note(self, *, gains: bool) -> None:
        """Count evaluations without gain, for `patience` and the schedule `plateau`."""
        self.position.fruitless = 0 if gains else self.position.fruitless + 1
        if not gains and self.options.schedule == "plateau":
            self.position.rate *= _PLATEAU_FACTOR
        if self._is_exhausted:
            _log.info("%d evaluations without gain: the training ends", self.position.fruitless)

    @property
    def _is_exhausted(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.position.fruitless >= patience

    def _losses(self) -> dict[str, Losses]:
        """The loss of each held-out text; of long ones, from a sample."""
        return {
            name: measure(self.network, sample, dtype=self._dtype, workers=self._workers).scaled(
                self._held_out_tokens[name]
            )
            for name, sample in self._samples.items()
        }

    def _chosen(self, losses: Mapping[str, Losses]) -> float:
        """The loss that chooses the weights, nats per token; infinite if it is NaN."""
        name = self.options.choose_by
        chosen = losses[name] if name is not None else sum_of(losses)
        loss = chosen.mean if self._learns_unk else chosen.mean_without_oovs
        return math.inf if math.isnan(loss) else loss

    def _record_evaluation(self, losses: Mapping[str, Losses]) -> None:
        whole = sum_of(losses)
        self._held_out_perplexity = perplexity(whole.mean)
        values = {EVALUATED: whole.mean, "valid_perplexity": self._held_out_perplexity}
        if whole.oovs:
            values["valid_perplexity_excluding_oovs"] = perplexity(whole.mean_without_oovs)
        if len(losses) > 1:
            values |= {f"{EVALUATED}/{name}": part.mean for name, part in losses.items()}
        inside = {
            "gradient_by_lag": gradient_by_lag(self.network, self._probe),
            **recurrent_matrices(self.network),
        }
        self._record(**values, **inside)
        _log.info("step %d: held-out perplexity %s", self.position.step, in_words(losses))

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
        state = self._state and self._workers.whole_state(self._state, self._rows)
        random = self._workers.gathered(random_state(self.network.device))
        if self._workers.is_first:
            parts = (self.network, self._optimizer, self._average)
            save_checkpoint(
                self._folder / CHECKPOINTS,
                self.position,
                *parts,
                state,
                random,
                keep=self.options.keep_checkpoints,
            )
        self._saved = time.monotonic()

    def _restore(self) -> None:
        kept = checkpoints(self._folder / CHECKPOINTS)
        if not kept:
            _log.info("no checkpoint yet: starting from the beginning")
            return
        texts = self.position.texts
        parts = (self.network, self._optimizer, self._average)
        self.position, state = load_checkpoint(kept[-1], *parts, self._workers.rank)
        if state is not None:
            if self._dtype == torch.float32:  # the run may have been in bf16
                state = tuple(part.float() for part in state)
            self._state, self._rows = self._workers.share_of_state(state), state[0].size(1)
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
