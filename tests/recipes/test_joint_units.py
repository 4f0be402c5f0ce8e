"""Joint units of letters and phones: alignments by hand, and words pronounced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from joint_units import Pronouncer, align, learn_units, parse_unit, unit_name

import lmscore
from lmscore.runtime.ngram import count_ngrams, estimate, write_arpa

PAIRS = [
    ("ab", ("A", "B")),
    ("ax", ("A", "K", "S")),
    ("ba", ("B", "A")),
    ("abe", ("A", "B")),
    ("pha", ("F", "A")),
    ("apha", ("A", "F", "A")),
    ("xab", ("K", "S", "A", "B")),
    ("be", ("B",)),
    ("a", ("A",)),
    ("b", ("B",)),
    ("bab", ("B", "A", "B")),
]


def test_a_unit_is_a_word() -> None:
    for unit in (("ph", ("F",)), ("x", ("K", "S")), ("e", ())):
        assert parse_unit(unit_name(*unit)) == unit
    assert unit_name("x", ("K", "S")) == "x}K|S"
    assert unit_name("e", ()) == "e}_"
    assert parse_unit("</s>") is None


def test_units_are_learnt_from_pairs_alone() -> None:
    units = learn_units(PAIRS)
    assert sum(units.values()) == pytest.approx(1)
    assert align(("xab", ("K", "S", "A", "B")), units) == ["x}K|S", "a}A", "b}B"]
    assert align(("apha", ("A", "F", "A")), units) == ["a}A", "ph}F", "a}A"]
    assert align(("abe", ("A", "B")), units) in (["a}A", "b}B", "e}_"], ["a}A", "be}B"])


def test_a_word_of_too_many_phones_has_no_alignment() -> None:
    assert align(("a", ("A", "B", "A")), learn_units(PAIRS)) is None


def test_a_model_of_units_pronounces_words_it_has_not_seen(tmp_path: Path) -> None:
    units = learn_units(PAIRS)
    rows = [row for pair in PAIRS if (row := align(pair, units))]
    write_arpa(estimate(count_ngrams(rows, 2), "add-k"), tmp_path / "units.arpa")
    pronounce = Pronouncer(lmscore.load(tmp_path / "units.arpa"))
    (best, log_prob), *others = pronounce("baxa")
    assert best == "B A K S A"
    assert log_prob < 0
    assert all(worse <= log_prob for _, worse in others)
    assert pronounce("z") == []


def test_several_models_are_their_mean(tmp_path: Path) -> None:
    units = learn_units(PAIRS)
    rows = [row for pair in PAIRS if (row := align(pair, units))]
    models = []
    for order in (1, 2):
        path = tmp_path / f"{order}.arpa"
        write_arpa(estimate(count_ngrams(rows, order), "add-k"), path)
        models.append(lmscore.load(path))
    (word, one), *_ = Pronouncer(models[0])("a")
    (_, other), *_ = Pronouncer(models[1])("a")
    (_, same), *_ = Pronouncer(models[0], models[0])("a")
    assert same == pytest.approx(one)
    chances = []
    for lm in models:
        ids = [lm.tokenizer.tokens(list(range(lm.vocab_size))).index(word) for word in ("a}A",)]
        first, state = lm.step([lm.config.bos_token_id], lm.initial_state())
        after, _ = lm.step(ids, state)
        chances.append((first[0, ids[0]], after[0, lm.config.eos_token_id]))
    mean = np.log(np.exp(np.array(chances)).mean(axis=0)).sum()
    (found, log_prob), *_ = Pronouncer(*models)("a")
    assert found == word
    assert log_prob == pytest.approx(mean, abs=1e-5)
    assert min(one, other) < mean < max(one, other)
