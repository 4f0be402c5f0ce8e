"""The lattice as a value: nodes, arcs with words and scores, and the scales of the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmscore.errors import InputError
from lmscore.forks import lazy
from lmscore.runtime.rescoring.lists import MARKS as SENTENCE_MARKS

END = "</s>"
"""The word of an arc that ends the sentence."""

MARKS = frozenset({"", END})
"""The labels of arcs that are no words of the text; "" is an epsilon."""


def label_of(word: str) -> str:
    """The label of a word: itself, or one of `MARKS` for a mark of the recogniser's.

    The end of the sentence is scored on its own arc, or else where the path ends; so `<eos>`,
    `<sos/eos>` and the like are epsilons, as `<s>` and `<blank>` are.
    """
    return "" if word in SENTENCE_MARKS and word != END else word


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of an arc, or of ending at a node: log-probabilities in nats, unscaled."""

    acoustic: float = 0.0
    lm: float = 0.0  # of the file's language model; Kaldi's graph score
    other: float = 0.0  # of pronunciations, for example; scaled already
    new_lm: float = 0.0  # of the model that rescored the lattice
    lodr: float = 0.0  # of an n-gram model of the recogniser's own training text

    def __add__(self, more: Scores) -> Scores:
        return Scores(
            self.acoustic + more.acoustic,
            self.lm + more.lm,
            self.other + more.other,
            self.new_lm + more.new_lm,
            self.lodr + more.lodr,
        )


@dataclass(frozen=True, slots=True)
class Scales:
    """The scales of the scores in the total."""

    acoustic: float = 1.0
    lm: float = 1.0
    word_penalty: float = 0.0  # nats, added for every word: a negative one favours few words
    old_weight: float = 1.0  # of `Scores.lm` within the language model score
    new_weight: float = 0.0  # of `Scores.new_lm`
    lodr_weight: float = 0.0  # of `Scores.lodr`

    def lm_score(self, scores: Scores) -> float:
        """The weighted sum of the language models' scores, in nats, unscaled."""
        old = _scaled(scores.lm, self.old_weight)
        return old + self.new_weight * scores.new_lm + self.lodr_weight * scores.lodr

    def total(self, scores: Scores, num_words: int = 0) -> float:
        """The total score, by which paths are compared."""
        return (
            _scaled(scores.acoustic, self.acoustic)
            + _scaled(self.lm_score(scores), self.lm)
            + scores.other
            + self.word_penalty * num_words
        )


def _scaled(score: float, scale: float) -> float:
    """A score times a scale; at a scale of 0 even a score of minus infinity counts nothing."""
    return scale * score if scale else 0.0


@dataclass(frozen=True, slots=True)
class Arc:
    """An arc from a node to another."""

    start: int
    end: int
    word: str  # as the file spells it, or one of `MARKS`
    scores: Scores
    source: Any = field(default=None, repr=False, compare=False)  # for the format to write it back

    @property
    def num_words(self) -> int:
        """1, or 0 if the label is one of `MARKS`."""
        return int(self.word not in MARKS)


@dataclass(frozen=True)
class Lattice:
    """An acyclic graph of words. Without nodes it is empty: the recogniser found nothing.

    Attributes:
        id: the id of the utterance.
        nodes: for each node, numbered from 0, the data that the format needs to write it back.
        start: the node where paths begin.
        arcs: the arcs in the file's order.
        finals: the nodes where paths may end, and the scores of ending there.
        scales: the scales in the file.
        text: the text of the file, which is written again; None for a lattice made or changed.
        source: other data that the format needs to write the lattice back.
        file: the file that it was read from, for messages.
    """

    id: str
    nodes: tuple[Any, ...] = field(repr=False, compare=False)
    start: int
    arcs: tuple[Arc, ...]
    finals: Mapping[int, Scores]
    scales: Scales = Scales()
    text: str | None = field(default=None, repr=False, compare=False)
    source: Any = field(default=None, repr=False, compare=False)
    file: str = field(default="", repr=False, compare=False)

    @property
    def name(self) -> str:
        """How error messages name the lattice: by its file and id."""
        named = f"lattice {self.id!r}"
        return f"{self.file}: {named}" if self.file else named

    @lazy
    def leaving(self) -> Sequence[Sequence[Arc]]:
        """The arcs that leave each node."""
        leaving: list[list[Arc]] = [[] for _ in self.nodes]
        for arc in self.arcs:
            leaving[arc.start].append(arc)
        return leaving

    @lazy
    def order(self) -> Sequence[int]:
        """All nodes in topological order; raises InputError if there is a cycle."""
        order = _order(self)
        if len(order) < len(self.nodes):
            raise InputError(f"{self.name} has a cycle")
        return order

    def levels(self) -> list[list[int]]:
        """The nodes by the length of the longest path to each; arcs lead to later levels."""
        depths = [0] * len(self.nodes)
        for node in self.order:
            for arc in self.leaving[node]:
                depths[arc.end] = max(depths[arc.end], depths[node] + 1)
        levels: list[list[int]] = [[] for _ in range(max(depths, default=-1) + 1)]
        for node in self.order:
            levels[depths[node]].append(node)
        return levels

    def completions(self, scales: Scales) -> list[float]:
        """The best total score from each node to an end; -inf if no path leads to an end."""
        best = [-math.inf] * len(self.nodes)
        for node in reversed(self.order):
            if node in self.finals:
                best[node] = scales.total(self.finals[node])
            for arc in self.leaving[node]:
                score = scales.total(arc.scores, arc.num_words) + best[arc.end]
                best[node] = max(best[node], score)
        return best

    def cyclic_arc(self) -> int | None:
        """The number of an arc that is part of a cycle, if there is one."""
        cyclic = set(range(len(self.nodes))).difference(_order(self))
        entering = {arc.end: i for i, arc in enumerate(self.arcs) if {arc.start, arc.end} <= cyclic}
        node, seen = next(iter(cyclic), None), set[int]()
        while node is not None and node not in seen:  # backwards, which must come to a cycle
            seen.add(node)
            node = self.arcs[entering[node]].start
        return None if node is None else entering[node]


def _order(lattice: Lattice) -> list[int]:
    """The nodes in topological order, without those on a cycle or after one."""
    missing = [0] * len(lattice.nodes)
    for arc in lattice.arcs:
        missing[arc.end] += 1
    order = [node for node, count in enumerate(missing) if not count]
    for node in order:  # the list grows meanwhile
        for arc in lattice.leaving[node]:
            missing[arc.end] -= 1
            if not missing[arc.end]:
                order.append(arc.end)
    return order
