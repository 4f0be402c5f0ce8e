"""The models that read the words of a lattice while it is searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lmscore.runtime.engine import Engine
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices.histories import Histories, History, Tokens
from lmscore.runtime.rescoring.lattices.lattice import END, Lattice
from lmscore.runtime.rescoring.lattices.spelling import Spelling, spell
from lmscore.runtime.rescoring.models import Lodr


class Reader:
    """A model and the histories that it has read.

    Attributes:
        histories: all that are in use.
    """

    def __init__(
        self, engine: Engine, spelling: Mapping[str, Spelling], lattice: Lattice, *, eos: int
    ) -> None:
        """Take a model, its tokens for each word of the lattice, and its token for </s>."""
        self.histories = Histories(engine)
        self._spelling, self._eos = spelling, eos
        self._following: dict[int, frozenset[int]] = {}
        for node in reversed(lattice.order):
            self._following[node] = self._first_tokens(lattice, node)

    def _first_tokens(self, lattice: Lattice, node: int) -> frozenset[int]:
        """The first tokens of the words that may follow a node, past arcs with nothing to read."""
        tokens = {self._eos} if node in lattice.finals else set()
        for arc in lattice.leaving[node]:
            word = self._spelling[arc.word].later
            tokens |= {word[0]} if word else self._following[arc.end]
        return frozenset(tokens)

    def tokens(self, history: History, word: str) -> Tokens:
        """The tokens to read for a word after a history; none if the word is nothing to it."""
        spelling = self._spelling[word]
        return spelling.first if history is self.histories.root else spelling.later

    def ending(self) -> Tokens:
        """The tokens to read at the end of a text."""
        return (self._eos,)

    def extend(self, ways: Sequence[tuple[History, Tokens]]) -> list[tuple[float, History]]:
        """The log-probability (nats) of each word after its history, and the history with it.

        Where nothing is read the log-probability is 0 and the history the same. Raises what
        `Histories.extend` raises.
        """
        found = iter(self.histories.extend([way for way in ways if way[1]]))
        return [next(found) if tokens else (0.0, history) for history, tokens in ways]

    def expect(self, history: History, node: int) -> None:
        """Let the next reading of a history give what may follow it at a node, too."""
        history.wanted |= self._following[node]


def readers_of(
    lattice: Lattice, lm: LanguageModel, lodr: Lodr | None, prepare: Callable[[str], str]
) -> list[Reader]:
    """The language model, and the n-gram model beside it if there is one.

    Raises:
        InputError: a model cannot read a word.
    """
    words = [arc.word for arc in lattice.arcs]
    spelling = spell(lm.tokenizer, words, prepare, eos=lm.config.eos_token_id)
    readers = [Reader(lm.engine, spelling, lattice, eos=lm.config.eos_token_id)]
    if lodr is not None:
        eos = lodr.ngram.config.eos_token_id
        if lodr.tokenizer is None:
            own = spell(lodr.ngram.tokenizer, words, prepare, eos=eos)
        else:
            own = _in_ids(spelling, lodr, eos)
        readers.append(Reader(lodr.ngram.engine, own, lattice, eos=eos))
    return readers


def _in_ids(spelling: Mapping[str, Spelling], lodr: Lodr, eos: int) -> dict[str, Spelling]:
    """The tokens of an n-gram over token ids, for words of which these are known."""
    found = {
        word: Spelling(
            tuple(map(lodr.token, tokens.first)),
            tuple(map(lodr.token, tokens.later)),
        )
        for word, tokens in spelling.items()
    }
    return {**found, END: Spelling((eos,), (eos,))}
