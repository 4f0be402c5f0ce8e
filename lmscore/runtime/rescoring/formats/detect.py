"""Which format a file has, from its first lines."""

from __future__ import annotations

import re

from lmscore.runtime.rescoring.formats.kaldi import split_key, utterance_of
from lmscore.runtime.rescoring.formats.numbers import to_float
from lmscore.runtime.rescoring.formats.srilm import is_srilm

# A quotation mark inside a string has a backslash before it.
_ESPNET = re.compile(r'(?<!\\)"utts"\s*:\s*\{')
_JSONL = re.compile(r'(?<!\\)"hypotheses"\s*:\s*\[')
_MLM_SCORING = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"(hyp_[0-9]+|ref)"\s*:')
_HYPORADISE = re.compile(r"\s*\[\s*\{")


def detect(head: str) -> str | None:
    """The name of the format of a file that begins with these lines; None where it is none.

    The first line decides where it can, so that a damaged line further on is named by the reader.
    """
    lines = [line.removesuffix("\r") for line in head.removesuffix("\n").split("\n")]
    if head.lstrip().startswith(("{", "[")):
        name = _detect_json(head, lines[0])
        if name:
            return name
    if lines[0].count("|||") >= 3:
        return "moses"
    if "\t" in lines[0]:
        return _detect_tsv([line.split("\t") for line in lines])
    if is_srilm(lines[0]):
        return "srilm"
    key, _ = split_key(lines[0])
    return "kaldi" if utterance_of(key) else None


def _detect_json(head: str, first_line: str) -> str | None:
    if _HYPORADISE.match(head):
        return "hyporadise"
    if _MLM_SCORING.match(head):
        return "mlm-scoring"
    if _JSONL.search(first_line):
        return "jsonl"
    return "espnet" if _ESPNET.search(head) else None


def _detect_tsv(rows: list[list[str]]) -> str:
    """NeMo's rows end in scores, ours in the text."""
    alike = [row for row in rows if len(row) == len(rows[0])]
    numbers = (to_float(column) for row in alike for column in row[1:])
    return "tsv" if None in numbers else "nemo"
