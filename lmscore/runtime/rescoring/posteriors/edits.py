"""All paths of a word graph compared with one text, exactly and at once.

The words of a path are read one after another, and what is kept of them is a row of the
Levenshtein table: the fewest edits that turn the words so far into each beginning of the text.
Rows are stored without their minimum, which is an offset that paths carry along. Paths that
differed once and agree again then have the same row, so that few rows occur at a node. The rows
and the words that lead from one to another make up a deterministic automaton (Schulz and Mihov,
"Fast string correction with Levenshtein automata", 2002), built where it is needed.

Letters in shapes: n words of the text.
"""

from __future__ import annotations

from collections.abc import Sequence

Row = tuple[int, ...]
"""The edits from the words so far to each beginning of the text, less their minimum, [n + 1]."""


class Rows:
    """The rows that occur beside a text, by number, and the transitions between them."""

    start = 0  # the row before the first word

    def __init__(self, text: Sequence[str]) -> None:
        self.text = tuple(text)
        first = tuple(range(len(self.text) + 1))
        self._numbers: dict[Row, int] = {first: self.start}
        self._known = frozenset(self.text)
        self._after: dict[tuple[int, str | None], tuple[int, int]] = {}
        self.rows = [first]

    def after(self, row: int, word: str) -> tuple[int, int]:
        """The row after another word, and by how much the minimum has grown, 0 or 1."""
        symbol = word if word in self._known else None
        found = self._after.get((row, symbol))
        if found is None:
            found = self._after[row, symbol] = self._step(self.rows[row], symbol)
        return found

    def edits(self, row: int) -> int:
        """The edits from the words so far to the whole text, above the minimum of the row."""
        return self.rows[row][-1]

    def position(self, row: int, word: str, reached: int) -> tuple[int, bool]:
        """The place of a word in the text, in the alignment that has the fewest edits.

        Of several such alignments, seen from the end of the text, one that pairs words comes before
        one with a word that the text lacks, and that before one with a word that the path lacks.

        Args:
            row: the row before the word.
            word: a word of a path.
            reached: the words of the text that are aligned with the path up to this word.

        Returns:
            How many words of the text are aligned with the path before this word; and whether the
            word is paired with the one after those, otherwise the text lacks it.
        """
        before = self.rows[row]
        number, growth = self.after(row, word)
        after = self.rows[number]
        for place in range(reached, 0, -1):
            edits = after[place] + growth
            if before[place - 1] + (word != self.text[place - 1]) == edits:
                return place - 1, True
            if before[place] + 1 == edits:
                return place, False
        return 0, False

    def _step(self, row: Row, symbol: str | None) -> tuple[int, int]:
        edits = [row[0] + 1]
        for place, word in enumerate(self.text):
            paired = row[place] + (word != symbol)
            edits.append(min(paired, row[place + 1] + 1, edits[place] + 1))
        least = min(edits)
        after = tuple(value - least for value in edits)
        number = self._numbers.setdefault(after, len(self.rows))
        if number == len(self.rows):
            self.rows.append(after)
        return number, least
