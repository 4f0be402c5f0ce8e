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
from lmscore.runtime.rescoring.lattices.histories import Histories, History, Tokens
from lmscore.runtime.rescoring.lattices.lattice import END, MARKS, Arc, Lattice, Scores
from lmscore.runtime.rescoring.lattices.paths import LatticePath, n_best
from lmscore.runtime.rescoring.lattices.search_options import LatticeOptions
from lmscore.runtime.rescoring.lattices.spelling import spell


@dataclass(frozen=True)
class RescoredLattice:
    """A lattice with the scores of the old and the new language model.

    Attributes:
        lattice: the expanded lattice: each node of the old one appears once for each history that
            is distinguished there and was not pruned. Along a path, `Scores.lm` sums to the old
            model's score and `Scores.new_lm` to the new model's.
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
    lm: LanguageModel, lattice: Lattice, options: LatticeOptions | None = None
) -> RescoredLattice:
    """Rescore a lattice.

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
    return _Expansion(lm, lattice, options).run()


@dataclass(slots=True, eq=False)
class _Token:
    """A partial hypothesis: the paths to a node whose histories are not distinguished."""

    node: int
    history: History | None  # of the best path; None after </s>, and when no longer needed
    words: tuple[Tokens, ...]  # the last words, which distinguish histories
    score: float  # of the best path
    ways: list[tuple[_Token, Arc, Scores]] = field(default_factory=list)  # the steps that led here
    end: Scores | None = None  # the scores of ending here

    @property
    def has_ended(self) -> bool:
        """Whether </s> is part of the path."""
        return self.history is None


class _Expansion:
    """Moves tokens through a lattice, one topological level of nodes at a time."""

    def __init__(self, lm: LanguageModel, lattice: Lattice, options: LatticeOptions) -> None:
        self._lattice, self._options = lattice, options
        self._scales = options.scales(lattice.scales)
        if self._scales.lm <= 0:
            raise OptionError(
                f"lattice {lattice.id!r} has the language model scale {self._scales.lm}; "
                "give one that is above 0"
            )
        self._old_scales = replace(self._scales, old_weight=1.0, new_weight=0.0)
        self._completions = lattice.completions(self._old_scales)
        if self._completions[lattice.start] == -math.inf:
            raise InputError(f"lattice {lattice.id!r}: no path leads from its start to its end")
        self._histories = Histories(lm.engine)
        self._eos = lm.config.eos_token_id
        words = (arc.word for arc in lattice.arcs)
        self._spelling = spell(lm.tokenizer, words, options.prepare, eos=self._eos)
        self._following: dict[int, frozenset[int]] = {}
        for node in reversed(lattice.order):
            self._following[node] = self._first_tokens(node)
        start = _Token(lattice.start, self._histories.root, (), 0.0)
        self._arrived: dict[int, dict[object, _Token]] = {lattice.start: {(): start}}
        self._expanded: list[_Token] = []

    def run(self) -> RescoredLattice:
        for level in self._lattice.levels():
            tokens = self._kept([node for node in level if node in self._arrived])
            self._expand(tokens)
            self._expanded += tokens
        return RescoredLattice(self._result(), len(self._expanded), self._histories.num_read)

    def _first_tokens(self, node: int) -> frozenset[int]:
        """The first tokens of the words that may follow a node, past arcs with nothing to read."""
        tokens = {self._eos} if node in self._lattice.finals else set()
        for arc in self._lattice.leaving[node]:
            word = self._spelling[arc.word].later
            tokens |= {word[0]} if word else self._following[arc.end]
        return frozenset(tokens)

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
        ways = [(token.history, word) for token, _, word in moves if token.history and word]
        ways += [(token.history, (self._eos,)) for token in ends if token.history]
        found = iter(self._histories.extend(ways))
        for token, arc, word in moves:
            log_prob, history = next(found) if word else (0.0, token.history)
            self._move(token, arc, word, log_prob, history)
        for token in ends:
            log_prob = 0.0 if token.has_ended else next(found)[0]
            token.end = finals[token.node] + Scores(new_lm=log_prob)
        for token in tokens:
            token.history = None  # frees its state

    def _read_on(self, token: _Token, word: str) -> Tokens:
        """The tokens that the model reads for a word after a token's history."""
        if token.has_ended and word not in MARKS:
            raise InputError(f"lattice {self._lattice.id!r}: the word {word!r} comes after </s>")
        if token.has_ended:
            return ()
        is_first = token.history is self._histories.root
        return self._spelling[word].first if is_first else self._spelling[word].later

    def _move(
        self, token: _Token, arc: Arc, word: Tokens, log_prob: float, history: History | None
    ) -> None:
        """Move a token to the end of an arc, where it has this history."""
        scores = arc.scores + Scores(new_lm=log_prob)
        score = token.score + self._scales.total(scores, arc.num_words)
        if arc.word == END:
            history = None
        words = self._last_words(token.words, word)
        key = self._key(words, history)
        arrived = self._arrived.setdefault(arc.end, {})
        there = arrived.get(key)
        if there is None:
            there = arrived[key] = _Token(arc.end, history, words, score)
        there.ways.append((token, arc, scores))
        if score > there.score:
            there.history, there.score = history, score
        if history is not None:
            history.wanted |= self._following[arc.end]

    def _last_words(self, words: tuple[Tokens, ...], word: Tokens) -> tuple[Tokens, ...]:
        if self._options.order is None or not word:
            return words
        return (*words, word)[max(0, len(words) + 2 - self._options.order) :]

    def _key(self, words: tuple[Tokens, ...], history: History | None) -> object:
        """The key that distinguishes the tokens at a node."""
        if history is None:
            return None
        if self._options.order is None:
            return history.number
        return words, history is self._histories.root

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
