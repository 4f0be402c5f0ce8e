"""Models that adapt, against their formulas written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lmscore
from lmscore.bundle import CELLS, WEIGHTS_FILE, Bundle, Cell
from lmscore.errors import ModelNotFoundError, OptionError, TrainingError
from lmscore.train import adaptive as adaptive_module
from lmscore.train.adaptive import Cache, Dynamic, adaptive_log_probs, check_adaptable
from lmscore.train.network import RecurrentLM
from tests.models import make_model
from tests.train.toy import toy_config

CPU = torch.device("cpu")


def network(cell: Cell = "lstm", *, layers: int = 1, seed: int = 0) -> RecurrentLM:
    torch.manual_seed(seed)
    return RecurrentLM(toy_config(12, cell=cell, num_hidden_layers=layers, context="document"))


def document(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 12, length)


def static(model: RecurrentLM, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [N, V] and the last layer's hidden states [N, H], all at once."""
    inputs = torch.from_numpy(np.append([1], tokens[:-1]))[:, None]
    with torch.no_grad():
        outputs = model.eval().run(inputs, model.initial_state(1))
        log_probs = model.log_probs(outputs.features[:, 0])
    return log_probs.double().exp().numpy(), outputs.hidden[:, 0].double().numpy()


@given(
    cell=st.sampled_from(list(CELLS)),
    length=st.integers(1, 40),
    size=st.integers(1, 50),
    flatness=st.floats(0, 3),
    weight=st.floats(0, 1, exclude_max=True),
    piece=st.integers(1, 9),
)
def test_a_cache_by_its_formula(
    cell: Cell, length: int, size: int, flatness: float, weight: float, piece: int
) -> None:
    model, tokens = network(cell), document(length)
    probs, hidden = static(model, tokens)
    expected = [probs[0, tokens[0]]]
    for t in range(1, length):
        cached = np.zeros(12)
        for i in range(max(0, t - size), t):
            cached[tokens[i]] += np.exp(flatness * hidden[t] @ hidden[i])
        cached /= cached.sum()
        expected.append((1 - weight) * probs[t, tokens[t]] + weight * cached[tokens[t]])
    cache = Cache(size=size, flatness=flatness, weight=weight)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptive_module, "_PIECE", piece)
        found = cache.log_probs(model, tokens)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-4)


def test_a_cache_of_dense_connections_has_the_width_of_what_they_join() -> None:
    config = toy_config(12, num_hidden_layers=2, context="document", connections="dense")
    model, tokens = RecurrentLM(config).eval(), document(30)
    assert np.isfinite(Cache().log_probs(model, tokens)).all()


def test_a_cache_knows_what_comes_back() -> None:
    model, tokens = network(), np.tile([5, 7], 100)  # two words of twelve
    probs, _ = static(model, tokens)
    alone = np.log(probs[np.arange(200), tokens]).mean()
    assert Cache(flatness=0.0, weight=0.5).log_probs(model, tokens).mean() > alone + 1


@pytest.mark.parametrize("cell", CELLS)
def test_dynamic_evaluation_is_gradient_descent_with_decay(cell: Cell) -> None:
    tokens, settings = document(17), Dynamic(rate=0.5, decay=0.01, tokens=5)
    model = network(cell, layers=2).eval()
    first = {name: weight.clone() for name, weight in model.state_dict().items()}
    state, expected = model.initial_state(1), []
    for start in range(0, 17, 5):
        inputs = torch.from_numpy(np.append([1], tokens)[start : min(start + 5, 17), None])
        targets = torch.from_numpy(tokens[start : start + 5])
        features, after = model(inputs, state)
        losses = -model.log_probs(features[:, 0])[torch.arange(len(targets)), targets]
        model.zero_grad()
        losses.mean().backward()  # type: ignore[no-untyped-call]
        for name, weight in model.named_parameters():
            assert weight.grad is not None
            weight.data += -0.5 * weight.grad + 0.01 * (first[name] - weight.data)
        expected += (-losses).tolist()
        state = tuple(part.detach() for part in after)
    found = settings.log_probs(network(cell, layers=2), tokens)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_dynamic_evaluation_learns_what_comes_back() -> None:
    tokens = np.tile(document(10), 40)
    found = Dynamic(rate=1.0, decay=0.0, tokens=5).log_probs(network(), tokens)
    assert found[-100:].mean() > found[:100].mean() + 1
    without = Dynamic(rate=0.0, decay=0.5, tokens=5).log_probs(network(), tokens)
    probs, _ = static(network(), tokens)
    np.testing.assert_allclose(np.exp(without), probs[np.arange(400), tokens], rtol=1e-5)


@pytest.mark.parametrize("flatness", [np.inf, 1e39])
def test_a_flatness_out_of_this_world(flatness: float) -> None:
    with pytest.raises(OptionError) as raised:
        Cache(flatness=flatness).log_probs(network(), document(300))
    assert str(raised.value) == (
        f"cache: flatness {flatness:g} is too large for this model's states"
    )


def test_a_rate_out_of_this_world() -> None:
    with pytest.raises(TrainingError, match=r"after \d+ updates; take a lower rate \(now 1e\+38\)"):
        Dynamic(rate=1e38).log_probs(network(), document(100))


@pytest.mark.parametrize("texts", [["thanks for all the fish", "", "the zebra sat"], [], [""]])
def test_without_adapting_it_is_the_exported_model(
    document_model_path: Path, texts: list[str]
) -> None:
    lm = lmscore.load(document_model_path, variant="fp32")
    scores = list(lm.score_stream(texts))
    for method in (Cache(weight=0.0), Dynamic(rate=0.0)):
        total, unknown = adaptive_log_probs(
            Bundle.read(document_model_path), texts, method, device=CPU
        )
        assert total == pytest.approx(sum(score.log_prob for score in scores), abs=1e-3)
        assert unknown == pytest.approx(sum(score.oov_log_prob for score in scores), abs=1e-3)


def test_models_that_cannot_adapt(tmp_path: Path) -> None:
    sentences = make_model(tmp_path / "sentences")
    with pytest.raises(OptionError, match="sentences: was trained on sentences; only a model of"):
        check_adaptable(sentences)
    bare = make_model(tmp_path / "bare", context="document")
    check_adaptable(bare)
    (bare.path / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"model\.safetensors is missing"):
        check_adaptable(bare)
