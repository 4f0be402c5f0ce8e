"""Lists in capitals, and lists whose subwords are not joined."""

from __future__ import annotations

import math

import pytest

from lmscore.runtime.rescoring.lists import CaseLikelihood, TextForm, ahead, case_likelihood
from tests.runtime.rescoring.toys import END, UNK, Unigram, make_list

LOWER = Unigram("lower", {"he": 0.25, "passed": 0.25, UNK: 0.125, END: 0.5})
UPPER = Unigram("upper", {"HE": 0.25, "PASSED": 0.25, UNK: 0.0625, END: 0.5})


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["HE PASSED THE DOOR", "HE PAST THE DOOR"], TextForm(True, None)),
        (["HE PASSED THE DOOR <unk>"] * 10, TextForm(False, None)),
        (
            ["HE PASSED THE OLD WOODEN DOOR AGAIN AND AGAIN THEN WENT FAR AWAY x"],
            TextForm(True, None),
        ),
        (["He passed the door"], TextForm(False, None)),
        (["NASA"], TextForm(False, None)),
        (["他走过了门", "7 8"], TextForm(False, None)),
        ([], TextForm(False, None)),
        (["mini@@ ster pre@@ sident"], TextForm(False, "@@")),
        (["▁HE ▁PASS ED ▁THE ▁DOOR"], TextForm(True, "▁")),
        (["mail @@ home"], TextForm(False, None)),
    ],
)
def test_forms(texts: list[str], form: TextForm) -> None:
    assert TextForm.of([make_list(*texts)]) == form


def test_the_form_is_that_of_prepared_texts() -> None:
    nbest = make_list("<UNK> <UNK> <UNK> <UNK>")
    assert TextForm.of([nbest]).in_capitals
    assert not TextForm.of([nbest], lambda text: text.replace("<UNK>", "")).in_capitals


def test_what_the_models_prefer() -> None:
    lists = [make_list("HE PASSED", "not looked at"), make_list(), make_list("HE")]
    found = case_likelihood(lists, [LOWER])
    assert found.as_given == pytest.approx(math.log(0.125**3 * 0.25))
    assert found.lower == pytest.approx(math.log(0.25**3 * 0.25))
    assert found.prefers_lower
    assert not case_likelihood(lists, [UPPER]).prefers_lower
    both = case_likelihood(lists, [LOWER, UPPER])
    assert both.lower == pytest.approx(found.lower + math.log(0.0625**3 * 0.25))
    assert not CaseLikelihood(-1.0, -1.0).prefers_lower


def test_lists_that_are_looked_at_are_not_lost() -> None:
    lists = [make_list("a", key=key) for key in "uvw"]
    for count in (0, 2, 9):
        first, every = ahead(iter(lists), count)
        assert first == lists[:count]
        assert list(every) == lists
