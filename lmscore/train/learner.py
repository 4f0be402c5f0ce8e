"""A network that learns: the update that a batch makes of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmscore.train.averaging import WeightAverage
from lmscore.train.batches import Batch
from lmscore.train.checkpoint import Position, load_checkpoint, random_state, save_checkpoint
from lmscore.train.diagnosis import dead_units, gradient_norms
from lmscore.train.loss import batch_loss, distilled_loss
from lmscore.train.network import Outputs, RecurrentLM, State
from lmscore.train.optimizer import make_optimizer
from lmscore.train.options import TrainOptions
from lmscore.train.penalties import Penalties
from lmscore.train.precision import matrix_dtype
from lmscore.train.teachers import Teachers
from lmscore.train.workers import Workers


@dataclass(frozen=True)
class Gradients:
    """What is known of the gradients of a batch, which lie in the network, clipped."""

    loss: float  # nats, summed over the tokens of the batch
    norm: float  # before clipping
    inside: dict[str, Any]  # measurements of the network, if they are wanted


class Learner:
    """A network with its optimiser, the average of its weights, and the state along the text.

    An update is `gradients` of a batch, and then `step`; `save` and `restore` keep what the next
    update depends on.
    """

    def __init__(
        self,
        options: TrainOptions,
        network: RecurrentLM,
        *,
        teachers: Teachers | None = None,
        workers: Workers,
    ) -> None:
        """Begin; the network lies on its device. `teachers` are learnt from beside the text."""
        self.network = network
        self.average = WeightAverage(network, options.average, options.average_decay)
        self.dtype = matrix_dtype(options.precision, network.device)
        self._clip = options.clip
        self._optimizer = make_optimizer(network, options)
        self._penalties = Penalties(
            activation=options.activation_penalty,
            temporal=options.temporal_penalty,
            # Of the part of the loss that comes from the text: teachers' distributions are smooth.
            smoothing=options.label_smoothing * (1 - options.teacher_share * bool(options.teacher)),
        )
        self._teachers, self._workers = teachers, workers
        self._state: State | None = None  # of this worker's rows: the network's, the teachers'
        self._rows = 0  # of the last batch, of all workers
        if not workers.is_first:  # other dropout masks for other rows
            torch.manual_seed(options.seed + (workers.rank << 32))

    @property
    def rate(self) -> float:
        """The learning rate of the last update."""
        return float(self._optimizer.param_groups[0]["lr"])

    def gradients(self, batch: Batch, *, inspected: bool) -> Gradients:
        """Compute the gradients of a batch, of all workers together, and clip them.

        `inspected` says whether the network is measured as well.
        """
        self.network.train()
        share = self._workers.share(batch)
        total, extra, outputs = self._loss(share)
        ((total + extra) / batch.num_tokens).backward()  # type: ignore[no-untyped-call]
        self._rows = batch.inputs.size(1)
        weights = list(self.network.parameters())
        summed = self._workers.sum_gradients(weights, total.detach())
        inside = {}
        if inspected:
            dead = dead_units(outputs, share.targets.to(total.device), self._workers)
            inside = {"gradient_norms": gradient_norms(self.network), "dead_units": dead}
        clipped = torch.nn.utils.clip_grad_norm_(weights, self._clip)
        # Both numbers at once: a GPU is waited for but once.
        loss, norm = torch.stack([summed.double(), clipped.double()]).tolist()
        return Gradients(loss, norm, inside)

    def step(self, rate: float) -> None:
        """Change the weights by their gradients at a learning rate, and forget the gradients."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.average.update()

    def _loss(self, share: Batch) -> tuple[Tensor, Tensor, Outputs]:
        """The loss of the text (nats), what else is to be lowered, and the network's outputs."""
        own = len(self.network.config.state)
        state = None if self._state is None else self._state[:own]
        if self._teachers is None:
            loss, outputs = batch_loss(self.network, share, state, dtype=self.dtype)
            after: State = ()
            extra = torch.zeros_like(loss)
        else:
            theirs = None if self._state is None else self._state[own:]
            soft, after = self._teachers.read(share, theirs, self.dtype)
            loss, extra, outputs = distilled_loss(
                self.network, share, state, soft, dtype=self.dtype
            )
        # Truncated BPTT: the next batch starts from this state's values, not from its history.
        self._state = tuple(part.detach() for part in (*outputs.state, *after))
        targets = share.targets.to(loss.device, non_blocking=True)
        extra = extra + self._penalties(self.network, outputs, targets)
        return loss, extra, outputs

    def save(self, folder: Path, position: Position, *, keep: int) -> None:
        """Write a checkpoint into `folder`, and keep the newest `keep` there.

        Raises OutputFileError if it cannot be written.
        """
        state = self._state and self._workers.whole_state(self._state, self._rows)
        random = self._workers.gathered(random_state(self.network.device))
        if self._workers.is_first:
            parts = (self.network, self._optimizer, self.average)
            save_checkpoint(folder, position, *parts, state, random, keep=keep)

    def restore(self, path: Path) -> Position:
        """Go on from a checkpoint; returns its position. Raises ModelError if it is damaged."""
        parts = (self.network, self._optimizer, self.average)
        position, state = load_checkpoint(path, *parts, self._workers.rank)
        if state is not None:
            if self.dtype == torch.float32:  # the run may have been in bf16
                state = tuple(part.float() for part in state)
            self._state, self._rows = self._workers.share_of_state(state), state[0].size(1)
        return position
