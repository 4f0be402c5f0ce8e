"""The formats of n-best lists; a new one needs a file that makes its `Format`, and a row here.

Other packages add theirs by entry points of the group `lmscore.formats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.formats.entry_points import offered
from lmscore.runtime.rescoring.formats.espnet import ESPNET
from lmscore.runtime.rescoring.formats.espnet2 import ESPNET2
from lmscore.runtime.rescoring.formats.fairseq import FAIRSEQ
from lmscore.runtime.rescoring.formats.format import Format, Head, Surety
from lmscore.runtime.rescoring.formats.hyporadise import HYPORADISE
from lmscore.runtime.rescoring.formats.jsonl import JSONL
from lmscore.runtime.rescoring.formats.julius import JULIUS
from lmscore.runtime.rescoring.formats.kaldi import KALDI
from lmscore.runtime.rescoring.formats.mlm_scoring import MLM_SCORING
from lmscore.runtime.rescoring.formats.moses import MOSES
from lmscore.runtime.rescoring.formats.nematus import NEMATUS
from lmscore.runtime.rescoring.formats.nemo import NEMO
from lmscore.runtime.rescoring.formats.plain import PLAIN
from lmscore.runtime.rescoring.formats.srilm import SRILM
from lmscore.runtime.rescoring.formats.tsv import TSV
from lmscore.runtime.rescoring.formats.wenet import WENET

FORMATS: Mapping[str, Format] = {
    known.name: known
    for known in (
        MOSES,
        NEMATUS,
        FAIRSEQ,
        SRILM,
        KALDI,
        WENET,
        JULIUS,
        ESPNET2,
        ESPNET,
        MLM_SCORING,
        HYPORADISE,
        NEMO,
        PLAIN,
        JSONL,
        TSV,
    )
}
"""The formats of this package by name; docs/formats.md has a row for each."""


@cache
def known_formats() -> Mapping[str, Format]:
    """All formats by name, those of installed packages among them; raises OptionError."""
    return {**FORMATS, **offered(Format, taken=FORMATS)}


def format_named(name: str) -> Format:
    """The format of a name; raises OptionError, which lists all, if there is none."""
    known = known_formats()
    if name not in known:
        raise OptionError(f"no n-best format {name!r}; there are {', '.join(known)}")
    return known[name]


def formats_with(option: str) -> list[str]:
    """The names of the formats that read a field of `ReadOptions`."""
    return [known.name for known in known_formats().values() if option in known.options]


def detect(head: str, name: str = "") -> list[Format]:
    """The formats that a file may have, from its first lines: the surest, or several equals."""
    found = Head(head, name)
    sureties = {known.name: known.recognises(found) for known in known_formats().values()}
    surest = max(sureties.values())
    if surest == Surety.NO:
        return []
    return [known for known in known_formats().values() if sureties[known.name] == surest]
