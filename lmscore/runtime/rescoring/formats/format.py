"""What a format is to those who use it: a name, a reader and a writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.lists.nbest import NBestList


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What some formats cannot say themselves."""

    beam_size: int | None = None  # nemo: rows for each utterance
    scores: Mapping[str, str | Path] = field(default_factory=dict)  # kaldi: name -> archive


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file with n-best lists."""

    name: str
    read: Callable[[Document, ReadOptions], Iterator[NBestList]]
    render: Callable[[NBestList], str]  # a list as its file has it
    is_whole: bool = False  # a file is one unit: a second cannot be put behind it
    counts_lists: bool = False  # ids are 0, 1, ...; a reference is found by its line, not by an id
    score: str | None = "score"  # the feature that is the decoder's own score; None: all together
