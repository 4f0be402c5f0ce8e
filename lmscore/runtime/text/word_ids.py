"""The token ids of words that were tokenized before, for tokenizers that read each word apart.

Most words of a text are among the few thousand that occur all the time. To look their ids up takes
a tenth of the time that tokenizing them takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from lmscore.forks import fork_safe_lock
from lmscore.runtime.text.id_rows import IdRows, Ids, places
from lmscore.runtime.text.word_ends import WordEnds

_FIRST = "\0"  # stands before the first word of a text, whose ids may be others
_SPACE = " "
_MOST_WORDS = 1 << 16  # that are kept: some 15 MB
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
        self._known, self._table = _Numbers(ends), _Table.empty()

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
        if len(self._known) > _MOST_WORDS:
            self._known, self._table = _Numbers(self._ends), _Table.empty()
        known = self._known
        known.new, known.next = {}, len(self._table.lengths)
        numbers = np.fromiter(map(known.__getitem__, words), np.int64, len(words))
        if 2 * len(known.new) > len(words):
            return None
        if known.new:
            rows = self._tokenize(list(map(self._as_read, known.new)))
            # First the table: a fork in between leaves it with words that have no number.
            self._table = self._table.extended(rows)
            known.update(known.new)
        return self._table, numbers

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
        lengths = table.lengths[numbers]
        ids = table.ids[places(table.starts[numbers], lengths)]
        return IdRows(ids, np.add.reduceat(lengths, firsts))


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
