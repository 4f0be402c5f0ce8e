"""The state left on the device gives what the state passed through the host gives.

On the CPU to the last bit; on CUDA, where there is one, within rounding.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmscore.bundle import Bundle
from lmscore.errors import DeviceError, ModelError
from lmscore.runtime.engine.binding import DeviceTensor, run_bound
from lmscore.runtime.engine.engine import Engine
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.engine.sessions import open_session
from lmscore.runtime.engine.state import State
from lmscore.runtime.model import LanguageModel
from tests.devices import DEVICES
from tests.models import WORDS

HOST, DEVICE = 0, 1
Pair = tuple[LanguageModel, LanguageModel]

per_model = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def twin(lm: LanguageModel, device: str) -> LanguageModel:
    """The same model with its state on the device."""
    bundle = Bundle.read(lm.path)
    path = bundle.graph_path(lm.variant)
    session = open_session(path, device=device)
    graph = Graph(session, bundle.config, lm.variant, path, keep_state_on_device=True)
    return LanguageModel(bundle, Engine(graph), lm.tokenizer, reload=lambda: twin(lm, device))


@pytest.fixture(scope="module", params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=["lm", "lm_int8", "bpe_lm", "document_lm"])
def pair(request: pytest.FixtureRequest, device: str) -> Pair:
    lm: LanguageModel = request.getfixturevalue(request.param)
    return lm, twin(lm, device)


@pytest.fixture(scope="module")
def bound(lm: LanguageModel, device: str) -> LanguageModel:
    return twin(lm, device)


def assert_same(lm: LanguageModel, found: Any, expected: Any) -> None:
    """Equal on the CPU, close elsewhere."""
    if lm.device == "cpu":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, atol=1e-4)


texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), min_size=1, max_size=6)


@per_model
@given(texts=texts, context=st.sampled_from(["sentence", "document"]))
def test_scores(pair: Pair, texts: list[str], context: Any) -> None:
    host, there = (
        [[t.log_prob for t in score.tokens] for score in lm.score_batch(texts, context=context)]
        for lm in pair
    )
    assert_same(pair[DEVICE], np.concatenate(there), np.concatenate(host))


@per_model
@given(data=st.data())
def test_steps_with_parents(pair: Pair, data: st.DataObject) -> None:
    states = [lm.initial_state(2) for lm in pair]
    for _ in range(data.draw(st.integers(1, 4))):
        size = data.draw(st.integers(1, 4))
        tokens = data.draw(st.lists(st.integers(0, 59), min_size=size, max_size=size))
        rows = st.integers(0, len(states[HOST]) - 1)
        parents = data.draw(st.lists(rows, min_size=size, max_size=size))
        stepped = [lm.step(tokens, state, parents) for lm, state in zip(pair, states, strict=True)]
        assert_same(pair[DEVICE], stepped[DEVICE][0], stepped[HOST][0])
        states = [state for _, state in stepped]
        for there, here in zip(states[DEVICE].tensors, states[HOST].tensors, strict=True):
            assert_same(pair[DEVICE], there, here)


@per_model
@given(text=texts.map(" ".join), seed=st.integers(0, 99))
def test_decoding(pair: Pair, text: str, seed: int) -> None:
    samples, beams, words = (
        [getattr(lm, method)(text, **options) for lm in pair]
        for method, options in (
            ("sample", {"num_samples": 3, "max_tokens": 6, "seed": seed}),
            ("beam_search", {"beam_size": 3, "max_tokens": 4}),
            ("next_words", {"k": 3}),
        )
    )
    if pair[DEVICE].device == "cpu":
        for here, there in (samples, beams, words):
            assert here == there
    else:  # where chance or a near tie decides, rounding may tell them apart
        here, there = ([probability for _, probability in found] for found in words)
        assert_same(pair[DEVICE], there, here)


@per_model
@given(data=st.data())
def test_every_output_in_any_order(pair: Pair, data: st.DataObject) -> None:
    graphs = [lm.engine._graph for lm in pair]
    V = pair[HOST].vocab_size
    names = ["log_probs", "target_log_probs", "top_log_probs", "top_tokens"]
    outputs = data.draw(st.permutations([*names, *graphs[HOST].state_outputs]))
    outputs = outputs[: data.draw(st.integers(1, len(outputs)))]
    B, T, K, S = (data.draw(st.integers(low, 4)) for low in (1, 1, 0, 1))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    arguments: dict[str, Any] = {
        "targets": random.integers(0, V, (B, T, K)),
        "k": data.draw(st.integers(0, 4)),
        "lengths": random.integers(1, T + 1, B).astype(np.int32),
        "parents": random.integers(0, S, B),
        "state": tuple(
            random.uniform(-1, 1, tensor.shape(S)).astype(np.float32)
            for tensor in graphs[HOST].config.state
        ),
    }
    tokens = np.asfortranarray(random.integers(0, V, (B, T)))
    inside = np.arange(T) < arguments["lengths"][:, None]
    here, there = (graph.run(outputs, tokens, **arguments) for graph in graphs)
    for name, a, b in zip(outputs, here, there, strict=True):
        assert (a.shape, a.dtype, a.ndim) == (b.shape, b.dtype, b.ndim)
        mask = ... if name.startswith("next_") else inside
        if name == "top_tokens" and pair[DEVICE].device != "cpu":
            continue  # near ties may change places
        assert_same(pair[DEVICE], np.asarray(b)[mask], a[mask])


def make_state(lm: LanguageModel) -> State:
    _, state = lm.step([3, 4, 5], lm.initial_state(3))
    return lm.step([6, 7, 8], state)[1]


def on_host(state: State) -> State:
    return State(tuple(np.array(tensor) for tensor in state.tensors))


def test_a_state_on_a_device_is_a_value(bound: LanguageModel) -> None:
    state = make_state(bound)
    host = on_host(state)
    devices: list[Any] = [*state.tensors]
    assert [tensor.device for tensor in devices] == [bound.device] * 2
    assert len(state) == 3
    assert state == host
    assert hash(state) == hash(host)
    assert repr(state) == repr(host) == "State(3 rows: [1, 3, 16], [1, 3, 16])"
    assert state.select([2, 0, 0]) == host.select([2, 0, 0])
    assert State.concat([state, host]) == host.select([0, 1, 2, 0, 1, 2])
    assert state != bound.step([1, 1, 1], state)[1]


@pytest.mark.parametrize(
    "duplicate", [lambda state: pickle.loads(pickle.dumps(state)), copy.copy, copy.deepcopy]
)
def test_a_state_is_copied_to_the_host(
    bound: LanguageModel, duplicate: Callable[[State], State]
) -> None:
    for state in (make_state(bound), on_host(make_state(bound))):
        again = duplicate(state)
        assert again == state
        for tensor in again.tensors:
            assert isinstance(tensor, np.ndarray)
            assert not tensor.flags.writeable


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_ids_go_in_and_chosen_log_probs_come_out(
    bound: LanguageModel, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else, but for the one row of state that scoring begins with."""
    sent: list[NDArray[Any]] = []
    fetched: list[tuple[str, NDArray[Any]]] = []

    def watched(*given: Any, stay: list[str], **rest: Any) -> Any:
        outputs, feeds = given[2:4]
        sent.extend(a for a in feeds.values() if not isinstance(a, DeviceTensor))
        found = run_bound(*given, stay=stay, **rest)
        pairs = zip(outputs, found, strict=True)
        fetched.extend((name, np.asarray(array)) for name, array in pairs if name not in stay)
        return found

    monkeypatch.setattr("lmscore.runtime.engine.graph.run_bound", watched)
    monkeypatch.setattr(Engine, "target_budget", 64)  # several runs
    bound.score_batch([" ".join(WORDS * 10), *WORDS], context=context)
    assert len(fetched) > 3
    assert {(name, array.shape[2]) for name, array in fetched} == {("target_log_probs", 1)}
    state = [array for array in sent if array.dtype == np.float32]
    assert {array.shape[1] for array in state} == {1}
    batches = 1 if context == "document" else 2  # 32 rows, and one
    assert len(state) == batches * len(bound.config.state)


def test_nothing_changes_a_state_on_a_device(bound: LanguageModel) -> None:
    states = [bound.initial_state(3)]
    for token in range(20):  # memory that ONNX Runtime used again would show
        states.append(bound.step([token] * 3, states[-1])[1])
    kept = [on_host(state) for state in states]
    for state in states:
        bound.step([1, 2], state, parents=[2, 0])
    assert states == kept
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(states[-1].tensors[0])[0, 0, 0] = 1


def test_states_travel_between_devices(bound: LanguageModel, lm: LanguageModel) -> None:
    state = make_state(bound)
    elsewhere = tuple(
        DeviceTensor(tensor.value, "elsewhere:0")  # type: ignore[attr-defined]
        for tensor in state.tensors
    )
    expected, _ = bound.step([1, 2, 3], state)
    for model in (bound, lm):
        for same in (state, on_host(state), State(elsewhere)):  # type: ignore[arg-type]
            log_probs, _ = model.step([1, 2, 3], same)
            assert_same(bound, log_probs, expected)


@pytest.mark.parametrize(
    ("device", "kind", "message"),
    [
        ("cpu", ModelError, "model.onnx: ONNX Runtime cannot run it: out of memory$"),
        ("cuda:0", DeviceError, "cannot run it on cuda:0: out of memory; .* or device cpu"),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_a_run_that_fails_names_the_file_and_the_device(
    bundle: Bundle, device: str, kind: type[Exception], message: str, keep: bool
) -> None:
    path = bundle.graph_path("fp32")
    graph = Graph(open_session(path), bundle.config, "fp32", path, keep_state_on_device=keep)
    graph.device = device

    class Exhausted:
        def run(self, *_: object) -> None:
            raise RuntimeError("out of\n memory")

        io_binding = run

    graph._session = Exhausted()
    with pytest.raises(kind, match=message):
        graph.run(["log_probs"], np.array([[1]]), state=Engine(graph).initial_state().tensors)


def test_too_little_memory_is_what_it_is(bundle: Bundle) -> None:
    path = bundle.graph_path("fp32")
    graph = Graph(open_session(path, device="cpu"), bundle.config, "fp32", path)

    class Exhausted:
        def run(self, *_: object) -> None:
            raise MemoryError

    graph._session = Exhausted()
    with pytest.raises(MemoryError):
        graph.run(["log_probs"], np.array([[1]]), state=Engine(graph).initial_state().tensors)


def test_an_array_of_a_device_tensor_may_be_a_copy(bound: LanguageModel) -> None:
    tensor: Any = make_state(bound).tensors[0]
    copied = np.array(tensor)
    copied[:] = 0
    assert np.asarray(tensor).any()
    assert np.asarray(tensor, np.float64).dtype == np.float64


def test_the_state_stays_on_cuda_by_default(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bundle.graph_path("fp32")
    graph = Graph(open_session(path, device="cpu"), bundle.config, "fp32", path)
    assert not graph._keep_state_on_device
    monkeypatch.setattr("lmscore.runtime.engine.graph.session_device", lambda _: "cuda:0")
    graph = Graph(open_session(path, device="cpu"), bundle.config, "fp32", path)
    assert graph._keep_state_on_device


class Small:
    """A session on a device whose memory is enough for runs of some tokens."""

    def __init__(self, session: Any, most: int) -> None:
        self.session, self.most = session, most
        self.sizes: list[int] = []

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> Any:
        self.sizes.append(feeds["tokens"].size)
        if self.sizes[-1] > self.most:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 7")
        return self.session.run(outputs, feeds)


def on_small_device(lm: LanguageModel, most: int) -> tuple[LanguageModel, Small]:
    bundle = Bundle.read(lm.path)
    path = bundle.graph_path("fp32")
    graph = Graph(open_session(path), bundle.config, "fp32", path, keep_state_on_device=False)
    graph.device = "cuda:0"
    small = Small(graph._session, most)
    graph._session = small
    model = LanguageModel(bundle, Engine(graph), lm.tokenizer, reload=lambda: lm)
    return model, small


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_runs_that_need_too_much_memory_become_smaller(lm: LanguageModel, context: Any) -> None:
    texts = [" ".join(WORDS[:n] * 4) for n in range(1, len(WORDS))] * 8
    model, small = on_small_device(lm, 150)
    expected = [score.log_prob for score in lm.score_batch(texts, context=context)]
    for _ in range(2):
        found = [score.log_prob for score in model.score_batch(texts, context=context)]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    failed = [size for size in small.sizes if size > 150]
    assert 0 < len(failed) < 12
    assert small.sizes.index(max(small.sizes)) == 0
    assert all(size <= 150 for size in small.sizes[len(small.sizes) // 2 :])  # it is remembered


def test_the_smallest_runs_may_still_need_too_much_memory(lm: LanguageModel) -> None:
    model, small = on_small_device(lm, 3)
    with pytest.raises(DeviceError, match="is its memory full"):
        model.score_batch([" ".join(WORDS)] * 20)
    with pytest.raises(DeviceError, match="is its memory full"):
        model.score_batch([" ".join(WORDS)] * 20, words=True)
    assert len(small.sizes) < 16
