"""A list format as a value: its name, its sign in a file, its reader and its writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.lists import NBestList


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Facts about files that their formats leave out."""

    beam_size: int | None = None  # nemo: rows for each utterance
    scores: Mapping[str, str | Path] = field(default_factory=dict)  # kaldi: name -> archive


@dataclass(frozen=True)
class Head:
    """The first lines of a file, all of them whole."""

    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends; at least one, which may be empty."""
        lines = self.text.removesuffix("\n").split("\n")
        return [line.removesuffix("\r") for line in lines]

    @property
    def first(self) -> str:
        """The first line, which decides where it can: damage further on is for the reader."""
        return self.lines[0]

    @property
    def is_json(self) -> bool:
        """Whether the text begins as JSON does."""
        return self.text.lstrip().startswith(("{", "["))


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file with n-best lists."""

    name: str
    surety: int  # of the sign that it is recognised by: formats with surer ones are asked first
    recognises: Callable[[Head], bool]
    read: Callable[[Document, ReadOptions], Iterator[NBestList]]
    render: Callable[[NBestList], str]  # a list as its file has it
    option: str | None = None  # the field of `ReadOptions` that it reads
    is_whole: bool = False  # a file is one unit: a second cannot be put behind it
    counts_lists: bool = False  # ids are 0, 1, ...; a reference is found by its line, not by an id
    score: str | None = "score"  # the feature that is the decoder's own score; None: all together
