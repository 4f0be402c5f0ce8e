"""Our own lists, an object a line.

    {"id": "utt1", "hypotheses": [{"text": "a word", "score": -1.5}], "reference": "a word"}

Every number of a hypothesis is a feature; anything else, there and beside, is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats.document import Document, Line, ListSource
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.json_lists import (
    check_features,
    is_unchanged,
    parsed_object,
    rendered_object,
)
from lmscore.runtime.rescoring.formats.json_text import (
    JsonText,
    Node,
    check_end,
    identifier,
    open_node,
    optional_string,
)
from lmscore.runtime.rescoring.lists import NBestList

# A quotation mark inside a string has a backslash before it.
_HYPOTHESES = re.compile(r'(?<!\\)"hypotheses"\s*:\s*\[')


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    index = 0
    for index, line in enumerate(document.lines(), 1):
        yield _parse(document, line, index - 1)
    document.finish(index)


def _parse(document: Document, line: Line, index: int) -> NBestList:
    where = document.where(line.number)
    text = JsonText(document.name, line.text, line.number)
    node = open_node(text, text.skip(0), 3)
    check_end(text, node.end)
    if not node.is_object():
        raise InputError(f"{where}: expected a JSON object")
    array = node.get("hypotheses")
    if array is None or not array.is_array():
        raise InputError(f"{where}: no field 'hypotheses' with an array of objects")
    hypotheses = tuple(
        parsed_object(item, f"hypotheses[{i}]") for i, item in enumerate(array.items or ())
    )
    key = node.get("id")
    if key is None:
        raise InputError(f"{where}: no field 'id'")
    nbest = NBestList(
        identifier(key, "id"),
        hypotheses,
        optional_string(node.get("reference"), "reference"),
        ListSource(document, index, line.number, line.size, content=(line, array)),
    )
    check_features(nbest, where)
    return nbest


def _render(nbest: NBestList) -> str:
    line: Line
    array: Node
    line, array = nbest.source.content
    if is_unchanged(nbest, array.items or ()):
        return line.text + line.end
    new = array.replaced([rendered_object(h) for h in nbest.hypotheses])
    return line.text[: array.start] + new + line.text[array.end :] + line.end


def _recognises(head: Head) -> Surety:
    found = head.is_json and _HYPOTHESES.search(head.first)
    return Surety.CERTAIN if found else Surety.NO


JSONL = Format("jsonl", _recognises, _read, _render)
