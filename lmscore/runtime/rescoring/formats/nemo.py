"""NeMo's beam search output: `text<TAB>score`, the same number of rows for every utterance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats.document import Document, by_lines, lists_of_rows
from lmscore.runtime.rescoring.formats.fixed_beam import beam_size, line_with_scores, with_keys
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import to_float
from lmscore.runtime.rescoring.formats.tsv import score_columns, table_rows
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:
    size = beam_size(
        document,
        options,
        what="this looks like a NeMo list",
        advice=", or the format 'tsv' if the first column is an id",
    )
    return lists_of_rows(document, with_keys(document, _hypotheses(document, size), size))


def _hypotheses(document: Document, size: int) -> Iterator[Hypothesis]:
    texts: list[str] = []  # of the list that is read, and of the one before it
    for number, (line, columns) in enumerate(table_rows(document, "text<TAB>score")):
        if number % size == 0 and _is_shifted(texts[-size:], columns[0]):
            raise InputError(
                f"{document.where(line.number)}: this row goes on from the list before, whose "
                "texts have no word in common: an utterance has fewer rows than the beam size "
                f"{size}, which NeMo's file does not say; give every row an id (format 'tsv')"
            )
        texts = [*texts[-2 * size :], columns[0]]
        features = score_columns(columns[1:], 2, document.where(line.number))
        yield Hypothesis(columns[0].strip(), features, source=line)


def _is_shifted(texts: Sequence[str], following: str) -> bool:
    """Whether a list ends amid an utterance.

    Two neighbours in it differ in every word, and its last text shares a third of all words with
    the first of the next list.
    """
    words = [set(text.split()) for text in (*texts, following)]
    if len(words) < 3 or not all(words):
        return False
    apart = any(one.isdisjoint(other) for one, other in pairwise(words[:-1]))
    common, either = words[-2] & words[-1], words[-2] | words[-1]
    return apart and 3 * len(common) >= len(either) and words[-2] != words[-1]


def _recognises(head: Head) -> Surety:
    """Every column but the first holds numbers; in `tsv` the last is a text.

    A first column that repeats from row to row may hold ids, and the last one texts of digits.
    """
    rows = [line.split("\t") for line in head.lines]
    alike = [row for row in rows if len(row) == len(rows[0])]
    if "\t" not in head.first or any(to_float(c) is None for row in alike for c in row[1:]):
        return Surety.NO
    ids = [row[0] for row in alike]
    repeated = any(one == other and " " not in one for one, other in pairwise(ids))
    return Surety.POSSIBLE if repeated else Surety.LIKELY


NEMO = Format(
    "nemo",
    _recognises,
    _read,
    by_lines(line_with_scores),
    options=frozenset({"beam_size"}),
    needs=frozenset({"beam_size"}),
    counts_lists=True,
)
