"""Measure a model on this machine, by number of threads: its speeds, and their limits.

All measurements run in processes of their own, which take turns; figures are medians.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from lmscore.bundle import Bundle
from lmscore.errors import OptionError
from lmscore.runtime.bench.apart import apart
from lmscore.runtime.bench.measure import (
    Ceilings,
    Scoring,
    Setup,
    Steps,
    measure_ceilings,
    measure_model,
    measure_scoring,
    prepare,
)
from lmscore.runtime.bench.products import weight_bytes
from lmscore.runtime.engine import CPU_DEVICE, usable_cores

TURNS = 3

_MOST_PROCESSES = 16  # at once: each needs its own memory
_LEAST_SECONDS, _MOST_SECONDS = 1, 3600


@dataclass(frozen=True)
class Speed:
    """The speed of one process with some number of threads, and its limits; medians."""

    threads: int | None  # None: beside a GPU, ONNX Runtime chooses
    tokens_per_second: float
    spread: float  # of the turns, relative: (highest - lowest) / median
    tokens_per_second_ceiling: float
    step_seconds: float
    step_seconds_ceiling: float
    beam_step_seconds: float
    beam_step_seconds_ceiling: float

    @property
    def scoring_share(self) -> float:
        """The rate of scoring, as a share of its ceiling."""
        return self.tokens_per_second / self.tokens_per_second_ceiling

    @property
    def step_share(self) -> float:
        """The rate of single steps, as a share of its ceiling."""
        return self.step_seconds_ceiling / self.step_seconds

    @property
    def beam_step_share(self) -> float:
        """The rate of beam steps, as a share of its ceiling."""
        return self.beam_step_seconds_ceiling / self.beam_step_seconds


@dataclass(frozen=True)
class Together:
    """The speed of several processes of one thread each at the same time."""

    processes: int
    tokens_per_second: float  # of all of them


@dataclass(frozen=True)
class Benchmark:
    """The measurements of a model."""

    variant: str
    device: str
    machine: str
    cores: int
    onnxruntime: str  # its version
    lines: int  # of the text
    padding: float  # tokens that the graph reads for nothing, relative to those scored
    load_seconds: float
    peak_bytes: int | None
    weight_bytes: int  # read at each step
    speeds: tuple[Speed, ...]  # by number of threads
    together: Together | None  # None on a GPU, or with one core


_Turn = tuple[Scoring, Steps, Ceilings]


def run_benchmark(
    model: Path,
    *,
    lines: Sequence[str] | None = None,
    variant: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    trust: bool = False,
    seconds: float = 30.0,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Benchmark:
    """Measure a model.

    Args:
        model: its directory.
        lines: the text that is scored, over and over. Default: text sampled from the model.
        variant: as in `lmscore.load`, and so are device and trust.
        threads: of the CPU, this number only. Default: 1, 2, 4, ... up to one per core.
        seconds: how long to measure; starting processes comes on top of it.
        on_progress: called with the share that is done.

    Raises:
        OptionError: seconds are not within 1..3600, or the model cannot make up text.
        InputError: there are no lines.
        LmscoreError: as `lmscore.load` and `LanguageModel.score_stream`.
    """
    check_seconds(seconds)
    (prepared,) = apart(prepare, model, variant, device, lines, trust)
    setup = Setup(model, prepared.variant, prepared.device, None, trust)
    counts = thread_counts(usable_cores(), on_cpu=setup.device == CPU_DEVICE, only=threads)
    together = min(usable_cores(), _MOST_PROCESSES) if len(counts) > 1 else 0
    # In a turn, each count takes 1.5 such units for the model, and as many for its limits.
    unit = seconds / TURNS / (3 * len(counts) + bool(together))
    turns: dict[int | None, list[_Turn]] = {count: [] for count in counts}
    rates: list[float] = []
    for turn in range(TURNS):
        for number, (count, measured) in enumerate(turns.items()):
            on_progress((turn + number / len(turns)) / TURNS)
            measured.append(_measure(replace(setup, threads=count), prepared.lines, unit))
        if together:
            alone = replace(setup, threads=1)
            found = apart(measure_scoring, alone, prepared.lines, unit, count=together)
            rates.append(sum(scoring.tokens_per_second for scoring in found))
    scorings = [scoring for measured in turns.values() for scoring, _, _ in measured]
    peaks = [scoring.peak_bytes for scoring in scorings if scoring.peak_bytes is not None]
    return Benchmark(
        setup.variant,
        setup.device,
        machine(),
        usable_cores(),
        prepared.onnxruntime,
        len(prepared.lines),
        median(scoring.shapes.padding for scoring in scorings),
        median(scoring.load_seconds for scoring in scorings),
        max(peaks, default=None),
        weight_bytes(Bundle.read(model).config, setup.variant),
        tuple(_speed(count, measured) for count, measured in turns.items()),
        Together(together, median(rates)) if together else None,
    )


def thread_counts(available: int, *, on_cpu: bool, only: int | None) -> Sequence[int | None]:
    """The numbers of threads to measure: powers of two and one per core; on a GPU none matters."""
    if only is not None or not on_cpu:
        return [only]
    return sorted({available, *(1 << n for n in range(available.bit_length()))})


def check_seconds(seconds: float) -> None:
    """Raise OptionError unless seconds are within 1..3600."""
    if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        raise OptionError(f"seconds must be in {_LEAST_SECONDS}..{_MOST_SECONDS}, not {seconds}")


def machine() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _measure(setup: Setup, lines: Sequence[str], unit: float) -> _Turn:
    ((scoring, steps),) = apart(measure_model, setup, lines, unit)
    (ceilings,) = apart(measure_ceilings, setup, scoring.shapes, unit)
    return scoring, steps, ceilings


def _speed(threads: int | None, turns: Sequence[_Turn]) -> Speed:
    rates = [scoring.tokens_per_second for scoring, _, _ in turns]
    return Speed(
        threads,
        median(rates),
        (max(rates) - min(rates)) / median(rates),
        median(ceilings.tokens_per_second for _, _, ceilings in turns),
        median(steps.single_seconds for _, steps, _ in turns),
        median(ceilings.single_seconds for _, _, ceilings in turns),
        median(steps.beam_seconds for _, steps, _ in turns),
        median(ceilings.beam_seconds for _, _, ceilings in turns),
    )
