"""What one process measures: the right text, in the right way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError, VariantError
from lmscore.runtime.bench import measure
from lmscore.runtime.bench.measure import (
    BEAM_SIZE,
    Setup,
    Shapes,
    measure_ceilings,
    measure_model,
    measure_scoring,
    prepare,
)
from lmscore.runtime.bench.products import weight_bytes
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring.stream_windows import windows
from tests.models import make_model

LINES = ["the cat sat", "", "thanks for all the fish", "so long"]


@pytest.fixture(params=["fp32", "int8"])
def setup(request: pytest.FixtureRequest, model_path: Path) -> Setup:
    return Setup(model_path, request.param, "cpu", 1)


def test_prepare_chooses_as_load_does(model_path: Path) -> None:
    found = prepare(model_path, None, "auto", LINES)
    assert (found.variant, found.device, found.lines) == ("int8", "cpu", LINES)
    assert prepare(model_path, "fp32", "cpu", LINES).variant == "fp32"
    with pytest.raises(VariantError, match="no variant 'fp8'"):
        prepare(model_path, "fp8", "cpu", LINES)


@pytest.mark.parametrize("model", ["model_path", "document_model_path", "bpe_model_path"])
def test_prepare_makes_up_text(model: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(model)
    found = prepare(path, "int8", "cpu", None)
    assert len(found.lines) == measure._SAMPLES
    assert any(found.lines)
    assert found.lines == prepare(path, "int8", "cpu", None).lines


def test_a_large_vocabulary_makes_up_fewer_lines(lm: LanguageModel) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_MOST_FLOATS", 3 * lm.vocab_size)
        assert len(measure._sampled(lm)) == 3
        patch.setattr(measure, "_MOST_FLOATS", 1)
        assert len(measure._sampled(lm)) == 1


def test_text_that_cannot_be(tmp_path: Path, model_path: Path) -> None:
    with pytest.raises(InputError, match="there is no line of text to score"):
        prepare(model_path, None, "auto", [])
    path = make_model(tmp_path / "model", direction="backward", variants=["fp32"]).path
    with pytest.raises(OptionError, match="model: a backward model cannot make up text; name a fi"):
        prepare(path, None, "auto", None)
    assert prepare(path, None, "auto", LINES).lines == LINES


@given(lines=st.lists(st.text(max_size=9), min_size=1, max_size=5), count=st.integers(1, 300))
def test_lines_until_there_are_enough_characters(lines: list[str], count: int) -> None:
    chosen = measure._characters(lines, count)
    size = sum(len(line) + 1 for line in chosen)
    assert size - len(chosen[-1]) - 1 < count <= size
    assert chosen == [lines[i % len(lines)] for i in range(len(chosen))]


def test_text_in_whole_windows(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["seven.."]  # and an end: 8 characters
    whole = len(next(windows(lines * 100_000)).texts)
    trial = measure._size(measure._characters(lines, measure._TRIAL))
    monkeypatch.setattr(measure, "_score", lambda lm, lines: (1, 1.0))
    for count, expected in ((0.3, 0.3), (0.6, 1), (1.4, 1), (1.6, 2), (3, 3)):
        seconds = count * whole * 8 / trial
        chosen = measure._text_for(lm, lines, seconds)
        assert len(chosen) == pytest.approx(expected * whole, abs=1)


def test_every_run_of_the_graph_is_counted(lm: LanguageModel) -> None:
    runs: list[tuple[int, int]] = []
    with lm.engine.observe(lambda B, T: runs.append((B, T))):
        tokens, seconds = measure._score(lm, LINES)
    scores = lm.score_batch(LINES)  # not counted any more
    assert tokens == sum(score.num_tokens for score in scores)
    assert seconds > 0
    assert runs == [(len(LINES), max(score.num_tokens for score in scores))]


def test_shapes_on_average() -> None:
    shapes = measure._average([(2, 3), (1, 4), (2, 3)], tokens=10)
    # 16 tokens are fed in 3 runs and 10 time steps.
    assert (shapes.rows, shapes.tokens) == (2, 5)
    assert shapes.padding == pytest.approx(0.6)


def test_a_model_is_measured(setup: Setup) -> None:
    scoring, steps = measure_model(setup, LINES, 0.05)
    again = measure_scoring(setup, LINES, 0.05)
    for found in (scoring, again):
        assert 0 < found.load_seconds < float("inf")
        assert 0 < found.tokens_per_second < float("inf")
        assert found.shapes.rows > 1
        assert found.shapes.tokens >= found.shapes.rows
        assert 0 <= found.shapes.padding < 5
    assert 0 < steps.single_seconds < float("inf")
    assert 0 < steps.beam_seconds < float("inf")


def test_ceilings_are_measured(setup: Setup) -> None:
    found = measure_ceilings(setup, Shapes(4, 32, 0.0), 0.05)
    assert 0 < found.tokens_per_second < float("inf")
    assert 0 < found.single_seconds < float("inf")
    assert 0 < found.beam_seconds < float("inf")


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_what_bounds_what(
    lm_int8: LanguageModel, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def note(name: str) -> Any:
        def measured(*sizes: Any, **options: Any) -> float:
            sizes = tuple(size for size in sizes if size != lm_int8.config)
            asked.append((name, *sizes, options))
            return float(len(asked))

        return measured

    for name in ("scoring_ceiling", "step_ceiling", "reading_seconds"):
        monkeypatch.setattr(measure, name, note(name))
    setup = Setup(lm_int8.path, "int8", device, 3)
    found = measure_ceilings(setup, Shapes(rows=7, tokens=90, padding=0.1), 2)

    where = {"device": device, "threads": 3}
    num_bytes = weight_bytes(lm_int8.config, "int8")
    assert asked == [
        ("reading_seconds", num_bytes, {"threads": 3, "seconds": 0.5})
        if device == "cpu"
        else ("step_ceiling", "int8", {"rows": 1, "seconds": 0.5, **where}),
        ("scoring_ceiling", "int8", {"rows": 7, "tokens": 90, "seconds": 2, **where}),
        ("step_ceiling", "int8", {"rows": BEAM_SIZE, "seconds": 0.5, **where}),
    ]
    assert found == measure.Ceilings(2.0, 1.0, 3.0)


def test_a_beam_larger_than_the_vocabulary(tmp_path: Path) -> None:
    path = make_model(tmp_path / "model", vocab=20, variants=["fp32"]).path
    _, steps = measure_model(Setup(path, "fp32", "cpu", 1), ["the cat"], 0.02)
    assert steps.beam_seconds > 0
