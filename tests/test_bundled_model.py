"""The English models that come with the package."""

from __future__ import annotations

import pytest

import lmscore
from lmscore.bundle import INT8, PARITY_FILE, Bundle, Parity, graph_file
from lmscore.runtime.checking import check_graph
from lmscore.runtime.engine import Engine
from lmscore.runtime.load import bundled_models
from lmscore.runtime.model import LanguageModel


@pytest.fixture(scope="module", params=bundled_models())
def english(request: pytest.FixtureRequest) -> LanguageModel:
    return lmscore.load(bundled_models()[request.param])


@pytest.mark.parametrize(("name", "most"), [("english", 7_000_000), ("english-small", 1_600_000)])
def test_they_are_small_enough_for_the_wheel(name: str, most: int) -> None:
    folder = bundled_models()[name]
    assert (folder / graph_file(INT8)).stat().st_size <= most
    beside = ["config.json", "tokenizer.json", PARITY_FILE, "README.md"]
    assert sum((folder / name).stat().st_size for name in beside) <= 2_000_000


@pytest.mark.parametrize("name", bundled_models())
def test_a_graph_still_computes_what_pytorch_computed(name: str) -> None:
    bundle = Bundle.read(bundled_models()[name])
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
def test_they_know_english(english: LanguageModel, likelier: str, than: str) -> None:
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
