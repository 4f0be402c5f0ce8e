"""The measurements of one process: scoring, steps, and their limits.

Letters in shapes: B batch, T time (tokens), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from lmscore.bundle import Bundle
from lmscore.errors import InputError, OptionError
from lmscore.runtime.bench.apart import peak_memory
from lmscore.runtime.bench.memory import reading_seconds
from lmscore.runtime.bench.products import repeat, scoring_ceiling, step_ceiling, weight_bytes
from lmscore.runtime.engine import CPU_DEVICE, import_onnxruntime
from lmscore.runtime.load import load
from lmscore.runtime.scoring import windows

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel

BEAM_SIZE = 32  # hypotheses of the beam step, and the number of best tokens for each

_SAMPLES = 128
_SAMPLED_TOKENS = 40  # of a sample at most
_TRIAL = 4096  # characters of a trial that measures the rate
_MOST_FLOATS = 8 << 20  # of the samples' log-probabilities


@dataclass(frozen=True)
class Setup:
    """The model to measure, and how it is loaded."""

    model: Path
    variant: str
    device: str
    threads: int | None
    trust: bool = False


@dataclass(frozen=True)
class Shapes:
    """The average sizes of the graph's runs."""

    rows: int  # B, by time step
    tokens: int  # B*T of a run
    padding: float  # relative: 0.03 is three tokens in a hundred


@dataclass(frozen=True)
class Scoring:
    """The speed and memory of a process that scored text."""

    load_seconds: float  # of the model; importing ONNX Runtime is not counted
    peak_bytes: int | None  # the process's peak memory; None where the system does not tell
    tokens_per_second: float
    shapes: Shapes


@dataclass(frozen=True)
class Steps:
    """The time that a process took for steps."""

    single_seconds: float
    beam_seconds: float  # of `BEAM_SIZE` hypotheses


@dataclass(frozen=True)
class Ceilings:
    """The limits of scoring and steps."""

    tokens_per_second: float
    single_seconds: float
    beam_seconds: float


@dataclass(frozen=True)
class Prepared:
    """The graph and text to measure."""

    variant: str
    device: str
    lines: list[str]
    onnxruntime: str  # its version


def prepare(
    model: Path,
    variant: str | None,
    device: str,
    lines: Sequence[str] | None,
    trust: bool = False,
) -> Prepared:
    """Choose variant and device as `load` does; without lines, sample some from the model.

    Raises:
        InputError: the list of lines is empty.
        OptionError: the model cannot make up text.
    """
    if lines is not None and not lines:
        raise InputError("there is no line of text to score")
    lm = load(model, variant=variant, device=device, trust=trust)
    text = _sampled(lm) if lines is None else list(lines)
    return Prepared(lm.variant, lm.device, text, import_onnxruntime().__version__)


def measure_model(setup: Setup, lines: Sequence[str], seconds: float) -> tuple[Scoring, Steps]:
    """Score text for about `seconds`, and take steps, single and of a beam, for half as long."""
    lm, load_seconds = _load(setup)
    scoring = _scoring(lm, load_seconds, lines, seconds)
    return scoring, Steps(_step_seconds(lm, seconds / 4), _beam_step_seconds(lm, seconds / 4))


def measure_scoring(setup: Setup, lines: Sequence[str], seconds: float) -> Scoring:
    """Score text for about `seconds`, over and over, from text to `Score`."""
    return _scoring(*_load(setup), lines, seconds)


def measure_ceilings(setup: Setup, shapes: Shapes, seconds: float) -> Ceilings:
    """Measure the limit of scoring by runs of these shapes, for `seconds`, and that of steps."""
    config, variant = Bundle.read(setup.model).config, setup.variant
    where: dict[str, Any] = {"device": setup.device, "threads": setup.threads}
    if setup.device == CPU_DEVICE:
        num_bytes = weight_bytes(config, variant)
        single = reading_seconds(num_bytes, threads=setup.threads, seconds=seconds / 4)
    else:  # whose memory numpy cannot read
        single = step_ceiling(config, variant, rows=1, seconds=seconds / 4, **where)
    return Ceilings(
        scoring_ceiling(
            config, variant, rows=shapes.rows, tokens=shapes.tokens, seconds=seconds, **where
        ),
        single,
        step_ceiling(config, variant, rows=BEAM_SIZE, seconds=seconds / 4, **where),
    )


def _load(setup: Setup) -> tuple[LanguageModel, float]:
    """Load the model; give also the seconds it took."""
    import_onnxruntime()  # before the clock starts
    start = perf_counter()
    lm = load(
        setup.model,
        variant=setup.variant,
        device=setup.device,
        threads=setup.threads,
        trust=setup.trust,
    )
    return lm, perf_counter() - start


def _scoring(
    lm: LanguageModel, load_seconds: float, lines: Sequence[str], seconds: float
) -> Scoring:
    lines = _text_for(lm, lines, seconds)
    runs: list[tuple[int, int]] = []  # B and T of each
    with lm.engine.observe(lambda B, T: runs.append((B, T))):
        tokens, taken = _score(lm, lines)
    return Scoring(load_seconds, peak_memory(), tokens / taken, _average(runs, tokens))


def _sampled(lm: LanguageModel) -> list[str]:
    """Sample text from the model, with the words and lengths that it was trained on."""
    if lm.config.direction == "backward":
        raise OptionError(f"{lm.path}: a backward model cannot make up text; name a file of text")
    rows = max(1, min(_SAMPLES, _MOST_FLOATS // lm.vocab_size))
    samples = lm.sample(num_samples=rows, max_tokens=_SAMPLED_TOKENS, seed=1)
    return [sample.text for sample in samples]


def _text_for(lm: LanguageModel, lines: Sequence[str], seconds: float) -> list[str]:
    """Take as many lines as the model scores in `seconds`, by a trial; repeat them if need be."""
    trial = _characters(lines, _TRIAL)
    _score(lm, trial)  # the first runs of a session are slower
    _, taken = _score(lm, trial)
    wanted = _size(trial) * seconds / taken
    chosen: list[str] = []
    for window in windows(cycle(lines)):  # a part of a window would make less even batches
        size = _size(window.texts)
        if wanted < size / 2:
            break
        chosen += window.texts
        wanted -= size
    return chosen or _characters(lines, wanted)


def _characters(lines: Sequence[str], count: float) -> list[str]:
    """Take lines, over and over, until there are `count` characters."""
    chosen: list[str] = []
    while count > 0:
        chosen.append(lines[len(chosen) % len(lines)])
        count -= _size(chosen[-1:])
    return chosen


def _size(lines: Iterable[str]) -> int:
    """The number of characters, with the ends of lines."""
    return sum(len(line) + 1 for line in lines)


def _score(lm: LanguageModel, lines: Sequence[str]) -> tuple[int, float]:
    """Score lines; give the number of tokens, </s> among them, and the seconds it took."""
    start = perf_counter()
    tokens = sum(score.num_tokens for score in lm.score_stream(lines, tokens=False))
    return tokens, perf_counter() - start


def _average(runs: Sequence[tuple[int, int]], tokens: int) -> Shapes:
    fed = sum(B * T for B, T in runs)
    times = sum(T for _, T in runs)
    return Shapes(rows=round(fed / times), tokens=round(fed / len(runs)), padding=fed / tokens - 1)


def _step_seconds(lm: LanguageModel, seconds: float) -> float:
    state = lm.initial_state()

    def step() -> None:
        nonlocal state
        _, state = lm.step([lm.config.bos_token_id], state)

    return repeat(step, seconds=seconds)


def _beam_step_seconds(lm: LanguageModel, seconds: float) -> float:
    k = min(BEAM_SIZE, lm.vocab_size)
    parents = np.random.default_rng(0).integers(0, BEAM_SIZE, BEAM_SIZE)
    first = np.full(BEAM_SIZE, lm.config.bos_token_id)
    top = lm.engine.top(first, lm.initial_state(), k, 0 * parents)

    def step() -> None:
        nonlocal top
        top = lm.engine.top(top.tokens[:, 0], top.state, k, parents)

    return repeat(step, seconds=seconds)
