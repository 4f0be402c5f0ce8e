"""Cased, punctuated sentences as a speech recogniser writes them: lower case, words alone.

Usage: python recipes/recogniser_form.py < sentences.txt > recogniser.txt

Titles are spelled out (mister, doctor), & is a word. Sentences with digits, whose spoken form is
unknown, are left out, and sentences of one word.
"""

from __future__ import annotations

import re
import sys

SPOKEN = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "etc": "et cetera"}
WITH_APOSTROPHE = re.compile(r"'(tis|twas|em|twould|twere|til)")


def recogniser_form(sentence: str) -> str | None:
    """The sentence in recogniser form; None if it is left out."""
    if any(character.isdigit() for character in sentence):
        return None
    text = re.sub("[\u2018\u2019]", "'", sentence.lower()).replace("&", " and ")
    words = re.sub(r"[^\w']|_", " ", text).split()
    bare = (word if WITH_APOSTROPHE.fullmatch(word) else word.strip("'") for word in words)
    spoken = [SPOKEN.get(word, word) for word in bare if word]
    return " ".join(spoken) if len(spoken) > 1 else None


if __name__ == "__main__":
    for line in sys.stdin:
        if form := recogniser_form(line.rstrip("\n")):
            print(form)
