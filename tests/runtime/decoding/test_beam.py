"""Beam search, held against a plain one that treats a hypothesis at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.runtime.decoding.beam import BeamOptions, BeamSearch
from lmscore.runtime.decoding.result import Sample
from lmscore.runtime.engine.state import State
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS, make_model

PROMPTS = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)

Tokens = tuple[int, ...]
Found = list[tuple[Tokens, float]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Six tokens: <unk>, <s>, </s> and three words."""
    path = tmp_path_factory.mktemp("tiny") / "model"
    return load(make_model(path, vocab=6, hidden=8, variants=("fp32",)).path, variant="fp32")


def after_prompt(lm: LanguageModel, prompt: str) -> tuple[NDArray[np.float32], State]:
    """What may come after a prompt: log-probs [V], and the state."""
    state = lm.initial_state()
    for token in [lm.config.bos_token_id, *lm.tokenizer.encode(prompt).tolist()]:
        log_probs, state = lm.step([token], state)
    return log_probs[0], state


def plain_beam_search(
    lm: LanguageModel, prompt: str, beam_size: int, max_tokens: int, length_penalty: float
) -> Found:
    """Every hypothesis steps by itself, with all the tokens there are, until all have ended."""
    live: list[tuple[Tokens, float, NDArray[np.float32], State]]
    live = [((), 0.0, *after_prompt(lm, prompt))]
    finished: Found = []
    while live:
        candidates = [
            ((*tokens, token), total + float(log_prob), state)
            for tokens, total, log_probs, state in live
            for token, log_prob in enumerate(log_probs)
            if token != lm.config.bos_token_id or token == lm.config.eos_token_id
        ]
        candidates.sort(key=lambda candidate: -candidate[1])
        live = []
        for tokens, total, state in candidates[: beam_size - len(finished)]:
            if tokens[-1] == lm.config.eos_token_id or len(tokens) == max_tokens:
                finished.append((tokens, total))
            else:
                log_probs, after = lm.step(tokens[-1:], state)
                live.append((tokens, total, log_probs[0], after))
    return ranked(finished, length_penalty)


def ranked(found: Found, length_penalty: float) -> Found:
    return sorted(found, key=lambda one: -one[1] / len(one[0]) ** length_penalty)


def everything(lm: LanguageModel, prompt: str, max_tokens: int) -> Iterator[tuple[Tokens, float]]:
    """All continuations there are."""

    def follow(
        tokens: Tokens, total: float, log_probs: NDArray[np.float32], state: State
    ) -> Iterator[tuple[Tokens, float]]:
        for token in set(range(lm.vocab_size)) - {lm.config.bos_token_id}:
            longer, log_prob = (*tokens, token), total + float(log_probs[token])
            if token == lm.config.eos_token_id or len(longer) == max_tokens:
                yield longer, log_prob
            else:
                following, after = lm.step([token], state)
                yield from follow(longer, log_prob, following[0], after)

    return follow((), 0.0, *after_prompt(lm, prompt))


def same(samples: list[Sample], expected: Found) -> None:
    assert [tuple(token.id for token in sample.tokens) for sample in samples] == [
        tokens for tokens, _ in expected
    ]
    for sample, (_, log_prob) in zip(samples, expected, strict=True):
        assert sample.log_prob == pytest.approx(log_prob, abs=1e-4)


@settings(max_examples=30)
@given(
    prompt=PROMPTS,
    beam_size=st.integers(1, 7),
    max_tokens=st.integers(1, 6),
    length_penalty=st.sampled_from([-1.0, 0.0, 0.6, 1.0, 2.0]),
)
@pytest.mark.parametrize("name", ["lm", "document_lm"])
def test_it_is_the_plain_search(
    request: pytest.FixtureRequest,
    name: str,
    prompt: str,
    beam_size: int,
    max_tokens: int,
    length_penalty: float,
) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    found = lm.beam_search(
        prompt, beam_size=beam_size, max_tokens=max_tokens, length_penalty=length_penalty
    )
    same(found, plain_beam_search(lm, prompt, beam_size, max_tokens, length_penalty))


@settings(max_examples=20)
@given(prompt=PROMPTS, length_penalty=st.sampled_from([0.0, 1.0]))
def test_a_beam_as_wide_as_the_tree_finds_everything(
    tiny: LanguageModel, prompt: str, length_penalty: float
) -> None:
    expected = ranked(list(everything(tiny, prompt, 3)), length_penalty)
    assert len(expected) == 1 + 4 + 16 * 5
    options: dict[str, Any] = {"max_tokens": 3, "length_penalty": length_penalty, "unk": True}
    same(tiny.beam_search(prompt, beam_size=85, **options), expected)
    same(tiny.beam_search(prompt, beam_size=1000, **options), expected)
    assert math.fsum(math.exp(log_prob) for _, log_prob in expected) < 1


@settings(max_examples=30)
@given(
    prompt=PROMPTS,
    beam_size=st.integers(1, 6),
    data=st.data(),
    length_penalty=st.floats(-2, 2),
)
def test_to_stop_early_changes_nothing(
    lm: LanguageModel, prompt: str, beam_size: int, data: st.DataObject, length_penalty: float
) -> None:
    num_results = data.draw(st.integers(1, beam_size))
    found = lm.beam_search(
        prompt,
        beam_size=beam_size,
        num_results=num_results,
        max_tokens=8,
        length_penalty=length_penalty,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BeamSearch, "_is_decided", lambda _: False)
        everything = lm.beam_search(
            prompt, beam_size=beam_size, max_tokens=8, length_penalty=length_penalty
        )
    assert found == everything[:num_results]


def test_it_stops_early(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    read = BeamSearch._read

    def counted(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        return read(*args)

    monkeypatch.setattr(BeamSearch, "_read", counted)
    tiny.beam_search("the", beam_size=20, max_tokens=50, num_results=3, length_penalty=0)
    assert 0 < steps < 10


@settings(max_examples=20)
@given(prompt=PROMPTS)
def test_a_beam_of_one_is_greedy(lm: LanguageModel, prompt: str) -> None:
    (greedy,) = lm.sample(prompt, temperature=0, max_tokens=12)
    assert lm.beam_search(prompt, beam_size=1, max_tokens=12) == [greedy]


@pytest.mark.parametrize("name", ["lm", "bpe_lm", "lm_int8"])
def test_results_are_ordered_and_scored(request: pytest.FixtureRequest, name: str) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    found = lm.beam_search("the cat", beam_size=5, max_tokens=6, length_penalty=0.5)
    ranks = [sample.log_prob / len(sample.tokens) ** 0.5 for sample in found]
    assert ranks == sorted(ranks, reverse=True)
    for sample in found:
        assert sample.log_prob == pytest.approx(sum(token.log_prob for token in sample.tokens))
        assert (sample.finish_reason == "eos") == (sample.tokens[-1].text == "</s>")
        assert (sample.finish_reason == "length") == (sample.tokens[-1].text != "</s>")
    assert lm.beam_search("the cat", beam_size=5, max_tokens=6, length_penalty=0.5) == found
    fewer = lm.beam_search("the cat", beam_size=5, max_tokens=6, length_penalty=0.5, num_results=2)
    assert fewer == found[:2]


def test_length_penalty_reorders(tiny: LanguageModel) -> None:
    orders = [
        [len(sample.tokens) for sample in tiny.beam_search("the", max_tokens=9, length_penalty=p)]
        for p in (-10, 10)
    ]
    assert orders[0] == sorted(orders[0])
    assert orders[1] == sorted(orders[1], reverse=True)
    assert orders[0] != orders[1]


def test_a_cut_hypothesis_says_so(lm: LanguageModel) -> None:
    found = lm.beam_search(max_tokens=1, beam_size=60, unk=True)
    reasons = {sample.tokens[0].text: sample.finish_reason for sample in found}
    assert len(found) == len(reasons) == lm.vocab_size - 1  # fewer than wanted: no <s>
    assert "<s>" not in reasons
    assert "<unk>" in reasons
    known = lm.beam_search(max_tokens=1, beam_size=60)
    assert {sample.tokens[0].text for sample in known} == reasons.keys() - {"<unk>"}
    assert [text for text, reason in reasons.items() if reason == "eos"] == ["</s>"]
    assert set(reasons.values()) == {"eos", "length"}


def test_it_stops_before_a_stop_string(lm: LanguageModel) -> None:
    best = max(lm.beam_search("the", max_tokens=6), key=lambda sample: len(sample.tokens))
    word = best.text.split()[1]
    found = lm.beam_search("the", max_tokens=6, stop=[word])
    stopped = [sample for sample in found if sample.finish_reason == "stop"]
    assert stopped
    assert all(word not in sample.text for sample in found)


def test_continuations_keep_to_a_constraint(lm: LanguageModel) -> None:
    pytest.importorskip("llguidance")
    found = lm.beam_search("the", max_tokens=4, beam_size=6, allowed_words=["cat", "sat"])
    assert len(found) == 6
    assert {word for sample in found for word in sample.text.split()} == {"cat", "sat"}
    ranks = [sample.log_prob / len(sample.tokens) for sample in found]
    assert ranks == sorted(ranks, reverse=True)


def test_hypotheses_that_a_constraint_leads_nowhere(lm: LanguageModel) -> None:
    pytest.importorskip("llguidance")
    with pytest.raises(OptionError, match=r"pattern: .* cannot spell what has to come after"):
        lm.beam_search("the", pattern="(cat|dog) xyzzy")
    (only,) = lm.beam_search("the", pattern="cat( xyzzy)?", max_tokens=5)
    assert (only.text.strip(), only.finish_reason) == ("cat", "eos")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size"),
        ({"beam_size": 2.5}, "beam_size"),
        ({"num_results": 0}, "num_results"),
        ({"num_results": 5}, r"num_results must be at most beam_size \(4\), not 5"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"length_penalty": math.nan}, r"length_penalty must be a number in -10\.\.10, not nan"),
        ({"length_penalty": 11}, r"length_penalty must be a number in -10\.\.10, not 11"),
        ({"length_penalty": "1"}, "length_penalty must be a number"),
        ({"stop": "fish"}, "stop must be"),
        ({"stop": [""]}, "stop must be"),
        ({"allowed_words": []}, "allowed_words"),
        ({"pattern": "("}, "pattern"),
    ],
)
def test_impossible_options(lm: LanguageModel, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        lm.beam_search("the", **options)


def test_a_prompt_is_a_string(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="expected a string, got NoneType"):
        lm.beam_search(None)  # type: ignore[arg-type]


def test_the_bound_of_a_live_hypothesis() -> None:
    options = BeamOptions(beam_size=1, num_results=1, max_tokens=10, length_penalty=1.0, stop=())
    assert options.rank(-6.0, 3) == -2.0
    assert options.best_rank(-6.0, 3) == -0.6
