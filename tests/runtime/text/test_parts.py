"""The parts of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.names import Split
from lmscore.runtime.text import split_text, text_parts

TEXTS = st.text(st.sampled_from("ab .!?\n\r\t\u2028"), max_size=20)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a b", ["a b"]),
        ("a\nb\r\nc\rd", ["a", "b", "c", "d"]),
        ("\n\na\n \t\n\nb \n", ["a", "b "]),
        ("a\u2028b\x0bc", ["a\u2028b\x0bc"]),
        ("", [""]),
        (" \n\r\n", [""]),
        ("  ", [""]),
    ],
)
def test_lines(text: str, parts: list[str]) -> None:
    assert split_text(text, "lines") == parts


def test_sentences() -> None:
    pytest.importorskip("sentencex")
    text = " Dr. Smith was late.  He went\nhome! \n\nWhy? "
    parts = text_parts(text, "sentences")
    assert [part.text for part in parts] == ["Dr. Smith was late.", "He went home!", "Why?"]
    for part in parts:
        assert text[part.start :].replace("\n", " ").startswith(part.text)
    assert split_text("今日は。明日は。", "sentences", "ja") == ["今日は。", "明日は。"]
    assert split_text(" \n ", "sentences") == [""]


@given(TEXTS, st.sampled_from(["lines", "sentences", "none"]))
def test_parts_are_the_text_without_white_space_between(text: str, split: Split) -> None:
    pytest.importorskip("sentencex")
    parts = text_parts(text, split)
    assert parts
    end = 0
    for part in parts:
        if text.strip() and split != "none":
            assert part.text.strip()
            assert not text[end : part.start].strip()
        found = text[part.start : part.start + len(part.text)]
        assert found.translate({10: " ", 13: " "}) == part.text.translate({10: " ", 13: " "})
        end = part.start + len(part.text)
    assert not text[end:].strip()


def test_no_such_way() -> None:
    with pytest.raises(OptionError, match="split must be lines, sentences or none, not 'words'"):
        text_parts("a", "words")  # type: ignore[arg-type]
