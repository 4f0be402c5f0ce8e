"""Processes that take turns, and what is made of their figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lmscore.bundle import Bundle
from lmscore.errors import OptionError
from lmscore.runtime.bench import benchmark
from lmscore.runtime.bench.advice import advice
from lmscore.runtime.bench.benchmark import (
    Benchmark,
    Speed,
    Together,
    check_seconds,
    machine,
    run_benchmark,
    thread_counts,
)
from lmscore.runtime.bench.measure import Ceilings, Prepared, Scoring, Setup, Shapes, Steps
from lmscore.runtime.bench.products import weight_bytes

SHAPES = Shapes(rows=4, tokens=40, padding=0.25)


class Processes:
    """Stands in for `apart`: what was asked, and figures that grow turn by turn."""

    def __init__(self, device: str = "cpu") -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._device = device

    def __call__(self, function: Callable[..., Any], *arguments: Any, count: int = 1) -> list[Any]:
        name = function.__name__
        if name == "prepare":
            return [Prepared("int8", self._device, ["the cat"], "1.2.3")]
        setup: Setup = arguments[0]
        self.asked.append((name, setup.threads, count, *arguments[1:]))
        turn = sum(a[:2] == (name, setup.threads) for a in self.asked)
        rate = (0.0, 100.0, 400.0, 300.0)[turn] * (setup.threads or 1)
        scoring = Scoring(0.1 * turn, 1000 * turn, rate, SHAPES)
        results = {
            "measure_model": (scoring, Steps(1 / rate, 2 / rate)),
            "measure_scoring": scoring,
            "measure_ceilings": Ceilings(2 * rate, 0.25 / rate, 1 / rate),
        }
        return [results[name]] * count


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    stand_in = Processes()
    monkeypatch.setattr(benchmark, "apart", stand_in)
    monkeypatch.setattr(benchmark, "usable_cores", lambda: 2)
    return stand_in


def test_medians_by_number_of_threads(processes: Processes, model_path: Path) -> None:
    found = run_benchmark(model_path)
    one, two = found.speeds
    assert [one.threads, two.threads] == [1, 2]
    assert (one.tokens_per_second, one.tokens_per_second_ceiling) == (300, 600)
    assert (two.step_seconds, two.step_seconds_ceiling) == (1 / 600, 0.25 / 600)
    assert (two.beam_step_seconds, two.beam_step_seconds_ceiling) == (2 / 600, 1 / 600)
    assert one.spread == (400 - 100) / 300
    for speed in found.speeds:
        shares = (speed.scoring_share, speed.step_share, speed.beam_step_share)
        assert shares == pytest.approx((0.5, 0.25, 0.5))
    assert found.together == Together(2, 2 * 300)
    assert (found.variant, found.device, found.onnxruntime) == ("int8", "cpu", "1.2.3")
    assert (found.lines, found.padding, found.cores) == (1, 0.25, 2)
    assert found.load_seconds == pytest.approx(0.2)
    assert found.peak_bytes == 3000
    assert found.weight_bytes == weight_bytes(Bundle.read(model_path).config, "int8")


def test_they_take_turns(processes: Processes, model_path: Path) -> None:
    shares: list[float] = []
    run_benchmark(model_path, seconds=21, on_progress=shares.append)
    unit = 21 / 3 / 7  # three turns of two thread counts, three units each, and one together
    turn = [
        ("measure_model", 1, 1, ["the cat"], unit),
        ("measure_ceilings", 1, 1, SHAPES, unit),
        ("measure_model", 2, 1, ["the cat"], unit),
        ("measure_ceilings", 2, 1, SHAPES, unit),
        ("measure_scoring", 1, 2, ["the cat"], unit),
    ]
    assert processes.asked == turn * 3
    assert shares == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])


def test_one_number_of_threads(processes: Processes, model_path: Path) -> None:
    found = run_benchmark(model_path, threads=5)
    assert [speed.threads for speed in found.speeds] == [5]
    assert found.together is None


def test_a_gpu_has_no_threads(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "apart", Processes("cuda:0"))
    found = run_benchmark(model_path)
    assert [speed.threads for speed in found.speeds] == [None]
    assert (found.together, found.device) == (None, "cuda:0")


@pytest.mark.parametrize(
    ("available", "expected"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])],
)
def test_numbers_of_threads(available: int, expected: Sequence[int]) -> None:
    assert thread_counts(available, on_cpu=True, only=None) == expected
    assert thread_counts(available, on_cpu=True, only=3) == [3]
    assert thread_counts(available, on_cpu=False, only=None) == [None]


@pytest.mark.parametrize("seconds", [0, 0.5, -1, 3601, float("nan"), float("inf")])
def test_seconds_that_cannot_be(seconds: float, model_path: Path) -> None:
    with pytest.raises(OptionError, match=r"seconds must be in 1\.\.3600, not "):
        run_benchmark(model_path, seconds=seconds)
    check_seconds(1)
    check_seconds(3600)


def test_the_machine_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine()
    monkeypatch.setattr(Path, "read_text", lambda path: "a\t: b\nmodel name\t: Quick: 9\n")
    assert machine() == "Quick: 9"
    monkeypatch.setattr(Path, "read_text", lambda path: "processor : 0\n")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert machine() == "riscv64"


def speed(threads: int | None, rate: float, step: float, beam: float, spread: float = 0) -> Speed:
    return Speed(threads, rate, spread, 1000.0, step, 0.001, beam, 0.001)


def said(*speeds: Speed, together: Together | None = None) -> list[str]:
    found = Benchmark("int8", "cpu", "X", 2, "1", 9, 0.0, 0.1, None, 5, speeds, together)
    return advice(found)


def test_advice_to_take_more_threads() -> None:
    one, two = speed(1, 100, 0.3, 3), speed(2, 170, 0.4, 2)
    scoring, processes, steps = said(one, two, together=Together(2, 190))
    assert scoring == "Scoring one text: --threads 2, 1.7 x one thread."
    assert processes == (
        "Several texts at once, or one in parts: 2 processes with --threads 1 each, together "
        "1.1 x that."
    )
    assert steps == "Decoding: --threads 1 for single steps, 2 for a beam."


def test_advice_to_take_one_thread() -> None:
    one, two = speed(1, 100, 0.3, 3), speed(2, 104, 0.29, 2.9)
    assert said(one, two, together=Together(2, 80)) == [
        "Scoring one text: --threads 1, more are no faster.",
        "Several texts at once: 2 processes with --threads 1 each are no faster together (0.8 x).",
        "Decoding: --threads 1.",
    ]


def test_one_row_gives_no_advice_but_a_warning_if_it_must() -> None:
    assert said(speed(None, 100, 1, 1, spread=0.15)) == []
    (warning,) = said(speed(4, 100, 1, 1, spread=0.312))
    assert warning == (
        "The turns differ by up to 31 %: something else uses the machine. Measure again when it "
        "is idle, or for longer (--seconds)."
    )
