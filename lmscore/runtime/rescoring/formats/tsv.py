"""Our tab-separated lists: `id<TAB>text`, with any number of scores between the two."""

from __future__ import annotations

from collections.abc import Iterator

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats.document import Document, Line, by_lines, lists_of_rows
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    return lists_of_rows(document, _rows(document))


def _rows(document: Document) -> Iterator[tuple[str, Hypothesis]]:
    for line, columns in table_rows(document, "id<TAB>text or id<TAB>score<TAB>text"):
        where = document.where(line.number)
        if not columns[0]:
            raise InputError(f"{where}: the id (column 1) is empty")
        features = score_columns(columns[1:-1], 2, where)
        yield columns[0], Hypothesis(columns[-1].strip(), features, source=line)


def table_rows(document: Document, layout: str) -> Iterator[tuple[Line, list[str]]]:
    """The lines of a file and their columns; the message for a line without a tab names `layout`.

    Raises:
        InputError: a line has no tab, or more or fewer columns than the first.
    """
    num_columns = 0
    for line in document.lines():
        where = document.where(line.number)
        columns = line.text.split("\t")
        if len(columns) < 2:
            raise InputError(f"{where}: no tab; expected {layout}")
        num_columns = num_columns or len(columns)
        if len(columns) != num_columns:
            raise InputError(
                f"{where}: {len(columns)} columns, but the first line has {num_columns}; "
                "every line needs the same columns"
            )
        yield line, columns


def score_columns(columns: list[str], first: int, where: str) -> dict[str, float]:
    """The features `score`, `score2`, ... from columns counted from `first` (from 1)."""
    return {
        f"score{i + 1 if i else ''}": parse_score(column, f"{where}, score (column {first + i})")
        for i, column in enumerate(columns)
    }


def _line(hypothesis: Hypothesis) -> str:
    *columns, text = hypothesis.source.text.split("\t")
    new = [repr(hypothesis.features[name]) for name in hypothesis.added]
    return "\t".join([*columns, *new, text])


def _recognises(head: Head) -> Surety:
    return Surety.POSSIBLE if "\t" in head.first else Surety.NO


TSV = Format("tsv", _recognises, _read, by_lines(_line))
