from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.bundle import Cell, TokenizerKind
from lmscore.errors import InputError, ModelError, OptionError
from lmscore.runtime.engine import SHARING_METHODS, Engine, Graph, SharingMethod, State, shared_rows
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models import list_windows
from lmscore.runtime.rescoring.models.list_scoring import ListScores, score_lists
from lmscore.runtime.scoring.score import Score
from tests.models import make_model

Lists = list[list[str]]

_texts = st.lists(st.sampled_from(["the", "cat", "dog", "xyzzy", "é"]), max_size=5).map(" ".join)
_lists = st.lists(st.lists(_texts, max_size=5), max_size=5)

# Three layouts of weights and tokenizers, and every cell.
_MODELS: list[tuple[Cell, int, bool, TokenizerKind]] = [
    ("lstm", 1, True, "word"),
    ("lstm", 2, False, "bpe"),
    ("gru", 2, True, "char"),
    ("rnn-tanh", 1, True, "bpe"),
    ("rnn-relu", 1, True, "word"),
]


@pytest.fixture(scope="module", params=_MODELS, ids=lambda model: "-".join(map(str, model)))
def models(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, LanguageModel]:
    """One model in fp32 and int8."""
    cell, layers, tied, tokenizer = request.param
    path = tmp_path_factory.mktemp("model") / "model"
    options = {"layers": layers, "tied": tied, "variants": ("fp32", "int8")}
    make_model(path, cell=cell, tokenizer=tokenizer, **options)
    return {variant: load(path, variant=variant) for variant in ("fp32", "int8")}


def flat_scores(
    lm: LanguageModel, lists: Lists, *, bos: bool = True, eos: bool = True
) -> list[list[Score]]:
    every = chain.from_iterable(lists)
    scores = lm.score_stream(every, bos=bos, eos=eos, context="sentence", tokens=False)
    return [list(islice(scores, len(texts))) for texts in lists]


def assert_same(
    lm: LanguageModel, lists: Sequence[ListScores], expected: Sequence[Sequence[Score]]
) -> None:
    found = [some.scores for some in lists]
    record = lm.config.graphs[lm.variant]
    # Twice: the largest of a sample bounds no other one. It is 0 but for int8 rnn-relu.
    per_token = 1e-5 + 2 * record.max_batching_difference
    assert [len(scores) for scores in found] == [len(scores) for scores in expected]
    for a, b in zip(chain(*found), chain(*expected), strict=True):
        assert (a.text, a.num_tokens, a.num_words) == (b.text, b.num_tokens, b.num_words)
        assert (a.num_oov, a.num_ends, a.tokens) == (b.num_oov, b.num_ends, ())
        assert a.log_prob == pytest.approx(b.log_prob, abs=per_token * max(1, a.num_tokens))
        assert a.oov_log_prob == pytest.approx(b.oov_log_prob, abs=per_token * max(1, a.num_oov))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    _lists,
    st.booleans(),
    st.booleans(),
    st.sampled_from(SHARING_METHODS),
    st.sampled_from(["fp32", "int8"]),
)
def test_scores_are_those_of_flat_scoring(
    models: dict[str, LanguageModel],
    lists: Lists,
    bos: bool,
    eos: bool,
    method: SharingMethod,
    variant: str,
) -> None:
    lm = models[variant]
    found = list(score_lists(lm, lists, bos=bos, eos=eos, method=method))
    assert_same(lm, found, flat_scores(lm, lists, bos=bos, eos=eos))


@given(_lists, st.integers(1, 4), st.integers(1, 4), st.integers(1, 6))
def test_scores_do_not_depend_on_how_the_work_is_cut(
    lm: LanguageModel, lists: Lists, budget: int, max_rows: int, hypotheses: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "target_budget", budget)
        patch.setattr(shared_rows, "_MAX_STATE_FLOATS", max_rows * 2 * lm.config.hidden_size)
        patch.setattr(list_windows, "_HYPOTHESES", hypotheses)
        found = list(score_lists(lm, lists, method="tree"))
    assert_same(lm, found, flat_scores(lm, lists))


@given(lists=_lists)
def test_int8_scores_are_exactly_those_of_flat_scoring(
    lm_int8: LanguageModel, lists: Lists
) -> None:
    expected = flat_scores(lm_int8, lists)
    for found, flat in zip(score_lists(lm_int8, lists, method="tree"), expected, strict=True):
        for a, b in zip(found.scores, flat, strict=True):
            assert a.log_prob == pytest.approx(b.log_prob, rel=1e-13)


def test_a_document_model_scores_lists_as_sentences(document_lm: LanguageModel) -> None:
    lists = [["the cat", "the dog"], ["the cat"]]
    found = list(score_lists(document_lm, lists, method="tree"))
    assert_same(document_lm, found, flat_scores(document_lm, lists))


def read(lm: LanguageModel, text: str, state: State) -> tuple[float, State]:
    """The log-probability of a text and its end after a state, step by step; and the state."""
    ids = lm.tokenizer.encode(text).tolist()
    total = 0.0
    for token, target in zip(
        [lm.config.bos_token_id, *ids], [*ids, lm.config.eos_token_id], strict=True
    ):
        log_probs, state = lm.step([token], state)
        total += float(log_probs[0, target])
    return total, state


def counted(found: Iterable[ListScores]) -> tuple[int, int]:
    """The tokens of all hypotheses, and how many of them were read."""
    scored = list(found)
    return sum(some.num_tokens for some in scored), sum(some.tokens_read or 0 for some in scored)


@pytest.mark.parametrize("method", SHARING_METHODS)
def test_hypotheses_go_on_from_the_state_of_their_list(
    lm: LanguageModel, method: SharingMethod
) -> None:
    lists = [["the cat sat", "the cat", ""], ["the cat sat"], [], ["the dog"]]
    states = [read(lm, text, lm.initial_state())[1] for text in ("hello", "good bye", "", "so")]
    found = list(score_lists(lm, lists, states=states, method=method))
    assert [len(some.scores) for some in found] == [3, 1, 0, 1]
    for texts, some, state in zip(lists, found, states, strict=True):
        for text, score in zip(texts, some.scores, strict=True):
            assert score.log_prob == pytest.approx(read(lm, text, state)[0], abs=1e-5)


def test_what_is_shared_is_read_once(lm: LanguageModel) -> None:
    lists = [["the cat", "the dog", "the cat"], [""], []]
    found = list(score_lists(lm, lists, method="tree"))
    # <s>, the, cat, dog are read; 3 + 3 + 3 + 1 tokens are predicted.
    assert [len(some.scores) for some in found] == [3, 1, 0]
    assert counted(found) == (10, 4)
    assert sum(some.tokens_saved or 0 for some in found) == 6


def test_without_ends_no_end_is_read(lm: LanguageModel) -> None:
    found = score_lists(lm, [["the cat", "the dog"]], eos=False, method="tree")
    assert counted(found) == (4, 2)  # <s> and the


def test_flat_scoring_reads_duplicates_once(lm: LanguageModel) -> None:
    lists = [["the cat", "the dog"], ["the cat"]]
    assert counted(score_lists(lm, lists, method="flat")) == (9, 6)


@pytest.mark.parametrize(
    ("texts", "tokens_read"),
    [
        # Flat reads 14 tokens; a tree reads 8, but in 7 runs.
        (["the cat sat on a mat", "the cat sat on a dog"], 14),
        # Flat reads 36; a tree of 25 takes 3 runs.
        ([f"w{number} a" for number in range(12)], 36),
        # Flat would read 125; the tree of 29 takes 5 runs.
        ([f"the the the w{number}" for number in range(25)], 29),
    ],
)
def test_auto_takes_what_costs_less(lm: LanguageModel, texts: list[str], tokens_read: int) -> None:
    assert counted(score_lists(lm, [texts]))[1] == tokens_read


def test_lists_are_scored_as_they_come(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_windows, "_HYPOTHESES", 2)
    taken = []

    def lists() -> Iterator[list[str]]:
        for text in ("the", "cat", "sat", "on"):
            taken.append(text)
            yield [text]

    scored = score_lists(lm, lists())
    assert not taken
    first = next(scored)
    assert first.scores[0].text == "the"
    assert taken == ["the", "cat"]
    assert (len(first.scores), first.num_tokens) == (1, 2)
    assert [score.text for some in scored for score in some.scores] == ["cat", "sat", "on"]


def test_no_lists(lm: LanguageModel) -> None:
    assert not list(score_lists(lm, []))
    assert [some.scores for some in score_lists(lm, [[], []])] == [[], []]
    ((score,),) = (some.scores for some in score_lists(lm, [["the"]], bos=False, eos=False))
    assert (score.num_tokens, score.log_prob) == (0, 0.0)


def test_unknown_method(lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match=r"^method must be one of auto, tree, flat, not 'fast'$"):
        score_lists(lm, [], method="fast")  # type: ignore[arg-type]
    assert get_args(SharingMethod) == SHARING_METHODS


def test_an_unreadable_hypothesis_is_named(lm: LanguageModel) -> None:
    lists = [["the"], ["the", "cat"], ["cat", "the", "a \ud800 b"]]
    with pytest.raises(InputError, match=r"^list 3, hypothesis 3: lone surrogate"):
        list(score_lists(lm, lists))


def test_a_state_of_another_model_is_refused(lm: LanguageModel) -> None:
    state = State((np.zeros((1, 1, 5), np.float32),) * 2)
    with pytest.raises(InputError, match=r"^state 'h' is float32 \[1, 1, 5\]"):
        list(score_lists(lm, [["the"]], states=[state]))


@pytest.mark.parametrize("method", ["tree", "flat"])
def test_scores_that_are_not_finite_are_an_error(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, method: SharingMethod
) -> None:
    run = Graph.run

    def broken(*args: Any, **inputs: Any) -> list[Any]:
        first, *rest = run(*args, **inputs)
        return [np.full_like(first, np.nan), *rest]

    monkeypatch.setattr(Graph, "run", broken)
    with pytest.raises(ModelError, match="not finite"):
        list(score_lists(lm, [["the cat"]], method=method))
