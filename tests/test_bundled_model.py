"""The English model that comes with the package."""

from __future__ import annotations

import pytest

import lmscore
from lmscore.bundle import INT8, PARITY_FILE, Bundle, Parity, graph_file
from lmscore.runtime.checking import check_graph
from lmscore.runtime.engine import Engine
from lmscore.runtime.load import BUNDLED_MODEL
from lmscore.runtime.model import LanguageModel


@pytest.fixture(scope="module")
def english() -> LanguageModel:
    return lmscore.load(BUNDLED_MODEL)


def test_it_is_small_enough_for_the_wheel() -> None:
    assert (BUNDLED_MODEL / graph_file(INT8)).stat().st_size <= 7_000_000
    in_wheel = ["config.json", "tokenizer.json", "model_int8.onnx", PARITY_FILE, "README.md"]
    assert sum((BUNDLED_MODEL / name).stat().st_size for name in in_wheel) <= 9_000_000


def test_its_graph_still_computes_what_pytorch_computed() -> None:
    bundle = Bundle.read(BUNDLED_MODEL)
    parity = Parity.load(bundle)
    report = check_graph(Engine.load(bundle, INT8, device="cpu"), parity)
    assert report.failure(INT8) is None
    assert abs(report.perplexity_change) < 0.01


@pytest.mark.parametrize(
    ("likelier", "than"),
    [
        ("The children were playing in the garden.", "The children was playing in the garden."),
        ("She gave him a cup of tea.", "She gave him a cup of sea."),
        ("He walked slowly to the door.", "He walked slowly the to door."),
        ("thanks for all the fish", "thanks four awl the fish"),
        ("they could not recognise speech", "they could not wreck a nice beach"),
    ],
)
def test_it_knows_english(english: LanguageModel, likelier: str, than: str) -> None:
    assert english.score(likelier).log_prob > english.score(than).log_prob


def test_every_text_has_a_score(english: LanguageModel) -> None:
    scores = english.score_batch(["", " ", "naïve 中文 🐟", "<s> </s> <unk>", "x" * 3000])
    assert [score.num_oov for score in scores] == [0] * 5
    assert all(score.log_prob < 0 for score in scores)


def test_a_score_does_not_depend_on_its_batch(english: LanguageModel) -> None:
    texts = ["Thanks for all the fish", "It was a dark and stormy night.", "yes"]
    together = [score.log_prob for score in english.score_batch(texts)]
    alone = [english.score(text).log_prob for text in texts]
    assert together == pytest.approx(alone, abs=1e-4)
