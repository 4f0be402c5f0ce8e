"""Gates, states and features, against the graph and the formulas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmscore
from lmscore.bundle import CELLS, Cell
from lmscore.errors import InputError, ModelNotFoundError, OptionError
from lmscore.names import Connections
from lmscore.runtime.inside import STEPS
from lmscore.runtime.model import LanguageModel
from tests.models import make_model

TEXT = "the cat sat on the mat"
RECURRENT = [cell for cell in CELLS if CELLS[cell].is_recurrent]


def loaded(path: Path, **options: Any) -> LanguageModel:
    return lmscore.load(make_model(path, variants=["fp32"], **options).path)


def states(lm: LanguageModel, text: str) -> list[np.ndarray]:
    """Each state tensor after each token, [T, L, H], from steps of the graph."""
    ids = lm.encode(text).tolist()
    if lm.config.direction == "backward":
        ids.reverse()
    state, found = lm.initial_state(), []
    for token in [lm.config.bos_token_id, *ids]:
        _, state = lm.step([token], state)
        found.append([tensor[:, 0] for tensor in state.tensors])
    return [np.stack(column) for column in zip(*found, strict=True)]


def test_every_recurrent_cell_has_a_step() -> None:
    assert list(STEPS) == [cell for cell in RECURRENT if cell in STEPS]
    assert set(STEPS) == set(RECURRENT)


@pytest.mark.parametrize("learned", [False, True], ids=["from zeros", "from a learned state"])
@pytest.mark.parametrize("cell", RECURRENT)
def test_numpy_computes_what_the_graph_does(cell: Cell, learned: bool, tmp_path: Path) -> None:
    options = {"layers": 2, "hidden": 66, "embedding": 5, "connections": "residual"}
    lm = loaded(tmp_path / "model", cell=cell, learned_initial_state=learned, **options)
    found = lm.inspect(TEXT)
    assert found.tokens == ("<s>", *TEXT.split())
    has_heads = CELLS[cell].has_heads
    for name, tensor in zip(CELLS[cell].state, states(lm, TEXT), strict=not learned):
        for layer in range(0 if has_heads else 2):  # memories are not kept
            np.testing.assert_allclose(found.layers[layer][name], tensor[:, layer], atol=2e-6)
    gates = {name: values for name, values in found.layers[0].items() if name not in ("h", "c")}
    width = 2 if has_heads else 66
    assert all(values.shape == (7, width) for values in gates.values())
    assert all((np.abs(values) <= 1).all() for values in gates.values())
    assert bool(gates) is (not cell.startswith("rnn"))
    weights = lm._weights()
    features = (found.layers[0]["h"] + found.layers[1]["h"])[-1] @ weights["projection.weight"].T
    logits = features @ weights["embedding.weight"].T + weights["output.bias"]
    log_probs = logits - np.log(np.exp(logits).sum())
    np.testing.assert_allclose(lm.engine.read(lm.encode(TEXT)).log_probs[0], log_probs, atol=1e-4)


@pytest.mark.parametrize("connections", ["highway", "dense"])
def test_numpy_connects_layers_as_the_graph_does(connections: Connections, tmp_path: Path) -> None:
    lm = loaded(tmp_path / "model", layers=3, embedding=5, connections=connections)
    found = lm.inspect(TEXT)
    for name, tensor in zip(CELLS["lstm"].state, states(lm, TEXT), strict=True):
        for layer in range(3):
            np.testing.assert_allclose(found.layers[layer][name], tensor[:, layer], atol=1e-5)


@pytest.mark.parametrize("learned", [False, True], ids=["from zeros", "from a learned state"])
@pytest.mark.parametrize("cell", ["window", "window-relu"])
def test_a_window_has_its_output_alone(cell: Cell, learned: bool, tmp_path: Path) -> None:
    options = {"layers": 2, "tied": False, "learned_initial_state": learned}
    lm = loaded(tmp_path / "model", cell=cell, **options)
    (first, second) = lm.inspect(TEXT).layers
    assert list(first) == ["h"]
    weights = lm._weights()
    logits = second["h"] @ weights["output.weight"].T + weights["output.bias"]
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = [lm.engine.read(lm.encode(" ".join(TEXT.split()[:n]))).log_probs[0] for n in range(7)]
    np.testing.assert_allclose(log_probs, wanted, atol=1e-4)


@pytest.fixture(scope="module", params=["forward", "backward"])
def deep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Two layers, pieces of words."""
    folder = tmp_path_factory.mktemp("deep") / "model"
    return loaded(folder, layers=2, tokenizer="bpe", direction=request.param)


def test_features_of_tokens_are_states(deep: LanguageModel) -> None:
    h = states(deep, TEXT)[0][1:]  # [n, L, H]
    if deep.config.direction == "backward":
        h = h[::-1]
    found = deep.features(TEXT, unit="token", layers=(0, -1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, h.reshape(len(h), -1), atol=1e-6)


@pytest.mark.parametrize(("pool", "function"), [("mean", np.mean), ("max", np.max), ("last", None)])
def test_pools(deep: LanguageModel, pool: Any, function: Callable[..., Any] | None) -> None:
    tokens = deep.features(TEXT, unit="token")
    wanted = tokens[-1] if function is None else function(tokens, axis=0)
    np.testing.assert_allclose(deep.features(TEXT, pool=pool), wanted, atol=1e-6)
    words = deep.features(TEXT, unit="word", pool=pool)
    assert words.shape == (6, 16)
    if pool == "last":
        offsets = deep.tokenizer.encode_spans([TEXT])[0].offsets
        last = max(index for index, (_, end) in enumerate(offsets) if end == 7)
        np.testing.assert_allclose(words[1], tokens[last], atol=1e-6)


def test_batches_are_as_texts_alone(deep: LanguageModel) -> None:
    texts = [TEXT, "", "so long", "thanks for all the fish", "a"] * 20
    for text, found in zip(texts, deep.features_stream(iter(texts), window=33), strict=True):
        np.testing.assert_allclose(found, deep.features(text), atol=1e-6)


def test_both_directions_beside_each_other(tmp_path: Path) -> None:
    forward = loaded(tmp_path / "forward")
    backward = loaded(tmp_path / "backward", direction="backward", seed=1)
    both = lmscore.bidirectional(forward, backward)
    (found,) = both.features_stream([TEXT], unit="word")
    np.testing.assert_array_equal(found[:, :16], forward.features(TEXT, unit="word"))
    np.testing.assert_array_equal(found[:, 16:], backward.features(TEXT, unit="word"))


def test_neighbours_and_analogies(tmp_path: Path) -> None:
    lm = loaded(tmp_path / "model")
    vectors = lm.embeddings()
    ids = [lm.encode(word)[0] for word in ("cat", "dog", "mat", "fish")]
    matrix = np.zeros_like(vectors.matrix)
    matrix[ids] = np.eye(16, dtype=np.float32)[:4]
    matrix[ids[3]] = matrix[ids[1]] - matrix[ids[0]] + matrix[ids[2]]
    made = type(vectors)(matrix, lm.tokenizer)
    (best, cosine), *_ = made.analogy("cat", "dog", "mat", k=3)
    assert best == "fish"
    assert cosine == pytest.approx(1)
    ((best, cosine),) = made.nearest("dog", k=1)
    assert best == "fish"
    assert cosine == pytest.approx(3**-0.5)
    np.testing.assert_array_equal(made.vector("cat"), np.eye(16)[0])


MISTAKES: list[tuple[Callable[[LanguageModel], object], type[Exception], str]] = [
    (lambda lm: lm.features(TEXT, unit="line"), OptionError, "unit must be"),  # type: ignore[arg-type]
    (lambda lm: lm.features(TEXT, pool="sum"), OptionError, "pool must be"),  # type: ignore[arg-type]
    (lambda lm: lm.features(TEXT, layers=(2,)), OptionError, r"layers are \[2\], expected"),
    (lambda lm: lm.features(TEXT, layers=()), OptionError, r"layers are \[\], expected"),
    (lambda lm: list(lm.features_stream("a")), InputError, "expected several texts, got str"),
    (lambda lm: list(lm.features_stream(["a", 1])), InputError, "text 2"),  # type: ignore[list-item]
    (lambda lm: lm.inspect(1), InputError, "text 1"),  # type: ignore[arg-type]
    (lambda lm: lm.embeddings().vector(""), InputError, "'' has no token"),
    (lambda lm: lm.embeddings().nearest("cat", 0), OptionError, "k must be"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES)
def test_mistakes(
    lm: LanguageModel,
    call: Callable[[LanguageModel], object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        call(lm)


def test_models_without_states_or_weights(tmp_path: Path) -> None:
    window = loaded(tmp_path / "window", cell="window")
    with pytest.raises(OptionError, match="without recurrence"):
        window.features(TEXT)
    heads = loaded(tmp_path / "heads", cell="gated-delta")
    with pytest.raises(OptionError, match="the state of a gated-delta layer is not its output"):
        heads.features(TEXT)
    (window.path / "model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match=r"model.safetensors is missing"):
        window.inspect(TEXT)
    arpa = tmp_path / "my.arpa"
    arpa.write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-1\t<s>\n-1\t</s>\n-1\ta\n\n\\end\\\n")
    with pytest.raises(ModelNotFoundError, match="an n-gram model has no weights"):
        lmscore.load(arpa).embeddings()
