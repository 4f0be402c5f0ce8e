"""Models with classes, and scores without the softmax, through everything that the runtime does."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.bundle import Bundle, Parity
from lmscore.errors import ModelError, OptionError
from lmscore.runtime.checking import check_graph, check_model, measure_log_z, rank_agreement
from lmscore.runtime.engine import Engine, open_session
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models.list_scoring import score_lists
from tests.models import make_model

VARIANTS = ("fp32", "int8")
TEXTS = ["the cat sat on the mat", "", "thanks", "w9 w20 I saw qqq the dog", "hello world " * 30]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("layers")
    made = {
        "classes": make_model(root / "classes", cutoffs=(10, 12, 40), variants=VARIANTS),
        "self": make_model(root / "self", self_normalized=True, cell="gru", variants=VARIANTS),
        "bytes": make_model(
            root / "bytes", self_normalized=True, tokenizer="bpe", variants=("fp32",)
        ),
        "backward": make_model(
            root / "backward", self_normalized=True, direction="backward", variants=("fp32",)
        ),
    }
    return {name: bundle.path for name, bundle in made.items()}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, LanguageModel]:
    """What scores targets by a way of its own, and the exact models beside them."""
    found = {"classes": load(folders["classes"], variant="fp32")}
    found["classes int8"] = load(folders["classes"], variant="int8")
    for variant in VARIANTS:
        found[f"exact {variant}"] = load(folders["self"], variant=variant)
        found[f"unnormalized {variant}"] = load(folders["self"], variant=variant, unnormalized=True)
    return found


OWN_WAYS = ("classes", "classes int8", "unnormalized fp32", "unnormalized int8")


def expected_scores(lm: LanguageModel, exact: LanguageModel, text: str) -> list[float]:
    """Of each token, step by step: log-probability, and log Z where the softmax is left out."""
    ids = [*lm.tokenizer.encode(text).tolist(), lm.config.eos_token_id]
    state, found = exact.initial_state(), []
    for token, target in itertools.pairwise([lm.config.bos_token_id, *ids]):
        log_z = 0.0
        if lm.unnormalized:
            asked = (np.array([[token]]), np.array([[[target]]]), state)
            log_probs, _ = exact.engine.targets(*asked)
            scores, _ = exact.engine.without_softmax().targets(*asked)
            log_z = float((scores - log_probs).item())
        log_probs, state = exact.step([token], state)
        found.append(float(log_probs[0, target]) + log_z)
    return found


@pytest.mark.parametrize("name", OWN_WAYS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_score_is_what_steps_sum_to(
    models: dict[str, LanguageModel], name: str, text: str
) -> None:
    lm = models[name]
    exact = models[name.replace("unnormalized", "exact")]
    score = lm.score(text)
    assert [token.log_prob for token in score.tokens] == pytest.approx(
        expected_scores(lm, exact, text), abs=1e-4
    )


@pytest.mark.parametrize("name", OWN_WAYS)
@pytest.mark.parametrize("context", ["sentence", "document"])
@pytest.mark.parametrize("budget", [1, 7])
def test_batched_is_single_and_chunked_is_whole(
    models: dict[str, LanguageModel],
    name: str,
    context: Any,
    budget: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = models[name]
    whole = [score.log_prob for score in lm.score_batch(TEXTS, context=context)]
    if context == "sentence":
        assert whole == pytest.approx([lm.score(text).log_prob for text in TEXTS], abs=1e-3)
    monkeypatch.setattr(Engine, "target_budget", budget)
    chunked = [score.log_prob for score in lm.score_batch(TEXTS, context=context)]
    assert chunked == pytest.approx(whole, abs=1e-3)


words = st.sampled_from(["the", "cat", "dog", "w9", "w15", "on", "qqq"])
lists = st.lists(st.lists(st.lists(words, max_size=5).map(" ".join), max_size=6), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(lists=lists, budget=st.sampled_from([1, 3, 4, 6, 1000]), name=st.sampled_from(OWN_WAYS))
def test_trees_are_flat_scoring(
    models: dict[str, LanguageModel], lists: list[list[str]], budget: int, name: str
) -> None:
    lm = models[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "target_budget", budget)
        found = [some.scores for some in score_lists(lm, lists, method="tree")]
    for texts, scores in zip(lists, found, strict=True):
        expected = [lm.score(text).log_prob for text in texts]
        assert [score.log_prob for score in scores] == pytest.approx(expected, abs=1e-3)


def test_what_is_no_score_of_a_text_stays_exact(models: dict[str, LanguageModel]) -> None:
    exact, other = models["exact fp32"], models["unnormalized fp32"]
    assert (exact.unnormalized, other.unnormalized) == (False, True)
    log_probs, _ = other.step([1], other.initial_state())
    np.testing.assert_array_equal(log_probs, exact.step([1], exact.initial_state())[0])
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)
    assert other.next_words("the", 3) == exact.next_words("the", 3)
    samples = (lm.sample("the", seed=1, num_samples=2, max_tokens=5) for lm in (exact, other))
    assert next(samples) == next(samples)
    assert other.beam_search("the", max_tokens=3) == exact.beam_search("the", max_tokens=3)


def test_words_of_a_word_model_need_no_softmax(models: dict[str, LanguageModel]) -> None:
    score = models["unnormalized fp32"].score(TEXTS[0], words=True)
    assert [word.text for word in score.words] == [*TEXTS[0].split(), "</s>"]
    assert sum(word.log_prob for word in score.words) == pytest.approx(score.log_prob, abs=1e-4)


def test_words_of_a_subword_model_need_it(folders: dict[str, Path]) -> None:
    lm = load(folders["bytes"], unnormalized=True)
    assert lm.score("thanks for").num_tokens > 2
    with pytest.raises(OptionError, match="the scores of words need whole distributions"):
        lm.score("thanks for", words=True)


def test_a_backward_model_can_do_it_too(folders: dict[str, Path]) -> None:
    scores = [
        load(folders["backward"], unnormalized=flag).score(TEXTS[0]) for flag in (True, False)
    ]
    assert scores[0].log_prob != scores[1].log_prob
    assert scores[0].num_tokens == scores[1].num_tokens


def test_a_model_that_was_not_trained_for_it_refuses(model_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"was not trained to score without its softmax"
    ) as raised:
        load(model_path, unnormalized=True)
    assert str(raised.value).startswith(f"{model_path}: ")
    assert "`self_normalize`" in str(raised.value)


def test_it_is_loaded_again_as_it_was(folders: dict[str, Path]) -> None:
    import pickle

    lm = pickle.loads(pickle.dumps(load(folders["self"], unnormalized=True)))
    assert lm.unnormalized


def test_more_tokens_fit_into_a_run_that_leaves_most_out(folders: dict[str, Path]) -> None:
    for name in ("classes", "self"):
        bundle = Bundle.read(folders[name])
        config = _with_big_vocabulary(bundle)
        engine = Engine.load(bundle, "fp32", unnormalized=name == "self")
        engine.config = config
        assert engine.target_budget > 4 * engine.token_budget


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_graph_that_always_has_targets_gives_the_same(
    folders: dict[str, Path], variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on CUDA, where a self-normalised graph fails without any."""
    asked: list[int] = []
    feeds = Graph._feeds

    def watched(self: Graph, *given: Any) -> dict[str, Any]:
        asked.append(given[3].shape[2])
        found: dict[str, Any] = feeds(self, *given)
        return found

    bundle = Bundle.read(folders["self"])
    path = bundle.graph_path(variant)
    session = open_session(path, device="cpu")
    plain = Engine(Graph(session, bundle.config, variant, path))
    engine = Engine(Graph(session, bundle.config, variant, path, always_has_targets=True))
    tokens, state = np.array([[5, 6, 7], [8, 9, 3]]), plain.initial_state(2)
    none, two = np.empty((2, 3, 0), np.int64), np.array([[[1, 4]] * 3, [[30, 2]] * 3])
    expected_step = plain.top([5, 6], state, 3)
    expected = [plain.distributions(tokens, state, targets=t, k=2) for t in (None, none, two)]
    measured = plain.measures(tokens, none, state)
    monkeypatch.setattr(Graph, "_feeds", watched)
    found_step = engine.top([5, 6], state, 3)
    found = [engine.distributions(tokens, state, targets=t, k=2) for t in (None, none, two)]
    for one, other in [
        (found_step, expected_step),
        (engine.measures(tokens, none, state), measured),
        *zip(found, expected, strict=True),
    ]:
        for array, same in zip(one, other, strict=True):
            equal: Any = array == same
            assert np.all(equal)
            assert getattr(array, "shape", None) == getattr(same, "shape", None)
    assert asked == [1, 1, 1, 2, 1]


def test_runs_on_a_device_are_larger(folders: dict[str, Path]) -> None:
    for name in ("classes", "self"):
        engine = Engine.load(Bundle.read(folders[name]), "fp32", device="cpu")
        before, whole = engine.target_budget, engine.token_budget
        assert engine.window_scale == 1
        _pretend(engine, device="cuda:0")
        assert engine.target_budget == 1 << 16 > before
        assert engine.token_budget == whole  # what the host may fetch
        assert engine.window_scale == 8
    _pretend(engine, config=dataclasses.replace(engine.config, vocab_size=1 << 20))
    # 1 GiB of floats: the exact scores of a self-normalised model need whole distributions.
    assert 1 << 29 < 4 * engine.target_budget * (1 << 20) <= 1 << 30


def test_windows_are_among_the_widest_arrays(folders: dict[str, Path]) -> None:
    for name in ("classes", "self"):
        bundle = Bundle.read(folders[name])
        engine = Engine.load(bundle, "fp32", unnormalized=name == "self")
        big = _with_big_vocabulary(bundle)
        _pretend(engine, config=dataclasses.replace(big, cell="window", window_size=60))
        assert engine.target_budget * 60 * big.embedding_dim * 4 <= 12 << 20


def _pretend(engine: Engine, **attributes: object) -> None:
    """Give an engine and its graph a device or a config that they do not have."""
    for part in (engine, engine._graph):
        for name, value in attributes.items():
            setattr(part, name, value)


def _with_big_vocabulary(bundle: Bundle) -> Any:
    cutoffs = (1000, 10_000) if bundle.config.cutoffs else ()
    return dataclasses.replace(bundle.config, vocab_size=50_000, hidden_size=512, cutoffs=cutoffs)


def test_the_check_holds_for_both(folders: dict[str, Path]) -> None:
    for path in folders.values():
        assert check_model(path).problems == []
    rows = {finding.what for finding in check_model(folders["self"]).findings}
    assert {"scores from PyTorch's, nats", "mean of log Z, nats"} <= rows


def test_the_check_finds_another_log_z(folders: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copytree(folders["self"], tmp_path / "model"))
    bundle = Bundle.read(path)
    record = bundle.config.graphs["int8"]
    assert record.log_z is not None
    moved = dataclasses.replace(record.log_z, mean=record.log_z.mean + 1, std=9.0)
    graphs = {**bundle.config.graphs, "int8": dataclasses.replace(record, log_z=moved)}
    Bundle(path, dataclasses.replace(bundle.config, graphs=graphs)).write_config()
    mean, deviation = check_model(path).problems
    assert "model_int8.onnx: mean of log Z, nats: " in mean
    assert "deviation of log Z, nats: " in deviation


def test_export_refuses_scores_that_are_not_those_of_pytorch(folders: dict[str, Path]) -> None:
    bundle = Bundle.read(folders["self"])
    parity = Parity.load(bundle)
    assert parity.heldout_target_scores is not None
    moved = dataclasses.replace(parity, heldout_target_scores=parity.heldout_target_scores + 0.2)
    for variant, what in (("fp32", "scores differ by 0.2"), ("int8", "log Z is 0.")):
        engine = Engine.load(bundle, variant)
        assert check_graph(engine, parity).failure(variant) is None
        assert what in str(check_graph(engine, moved).failure(variant))


def test_a_self_normalised_model_needs_the_scores_of_pytorch(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    bundle = Bundle.read(folders["self"])
    parity = Parity.load(bundle)
    dataclasses.replace(parity, heldout_target_scores=None).save(tmp_path)
    with pytest.raises(ModelError, match=r"parity.npz: heldout_target_scores is missing"):
        Parity.load(Bundle(tmp_path, bundle.config))
    assert parity.heldout_target_scores is not None
    short = parity.heldout_target_scores[:, 1:]
    dataclasses.replace(parity, heldout_target_scores=short).save(tmp_path)
    with pytest.raises(ModelError, match=r"heldout_target_scores is float32 \["):
        Parity.load(Bundle(tmp_path, bundle.config))


def test_ranks() -> None:
    one = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_agreement(one, 2 * one) == 1
    assert rank_agreement(one, -one) == -1
    assert rank_agreement(one, np.array([1.0, 2.0, 4.0, 3.0])) == pytest.approx(4 / 6)
    assert rank_agreement(one, np.array([1.0, 1.0, 3.0, 4.0])) == 1  # a tie is no opinion
    assert rank_agreement(one[:1], one[:1]) == 1


def test_log_z_is_measured_within_the_mask() -> None:
    log_probs = np.array([[-1.0, -2.0, -9.0], [-3.0, -9.0, -9.0]], np.float32)
    mask = np.array([[True, True, False], [True, False, False]])
    scores = log_probs + np.array([[0.1, 0.3, 50.0], [0.2, 50.0, 50.0]], np.float32)
    found = measure_log_z(scores, log_probs, mask)
    assert found.mean == pytest.approx(0.2, abs=1e-6)
    assert found.std == pytest.approx((0.02 / 3) ** 0.5, abs=1e-6)
    assert found.rank_agreement == 1
