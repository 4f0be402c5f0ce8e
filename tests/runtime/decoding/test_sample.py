"""Samples of tiny models, held against a plain loop over `step`."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmscore
from lmscore.errors import InputError, ModelError, OptionError
from lmscore.runtime.decoding.result import Sample
from lmscore.runtime.decoding.sample import Sampler
from lmscore.runtime.decoding.sampling import SamplingOptions
from lmscore.runtime.decoding.text import Prompt
from lmscore.runtime.engine import Engine, Graph, State
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS, make_model

OPTIONS: dict[str, Any] = {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "seed": 5}

prompts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)


@pytest.fixture(scope="module", params=["word", "document", "bpe", "char"])
def any_lm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "char":
        path = tmp_path_factory.mktemp("char") / "model"
        return load(make_model(path, tokenizer="char", variants=("fp32",)).path)
    names = {"word": "lm", "document": "document_lm", "bpe": "bpe_lm"}
    return request.getfixturevalue(names[request.param])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Six tokens: <unk>, <s>, </s> and three words."""
    path = tmp_path_factory.mktemp("tiny") / "model"
    return load(make_model(path, vocab=6, hidden=8, seed=3, variants=("fp32",)).path)


def ids_of(sample: Sample) -> list[int]:
    return [token.id for token in sample.tokens]


def read(lm: LanguageModel, ids: list[int]) -> Any:
    """Log-probs after a prompt, and the state, a token at a time."""
    state = lm.initial_state()
    for token in [lm.config.bos_token_id, *ids]:
        log_probs, state = lm.step([token], state)
    return log_probs[0], state


def greedy_by_hand(lm: LanguageModel, prompt: str, max_tokens: int) -> tuple[list[int], float]:
    tokens: list[int] = []
    total = 0.0
    log_probs, state = read(lm, lm.tokenizer.encode(prompt).tolist())
    while len(tokens) < max_tokens and lm.config.eos_token_id not in tokens:
        candidates = log_probs.copy()
        if lm.config.bos_token_id != lm.config.eos_token_id:
            candidates[lm.config.bos_token_id] = -np.inf
        tokens.append(int(candidates.argmax()))
        total += float(log_probs[tokens[-1]])
        step, state = lm.step([tokens[-1]], state)
        log_probs = step[0]
    return tokens, total


@settings(max_examples=20)
@given(prompt=prompts)
@pytest.mark.parametrize("options", [{"temperature": 0}, {"top_k": 1}])
def test_greedy_takes_the_likeliest(
    any_lm: LanguageModel, prompt: str, options: dict[str, Any]
) -> None:
    (sample,) = any_lm.sample(prompt, max_tokens=12, **options)
    tokens, log_prob = greedy_by_hand(any_lm, prompt, 12)
    assert ids_of(sample) == tokens
    assert sample.log_prob == pytest.approx(log_prob, abs=1e-4)
    ended = tokens[-1] == any_lm.config.eos_token_id
    assert sample.finish_reason == ("eos" if ended else "length")


@settings(max_examples=20)
@given(prompt=prompts, seed=st.integers(0, 99), temperature=st.sampled_from([0.5, 1.0, 3.0]))
def test_log_prob_is_the_models_own(
    any_lm: LanguageModel, prompt: str, seed: int, temperature: float
) -> None:
    (sample,) = any_lm.sample(
        prompt, max_tokens=15, seed=seed, temperature=temperature, top_k=9, repetition_penalty=1.3
    )
    log_probs, state = read(any_lm, any_lm.tokenizer.encode(prompt).tolist())
    for token in sample.tokens:
        assert token.log_prob == pytest.approx(float(log_probs[token.id]), abs=1e-4)
        step, state = any_lm.step([token.id], state)
        log_probs = step[0]
    total = sum(token.log_prob for token in sample.tokens)
    assert sample.log_prob == pytest.approx(total, abs=1e-6)


def test_samples_are_distributed_as_the_model_says(tiny: LanguageModel) -> None:
    """All texts of up to two tokens: their frequencies against their probabilities."""
    n = 4000
    samples = tiny.sample("a", num_samples=n, max_tokens=2, seed=1, unk=True)
    drawn = Counter(tuple(ids_of(sample)) for sample in samples)
    log_probs, state = read(tiny, tiny.tokenizer.encode("a").tolist())
    expected = two_tokens(tiny, log_probs, state)
    assert set(drawn) <= set(expected)
    assert sum(expected.values()) == pytest.approx(1)
    assert chi_square(drawn, expected, n) < critical_value(len(expected) - 1)
    flattened = {tokens: p**0.8 for tokens, p in expected.items()}
    whole = sum(flattened.values())
    wrong = {tokens: p / whole for tokens, p in flattened.items()}
    assert chi_square(drawn, wrong, n) > critical_value(len(expected) - 1)  # the test can tell


def test_unknown_words_are_not_drawn(tiny: LanguageModel) -> None:
    """The log-probabilities are the model's own all the same."""
    samples = tiny.sample("a", num_samples=200, max_tokens=2, seed=1)
    unk = tiny.config.unk_token_id
    assert unk is not None
    assert not any(unk in ids_of(sample) for sample in samples)
    log_probs, _ = read(tiny, tiny.tokenizer.encode("a").tolist())
    for sample in samples:
        first = sample.tokens[0]
        assert first.log_prob == pytest.approx(log_probs[first.id], abs=1e-5)
    assert not any(t.is_oov for s in tiny.beam_search("a", beam_size=6) for t in s.tokens)


def two_tokens(
    lm: LanguageModel, log_probs: Any, state: lmscore.State
) -> dict[tuple[int, ...], float]:
    found: dict[tuple[int, ...], float] = {}
    without_bos = [t for t in range(lm.vocab_size) if t != lm.config.bos_token_id]
    first = np.exp(log_probs[without_bos]) / np.exp(log_probs[without_bos]).sum()
    for token, p in zip(without_bos, first.tolist(), strict=True):
        if token == lm.config.eos_token_id:
            found[(token,)] = p
            continue
        step, _ = lm.step([token], state)
        second = np.exp(step[0][without_bos]) / np.exp(step[0][without_bos]).sum()
        for following, q in zip(without_bos, second.tolist(), strict=True):
            found[token, following] = p * q
    return found


def chi_square(
    drawn: Counter[tuple[int, ...]], expected: dict[tuple[int, ...], float], n: int
) -> float:
    return sum((drawn[tokens] - n * p) ** 2 / (n * p) for tokens, p in expected.items())


def critical_value(degrees: int) -> float:
    """That a chi-square variable exceeds once in a thousand times (Wilson & Hilferty 1931)."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + 3.09 * np.sqrt(spread)) ** 3)


def test_a_seed_gives_the_same_samples_however_many(any_lm: LanguageModel) -> None:
    many = any_lm.sample("the cat", num_samples=9, max_tokens=20, **OPTIONS)
    few = any_lm.sample("the cat", num_samples=4, max_tokens=20, **OPTIONS)
    assert [s.text for s in few] == [s.text for s in many[:4]]
    assert len({s.text for s in many}) > 1
    assert [s.log_prob for s in few] == pytest.approx([s.log_prob for s in many[:4]], abs=1e-4)


@settings(max_examples=10)
@given(texts=st.lists(prompts, max_size=5))
def test_a_batch_gives_the_samples_of_each_prompt(any_lm: LanguageModel, texts: list[str]) -> None:
    batch = any_lm.sample_batch(texts, num_samples=2, max_tokens=10, **OPTIONS)
    alone = [any_lm.sample(text, num_samples=2, max_tokens=10, **OPTIONS) for text in texts]
    assert [[ids_of(s) for s in group] for group in batch] == [
        [ids_of(s) for s in group] for group in alone
    ]


def test_small_batches_give_the_same(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the cat", "", "a dog"]
    whole = lm.sample_batch(texts, num_samples=4, max_tokens=9, **OPTIONS)
    monkeypatch.setattr(Engine, "token_budget", 40)
    parts = lm.sample_batch(texts, num_samples=4, max_tokens=9, **OPTIONS)
    assert [[ids_of(s) for s in group] for group in parts] == [
        [ids_of(s) for s in group] for group in whole
    ]


def test_without_a_seed_samples_differ(bpe_lm: LanguageModel) -> None:
    texts = {bpe_lm.sample(max_tokens=20)[0].text for _ in range(3)}
    assert len(texts) > 1
    first, second = bpe_lm.sample_batch(["", ""], max_tokens=20)
    assert first != second


def test_different_prompts_draw_different_noise(bpe_lm: LanguageModel) -> None:
    first, second = bpe_lm.sample_batch(["a", "b"], max_tokens=30, seed=1)
    assert ids_of(first[0]) != ids_of(second[0])


def test_a_prompt_is_read_once(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    run = Graph.run

    def spy(self: Graph, outputs: Any, tokens: Any, **inputs: Any) -> Any:
        batches.append(len(tokens))
        return run(self, outputs, tokens, **inputs)

    monkeypatch.setattr(Graph, "run", spy)
    samples = lm.sample("the cat sat", num_samples=8, max_tokens=30, seed=1)
    lengths = [len(s.tokens) for s in samples]
    assert batches[:3] == [1, 1, 8 - lengths.count(1)]
    assert all(left >= right for left, right in itertools.pairwise(batches[2:]))
    # What has ended is dropped: it reads no further token.
    ended = [s.finish_reason == "eos" for s in samples]
    assert sum(batches[2:]) == sum(lengths) - len(samples)
    assert any(ended)


def test_a_long_prompt(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = " ".join(WORDS * 20)
    whole = lm.sample(prompt, max_tokens=8, seed=1)
    monkeypatch.setattr(Engine, "token_budget", 7)
    assert ids_of(lm.sample(prompt, max_tokens=8, seed=1)[0]) == ids_of(whole[0])


@settings(max_examples=25)
@given(
    prompt=prompts,
    seed=st.integers(0, 99),
    stop=st.lists(st.text("abcdeo t", min_size=1, max_size=4), max_size=3),
)
def test_a_stream_is_the_sample_in_pieces(
    any_lm: LanguageModel, prompt: str, seed: int, stop: list[str]
) -> None:
    (sample,) = any_lm.sample(prompt, max_tokens=20, seed=seed, stop=stop)
    pieces = list(any_lm.stream(prompt, max_tokens=20, seed=seed, stop=stop))
    assert "".join(pieces) == sample.text
    assert all(pieces)


def test_a_stream_comes_while_it_is_drawn(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    run = Graph.run

    def spy(self: Graph, *args: Any, **inputs: Any) -> Any:
        steps.append(1)
        return run(self, *args, **inputs)

    monkeypatch.setattr(Graph, "run", spy)
    stream = lm.stream("the", max_tokens=50, temperature=0)
    assert next(stream)
    assert len(steps) == 2


def test_a_stream_that_is_closed_computes_no_more(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[weakref.ref[State]] = []
    step = Engine.step

    def watched(*given: Any) -> Any:
        found = step(*given)
        states.append(weakref.ref(found.state))
        return found

    monkeypatch.setattr(Engine, "step", watched)
    stream = lm.stream("the", max_tokens=50, temperature=0)
    assert next(stream)
    assert next(stream)
    assert states[-1]() is not None
    gc.disable()
    try:
        stream.close()
        assert [state() for state in states] == [None, None]
    finally:
        gc.enable()
    assert list(stream) == []
    stream.close()
    lm.stream("the", max_tokens=50).close()  # before the first piece
    assert len(states) == 3


def test_garbage_bytes_are_whole_characters(bpe_lm: LanguageModel) -> None:
    """A model that knows nothing draws bytes that are no UTF-8."""
    seen = set()
    for seed in range(5):
        (sample,) = bpe_lm.sample(max_tokens=60, seed=seed)
        pieces = list(bpe_lm.stream(max_tokens=60, seed=seed))
        assert "".join(pieces) == sample.text
        seen |= set(sample.text)
    assert "\ufffd" in seen


def test_a_stop_string_ends_a_sample(lm: LanguageModel) -> None:
    (whole,) = lm.sample("the", max_tokens=40, seed=2, temperature=2.0)
    third = whole.tokens[2]
    stop = whole.text[third.start + 1 : third.end]
    (cut,) = lm.sample("the", max_tokens=40, seed=2, temperature=2.0, stop=[stop])
    assert cut.finish_reason == "stop"
    assert stop not in cut.text
    assert whole.text.startswith(cut.text)
    assert cut.log_prob == pytest.approx(sum(token.log_prob for token in cut.tokens))


def test_repetition_penalty_counts_the_prompt_too(lm: LanguageModel) -> None:
    favourite = lm.sample("the cat", max_tokens=1, temperature=0)[0].tokens[0]
    prompt = f"{favourite.text} the cat"
    again = lm.sample(prompt, max_tokens=1, temperature=0, repetition_penalty=50.0)[0].tokens[0]
    assert again.id not in lm.tokenizer.encode(prompt)
    (sample,) = lm.sample("the", max_tokens=20, temperature=0, repetition_penalty=50.0)
    assert len(set(ids_of(sample))) == len(sample.tokens)


def test_bos_is_never_drawn(any_lm: LanguageModel) -> None:
    drawn = any_lm.sample(num_samples=100, max_tokens=10, temperature=100.0, seed=1)
    tokens = {token for sample in drawn for token in ids_of(sample)}
    assert (any_lm.config.bos_token_id in tokens) == (any_lm.config.context == "document")


def test_no_prompts(lm: LanguageModel) -> None:
    assert lm.sample_batch([]) == []


def test_what_is_no_prompt(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="expected several prompts, got one string; use sample"):
        lm.sample_batch("the cat")
    with pytest.raises(InputError, match="text 2: expected a string, got int"):
        lm.sample_batch(["the", 3])  # type: ignore[list-item]


@pytest.mark.parametrize("method", ["sample", "stream"])
def test_options_are_checked_at_once(lm: LanguageModel, method: str) -> None:
    with pytest.raises(OptionError, match="temperature must be 0 \\(greedy\\) or more, not -1"):
        getattr(lm, method)("the", temperature=-1)
    with pytest.raises(InputError, match="text 1: expected a string, got NoneType"):
        getattr(lm, method)(None)
    with pytest.raises(OptionError, match="allowed_words and pattern exclude each other"):
        getattr(lm, method)("the", allowed_words=["a"], pattern="a")


def test_log_probs_that_are_not_finite(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Graph.run

    def broken(self: Graph, outputs: Any, *args: Any, **inputs: Any) -> Any:
        found = run(self, outputs, *args, **inputs)
        return [
            np.full_like(a, np.nan) if n == "log_probs" else a
            for n, a in zip(outputs, found, strict=True)
        ]

    monkeypatch.setattr(Graph, "run", broken)
    with pytest.raises(ModelError, match="not finite"):
        lm.sample("the")
    with pytest.raises(ModelError, match="not finite"):
        next(lm.stream("the"))


def test_a_state_that_stays_on_its_device(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = lm.sample_batch(["the cat", "a"], num_samples=2, seed=1)
    monkeypatch.setattr(lm.engine._graph, "_keep_state_on_device", True)
    assert lm.sample_batch(["the cat", "a"], num_samples=2, seed=1) == expected


def test_int8_samples_too(lm_int8: LanguageModel) -> None:
    first = lm_int8.sample("the", num_samples=3, max_tokens=10, seed=1)
    assert [s.text for s in first] == [
        s.text for s in lm_int8.sample("the", num_samples=3, max_tokens=10, seed=1)
    ]


def test_a_sampler_without_a_language_model(lm: LanguageModel, model_path: Path) -> None:
    from lmscore.bundle import Bundle

    engine = Engine.load(Bundle.read(model_path), "fp32")
    sampler = Sampler(engine, lm.tokenizer, SamplingOptions(max_tokens=5, seed=1))
    ((sample,),) = sampler.sample([Prompt.read(lm.tokenizer, "the")])
    assert sample == lm.sample("the", max_tokens=5, seed=1)[0]
