"""Texts alone, the same number of lines for every sentence, as many translators write them.

With new scores the lines become NeMo's: `text<TAB>score`.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmscore.runtime.rescoring.formats.document import Document, by_lines, lists_of_rows
from lmscore.runtime.rescoring.formats.fixed_beam import beam_size, line_with_scores, with_keys
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:
    size = beam_size(document, options, what="plain text")
    texts = (Hypothesis(line.text.strip(), source=line) for line in document.lines())
    return lists_of_rows(document, with_keys(document, texts, size))


def _recognises(head: Head) -> Surety:  # noqa: ARG001
    """Every text looks like that, so the user has to name it."""
    return Surety.NO


PLAIN = Format(
    "plain",
    _recognises,
    _read,
    by_lines(line_with_scores),
    options=frozenset({"beam_size"}),
    needs=frozenset({"beam_size"}),
    counts_lists=True,
)
