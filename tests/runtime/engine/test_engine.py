"""The door to a graph: steps, best tokens, targets and prompts agree; runs are observed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lmscore
from lmscore.bundle import Bundle
from lmscore.errors import DeviceError, InputError, ModelError
from lmscore.runtime.engine import Engine, Graph, State, Top, open_session
from lmscore.runtime.model import LanguageModel
from tests.models import make_model

CELLS = ["lm", "lm_int8", "bpe_lm", "document_lm"]


@pytest.fixture(params=CELLS)
def engine(request: pytest.FixtureRequest) -> Engine:
    lm: LanguageModel = request.getfixturevalue(request.param)
    return lm.engine


def ids(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 60, count)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize("budget", [1, 3, 1000])
def test_a_prompt_of_any_length(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, length: int, budget: int
) -> None:
    monkeypatch.setattr(Engine, "token_budget", budget)
    ids = np.arange(3, 3 + length)
    state = lm.initial_state()
    for token in [lm.config.bos_token_id, *ids.tolist()]:
        log_probs, state = lm.step([token], state)
    step = lm.engine.read(ids)
    np.testing.assert_allclose(step.log_probs, log_probs, atol=1e-5)
    for found, expected in zip(step.state.tensors, state.tensors, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    if length:  # the same in two parts
        again = lm.engine.read(ids[-1:], lm.engine.read(ids[:-1]).state)
        np.testing.assert_allclose(again.log_probs, log_probs, atol=1e-5)


def test_a_prompt_that_goes_on_must_have_a_token(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match=r"tokens must be .* not empty"):
        lm.engine.read(np.empty(0, np.int64), lm.initial_state())


@pytest.mark.parametrize("budget", [1, 3, 1000])
def test_a_text_that_is_only_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setattr(Engine, "token_budget", budget)
    text, state = ids(5), engine.initial_state()
    assert engine.state_after(text[:0], state) is state
    expected = engine.distributions(text[None], state).state
    for found, tensor in zip(
        engine.state_after(text, state).tensors, expected.tensors, strict=True
    ):
        np.testing.assert_allclose(found, tensor, atol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 60])
def test_the_best_are_the_same_wherever_they_are_chosen(lm: LanguageModel, k: int) -> None:
    state = lm.engine.read(np.array([3, 4])).state
    tokens, parents = np.array([5, 6, 7]), np.zeros(3, np.int64)
    here = Top.of(lm.engine.step(tokens, state, parents), k)
    there = lm.engine.top(tokens, state, k, parents)
    np.testing.assert_array_equal(here.tokens, there.tokens)
    np.testing.assert_array_equal(here.log_probs, there.log_probs)
    assert here.state == there.state


def test_steps_are_the_sequence(engine: Engine) -> None:
    tokens, targets = ids(8).reshape(2, 4), ids(24, seed=1).reshape(2, 4, 3)
    state = engine.initial_state(2)
    scores, after = engine.targets(tokens, targets, state)
    whole = engine.distributions(tokens, state, targets=targets, k=2)
    np.testing.assert_allclose(whole.target_log_probs, scores, atol=1e-4)
    for t in range(4):
        log_probs, state = engine.step(tokens[:, t], state)
        np.testing.assert_allclose(whole.log_probs[:, t], log_probs, atol=1e-4)
        expected = np.take_along_axis(log_probs, targets[:, t], axis=1)
        np.testing.assert_allclose(scores[:, t], expected, atol=1e-4)
    np.testing.assert_array_equal(
        whole.top_log_probs, -np.sort(-whole.log_probs, axis=2, kind="stable")[..., :2]
    )
    for end in (after, whole.state):
        for found, tensor in zip(end.tensors, state.tensors, strict=True):
            np.testing.assert_allclose(found, tensor, atol=1e-4)


def test_parents_and_lengths(engine: Engine) -> None:
    before = engine.step(ids(3), engine.initial_state(3)).state
    parents, lengths = np.array([2, 0, 2, 1]), np.array([3, 1, 2, 3], np.int32)
    tokens, targets = ids(12).reshape(4, 3), ids(12, seed=1).reshape(4, 3, 1)
    scores, after = engine.targets(tokens, targets, before, lengths=lengths, parents=parents)
    for row, (parent, length) in enumerate(zip(parents, lengths, strict=True)):
        part = (slice(row, row + 1), slice(length))
        alone, end = engine.targets(tokens[part], targets[part], before.select([parent]))
        np.testing.assert_allclose(scores[part], alone, atol=1e-4)
        for found, tensor in zip(after.select([row]).tensors, end.tensors, strict=True):
            np.testing.assert_allclose(found, tensor, atol=1e-4)
    assert before == engine.step(ids(3), engine.initial_state(3)).state


def test_log_probs_that_are_not_finite(lm: LanguageModel) -> None:
    broken = State.owning(tensor * np.float32(np.nan) for tensor in lm.initial_state().tensors)
    tokens, parents = np.array([1]), np.array([0])
    with pytest.raises(ModelError, match=r"model\.onnx: yields .* not finite"):
        lm.engine.step(tokens, broken, parents)
    with pytest.raises(ModelError, match=r"model\.onnx: yields .* not finite"):
        lm.engine.top(tokens, broken, 3, parents)
    with pytest.raises(ModelError, match=r"model\.onnx: yields .* not finite"):
        lm.engine.check_finite([0.0, np.inf])


def test_every_run_is_observed_while_it_is_asked_for(model_path: Path) -> None:
    lm = lmscore.load(model_path, threads=2)
    runs: list[tuple[int, int]] = []
    again: list[tuple[int, int]] = []
    with lm.engine.observe(lambda B, T: runs.append((B, T))):
        lm.engine.step(np.array([3, 4]), lm.initial_state(2))
        with lm.engine.observe(lambda B, T: again.append((B, T))):
            lm.engine.targets(ids(3)[None], ids(3)[None, :, None], lm.initial_state())
        lm.engine.top(np.array([3]), lm.initial_state(), 2)
    lm.score("the cat")
    assert runs == [(2, 1), (1, 3), (1, 1)]
    assert again == [(1, 3)]


def test_runs_of_workers_are_observed(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "target_budget", 8)
    lm = lmscore.load(model_path, threads=2)
    runs: list[int] = []
    with lm.engine.observe(lambda B, T: runs.append(B * T)):
        scores = lm.score_batch(["the cat sat"] * 40)
    assert sum(runs) == sum(score.num_tokens for score in scores)
    lm.score_batch(["the cat sat"] * 40)
    assert sum(runs) == sum(score.num_tokens for score in scores)


def work(engine: Engine) -> str:
    try:
        return repr(engine.step(np.array([1]), engine.initial_state()).log_probs.argmax())
    except DeviceError as error:
        return str(error)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("way", ["step", "workers", "elsewhere"])
def test_after_a_fork(model_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded engine opens its graph again, from any folder; one that cannot do so refuses."""
    monkeypatch.chdir(model_path.parent)
    bundle = Bundle.read(model_path.name)
    engine = Engine.load(bundle, "fp32", threads=2)
    bare = Engine(Graph.load(bundle, "fp32", threads=1))
    expected, parents_workers = work(engine), engine.workers
    assert work(bare) == expected

    def in_child(connection: multiprocessing.connection.Connection) -> None:
        os.chdir("/")
        if way == "workers":
            assert engine.workers is not None
            assert engine.workers is not parents_workers
        if way == "elsewhere":
            engine.device = "cuda:0"
        connection.send((work(engine), work(bare)))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(sender,))
    child.start()
    assert receiver.poll(30)
    found, refused = receiver.recv()
    child.join()
    assert refused.startswith("a model on cpu does not survive a fork: start processes by the spa")
    if way == "elsewhere":
        assert found.startswith("a model on cuda:0 does not survive a fork: start processes by th")
    else:
        assert found == expected


def test_what_an_engine_says_of_itself(lm: LanguageModel, lm_int8: LanguageModel) -> None:
    assert repr(lm.engine) == "Engine(variant='fp32', device='cpu')"
    assert (lm_int8.engine.variant, lm_int8.engine.config) == ("int8", lm_int8.config)
    assert not lm.engine.unnormalized


def test_wrong_arguments_are_our_errors(lm: LanguageModel) -> None:
    engine, state = lm.engine, lm.engine.initial_state(2)
    assert engine.step([5, 6], state, [1, 0]).log_probs.shape == (2, lm.vocab_size)
    assert engine.read([5, 6], engine.initial_state()).log_probs.shape == (1, lm.vocab_size)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: engine.step(np.array(5), state), "tokens must be a list or 1-d array of"),
        (lambda: engine.step([[5], [6]], state), "tokens must be a list or 1-d array of"),
        (lambda: engine.step([5, 6], state, [0.5, 1]), "parents must be a list or 1-d array of"),
        (lambda: engine.step([5, 6], None), "expected a State, got NoneType"),  # type: ignore[arg-type]
        (lambda: engine.top([5, 6], state, 1.5), "k must lie in 0.."),  # type: ignore[arg-type]
        (lambda: engine.read(["a"], state), "ids must be a list or 1-d array of integers"),
        (
            lambda: engine.targets(np.ones((2, 1), np.int64), [[[1]], [[2]]], state),  # type: ignore[arg-type]
            "targets must be an array, not list",
        ),
    ]
    for call, message in wrong:
        with pytest.raises(InputError, match=message):
            call()


def test_scores_without_the_softmax_are_observed_and_survive_a_fork(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model", self_normalized=True, variants=("fp32",))
    engine = Engine.load(bundle, "fp32", threads=1)
    plain, runs = engine.without_softmax(), []
    with engine.observe(lambda B, T: runs.append((B, T))):
        before = plain.read([5, 6]).log_probs
        assert runs
    plain._process = -1  # as if this were a child
    np.testing.assert_array_equal(plain.read([5, 6]).log_probs, before)
    assert plain.unnormalized


def older(lm: LanguageModel, folder: Path) -> Engine:
    """An engine with the graph as it was exported before graphs had measures."""
    import onnx

    model = onnx.load(Bundle.read(lm.path).graph_path(lm.variant))
    gone = {"measured"}
    for node in list(model.graph.node):  # in their order
        if gone & set(node.input):
            gone |= set(node.output)
            model.graph.node.remove(node)
    for values in (model.graph.input, model.graph.output):
        for value in [value for value in values if value.name in gone]:
            values.remove(value)
    path = folder / "older.onnx"
    onnx.save(model, path)
    return Engine(Graph(open_session(path), lm.config, lm.variant, path))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_measures_are_those_of_step(model_path: Path, variant: str, tmp_path: Path) -> None:
    lm = lmscore.load(model_path, variant=variant)
    ids = np.array([lm.config.bos_token_id, *lm.encode("the cat sat on a mat")])
    tokens, targets = ids[None, :-1], ids[None, 1:, None]
    state = lm.initial_state()
    found = lm.engine.measures(tokens, targets, state, k=3)
    for place, token in enumerate(ids[:-1]):
        log_probs, state = lm.step([token], state)
        row = log_probs[0]
        target = row[ids[place + 1]]
        assert found.target_log_probs[0, place, 0] == pytest.approx(target, abs=1e-5)
        entropy = -np.sum(np.exp(row) * row, dtype=np.float64)
        assert found.entropies[0, place] == pytest.approx(entropy, abs=1e-5)
        assert found.target_ranks[0, place, 0] == 1 + np.count_nonzero(row > target)
        best = np.argsort(-row, kind="stable")[:3]
        np.testing.assert_array_equal(found.top_tokens[0, place], best)
    before = older(lm, tmp_path).measures(tokens, targets, lm.initial_state(), k=3)
    np.testing.assert_allclose(found.target_log_probs, before.target_log_probs, atol=1e-5)
    np.testing.assert_allclose(found.entropies, before.entropies, atol=1e-5)
    np.testing.assert_allclose(found.top_log_probs, before.top_log_probs, atol=1e-5)
    np.testing.assert_array_equal(found.target_ranks, before.target_ranks)
    np.testing.assert_array_equal(found.top_tokens, before.top_tokens)
    assert found.state == before.state
