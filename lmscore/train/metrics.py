"""metrics.jsonl, the record of a run, and the log for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmscore.errors import OutputFileError, needs_extra
from lmscore.files import atomic_write_bytes
from lmscore.finite import finite
from lmscore.train.checkpoint import Position

METRICS_FILE = "metrics.jsonl"

EVALUATED = "valid_loss"  # the key that only records of evaluations have


class MetricsLog:
    """A log that appends to metrics.jsonl, one JSON object a line."""

    def __init__(self, folder: Path, position: Position, *, tensorboard: bool) -> None:
        """Open the log; records past `position`, left by a killed run, are dropped."""
        self._path = folder / METRICS_FILE
        kept = _records_until(self._path, position)
        atomic_write_bytes(self._path, "".join(kept).encode())
        self._board = None
        if tensorboard:
            board = folder / "tensorboard"
            self._board = import_summary_writer()(str(board), purge_step=position.step + 1)

    def write(self, position: Position, seconds: float, values: Mapping[str, Any]) -> None:
        """Write a record of a position; values are numbers, or lists and mappings of numbers.

        Raises OutputFileError if the file cannot be written.
        """
        record = {
            "step": position.step,
            "epoch": position.epoch,
            "tokens": position.tokens,
            "seconds": round(seconds, 1),
            **finite(values),
        }
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise OutputFileError(f"{self._path}: cannot be written: {error.strerror}") from error
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(name, value, position.step)

    def close(self) -> None:
        """Flush TensorBoard's log."""
        if self._board is not None:
            self._board.close()


@dataclass
class Means:
    """Means over the updates since the last record."""

    updates: int = 0
    tokens: int = 0
    total_loss: float = 0.0  # nats
    total_norm: float = 0.0
    clipped: int = 0  # updates
    seconds: float = 0.0  # of updates, without evaluations and checkpoints

    def add(
        self, *, loss: float, tokens: int, norm: float, seconds: float, clipped: bool = False
    ) -> None:
        """Count one more update; `loss` is summed over its tokens."""
        self.updates += 1
        self.tokens += tokens
        self.total_loss += loss
        self.total_norm += norm
        self.clipped += clipped
        self.seconds += seconds

    @property
    def loss(self) -> float:
        """The mean loss, nats per token."""
        return self.total_loss / max(1, self.tokens)

    @property
    def gradient_norm(self) -> float:
        """The mean norm of the gradient before clipping."""
        return self.total_norm / max(1, self.updates)

    @property
    def clipping_rate(self) -> float:
        """The share of updates whose gradient was clipped."""
        return self.clipped / max(1, self.updates)

    @property
    def tokens_per_second(self) -> float:
        """The speed of training."""
        return self.tokens / max(1e-9, self.seconds)


def _records_until(path: Path, position: Position) -> list[str]:
    """The lines up to a position; a killed run may leave half of the last line."""
    if not path.is_file():
        return []
    kept, evaluations = [], 0
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        with suppress(json.JSONDecodeError):
            record = json.loads(line)
            evaluations += EVALUATED in record
            # A kill between the last evaluation and its checkpoint leaves a record of this step.
            if record["step"] <= position.step and evaluations <= position.evaluations:
                kept.append(line)
    return kept


def import_summary_writer() -> Any:
    """Import TensorBoard's writer, or raise MissingExtraError."""
    with needs_extra("tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter
