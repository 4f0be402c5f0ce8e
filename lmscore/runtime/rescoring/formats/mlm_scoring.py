"""The JSON of mlm-scoring: `{"utt": {"hyp_1": {"score": -1.5, "text": "a"}, "ref": "a"}}`.

The rank of a hypothesis is in its key, wherever in the object it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.json_lists import (
    is_unchanged,
    lists_of_nodes,
    parsed_object,
    rendered_object,
)
from lmscore.runtime.rescoring.formats.json_text import (
    JsonText,
    Node,
    optional_string,
    top_elements,
)
from lmscore.runtime.rescoring.lists import NBestList

_BEGINNING = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"(hyp_[0-9]+|ref)"\s*:')
_KEY = re.compile(r"hyp_([0-9]+)")


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    source = JsonText(document.name, document.text())
    lists = ((utterance, _parse(utterance)) for utterance in top_elements(source, "{", 2))
    return lists_of_nodes(document, source, lists)


def _parse(utterance: Node) -> NBestList:
    path = utterance.key
    if not utterance.is_object():
        raise utterance.error(path, "expected an object with hyp_1, hyp_2 and so on")
    hypotheses = tuple(parsed_object(item, f"{path}.{item.key}") for item in _by_rank(utterance))
    reference = optional_string(utterance.get("ref"), f"{path}.ref")
    return NBestList(utterance.key, hypotheses, reference and reference.strip())


def _by_rank(utterance: Node) -> list[Node]:
    """The hypotheses, best first."""
    ranks: dict[tuple[int, str], Node] = {}  # by the digits of their numbers
    for item in utterance.items or ():
        match = _KEY.fullmatch(item.key)
        if match:
            digits = match[1].lstrip("0")
            rank = len(digits), digits
            if rank in ranks:
                raise item.error(f"{utterance.key}.{item.key}", "is there twice")
            ranks[rank] = item
    return [ranks[rank] for rank in sorted(ranks)]


def _render(nbest: NBestList) -> str:
    """The utterance; in a new order, the hypotheses have changed places under their keys."""
    utterance: Node = nbest.source.content
    keys = _by_rank(utterance)
    if is_unchanged(nbest, keys):
        return utterance.raw
    pairs = zip(keys, nbest.hypotheses, strict=False)
    values = {item.key: rendered_object(hypothesis) for item, hypothesis in pairs}
    dropped = {item.key for item in keys} - values.keys()
    kept = [item for item in utterance.items or () if item.key not in dropped]
    return utterance.replaced([item.prefix + values.get(item.key, item.raw) for item in kept])


def _recognises(head: Head) -> Surety:
    return Surety.CERTAIN if _BEGINNING.match(head.text) else Surety.NO


MLM_SCORING = Format("mlm-scoring", _recognises, _read, _render, is_whole=True)
