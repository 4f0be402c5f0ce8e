"""A lattice rescored by expanding it: tokens go through it, each with what has been said.

After Sundermeyer et al., "Lattice decoding and rescoring with long-span neural network language
models" (2014), and Xu et al., "A pruned RNNLM lattice-rescoring algorithm for automatic speech
recognition" (2018), from which the estimate of what is still to come is taken: the best way to an
end by the scores that the lattice has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from lmscore.errors import InputError, OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices.histories import Histories, History, Tokens
from lmscore.runtime.rescoring.lattices.lattice import END, MARKS, Arc, Lattice, Scores
from lmscore.runtime.rescoring.lattices.paths import LatticePath, n_best
from lmscore.runtime.rescoring.lattices.search_options import LatticeOptions
from lmscore.runtime.rescoring.lattices.spelling import spell


@dataclass(frozen=True)
class RescoredLattice:
    """A lattice with the scores of two language models, expanded so that both can be in it.

    Attributes:
        lattice: a node of the old one is there once for each history that is told apart at it, as
            far as it was not pruned. Along a path, `Scores.lm` sums to what the old lattice has and
            `Scores.new_lm` to what the new model says.
        num_tokens: the tokens (partial hypotheses) that were expanded.
        num_read: the tokens of text that the model had to read.
    """

    lattice: Lattice
    num_tokens: int
    num_read: int

    @cached_property
    def best(self) -> LatticePath:
        """The best path; without words and scores if the lattice is empty."""
        return self.n_best(1)[0]

    def n_best(self, n: int) -> list[LatticePath]:
        """The n best texts and the best path of each, best first; fewer if there are no more."""
        return n_best(self.lattice, n)


def rescore_lattice(
    lm: LanguageModel, lattice: Lattice, options: LatticeOptions | None = None
) -> RescoredLattice:
    """Rescore a lattice.

    The new score of a path is `LanguageModel.score` of its text in sentence context, exactly so
    where no history was taken for another (`order=None`). The end of the sentence is scored on an
    arc with the word </s>, or else at the end of the path. What the old model gives probability 0
    stays impossible. An empty lattice is given back as it is.

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
    """A partial hypothesis: a way to a node, and all others that are not told apart from it."""

    node: int
    history: History | None  # None once </s> was said, and when it is not needed any more
    words: tuple[Tokens, ...]  # the last ones, as many as tell histories apart
    score: float  # the best of the ways
    ways: list[tuple[_Token, Arc, Scores]] = field(default_factory=list)  # here from others
    end: Scores | None = None  # of ending here

    @property
    def has_ended(self) -> bool:
        """Whether </s> was said."""
        return self.history is None


class _Expansion:
    """Tokens on their way through a lattice, one topological level of nodes at a time."""

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
        """What may be asked of the model at a node, and past it where it has nothing to read."""
        tokens = {self._eos} if node in self._lattice.finals else set()
        for arc in self._lattice.leaving[node]:
            word = self._spelling[arc.word].later
            tokens |= {word[0]} if word else self._following[arc.end]
        return frozenset(tokens)

    def _kept(self, nodes: Iterable[int]) -> list[_Token]:
        """The tokens at some nodes that are good enough to go on."""
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
        """Let tokens go along all arcs that leave their nodes, or end."""
        moves = [
            (token, arc, self._read_on(token, arc.word))
            for token in tokens
            for arc in self._lattice.leaving[token.node]
            if self._leads_on(arc)
        ]
        ends = [token for token in tokens if self._may_end(token.node)]
        ways = [(token.history, word) for token, _, word in moves if token.history and word]
        ways += [(token.history, (self._eos,)) for token in ends if token.history]
        found = iter(self._histories.extend(ways))
        for token, arc, word in moves:
            log_prob, history = next(found) if word else (0.0, token.history)
            self._move(token, arc, word, log_prob, history)
        for token in ends:
            log_prob = 0.0 if token.has_ended else next(found)[0]
            token.end = self._lattice.finals[token.node] + Scores(new_lm=log_prob)
        for token in tokens:
            token.history = None  # frees its state

    def _leads_on(self, arc: Arc) -> bool:
        return self._old_scales.total(arc.scores) + self._completions[arc.end] > -math.inf

    def _may_end(self, node: int) -> bool:
        finals = self._lattice.finals
        return node in finals and self._old_scales.total(finals[node]) > -math.inf

    def _read_on(self, token: _Token, word: str) -> Tokens:
        """What the model has to read for a word."""
        if token.has_ended and word not in MARKS:
            raise InputError(f"lattice {self._lattice.id!r}: the word {word!r} comes after </s>")
        if token.has_ended:
            return ()
        is_first = token.history is self._histories.root
        return self._spelling[word].first if is_first else self._spelling[word].later

    def _move(
        self, token: _Token, arc: Arc, word: Tokens, log_prob: float, history: History | None
    ) -> None:
        """Bring a token, now with this history, to the end of an arc."""
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
        """What tells tokens at a node apart."""
        if history is None:
            return None
        if self._options.order is None:
            return history.number
        return words, history is self._histories.root

    def _result(self) -> Lattice:
        """The expanded lattice, without what pruning has cut off from the end."""
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
