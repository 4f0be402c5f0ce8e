"""Marks at the ends of a hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.rescoring.lists import MARKS, without_marks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<s> he passed the door </s>", "he passed the door"),
        ("<sos/eos> a <eos>", "a"),
        ("<blank> <s>  a  b </s> </s>", "a  b"),
        ("<s> </s>", ""),
        ("<s>", ""),
        ("a <s> b", "a <s> b"),  # in the middle it is a word
        ("<unk> a <unk>", "<unk> a <unk>"),
        (" a < b ", " a < b "),
        (" <s> a ", "a "),
        (" <s>a </s>", " <s>a"),
        ("", ""),
    ],
)
def test_marks(text: str, expected: str) -> None:
    assert without_marks(text) == expected


def test_a_text_of_blanks_is_searched_once() -> None:
    blanks = " " * 100_000
    assert without_marks(f"<a{blanks}b") == f"<a{blanks}b"
    assert without_marks(f"<s> a{blanks}b{blanks}</s>{blanks}") == f"a{blanks}b"


WORDS = st.lists(st.sampled_from(["a", "<s>", "</s>", "<unk>", "b", "<eos>"]))


@given(WORDS)
def test_what_is_left_has_no_marks_at_its_ends(words: list[str]) -> None:
    left = without_marks(" ".join(words)).split()
    assert not MARKS.intersection(left[:1] + left[-1:])
    assert [w for w in left if w not in MARKS] == [w for w in words if w not in MARKS]
