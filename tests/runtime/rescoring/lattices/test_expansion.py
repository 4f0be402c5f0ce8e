"""Rescoring is what scoring every path would find, as far as nothing is cut off."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.engine import Engine
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.ngram import count_ngrams, estimate, write_arpa
from lmscore.runtime.rescoring.lattices import (
    Lattice,
    LatticeOptions,
    LatticePath,
    Scales,
    all_paths,
    rescore_lattice,
)
from lmscore.runtime.rescoring.lattices.lattice import END
from lmscore.runtime.rescoring.lists.prepare import preparation
from lmscore.runtime.rescoring.models import Lodr, open_lodr
from tests.runtime.rescoring.lattices.drawn import lattices, make_lattice

EXACT = LatticeOptions(order=None, beam=None, max_tokens=None)
UNPRUNED = LatticeOptions(order=2, beam=None, max_tokens=None)


def log_prob(lm: LanguageModel, text: str) -> float:
    return lm.score(text, context="sentence").log_prob


def close(value: float) -> object:
    return pytest.approx(value, abs=1e-3)


def old_scores(path: LatticePath) -> tuple[tuple[str, ...], float, float]:
    return path.words, round(path.scores.acoustic, 6), round(path.scores.lm, 6)


@settings(max_examples=50)
@given(lattices())
def test_exact_scores_are_those_of_the_texts(lm: LanguageModel, lattice: Lattice) -> None:
    rescored = rescore_lattice(lm, lattice, EXACT)
    paths = list(all_paths(rescored.lattice))
    for path in paths:
        assert path.scores.new_lm == close(log_prob(lm, path.text))
    assert Counter(map(old_scores, paths)) == Counter(map(old_scores, all_paths(lattice)))
    assert rescored.best.total == close(max(path.total for path in paths))


@settings(max_examples=50)
@given(lattices())
def test_in_a_subword_model_too(bpe_lm: LanguageModel, lattice: Lattice) -> None:
    for path in rescore_lattice(bpe_lm, lattice, EXACT).n_best(100):
        assert path.scores.new_lm == close(log_prob(bpe_lm, path.text))


@settings(max_examples=50)
@given(lattices())
def test_the_total_is_the_formula(lm: LanguageModel, lattice: Lattice) -> None:
    options = LatticeOptions(lm_weight=0.75, order=None, beam=None, max_tokens=None)
    for path in rescore_lattice(lm, lattice, options).n_best(100):
        scales = lattice.scales
        lm_score = 0.25 * path.scores.lm + 0.75 * log_prob(lm, path.text)
        expected = scales.acoustic * path.scores.acoustic + scales.lm * lm_score
        assert path.total == pytest.approx(
            expected + scales.word_penalty * len(path.words), abs=0.02
        )


@settings(max_examples=50)
@given(lattices())
def test_an_order_longer_than_all_paths_is_exact(lm: LanguageModel, lattice: Lattice) -> None:
    options = LatticeOptions(order=9, beam=None, max_tokens=None)
    found = rescore_lattice(lm, lattice, options).n_best(100)
    expected = rescore_lattice(lm, lattice, EXACT).n_best(100)
    totals = {path.words: path.total for path in expected}
    assert {path.words: path.total for path in found} == pytest.approx(totals, abs=0.02)


@settings(max_examples=50)
@given(lattices(), st.sampled_from((1, 2, 3)))
def test_recombination_keeps_every_path_and_the_best_score(
    lm: LanguageModel, lattice: Lattice, order: int
) -> None:
    options = LatticeOptions(order=order, beam=None, max_tokens=None)
    rescored = rescore_lattice(lm, lattice, options)
    paths = all_paths(rescored.lattice)
    assert Counter(map(old_scores, paths)) == Counter(map(old_scores, all_paths(lattice)))
    assert rescored.best.scores.new_lm == close(log_prob(lm, rescored.best.text))
    exact = rescore_lattice(lm, lattice, EXACT)
    assert len(rescored.lattice.nodes) <= len(exact.lattice.nodes)
    assert rescored.best.total <= exact.best.total + 0.02


@settings(max_examples=50)
@given(
    lattices(),
    st.sampled_from((None, 0.01, 1.0)),
    st.sampled_from((None, 1, 2)),
    st.sampled_from((None, 1, 3)),
)
def test_pruning_leaves_paths_with_their_scores(
    lm: LanguageModel,
    lattice: Lattice,
    beam: float | None,
    max_tokens: int | None,
    order: int | None,
) -> None:
    options = LatticeOptions(order=order, beam=beam, max_tokens=max_tokens)
    rescored = rescore_lattice(lm, lattice, options)
    there = set(map(old_scores, all_paths(lattice)))
    assert set(map(old_scores, all_paths(rescored.lattice))) <= there
    assert rescored.best.scores.new_lm == close(log_prob(lm, rescored.best.text))
    assert rescored.best.total <= rescore_lattice(lm, lattice, EXACT).best.total + 0.02


@pytest.fixture(scope="module", params=["words", "ids"])
def lodr(request: pytest.FixtureRequest, lm: LanguageModel, tmp_path_factory: Any) -> Lodr:
    """A bigram model over words, of which the toy model does not know some, or over its ids."""
    texts = ["the cat zebra", "the the cat", "sat cat", "zebra the sat", "a"]
    if request.param == "ids":
        texts = [" ".join(map(str, lm.encode(text).tolist())) for text in texts]
    counts = count_ngrams(map(str.split, texts), 2)
    path = tmp_path_factory.mktemp("lodr") / "bigram.arpa"
    write_arpa(estimate(counts, "absolute", discount_fallback=True), path)
    return open_lodr(path, lm)


@settings(max_examples=40)
@given(lattices(), st.booleans())
def test_an_n_gram_beside_the_model(
    lm: LanguageModel, lodr: Lodr, lattice: Lattice, is_exact: bool
) -> None:
    """Every path has the score of its text, and a share of it counts in the total."""
    options = replace(EXACT if is_exact else UNPRUNED, order=None if is_exact else 9)
    rescored = rescore_lattice(lm, lattice, options, lodr=lodr)
    for path in all_paths(rescored.lattice):
        assert path.scores.new_lm == close(log_prob(lm, path.text))
        (text,) = lodr.texts([path.text])
        assert path.scores.lodr == close(lodr.ngram.score(text).log_prob)
    scales = rescored.lattice.scales
    assert (scales.new_weight, scales.lodr_weight) == (0.5, -0.25)
    without = rescore_lattice(lm, lattice, options)
    assert without.lattice.scales.lodr_weight == 0
    weightless = rescore_lattice(lm, lattice, replace(options, lodr_weight=0.0), lodr=lodr)
    assert weightless.best.total == close(without.best.total)


def test_tokens_at_a_node_are_recombined_by_their_last_words(lm: LanguageModel) -> None:
    rows = [(0, 1, "the", -1.0, 0.0), (0, 1, "a", -2.0, 0.0), (1, 2, "cat", 0.0, 0.0)]
    lattice = make_lattice([*rows, (2, 3, "sat", 0.0, 0.0)], {3: 0})
    sizes = {
        order: len(rescore_lattice(lm, lattice, LatticeOptions(order=order)).lattice.nodes)
        for order in (1, 2, 3, 4, None)
    }
    assert sizes == {1: 4, 2: 5, 3: 6, 4: 7, None: 7}


def test_limits_leave_the_best_tokens(lm: LanguageModel) -> None:
    rows = [(0, 1, "the", -1.0, 0.0), (0, 1, "a", -40.0, 0.0), (0, 1, "cat", -80.0, 0.0)]
    lattice = make_lattice(rows, {1: 0})

    def texts(options: LatticeOptions) -> list[str]:
        return [path.text for path in rescore_lattice(lm, lattice, options).n_best(5)]

    assert texts(UNPRUNED) == ["the", "a", "cat"]
    assert texts(LatticeOptions(order=2, beam=None, max_tokens=2)) == ["the", "a"]
    assert texts(LatticeOptions(order=2, beam=60, max_tokens=None)) == ["the", "a"]
    assert texts(LatticeOptions(order=2, beam=60, max_tokens=None, lm_scale=0.1)) == ["the"]


def test_what_begins_alike_is_read_once(lm: LanguageModel, bpe_lm: LanguageModel) -> None:
    rows = [(0, 1, "the", 0.0, 0.0), (0, 2, "the", -1.0, 0.0), (1, 3, "cat", 0.0, 0.0)]
    lattice = make_lattice([*rows, (2, 3, "sat", 0.0, 0.0)], {3: 0})
    assert rescore_lattice(lm, lattice, EXACT).num_read == 4  # <s>, the, cat and sat before </s>
    words = [bpe_lm.tokenizer.encode(text) for text in ("the cat", "the sat")]
    shared = sum(bool(a == b) for a, b in zip(*words, strict=False))
    distinct = 1 + sum(map(len, words)) - shared
    assert rescore_lattice(bpe_lm, lattice, EXACT).num_read == distinct


def test_the_end_is_scored_on_its_arc_if_there_is_one(lm: LanguageModel) -> None:
    lattice = make_lattice([(0, 1, "the", 0.0, 0.0), (1, 2, END, 0.0, -1.0)], {2: 0})
    rescored = rescore_lattice(lm, lattice, EXACT).lattice
    assert rescored.finals[2].new_lm == 0
    assert rescored.arcs[1].scores.new_lm < 0


def test_words_that_the_model_does_not_read(lm: LanguageModel) -> None:
    rows = [(0, 1, "The", 0.0, 0.0), (1, 2, "[noise]", 0.0, 0.0), (2, 3, "CAT", 0.0, 0.0)]
    prepare = preparation(remove=["[noise]"], lowercase=True)
    rescored = rescore_lattice(lm, make_lattice(rows, {3: 0}), LatticeOptions(prepare=prepare))
    assert rescored.best.text == "The [noise] CAT"
    assert rescored.best.scores.new_lm == close(log_prob(lm, "the cat"))


def test_the_old_model_is_kept_where_it_was_taken_out_before(lm: LanguageModel) -> None:
    lattice = make_lattice([(0, 1, "the", -1.0, -2.0)], {1: -3})
    options = LatticeOptions(lm_weight=0.5, old_lm_weight=1.0)
    best = rescore_lattice(lm, lattice, options).best
    assert best.total == close(-6 + 0.5 * log_prob(lm, "the"))


def test_an_empty_lattice_comes_back(lm: LanguageModel) -> None:
    empty = Lattice("utt", (), 0, (), {}, text="utt \n\n")
    rescored = rescore_lattice(lm, empty)
    assert rescored.lattice is empty
    assert (rescored.best.text, rescored.best.total, rescored.num_read) == ("", 0, 0)


def test_a_word_after_the_end(lm: LanguageModel) -> None:
    lattice = make_lattice([(0, 1, END, 0.0, 0.0), (1, 2, "the", 0.0, 0.0)], {2: 0})
    with pytest.raises(InputError, match=r"^lattice 'utt': the word 'the' comes after </s>$"):
        rescore_lattice(lm, lattice)


def test_no_path(lm: LanguageModel) -> None:
    with pytest.raises(
        InputError, match=r"^lattice 'utt': no path leads from its start to its end"
    ):
        rescore_lattice(lm, make_lattice([(1, 2, "the", 0.0, 0.0)], {2: 0}))


def test_a_language_model_that_does_not_count(lm: LanguageModel) -> None:
    lattice = make_lattice([(0, 1, "the", 0.0, 0.0)], {1: 0}, scales=Scales(lm=0))
    with pytest.raises(OptionError, match=r"^lattice 'utt' has the language model scale 0; give"):
        rescore_lattice(lm, lattice)
    assert rescore_lattice(lm, lattice, LatticeOptions(lm_scale=1)).best.text == "the"


@given(lattices())
def test_runs_of_the_graph_may_be_small(lm: LanguageModel, lattice: Lattice) -> None:
    expected = rescore_lattice(lm, lattice, EXACT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "target_budget", 2)
        found = rescore_lattice(lm, lattice, EXACT)
    assert found.num_read == expected.num_read
    assert found.best.total == close(expected.best.total)


def test_a_model_that_reads_backwards(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm, "config", replace(lm.config, direction="backward"))
    with pytest.raises(OptionError, match=r"^a model with direction backward cannot rescore lat"):
        rescore_lattice(lm, make_lattice([(0, 1, "the", 0.0, 0.0)], {1: 0}))


def test_what_was_impossible_stays_so(lm: LanguageModel) -> None:
    rows = [(0, 1, "the", 0.0, -math.inf), (0, 1, "a", -90.0, 0.0), (1, 2, "cat", 0.0, 0.0)]
    lattice = make_lattice(rows, {1: -math.inf, 2: 0})
    options = LatticeOptions(lm_weight=1.0, order=None, beam=None, max_tokens=None)
    assert [path.text for path in rescore_lattice(lm, lattice, options).n_best(9)] == ["a cat"]
