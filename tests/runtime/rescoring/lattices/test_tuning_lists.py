"""Lists of lattices for tuning: what weights mean to the search, and lists that grow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices import (
    Lattice,
    LatticeLists,
    LatticeOptions,
    Scales,
    first_options,
    n_best,
    rescore_lattice,
    weighted_options,
)
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList, Weights
from tests.runtime.rescoring.lattices.drawn import lattices

EXACT = LatticeOptions(order=None, beam=None, max_tokens=None)
WEIGHTS = Weights({"acoustic": 0.5, "lm": 2.0, "lmscore": 3.0}, -0.75)

numbers = st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3)


def grown(lm: LanguageModel, lattice: Lattice, options: LatticeOptions = EXACT) -> LatticeLists:
    return LatticeLists.of(lm, [lattice], ["anything"], options)


@given(
    st.floats(0.01, 3),
    numbers,
    numbers,
    numbers,
    st.lists(st.floats(-50, 0), min_size=3, max_size=3),
)
def test_totals_are_the_weights_up_to_a_factor(
    acoustic: float, old: float, new: float, penalty: float, values: list[float]
) -> None:
    features = dict(zip(("acoustic", "lm", "lmscore"), values, strict=True))
    weights = Weights({"acoustic": acoustic, "lm": old, "lmscore": new}, penalty)
    scales = weighted_options(EXACT, weights).scales(Scales(7.0, 7.0, 7.0))
    (expected,) = weights.combine(NBestList("u", (Hypothesis("a b c", features),)))
    total = (
        scales.acoustic * values[0]
        + scales.lm * (scales.old_weight * values[1] + scales.new_weight * values[2])
        + 3 * scales.word_penalty
    )
    assert acoustic * total == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (Weights({"acoustic": 1, "rank": 1}), "lattices have no score 'rank' that weights could"),
        (Weights({"acoustic": 1, "lm": 1}, 0, 1), "cannot be normalised by their lengths"),
        (Weights({"acoustic": -1, "lm": 1}), "the weight of 'acoustic' is -1, but must be above 0"),
        (Weights({"lm": 1}), "the weight of 'acoustic' is 0, but must be above 0"),
        (Weights({"acoustic": 1}), "neither 'lmscore' nor 'lm' has a weight other than 0"),
    ],
)
def test_weights_that_no_search_has(weights: Weights, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        weighted_options(EXACT, weights)


def test_limits_of_the_search_are_kept() -> None:
    options = LatticeOptions(order=3, beam=5.0, max_tokens=7, prepare=str.lower)
    found = weighted_options(options, WEIGHTS)
    assert (found.order, found.beam, found.max_tokens, found.prepare) == (3, 5.0, 7, str.lower)


@settings(max_examples=25)
@given(lattices())
def test_a_list_holds_the_best_texts_once_with_exact_scores(
    lm: LanguageModel, lattice: Lattice
) -> None:
    lists = grown(lm, lattice)
    options = weighted_options(EXACT, WEIGHTS)
    assert sum(lists.grow(options)) == len(lists.lists[0].hypotheses) - 1
    assert sum(lists.grow(options)) == 0
    (nbest,) = lists.lists
    assert nbest.hypotheses[0].text == n_best(lattice, 1)[0].text
    best = rescore_lattice(lm, lattice, options).best
    chosen = WEIGHTS.best(nbest)
    assert chosen is not None
    total = WEIGHTS.combine(nbest)[chosen]
    assert 0.5 * best.total == pytest.approx(total, abs=1e-2)
    for hypothesis in nbest.hypotheses:
        score = lm.score(hypothesis.text, context="sentence")
        assert hypothesis.features["lmscore"] == pytest.approx(score.log_prob, abs=1e-4)


@settings(max_examples=10)
@given(lattices())
def test_more_searches_keep_what_is_there(lm: LanguageModel, lattice: Lattice) -> None:
    lists, before = grown(lm, lattice), 1
    for options in first_options(EXACT):
        held = lists.lists[0].hypotheses
        before += sum(lists.grow(options))
        assert lists.lists[0].hypotheses[: len(held)] == held
    keys = [(h.text, *h.features.values()) for h in lists.lists[0].hypotheses]
    assert len(set(keys)) == len(keys) == before


@settings(max_examples=10)
@given(lattices())
def test_the_model_reads_prepared_words(lm: LanguageModel, lattice: Lattice) -> None:
    prepared = replace(EXACT, prepare=lambda word: "" if word == "the" else word.upper())
    lists = grown(lm, lattice, prepared)
    (first,) = lists.lists[0].hypotheses
    read = " ".join(word.upper() for word in first.text.split() if word != "the")
    score = lm.score(read, context="sentence")
    assert first.features["lmscore"] == pytest.approx(score.log_prob, abs=1e-4)


def test_a_feature_with_a_name_of_the_lattice_s_own(lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match="lattices have a score 'lm' already"):
        LatticeLists.of(lm, [], [], EXACT, feature="lm")
