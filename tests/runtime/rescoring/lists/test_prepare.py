"""From the text of a hypothesis to the text that is scored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.names import SubwordMark
from lmscore.runtime.rescoring.lists.prepare import join_subwords, preparation


@pytest.mark.parametrize(
    ("mark", "text", "expected"),
    [
        ("@@", "Ministerp@@ räsi@@ denten treffen", "Ministerpräsidenten treffen"),
        ("@@", "cut o@@", "cut o"),
        ("@@", "a@b @@@ c", "a@b @c"),
        ("@@", "no  mark ", "no  mark "),
        ("▁", "▁the ▁cat s ▁sat", "the cats sat"),
        ("▁", "▁the▁cats▁sat", "the cats sat"),
        ("▁", "no  mark ", "no  mark "),
        ("▁", "", ""),
    ],
)
def test_subwords_are_joined(mark: SubwordMark, text: str, expected: str) -> None:
    assert join_subwords(text, mark) == expected


@given(
    st.lists(st.lists(st.text("abc", min_size=1), min_size=1).map(tuple), min_size=1),
    st.sampled_from(["@@", "▁"]),
)
def test_joining_undoes_splitting(words: list[tuple[str, ...]], mark: SubwordMark) -> None:
    split = "@@ ".join if mark == "@@" else " ".join
    text = " ".join(("" if mark == "@@" else mark) + split(word) for word in words)
    assert join_subwords(text, mark) == " ".join(map("".join, words))


def test_words_are_removed() -> None:
    prepare = preparation(remove=["<unk>", "[noise]", "-pau-"])
    assert prepare("-pau- a <unk> b[noise] [noise]") == "a b[noise]"
    assert prepare("[NOISE]") == "[NOISE]"
    assert prepare("-pau-") == ""


@pytest.mark.parametrize(
    ("mark", "text"), [("▁", "▁i ▁saw <unk> ▁to day"), ("@@", "i saw <unk> to@@ day")]
)
def test_words_are_removed_before_joining_too(mark: SubwordMark, text: str) -> None:
    assert preparation(join=mark, remove=["<unk>"])(text) == "i saw today"
    assert preparation(join=mark, remove=["today"])(text).split()[-1] != "today"


def test_everything_at_once() -> None:
    prepare = preparation(join="▁", remove=["<unk>"], lowercase=True)
    assert prepare("▁The▁<unk>▁CAT") == "the cat"


@given(st.text())
def test_without_options_a_text_stays_as_it_is(text: str) -> None:
    assert preparation()(text) == text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"join": "##"}, "no subword mark '##'; there are @@, ▁"),
        ({"remove": ["a b"]}, "'a b' is not one word, and so cannot be removed"),
        ({"remove": [""]}, "'' is not one word, and so cannot be removed"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        preparation(**options)
    assert str(caught.value) == message
