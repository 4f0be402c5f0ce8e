"""A list format as a value: its name, its sign in a file, its reader and its writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from pathlib import Path

from lmscore.forks import lazy
from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.lists import NBestList


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Facts about files that their formats leave out."""

    beam_size: int | None = None  # nemo: rows for each utterance
    scores: Mapping[str, str | Path] = field(default_factory=dict)  # kaldi: name -> archive
    symbols: str | Path | None = None  # kaldi: words.txt, where words are numbers

    def given(self) -> list[str]:
        """The names of the fields that say something."""
        return [each.name for each in fields(self) if getattr(self, each.name) not in (None, {})]


class Surety(IntEnum):
    """How surely the first lines of a file are of a format; the surest format is taken."""

    NO = 0
    POSSIBLE = 1  # lines of many kinds look like that
    LIKELY = 2  # the lines have the shape of the format throughout
    CERTAIN = 3  # a header, a key or a separator that nothing else has


@dataclass(frozen=True)
class Head:
    """The first lines of a file, all of them whole."""

    text: str
    name: str = ""  # of the file

    @lazy
    def lines(self) -> list[str]:
        """The lines without their ends; at least one, which may be empty."""
        lines = self.text.removesuffix("\n").split("\n")
        return [line.removesuffix("\r") for line in lines]

    @property
    def first(self) -> str:
        """The first line, which decides where it can: damage further on is for the reader."""
        return self.lines[0]

    def share(self, fits: Callable[[str], bool]) -> float:
        """The share of the lines that fit; 0 where the first does not, for it has no excuse."""
        return sum(map(fits, self.lines)) / len(self.lines) if fits(self.first) else 0.0

    @property
    def is_json(self) -> bool:
        """Whether the text begins as JSON does."""
        return self.text.lstrip().startswith(("{", "["))


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file with n-best lists.

    A package offers a format of its own as an entry point of the group `lmscore.formats`, a
    `Format` whose name is the entry point's.
    """

    name: str
    recognises: Callable[[Head], Surety]
    read: Callable[[Document, ReadOptions], Iterator[NBestList]]
    render: Callable[[NBestList], str]  # a list as its file has it
    options: frozenset[str] = frozenset()  # the fields of `ReadOptions` that it reads
    needs: frozenset[str] = frozenset()  # those that it cannot do without
    is_whole: bool = False  # a file is one unit: a second cannot be put behind it
    counts_lists: bool = False  # ids are 0, 1, ...; a reference is found by its line, not by an id
    word_count: str | None = None  # the feature that counts words
    # The feature that is the decoder's own score, the first that is there; None: all together.
    score: str | tuple[str, ...] | None = "score"
    # For what is several files: their names and texts, of all lists of a document.
    files: Callable[[Sequence[NBestList]], Iterator[tuple[str, str]]] | None = None
    are_costs: bool = False  # the scores in a file are costs; lists have them with a minus
