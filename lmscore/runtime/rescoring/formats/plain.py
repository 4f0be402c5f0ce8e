"""Texts alone, the same number of lines for every sentence, as many translators write them.

With new scores the lines become NeMo's: `text<TAB>score`.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.document import Document, by_lines, lists_of_rows
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:
    size = options.beam_size
    if size is None or size < 1:
        raise OptionError(
            f"{document.name}: how many lines a sentence has must be told, at least 1: its beam "
            "size (`beam_size`)"
        )
    return lists_of_rows(document, _rows(document, size))


def _rows(document: Document, size: int) -> Iterator[tuple[str, Hypothesis]]:
    number = 0
    for number, line in enumerate(document.lines(), 1):
        key = str(document.first_index + (number - 1) // size)
        yield key, Hypothesis(line.text.strip(), source=line)
    if number % size:
        raise InputError(
            f"{document.where(number)}: {number} lines are not a multiple of the beam size {size}; "
            "give the one they were written with"
        )


def _line(hypothesis: Hypothesis) -> str:
    new = [repr(hypothesis.features[name]) for name in hypothesis.added]
    return "\t".join([hypothesis.source.text, *new])


def _recognises(head: Head) -> Surety:  # noqa: ARG001
    """Every text looks like that, so the user has to name it."""
    return Surety.NO


PLAIN = Format(
    "plain",
    _recognises,
    _read,
    by_lines(_line),
    options=frozenset({"beam_size"}),
    needs=frozenset({"beam_size"}),
    counts_lists=True,
)
