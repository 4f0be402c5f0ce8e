"""What is measured in one process: scoring, steps, and what bounds them.

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

BEAM_SIZE = 32  # hypotheses of the beam step, and the best tokens that are chosen for each

_SAMPLES = 128
_SAMPLED_TOKENS = 40  # of a sample at most
_TRIAL = 4096  # characters that tell how many are scored in a given time
_MOST_FLOATS = 8 << 20  # of the samples' log-probabilities


@dataclass(frozen=True)
class Setup:
    """Which graph is measured, and with how many threads."""

    model: Path
    variant: str
    device: str
    threads: int | None


@dataclass(frozen=True)
class Shapes:
    """The sizes that the graph was run with, on average."""

    rows: int  # B, by time step
    tokens: int  # B*T of a run
    padding: float  # relative: 0.03 is three tokens in a hundred


@dataclass(frozen=True)
class Scoring:
    """How a process scored text."""

    load_seconds: float  # of the model; importing ONNX Runtime is not counted
    peak_bytes: int | None  # the most memory that the process had; None where nobody tells
    tokens_per_second: float
    shapes: Shapes


@dataclass(frozen=True)
class Steps:
    """How a process took steps."""

    single_seconds: float
    beam_seconds: float  # of `BEAM_SIZE` hypotheses


@dataclass(frozen=True)
class Ceilings:
    """What neither can exceed."""

    tokens_per_second: float
    single_seconds: float
    beam_seconds: float


@dataclass(frozen=True)
class Prepared:
    """What is measured, once it is known."""

    variant: str
    device: str
    lines: list[str]
    onnxruntime: str  # its version


def prepare(model: Path, variant: str | None, device: str, lines: Sequence[str] | None) -> Prepared:
    """Choose variant and device as `load` does; without lines, have the model make some up.

    Raises:
        InputError: there are lines, but none in them.
        OptionError: the model cannot make up text.
    """
    if lines is not None and not lines:
        raise InputError("there is no line of text to score")
    lm = load(model, variant=variant, device=device)
    text = _sampled(lm) if lines is None else list(lines)
    return Prepared(lm.variant, lm.device, text, import_onnxruntime().__version__)


def measure_model(setup: Setup, lines: Sequence[str], seconds: float) -> tuple[Scoring, Steps]:
    """Score text for about so many seconds, and take steps, single and of a beam, half as long."""
    lm, load_seconds = _load(setup)
    scoring = _scoring(lm, load_seconds, lines, seconds)
    return scoring, Steps(_step_seconds(lm, seconds / 4), _beam_step_seconds(lm, seconds / 4))


def measure_scoring(setup: Setup, lines: Sequence[str], seconds: float) -> Scoring:
    """Score text for about so many seconds, over and over, from text to `Score`."""
    return _scoring(*_load(setup), lines, seconds)


def measure_ceilings(setup: Setup, shapes: Shapes, seconds: float) -> Ceilings:
    """What bounds scoring by graph runs of these shapes, for so many seconds; and steps."""
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
    """The model, and the seconds it took to load."""
    import_onnxruntime()  # which is no part of them
    start = perf_counter()
    lm = load(setup.model, variant=setup.variant, device=setup.device, threads=setup.threads)
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
    """Text of the model's own, which has the words and lengths that it was trained on."""
    if lm.config.direction == "backward":
        raise OptionError(f"{lm.path}: a backward model cannot make up text; name a file of text")
    rows = max(1, min(_SAMPLES, _MOST_FLOATS // lm.vocab_size))
    samples = lm.sample(num_samples=rows, max_tokens=_SAMPLED_TOKENS, seed=1)
    return [sample.text for sample in samples]


def _text_for(lm: LanguageModel, lines: Sequence[str], seconds: float) -> list[str]:
    """As many lines as the model scores in so many seconds, by a trial; again if need be."""
    trial = _characters(lines, _TRIAL)
    _score(lm, trial)  # the first runs of a session are slower
    _, taken = _score(lm, trial)
    wanted = _size(trial) * seconds / taken
    chosen: list[str] = []
    for window in windows(cycle(lines)):  # a part of one would make less even batches
        size = _size(window.texts)
        if wanted < size / 2:
            break
        chosen += window.texts
        wanted -= size
    return chosen or _characters(lines, wanted)


def _characters(lines: Sequence[str], count: float) -> list[str]:
    """Lines, over and over, until there are so many characters."""
    chosen: list[str] = []
    while count > 0:
        chosen.append(lines[len(chosen) % len(lines)])
        count -= _size(chosen[-1:])
    return chosen


def _size(lines: Iterable[str]) -> int:
    """In characters, with the ends of lines."""
    return sum(len(line) + 1 for line in lines)


def _score(lm: LanguageModel, lines: Sequence[str]) -> tuple[int, float]:
    """Tokens scored, </s> among them, and the seconds it took."""
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
