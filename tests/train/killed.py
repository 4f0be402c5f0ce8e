"""Runs that `kill -9` ends, one for each moment at which it may come. A program of its own.

Usage: python -m tests.train.killed FOLDER

PyTorch is loaded once; each run is a fork that has used no thread of it yet. FOLDER/MOMENT is left
as the kill left it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers

from lmscore.train import Status, checkpoint, corpus, run, train, trainer
from tests.train.toy import toy_options

CHECKPOINTED = 10  # the updates after which these runs write their checkpoints
OPTIONS: dict[str, Any] = {"evaluations": 2, "dropout": 0.3}


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at(step: int) -> Callable[[Status], None]:
    return lambda status: _die() if status.step == step else None


def _in_second_checkpoint(place: Any, name: str) -> None:
    """Die where the second checkpoint comes to `place.name`."""
    whole, calls = getattr(place, name), []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return _die() if len(calls) == 2 else whole(*args, **kwargs)

    setattr(place, name, counted)


# Where death waits: a module, and the name in it that a run comes by at that moment.
_PLACES: dict[str, tuple[Any, str]] = {
    "tokenizer": (tokenizers.Tokenizer, "train_from_iterator"),
    "tokenising": (corpus, "atomic_write_bytes"),  # the files are there, their record is not
    "replacing": (shutil, "rmtree"),  # a checkpoint is there, the one before it as well
    "finishing": (run, "_finish"),  # the last checkpoint is written
}


def _patch(moment: str) -> None:
    """Put death in the way."""
    if moment in _PLACES:
        place, name = _PLACES[moment]
        setattr(place, name, _die)
    elif moment == "writing":  # inside a checkpoint
        _in_second_checkpoint(checkpoint, "_serialized")
    elif moment == "evaluated":  # the last evaluation is done, its checkpoint is not written
        whole = trainer.Trainer._save

        def save(self: trainer.Trainer) -> None:
            if self._progress == 1:
                _die()
            whole(self)

        trainer.Trainer._save = save  # type: ignore[method-assign]


STEPS = {"before": 4, "middle": 17}  # updates: no checkpoint yet; one checkpoint behind
MOMENTS = (*_PLACES, "writing", "evaluated", *STEPS)


class _EveryTenth(trainer.Trainer):
    """Checkpoints by updates instead of minutes, so that every run has the same ones."""

    def _log_update(self) -> None:
        super()._log_update()
        if self.position.step % CHECKPOINTED == 0:
            self._saved = -1e9


def _run(folder: Path, moment: str) -> None:
    _patch(moment)
    run.Trainer = _EveryTenth  # type: ignore[attr-defined]
    options = toy_options(folder, output=str(folder / moment), **OPTIONS)
    train(options, report=_at(STEPS.get(moment, 0)))


def main() -> None:
    """Let every run start, and make sure that it was killed."""
    folder = Path(sys.argv[1])
    for moment in MOMENTS:
        child = os.fork()
        if child == 0:
            _run(folder, moment)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"{moment}: not killed, but ended with {status}")


if __name__ == "__main__":
    main()
