"""The token ids of words that were tokenized before, for tokenizers that read each word apart.

Most words of a text are among the few thousand that occur all the time. To look their ids up takes
a tenth of the time that tokenizing them takes. Two generations of words are kept: a full one is
the old one from then on, and the young one takes over the words of it that occur again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from lmscore.forks import fork_safe_lock
from lmscore.runtime.text.id_rows import IdRows, Ids, places
from lmscore.runtime.text.word_ends import WordEnds

_FIRST = "\0"  # stands before the first word of a text, whose ids may be others
_SPACE = " "
_MOST_WORDS = 1 << 15  # of each of the two generations that are kept: some 15 MB
_LONGEST_WORD = 64  # characters; what is longer hardly comes again
_FEWEST_WORDS = 256  # in texts that are looked up: for fewer, the calls of NumPy cost more


class WordIds:
    """The ids of the words of texts; threads may share it."""

    def __init__(
        self, tokenize: Callable[[Sequence[str]], IdRows], ends: WordEnds, *, drops_space: bool
    ) -> None:
        """Know no word yet.

        Args:
            tokenize: gives the ids of texts.
            ends: the characters that a word which is read apart may begin and end with.
            drops_space: a word is read without the space before it, as the first of a text is.
        """
        self._tokenize = tokenize
        self._ends = ends
        self._drops_space = drops_space
        self._lock = fork_safe_lock()
        self._young, self._old = _Words(ends), _Words(ends)

    def rows(self, texts: Sequence[str]) -> IdRows | None:
        """The ids of texts; None if it is better to tokenize them: they are few, or of new words.

        Raises:
            InputError: a word or a text has no ids.
        """
        joined = _FIRST + f"{_SPACE}{_FIRST}".join(texts)
        words = joined.split(_SPACE)
        if len(words) < _FEWEST_WORDS or joined.count(_FIRST) != len(texts):
            return None
        with self._lock:
            found = self._look_up(words)
        if found is None:
            return None
        counts = np.fromiter(map(str.count, texts, repeat(_SPACE)), np.int64, len(texts)) + 1
        return self._joined(*found, counts, texts)

    def _look_up(self, words: list[str]) -> tuple[_Table, Ids] | None:
        """The numbers of words in a table of ids; None if more than half of them are new."""
        if len(self._young.numbers) > _MOST_WORDS:
            self._young, self._old = _Words(self._ends), self._young
        young = self._young
        numbers, new = young.find(words)
        in_old = self._old.known(new)
        if 2 * np.count_nonzero(in_old == 0) > len(words):
            return None
        if new:
            young.add(new, self._rows_of(list(new), in_old))
        return young.table, numbers

    def _rows_of(self, new: list[str], in_old: Ids) -> IdRows:
        """The ids of words, `in_old` the number of each in the old generation; 0: it has not."""
        table, unread = self._old.table, np.flatnonzero(in_old == 0)
        rows = self._tokenize([self._as_read(new[word]) for word in unread.tolist()])
        in_old[unread] = len(table.lengths) + np.arange(len(unread))
        return table.extended(rows).rows(in_old)

    def _as_read(self, word: str) -> str:
        if word.startswith(_FIRST):
            return word[1:]
        return word if self._drops_space else _SPACE + word

    def _joined(self, table: _Table, numbers: Ids, counts: Ids, texts: Sequence[str]) -> IdRows:
        """The ids of R texts, of which counts [R] has the number of words, all of them `numbers`.

        Texts with a word that cannot be read apart are tokenized whole.
        """
        firsts = np.cumsum(counts) - counts
        whole = np.flatnonzero(np.logical_or.reduceat(numbers == 0, firsts))
        if len(whole):
            rows = self._tokenize([texts[text] for text in whole.tolist()])
            numbers[places(firsts[whole], counts[whole])] = 0
            numbers[firsts[whole]] = len(table.lengths) + np.arange(len(whole))
            table = table.extended(rows)
        found = table.rows(numbers)
        return IdRows(found.ids, np.add.reduceat(found.lengths, firsts))


class _Words:
    """A generation of words: their numbers, and the ids of each number."""

    def __init__(self, ends: WordEnds) -> None:
        self.numbers, self.table = _Numbers(ends), _Table.empty()

    def find(self, words: list[str]) -> tuple[Ids, dict[str, int]]:
        """The numbers of words; those that it has not get numbers to `add` them with."""
        numbers = self.numbers
        numbers.new, numbers.next = {}, len(self.table.lengths)
        found = np.fromiter(map(numbers.__getitem__, words), np.int64, len(words))
        return found, numbers.new

    def known(self, words: Collection[str]) -> Ids:
        """The numbers of words; 0 for those that it has not."""
        return np.fromiter(map(self.numbers.get, words, repeat(0)), np.int64, len(words))

    def add(self, new: dict[str, int], rows: IdRows) -> None:
        """Keep words that `find` gave, with their ids."""
        # First the table: a fork in between leaves it with words that have no number.
        self.table = self.table.extended(rows)
        self.numbers.update(new)


@dataclass(frozen=True)
class _Table:
    """The ids of words by their numbers; word 0 has none."""

    ids: Ids
    starts: Ids
    lengths: Ids

    @classmethod
    def empty(cls) -> _Table:
        nothing = np.zeros(1, np.int64)
        return cls(nothing[:0], nothing, nothing)

    def rows(self, numbers: Ids) -> IdRows:
        """The ids of some words."""
        lengths = self.lengths[numbers]
        return IdRows(self.ids[places(self.starts[numbers], lengths)], lengths)

    def extended(self, rows: IdRows) -> _Table:
        """The same with further words."""
        return _Table(
            np.concatenate((self.ids, rows.ids)),
            np.concatenate((self.starts, len(self.ids) + rows.starts)),
            np.concatenate((self.lengths, rows.lengths)),
        )


class _Numbers(dict[str, int]):
    """The numbers of words; those of new words are found, but not kept."""

    def __init__(self, ends: WordEnds) -> None:
        super().__init__()
        self._ends = ends
        self.new: dict[str, int] = {}
        self.next = 1  # the number of the first new word

    def __missing__(self, word: str) -> int:
        """The number of a new word; 0 if it cannot be read apart."""
        number = self.new.get(word)
        if number is None:
            if not self._can_be_read_apart(word):
                return 0
            number = self.new[word] = self.next + len(self.new)
        return number

    def _can_be_read_apart(self, word: str) -> bool:
        letters = word.removeprefix(_FIRST)
        if not 0 < len(letters) <= _LONGEST_WORD or not self._ends[letters[-1]]:
            return False
        return letters is not word or self._ends[letters[0]]
