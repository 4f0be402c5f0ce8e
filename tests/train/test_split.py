"""Which lines are held out: distinct ones, with words, drawn by the seed, and not trained on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError
from lmscore.train.split import SentenceSplit, block_split, sentence_limit

LINES = [f"line number {number}" for number in range(5000)]


def held_out(lines: list[str], share: float | None = None, seed: int = 1) -> list[str]:
    split = SentenceSplit(seed, sentence_limit(lines, share, seed, source="text"))
    return [line for line in lines if split.holds_out(line)]


def blocks(lines: list[str], share: float | None = None, seed: int = 1) -> list[int]:
    split = block_split(lines, share, seed, source="text")
    return [number for number, line in enumerate(lines) if split.holds_out(line)]


def test_a_share_is_drawn_by_the_seed() -> None:
    assert len(held_out(LINES, 0.1)) == pytest.approx(500, rel=0.15)
    assert held_out(LINES, 0.1) == held_out(LINES, 0.1)
    assert held_out(LINES, 0.1) != held_out(LINES, 0.1, seed=2)


@pytest.mark.parametrize("repeat", [1, 2, 5])
def test_copies_and_blank_lines_change_nothing(repeat: int) -> None:
    lines = [line for line in LINES for line in (line, "", " ")] * repeat
    assert held_out(lines) == held_out(LINES) * repeat


def test_a_long_text_gives_a_hundredth_and_a_short_one_more() -> None:
    assert 3 <= len(held_out(LINES[:110])) <= 19  # a tenth, about
    assert len(held_out(LINES)) == pytest.approx(500, rel=0.15)
    twice = [line for n in LINES for line in (n, f"{n}, and so many more words")]
    words = sum(len(line.split()) for line in held_out(twice))
    assert 2000 <= words < 2010
    long = [f"{line} {' word' * 60} {number}" for line in LINES for number in range(2)]
    assert len(held_out(long)) == pytest.approx(100, rel=0.3)


@given(
    st.lists(st.sampled_from(["a", "b", "c", "", "d e", "f"]), max_size=30),
    st.sampled_from([None, 0.01, 0.5, 0.99]),
    st.integers(0, 9),
)
def test_something_is_held_out_and_something_left(
    lines: list[str], share: float | None, seed: int
) -> None:
    distinct = {line for line in lines if line}
    if len(distinct) < 2:
        with pytest.raises(InputError, match="text: fewer than two different lines with words"):
            held_out(lines, share, seed)
        return
    found = set(held_out(lines, share, seed))
    assert found
    assert distinct - found


@given(
    st.lists(st.sampled_from(["a b", "c", "", " "]), max_size=60),
    st.sampled_from([None, 0.01, 0.5, 0.99]),
    st.integers(0, 9),
)
def test_blocks_of_a_document(lines: list[str], share: float | None, seed: int) -> None:
    worded = [number for number, line in enumerate(lines) if line.strip()]
    if len(worded) < 2:
        with pytest.raises(InputError, match="text: fewer than two lines with words"):
            blocks(lines, share, seed)
        return
    found = set(blocks(lines, share, seed)) & set(worded)
    assert found
    assert set(worded) - found
    wanted = max(1, round((share or 0.1) * len(worded)))
    assert len(found) <= wanted


def test_blocks_are_few_and_come_from_everywhere() -> None:
    found = blocks(LINES, 0.1)
    assert len(found) == 500
    begins = [number for number in found if number - 1 not in found]
    assert len(begins) == 5
    assert [number // 1000 for number in begins] == [0, 1, 2, 3, 4]
    assert blocks(LINES, 0.1, seed=2) != found
