"""Batches on several cores against one: the same scores, whoever asks and however it ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from threading import get_ident

import pytest

import lmscore
from lmscore.errors import InputError
from lmscore.runtime.engine import budget
from lmscore.runtime.engine.workers import Workers

TEXTS = [f"the cat sat w{n % 40}" + " on the mat" * (n % 7) for n in range(500)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_MAX_FLOATS", 0)  # 64 tokens in each


@pytest.mark.parametrize("variant", ["int8", "fp32"])
def test_any_number_of_threads_gives_the_same_scores(model_path: Path, variant: str) -> None:
    one = lmscore.load(model_path, variant=variant, threads=1)
    three = lmscore.load(model_path, variant=variant, threads=3)
    assert one.engine.workers is None
    expected = [score.log_prob for score in one.score_batch(TEXTS)]
    found = [score.log_prob for score in three.score_batch(TEXTS)]
    assert found == (expected if variant == "int8" else pytest.approx(expected, abs=1e-4))
    workers = three.engine.workers
    assert workers is not None
    assert workers.count == 3
    assert workers.submit(lambda engine: engine._graph).result() is not three.engine._graph


def test_threads_that_score_share_the_workers(model_path: Path) -> None:
    lm = lmscore.load(model_path, threads=2)
    expected = lm.score_batch(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(lm.score_batch, [TEXTS] * 8))


def test_a_model_whose_files_have_gone_still_scores(model_path: Path, tmp_path: Path) -> None:
    path = shutil.copytree(model_path, tmp_path / "model")
    lm = lmscore.load(path, threads=2)
    expected = lmscore.load(model_path, threads=1).score_batch(TEXTS)
    shutil.rmtree(path)
    assert lm.score_batch(TEXTS) == expected


def test_a_graph_that_was_exported_anew_is_not_mixed_in(
    model_path: Path, bpe_model_path: Path, tmp_path: Path
) -> None:
    path = shutil.copytree(model_path, tmp_path / "model")
    lm = lmscore.load(path, threads=2)
    shutil.copy(bpe_model_path / "model_int8.onnx", path)
    assert lm.score_batch(TEXTS) == lmscore.load(model_path, threads=1).score_batch(TEXTS)


def test_a_stream_is_read_two_windows_ahead_at_most(lm: lmscore.LanguageModel) -> None:
    numbers = count()

    def endless() -> Iterator[str]:
        for _ in numbers:
            yield "the cat"

    next(lm.score_stream(endless()))
    assert next(numbers) == 2 * 2048


def test_whoever_stops_reading_leaves_nothing_running(model_path: Path) -> None:
    lm = lmscore.load(model_path, threads=2)
    scores = lm.score_stream(TEXTS * 10)
    next(scores)
    assert isinstance(scores, Iterator)
    scores.close()  # type: ignore[attr-defined]
    workers = lm.engine.workers
    assert workers is not None
    assert workers.submit(lambda _: True).result(timeout=60)


@pytest.mark.parametrize("wrong", [1, "the \ud800"])
def test_what_comes_before_an_error_is_scored_first(
    lm: lmscore.LanguageModel, wrong: object
) -> None:
    texts = ["the cat"] * 2049 + [wrong]
    scores = lm.score_stream(texts)  # type: ignore[arg-type]
    found = list(islice(scores, 2048))
    with pytest.raises(InputError, match="text 2050: "):
        next(scores)
    assert {score.log_prob for score in found} == {lm.score("the cat").log_prob}


def test_the_graph_is_opened_once_and_where_it_is_wanted() -> None:
    opened = []

    def open_graph() -> str:
        opened.append(get_ident())
        return "graph"

    workers = Workers(open_graph, 2)
    assert not opened
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: workers.submit(str.upper).result(), range(20))
        assert set(found) == {"GRAPH"}
    assert len(opened) == 1
