"""Rescoring a lattice by expansion: tokens (partial hypotheses) pass through its nodes.

After Sundermeyer et al., "Lattice decoding and rescoring with long-span neural network language
models" (2014), and Xu et al., "A pruned RNNLM lattice-rescoring algorithm for automatic speech
recognition" (2018). From the latter comes the estimate of a token's remaining score: the best path
to an end by the old scores of the lattice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from lmscore.errors import InputError, OptionError
from lmscore.forks import lazy
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices.histories import History, Tokens
from lmscore.runtime.rescoring.lattices.lattice import END, MARKS, Arc, Lattice, Scores
from lmscore.runtime.rescoring.lattices.paths import LatticePath, n_best
from lmscore.runtime.rescoring.lattices.readers import readers_of
from lmscore.runtime.rescoring.lattices.search_options import LatticeOptions
from lmscore.runtime.rescoring.models import Lodr


@dataclass(frozen=True)
class RescoredLattice:
    """A lattice with the scores of the old and the new language model.

    Attributes:
        lattice: the expanded lattice: each node of the old one appears once for each history that
            is distinguished there and was not pruned. Along a path, `Scores.lm` sums to the old
            model's score, `Scores.new_lm` to the new model's and `Scores.lodr` to that of the
            n-gram beside it.
        num_tokens: how many tokens (partial hypotheses) were expanded.
        num_read: how many tokens of text the model read.
    """

    lattice: Lattice
    num_tokens: int
    num_read: int

    @lazy
    def best(self) -> LatticePath:
        """The best path; it has no words and no scores if the lattice is empty."""
        return self.n_best(1)[0]

    def n_best(self, n: int) -> list[LatticePath]:
        """The n best texts, each with its best path, best first; fewer if there are no more."""
        return n_best(self.lattice, n)


def rescore_lattice(
    lm: LanguageModel,
    lattice: Lattice,
    options: LatticeOptions | None = None,
    *,
    lodr: Lodr | None = None,
) -> RescoredLattice:
    """Rescore a lattice.

    Args:
        lm: the new language model.
        lattice: the lattice.
        options: weights, and limits of the search.
        lodr: an n-gram model of the recogniser's own training text, whose score
            `options.lodr_weight` weighs.

    The new score of a path is `LanguageModel.score` of its text in sentence context; it is exact
    if no histories are merged (`order=None`). The end of the sentence is scored on an arc with the
    word </s>, or else at the end of the path. A path to which the old model gives probability 0
    stays impossible. An empty lattice is returned unchanged.

    Raises:
        InputError: the lattice has a cycle, no path, or words after </s>; or one of its words
            cannot be read.
        OptionError: the model reads backwards, or the file's language model scale is not above 0.
        ModelError: the model yields nan or inf.
    """
    options = options or LatticeOptions()
    if lm.config.direction == "backward":
        raise OptionError("a model with direction backward cannot rescore lattices; rescore n-best")
    if not lattice.nodes:
        return RescoredLattice(lattice, 0, 0)
    return _Expansion(lm, lattice, options, lodr).run()


_Histories = tuple[History, ...]
"""A history for each model that reads."""

_Word = tuple[Tokens, ...]
"""The tokens of a word by each model that reads; no tokens at all if it is nothing to all."""


@dataclass(slots=True, eq=False)
class _Token:
    """A partial hypothesis: the paths to a node whose histories are not distinguished."""

    node: int
    histories: _Histories  # of the best path; empty after </s>, and when no longer needed
    words: tuple[_Word, ...]  # the last words, which distinguish histories
    score: float  # of the best path
    ways: list[tuple[_Token, Arc, Scores]] = field(default_factory=list)  # the steps that led here
    end: Scores | None = None  # the scores of ending here

    @property
    def has_ended(self) -> bool:
        """Whether </s> is part of the path."""
        return not self.histories


def _after(read: Sequence[tuple[float, History]]) -> tuple[Scores, _Histories]:
    """What the models say of a word, the new language model first, and their next histories."""
    log_probs = [log_prob for log_prob, _ in read]
    scores = Scores(new_lm=log_probs[0], lodr=sum(log_probs[1:]))
    return scores, tuple(history for _, history in read)


class _Expansion:
    """Moves tokens through a lattice, one topological level of nodes at a time."""

    def __init__(
        self, lm: LanguageModel, lattice: Lattice, options: LatticeOptions, lodr: Lodr | None
    ) -> None:
        self._lattice, self._options = lattice, options
        self._scales = options.scales(lattice.scales, has_lodr=lodr is not None)
        if self._scales.lm <= 0:
            raise OptionError(
                f"{lattice.name} has the language model scale {self._scales.lm}; "
                "give one that is above 0"
            )
        self._old_scales = replace(self._scales, old_weight=1.0, new_weight=0.0, lodr_weight=0.0)
        self._completions = lattice.completions(self._old_scales)
        if self._completions[lattice.start] == -math.inf:
            raise InputError(f"{lattice.name}: no path leads from its start to its end")
        try:
            self._readers = readers_of(lattice, lm, lodr, options.prepare)
        except InputError as error:
            raise InputError(f"{lattice.name}: {error}") from error
        self._roots = tuple(reader.histories.root for reader in self._readers)
        start = _Token(lattice.start, self._roots, (), 0.0)
        self._arrived: dict[int, dict[object, _Token]] = {lattice.start: {(): start}}
        self._expanded: list[_Token] = []

    def run(self) -> RescoredLattice:
        for level in self._lattice.levels():
            tokens = self._kept([node for node in level if node in self._arrived])
            self._expand(tokens)
            self._expanded += tokens
        num_read = self._readers[0].histories.num_read
        return RescoredLattice(self._result(), len(self._expanded), num_read)

    def _kept(self, nodes: Iterable[int]) -> list[_Token]:
        """The tokens at some nodes that survive pruning."""
        tokens: list[_Token] = []
        for node in nodes:
            arrived = sorted(self._arrived.pop(node).values(), key=lambda token: -token.score)
            tokens += arrived[: self._options.max_tokens]
        if self._options.beam is None or not tokens:
            return tokens
        estimates = [token.score + self._completions[token.node] for token in tokens]
        limit = max(estimates) - self._options.beam * self._scales.lm
        return [t for t, estimate in zip(tokens, estimates, strict=True) if estimate >= limit]

    def _expand(self, tokens: Sequence[_Token]) -> None:
        """Move tokens along all arcs that leave their nodes, and score the ends of sentences."""
        moves = [
            (token, arc, self._read_on(token, arc.word))
            for token in tokens
            for arc in self._lattice.leaving[token.node]
            if self._old_scales.total(arc.scores) + self._completions[arc.end] > -math.inf
        ]
        finals, total = self._lattice.finals, self._old_scales.total
        ends = [t for t in tokens if t.node in finals and total(finals[t.node]) > -math.inf]
        ending = tuple(reader.ending() for reader in self._readers)
        ways = [(token.histories, word) for token, _, word in moves]
        ways += [(token.histories, ending) for token in ends]
        found = iter(self._read(ways))
        for token, arc, word in moves:
            self._move(token, arc, word, *next(found))
        for token in ends:
            token.end = finals[token.node] + next(found)[0]
        for token in tokens:
            token.histories = ()  # frees their states

    def _read_on(self, token: _Token, word: str) -> _Word:
        """The tokens that each model reads for a word after a token's histories."""
        if token.has_ended and word not in MARKS:
            raise InputError(f"{self._lattice.name}: the word {word!r} comes after </s>")
        pairs = zip(self._readers, token.histories, strict=False)  # none after </s>
        found = tuple(reader.tokens(history, word) for reader, history in pairs)
        return found if any(found) else ()

    def _read(self, ways: Sequence[tuple[_Histories, _Word]]) -> list[tuple[Scores, _Histories]]:
        """The scores of words after their histories, and the histories with the words."""
        reading = [way for way in ways if all(way)]
        columns = [
            reader.extend([(histories[place], word[place]) for histories, word in reading])
            for place, reader in enumerate(self._readers)
        ]
        found = iter(zip(*columns, strict=True))
        return [
            _after(next(found)) if histories and word else (Scores(), histories)
            for histories, word in ways
        ]

    def _move(
        self, token: _Token, arc: Arc, word: _Word, read: Scores, histories: _Histories
    ) -> None:
        """Move a token to the end of an arc, where it has these histories."""
        scores = arc.scores + read
        score = token.score + self._scales.total(scores, arc.num_words)
        if arc.word == END:
            histories = ()
        words = self._last_words(token.words, word)
        key = self._key(words, histories)
        arrived = self._arrived.setdefault(arc.end, {})
        there = arrived.get(key)
        if there is None:
            there = arrived[key] = _Token(arc.end, histories, words, score)
        there.ways.append((token, arc, scores))
        if score > there.score:
            there.histories, there.score = histories, score
        for reader, history in zip(self._readers, histories, strict=False):
            reader.expect(history, arc.end)

    def _last_words(self, words: tuple[_Word, ...], word: _Word) -> tuple[_Word, ...]:
        if self._options.order is None or not word:
            return words
        return (*words, word)[max(0, len(words) + 2 - self._options.order) :]

    def _key(self, words: tuple[_Word, ...], histories: _Histories) -> object:
        """The key that distinguishes the tokens at a node."""
        if not histories:
            return None
        if self._options.order is None:
            return tuple(history.number for history in histories)
        return words, histories == self._roots

    def _result(self) -> Lattice:
        """The expanded lattice, without the tokens from which no end was reached."""
        alive = {token for token in self._expanded if token.end}
        for token in reversed(self._expanded):
            if token in alive:
                alive.update(source for source, _, _ in token.ways)
        tokens = [token for token in self._expanded if token in alive]
        numbers = {token: number for number, token in enumerate(tokens)}
        arcs = (
            Arc(numbers[source], numbers[token], arc.word, scores, arc.source)
            for token in tokens
            for source, arc, scores in token.ways
        )
        return replace(
            self._lattice,
            nodes=tuple(self._lattice.nodes[token.node] for token in tokens),
            start=0,
            arcs=tuple(arcs),
            finals={numbers[token]: token.end for token in tokens if token.end},
            scales=self._scales,
            text=None,
        )
