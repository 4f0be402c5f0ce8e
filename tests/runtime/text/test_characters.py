"""User-perceived characters, after examples of Unicode Standard Annex 29."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.text.characters import character_spans, extends_character, is_spaceless


@pytest.mark.parametrize(
    "characters",
    [
        ["a", "b", " ", "c"],
        ["g\u0308", "x"],
        ["\r\n", "a", "\n", "\u0308"],
        ["\u1100\u1161\u11a8", "\u1100"],
        ["\uac00\u11a8", "\uac01\u11a8", "\uac00", "\u1100"],
        ["\u0e01\u0e33"[:1], "\u0e14\u0e35", "\u0e01"],
        ["\u0928\u093f", "\u0937\u0947"],
        ["\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7", "\U0001f1ea"],
        ["\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "!"],
        ["\u79e6", "\u5ddd"],
    ],
)
def test_characters(characters: list[str]) -> None:
    text = "".join(characters)
    assert [text[start:end] for start, end in character_spans(text)] == characters


@given(st.text())
def test_they_cover_the_text(text: str) -> None:
    spans = list(character_spans(text))
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


def test_marks_extend() -> None:
    assert extends_character("\u0301")
    assert not extends_character("e")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u79e6\u5ddd", True),
        ("\u3072\u3089\u304c\u306a abc", True),
        ("\u0e20\u0e32\u0e29\u0e32", True),
        ("plain \u79e6", False),
        ("\ud55c\uad6d\uc5b4", False),
        ("", False),
        ("12 !", False),
    ],
)
def test_scripts_without_spaces(text: str, expected: bool) -> None:
    assert is_spaceless(text) is expected
