"""The length of a run, where it leaves its files, and what it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from lmscore.names import Precision
from lmscore.train.options.declaration import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    Bounds,
    Option,
    OptionGroup,
)


@dataclass(frozen=True, kw_only=True)
class RunOptions(OptionGroup):
    """Options of the run as a whole."""

    heading: ClassVar[str] = "Options"

    output: Annotated[
        str, Option("Model directory to write.", "DIR", flags=("-o", "--output"), path=True)
    ]
    # The budget: epochs or minutes; 10 epochs if neither is given.
    minutes: Annotated[
        float | None,
        Option("Budget in minutes; the schedule follows the clock.", "N", POSITIVE, resumable=True),
    ] = None
    epochs: Annotated[
        float | None,
        Option("Budget in passes through the text. Default: 10.", "N", POSITIVE, resumable=True),
    ] = None
    evaluations: Annotated[
        int, Option("Number of evaluations on held-out text before the last.", "N", NOT_NEGATIVE)
    ] = 5
    patience: Annotated[
        int | None,
        Option(
            "End the training after so many evaluations without gain.", "N", COUNT, resumable=True
        ),
    ] = None
    keep_checkpoints: Annotated[
        int, Option("Number of checkpoints to keep, the newest ones.", "N", COUNT, resumable=True)
    ] = 1
    checkpoint_minutes: Annotated[
        float, Option("Minutes between two checkpoints.", "N", POSITIVE, resumable=True)
    ] = 2.0
    tensorboard: Annotated[bool, Option("Also log for TensorBoard.", resumable=True)] = False
    seed: Annotated[
        int, Option("Seed of all that is random.", "N", Bounds(at_least=0, below=1 << 63))
    ] = 1
    device: Annotated[
        str,
        Option(
            "Where the training runs: auto, cpu, cuda or cuda:N.",
            "DEVICE",
            pattern="auto|(cpu|cuda)(:[0-9]+)?",
            allowed="auto, cpu, cuda or cuda:N",
            resumable=True,
        ),
    ] = "auto"
    precision: Annotated[
        Precision,
        Option("Type of matrix products; auto is bf16 where the hardware has it.", resumable=True),
    ] = "auto"
    threads: Annotated[
        int | None,
        Option("Number of CPU threads.", "N", Bounds(at_least=1, below=1 << 15), resumable=True),
    ] = None
