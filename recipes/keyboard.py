"""How well models serve a keyboard: recall of the next word, and the keystrokes that they save.

Usage: python recipes/keyboard.py TEXT LINES MODEL...

TEXT has one utterance a line, words alone (recogniser form). LINES of it are typed, evenly spread.
A MODEL is a model directory, or an ARPA file.

Recall is the share of words that are among the one or three words that the model suggests before
any letter is typed. Keystrokes: three words are suggested before each letter, all of which begin
with the letters typed so far; the user takes the right one as soon as it is there, which costs one
keystroke and types the space as well. A word that is never suggested costs its letters and the
space. Saved is the share of the keystrokes that typing every letter and space takes (Trnka and
McCoy 2008, "Evaluating word prediction: framing keystroke savings").
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import lmscore

_SUGGESTIONS = 3


@dataclass
class Typed:
    """Counts over the words that were typed."""

    words: int = 0
    first: int = 0  # words that were the first suggestion before any letter
    among: int = 0  # words that were among the suggestions before any letter
    keystrokes: int = 0
    letters: int = 0  # and spaces: the keystrokes without a model
    queries: int = 0


def suggestions(lm: lmscore.LanguageModel, before: str, typed: str) -> list[str]:
    """The words to offer after a text and the first letters of a word."""
    options = {"partial": typed} if typed else {}
    found = lm.next_words(before, _SUGGESTIONS + 1, unit="word", **options)
    return [word for word, _ in found if word != "</s>"][:_SUGGESTIONS]


def type_line(lm: lmscore.LanguageModel, line: str, typed: Typed) -> None:
    """Type a line word by word."""
    words = line.split()
    for place, word in enumerate(words):
        before = " ".join(words[:place])
        typed.words += 1
        typed.letters += len(word) + 1
        for count in range(len(word) + 1):
            if count == len(word):  # never suggested: the space ends it
                typed.keystrokes += len(word) + 1
                break
            offered = suggestions(lm, before, word[:count])
            typed.queries += 1
            if count == 0:
                typed.first += word in offered[:1]
                typed.among += word in offered
            if word in offered:
                typed.keystrokes += count + 1
                break


def main() -> None:
    lines = [line for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines() if line]
    count = min(int(sys.argv[2]), len(lines))
    chosen = [lines[place * len(lines) // count] for place in range(count)]
    print("| model | words | recall, top 1 | recall, top 3 | keystrokes saved | ms a suggestion |")
    print("|---|---|---|---|---|---|")
    for path in sys.argv[3:]:
        lm, typed = lmscore.load(path, threads=1), Typed()
        started = time.process_time()
        for line in chosen:
            type_line(lm, line, typed)
        milliseconds = 1000 * (time.process_time() - started) / typed.queries
        print(
            f"| {Path(path).name} | {typed.words} | {100 * typed.first / typed.words:.1f} % "
            f"| {100 * typed.among / typed.words:.1f} % "
            f"| {100 * (1 - typed.keystrokes / typed.letters):.1f} % | {milliseconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
