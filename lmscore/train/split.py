"""Which lines of a text are held out, if no held-out text is given: a seeded random choice."""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lmscore.errors import InputError

_SHARE = 0.01  # of the lines, if the text is long enough
_LARGEST_SHARE = 0.1  # of a short text, so that its perplexity says something
_WORDS = 2000  # held out, if `_LARGEST_SHARE` allows
_BLOCK_LINES = 200  # of a long document, in a row
_BLOCKS = 5  # at least, so that they come from everywhere
_HASHES = 1 << 64


class Split(Protocol):
    """A choice of held-out lines; a pass over the text asks about every line in its order."""

    def holds_out(self, line: str) -> bool:
        """Whether the next line is held out."""


class SentenceSplit:
    """Holds out the lines whose seeded hash is small: every copy of a line, or none."""

    def __init__(self, seed: int, limit: int) -> None:
        self._seed, self._limit = seed, limit

    def holds_out(self, line: str) -> bool:
        """Whether a line is held out; blank lines never are."""
        words = line.strip()
        return bool(words) and line_hash(words, self._seed) < self._limit


@dataclass
class BlockSplit:
    """Holds out blocks of lines in a row; blank lines go with the line before."""

    starts: list[int]  # of the blocks, in lines with words
    length: int
    _number: int = field(default=-1, init=False)  # of the last line with words

    def holds_out(self, line: str) -> bool:
        """Whether the next line of the text is held out."""
        self._number += bool(line.strip())
        block = bisect.bisect_right(self.starts, self._number) - 1
        return block >= 0 and self._number < self.starts[block] + self.length


def line_hash(line: str, seed: int) -> int:
    """A hash of a line, below 2 ** 64, which is the same in every process."""
    key = seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8, key=key).digest(), "little")


def sentence_limit(lines: Iterable[str], share: float | None, seed: int, *, source: str) -> int:
    """The limit of a `SentenceSplit` that holds out a share of the distinct lines with words.

    Without a share it is 1 %, or so much more of a short text, up to 10 %, that 2,000 words are
    held out. At least one line is held out, and at least one is left.

    `source` names the text in errors.

    Raises:
        InputError: fewer than two distinct lines have words.
    """
    least, most = _limit(share or _SHARE), _limit(share or _LARGEST_SHARE)
    words: dict[int, int] = {}  # of the distinct lines with a hash below `most`, by the hash
    enough = 0  # words of the lines with a hash below `least`
    smallest, largest = _HASHES, -1
    for line in filter(None, map(str.strip, lines)):
        hashed = line_hash(line, seed)
        smallest, largest = min(smallest, hashed), max(largest, hashed)
        if hashed < most and hashed not in words:
            words[hashed] = len(line.split())
            enough += words[hashed] * (hashed < least)
            if most > least and enough >= _WORDS:  # a long text: the others need not be kept
                most = least
                words = {key: count for key, count in words.items() if key < least}
    if smallest >= largest:
        raise InputError(
            f"{source}: fewer than two different lines with words, so that none can be held out; "
            "name held-out text with `valid`"
        )
    limit = least
    for hashed in sorted(words):
        if hashed >= least and enough < _WORDS:
            enough += words[hashed]
            limit = hashed + 1
    return min(max(limit, smallest + 1), largest)


def _limit(share: float) -> int:
    return round(share * _HASHES)


def block_split(lines: Iterable[str], share: float | None, seed: int, *, source: str) -> BlockSplit:
    """Blocks that hold out a share of a document's lines with words, from everywhere in it.

    Without a share it is chosen as for sentences.

    `source` names the text in errors.

    Raises:
        InputError: fewer than two lines have words.
    """
    count = words = 0
    for line in map(str.split, lines):
        count += bool(line)
        words += len(line)
    if count < 2:
        raise InputError(
            f"{source}: fewer than two lines with words, so that none can be held out; "
            "name held-out text with `valid`"
        )
    if share is None:
        share = min(_LARGEST_SHARE, max(_SHARE, _WORDS / words))
    wanted = min(count - 1, max(1, round(share * count)))
    blocks = min(wanted, max(_BLOCKS, wanted // _BLOCK_LINES))
    length = wanted // blocks
    draw = np.random.default_rng(seed)
    edges = [count * block // blocks for block in range(blocks + 1)]
    starts = [
        int(draw.integers(begin, max(begin, end - length) + 1))
        for begin, end in itertools.pairwise(edges)
    ]
    return BlockSplit(starts, length)
