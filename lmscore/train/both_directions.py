"""Both directions: a forward and a backward model of one text, trained one after the other.

Each is a model directory of its own, `forward` and `backward` in the output, and both have the
same tokenizer, so that `lmscore.load_bidirectional` loads the output as one model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lmscore.bundle import CHECKPOINTS, HALVES, TOKENIZER_FILE, Bundle
from lmscore.errors import OptionError
from lmscore.files import atomic_write_bytes, make_directory
from lmscore.train.checkpoint import checkpoints
from lmscore.train.options import TrainOptions
from lmscore.train.record import check_unused, write_options
from lmscore.train.run import train
from lmscore.train.status import Status
from lmscore.train.workers import count_of_processes

_log = logging.getLogger("lmscore")


def options_by_direction(options: TrainOptions) -> tuple[TrainOptions, TrainOptions]:
    """The options of the forward and of the backward run; each has half of a budget in minutes."""
    forward, backward = (str(Path(options.output) / name) for name in HALVES)
    minutes = options.minutes
    half = None if minutes is None else minutes / 2
    return (
        replace(options, direction="forward", output=forward, minutes=half),
        replace(options, direction="backward", output=backward, minutes=half),
    )


def train_both(
    options: TrainOptions,
    *,
    resume: bool = False,
    finish: bool = False,
    report: Callable[[Status], None] = lambda _: None,
) -> tuple[Bundle, Bundle]:
    """Train a forward and a backward model; arguments and errors as `train`.

    `resume` goes on with the model at which the run was stopped. `report` is called for the forward
    model from 0 to 1, then for the backward one.
    """
    folder, (forward, backward) = Path(options.output), options_by_direction(options)
    if count_of_processes() > 1:
        raise OptionError(
            "direction='both' trains in one process: train one direction after the other"
        )
    if not resume:
        for place in (folder, Path(forward.output), Path(backward.output)):
            check_unused(place, options.tokenizer)
    begun = [bool(checkpoints(Path(run.output) / CHECKPOINTS)) for run in (forward, backward)]
    if finish and begun == [True, False]:  # before a model is made of half of the run
        raise OptionError(
            f"{backward.output}: no checkpoint in it yet, so that both directions cannot be "
            "finished; go on with `resume`, or finish the forward model alone: "
            f"output={forward.output!r}"
        )
    make_directory(folder)
    write_options(folder, options)
    _log.info("the forward model, in %s", forward.output)
    first = train(forward, resume=resume, finish=finish, report=report)
    _log.info("the backward model, in %s", backward.output)
    backward = _with_same_tokens(backward, first)
    # Resumed, a run takes the tokenizer that lies there.
    return first, train(backward, resume=True, finish=finish, report=report)


def _with_same_tokens(backward: TrainOptions, forward: Bundle) -> TrainOptions:
    """Copy the forward model's tokenizer, with the normalisation that was chosen for it."""
    place = Path(backward.output) / TOKENIZER_FILE
    make_directory(place.parent)
    if not place.is_file():
        atomic_write_bytes(place, forward.tokenizer_file().read_bytes())
    chosen = forward.config.training["options"].get("normalization", backward.normalization)
    return replace(backward, normalization=chosen)
