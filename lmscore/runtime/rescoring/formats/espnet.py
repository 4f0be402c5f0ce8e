"""ESPnet 1's `data.json`: the n-best list of an utterance is its `output`, one list a speaker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.json_lists import (
    is_unchanged,
    lists_of_nodes,
    rendered_object,
)
from lmscore.runtime.rescoring.formats.json_text import (
    JsonText,
    Node,
    check_end,
    elements,
    numbers,
    open_node,
    optional_string,
    string,
)
from lmscore.runtime.rescoring.formats.kaldi import single_spaced
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

# A quotation mark inside a string has a backslash before it.
_UTTERANCES = re.compile(r'(?<!\\)"utts"\s*:\s*\{')
_RANK = re.compile(r"\[\d+\]$")  # what the name of an output ends in: target1[3]


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    source = JsonText(document.name, document.text())
    top = open_node(source, source.skip(0), 1)
    check_end(source, top.end)
    utterances = top.get("utts") if top.is_object() else None
    if utterances is None or not utterances.is_object():
        raise top.error("utts", "expected an object with the utterances")
    return lists_of_nodes(document, source, _lists(source, utterances.start))


def _lists(source: JsonText, start: int) -> Iterator[tuple[Node, NBestList]]:
    for utterance in elements(source, start, 4):
        path = f"utts.{utterance.key}"
        output = utterance.get("output") if utterance.is_object() else None
        if output is None or not output.is_array():
            raise utterance.error(f"{path}.output", "expected an array of hypotheses")
        items = output.items or ()
        if items and all(item.is_array() for item in items):  # one list for each speaker
            for i, item in enumerate(items):
                yield item, _parse(f"{utterance.key}[{i + 1}]", item, f"{path}.output[{i}]")
        else:
            yield output, _parse(utterance.key, output, f"{path}.output")


def _parse(key: str, output: Node, path: str) -> NBestList:
    items = output.items or ()
    hypotheses = tuple(_parse_hypothesis(item, f"{path}[{i}]") for i, item in enumerate(items))
    reference = optional_string(items[0].get("text"), f"{path}[0].text") if items else None
    return NBestList(key, hypotheses, reference)


def _parse_hypothesis(node: Node, path: str) -> Hypothesis:
    text = node.get("rec_text")
    if not node.is_object() or text is None:
        raise node.error(path, 'expected an object with a "rec_text"; has this been decoded?')
    return Hypothesis(_plain(string(text, f"{path}.rec_text")), numbers(node, path), source=node)


def _plain(text: str) -> str:
    """A text without the marks of its tokens, whose blanks may stand beside others."""
    plain = text.replace("<eos>", "").replace("<space>", " ").replace("▁", " ")
    return single_spaced(plain.strip())


def _render(nbest: NBestList) -> str:
    output: Node = nbest.source.content
    if is_unchanged(nbest, output.items or ()):
        return output.raw
    ranked = enumerate(nbest.hypotheses, 1)
    return output.replaced([rendered_object(h, _renamed(h.source, rank)) for rank, h in ranked])


def _renamed(node: Node, rank: int) -> dict[str, str]:
    """The `name` of a hypothesis with its new rank, if that changes it."""
    name = node.get("name")
    if name is None or not isinstance(name.value, str):
        return {}
    new = _RANK.sub(f"[{rank}]", name.value)
    return {} if new == name.value else {"name": json.dumps(new, ensure_ascii=False)}


def _recognises(head: Head) -> Surety:
    found = head.is_json and _UTTERANCES.search(head.text)
    return Surety.LIKELY if found else Surety.NO


ESPNET = Format("espnet", _recognises, _read, _render, is_whole=True)
