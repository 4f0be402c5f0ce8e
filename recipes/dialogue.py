"""The dialogue in a text of many kinds: stretches of short lines.

Usage: python recipes/dialogue.py < test.txt > dialogue.txt

A line belongs to a stretch if the median length of nine lines around it, itself in the middle, is
at most eleven words. Of held-out text that has chat, task dialogues and meetings between speeches
and articles, this keeps most of the former: spoken turns are short, and what is written is not.
"""

from __future__ import annotations

import statistics
import sys

_AROUND = 4
_LONGEST = 11


def dialogue(lines: list[str]) -> list[str]:
    """The lines that stand among short ones."""
    lengths = [len(line.split()) for line in lines]
    return [
        line
        for place, line in enumerate(lines)
        if statistics.median(lengths[max(0, place - _AROUND) : place + _AROUND + 1]) <= _LONGEST
    ]


if __name__ == "__main__":
    for line in dialogue([line.rstrip("\n") for line in sys.stdin]):
        print(line)
