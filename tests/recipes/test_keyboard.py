"""Keystrokes counted by hand, and the dialogue in a text."""

from __future__ import annotations

from typing import Any

from dialogue import dialogue
from keyboard import Typed, type_line

WORDS = ["the", "then", "cat", "</s>", "fish"]  # the likeliest first, whatever came before


class Suggesting:
    """A model whose suggestions are known."""

    def next_words(self, text: str, k: int, **options: Any) -> list[tuple[str, float]]:
        typed = options.get("partial", "")
        return [(word, 0.1) for word in WORDS if word.startswith(typed)][:k]


def typed(line: str) -> Typed:
    found = Typed()
    type_line(Suggesting(), line, found)  # type: ignore[arg-type]  # all that is asked of a model
    return found


def test_the_first_suggestion_costs_one_keystroke() -> None:
    assert typed("the") == Typed(words=1, first=1, among=1, keystrokes=1, letters=4, queries=1)


def test_a_word_is_taken_as_soon_as_it_is_there() -> None:
    # cat is the third of three; fish comes after its first letter, the end of the sentence never.
    assert typed("cat") == Typed(words=1, among=1, keystrokes=1, letters=4, queries=1)
    assert typed("fish") == Typed(words=1, keystrokes=2, letters=5, queries=2)


def test_a_word_that_is_never_suggested_is_typed() -> None:
    assert typed("xyz") == Typed(words=1, keystrokes=4, letters=4, queries=3)


def test_a_line_adds_up() -> None:
    assert typed("the xyz cat") == Typed(
        words=3, first=1, among=2, keystrokes=1 + 4 + 1, letters=4 + 4 + 4, queries=5
    )


def test_dialogue_is_what_stands_among_short_lines() -> None:
    short, long = "do you like it", " ".join(["word"] * 20)
    stretch = [short] * 6 + [long] + [short] * 6
    assert dialogue([long] * 8 + stretch + [long] * 8) == stretch
    assert dialogue([]) == []
