"""The formats of n-best lists; a new one needs a file that makes its `Format`, and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from lmscore.runtime.rescoring.formats.espnet import ESPNET
from lmscore.runtime.rescoring.formats.format import Format, Head
from lmscore.runtime.rescoring.formats.hyporadise import HYPORADISE
from lmscore.runtime.rescoring.formats.jsonl import JSONL
from lmscore.runtime.rescoring.formats.kaldi import KALDI
from lmscore.runtime.rescoring.formats.mlm_scoring import MLM_SCORING
from lmscore.runtime.rescoring.formats.moses import MOSES
from lmscore.runtime.rescoring.formats.nemo import NEMO
from lmscore.runtime.rescoring.formats.srilm import SRILM
from lmscore.runtime.rescoring.formats.tsv import TSV

FORMATS: Mapping[str, Format] = {
    known.name: known
    for known in (MOSES, SRILM, KALDI, ESPNET, MLM_SCORING, HYPORADISE, NEMO, JSONL, TSV)
}
"""All formats by name; docs/formats.md has a row for each."""


def detect(head: str) -> Format | None:
    """The format of a file that begins with these lines; None where no format recognises them."""
    found = Head(head)
    surest_first = sorted(FORMATS.values(), key=lambda known: -known.surety)
    return next((known for known in surest_first if known.recognises(found)), None)
