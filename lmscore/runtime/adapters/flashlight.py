"""Language models for flashlight-text's decoders, and for torchaudio's, which use them.

The decoders only accept instances of their own class, so mix the two:

    class RecurrentLM(TokenLM, LM): ...      # LM and LMState from flashlight.lib.text.decoder, or
    lm = RecurrentLM(model, tokens, LMState)  # CTCDecoderLM and CTCDecoderLMState of torchaudio

Scores are natural logarithms. KenLM's are to base 10: divide a weight that was tuned for KenLM by
ln 10 = 2.3.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import itemgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.runtime.adapters.cache import Cache
from lmscore.runtime.adapters.histories import History, WordHistories, WordStep
from lmscore.runtime.adapters.rows import read_beginning, read_rows
from lmscore.runtime.adapters.vocabulary import Vocabulary
from lmscore.runtime.arguments import check_count
from lmscore.runtime.engine import Row
from lmscore.runtime.model import LanguageModel

_CACHE_BYTES = 128 << 20  # of log-probabilities and states
_END = -1  # an index that no token has


class LMState(Protocol):
    """The decoder's own state: a node of a tree, in which the same word leads to the same node."""

    def child(self, usr_index: int) -> LMState:
        """The node that the word leads to."""


@dataclass(eq=False, slots=True)  # not frozen, since that takes three times as long to make
class _Node:
    """A hypothesis, as the tokens that lead to it; nothing changes it."""

    parent: _Node | None  # None: the beginning
    token: int  # the model's id
    log_prob: float  # nats, of all its tokens

    def text(self) -> list[int]:
        tokens, node = [], self
        while node.parent is not None:
            tokens.append(node.token)
            node = node.parent
        return tokens[::-1]


@dataclass(frozen=True, slots=True)
class _Reading:
    log_probs: NDArray[np.float32]  # [V], nats, of the next token
    row: Row


class TokenLM:
    """A model with the decoder's tokens, for lexicon-free decoding.

    Attributes:
        num_runs: the number of graph runs so far.
    """

    def __init__(
        self,
        lm: LanguageModel,
        tokens: Sequence[str],
        new_state: Callable[[], LMState],
        *,
        skip: Collection[str] = (),
        skip_log_prob: float = -math.inf,
        look_ahead: int = 8,
    ) -> None:
        """Score these tokens; see `Vocabulary.match` for requirements and errors.

        Args:
            lm: a model of the same tokens.
            tokens: N, in the order of the decoder's token indices.
            new_state: the decoder's class of states.
            skip: those of the tokens that are no text, such as the blank.
            skip_log_prob: their score.
            look_ahead: hypotheses read in one run. The decoder asks for one at a time; others that
                it may ask for next are read along with it.

        Raises:
            OptionError: look_ahead is below 1, too.
        """
        super().__init__()
        check_count("look_ahead", look_ahead)
        self.num_runs = 0
        self._lm, self._new_state, self._look_ahead = lm, new_state, look_ahead
        self._vocabulary = Vocabulary.match(
            lm, tokens, end=None, skip=skip, skip_log_prob=skip_log_prob
        )
        reading_bytes = 4 * (lm.vocab_size + lm.config.state_size)
        self._readings: Cache[_Node, _Reading] = Cache(max(64, _CACHE_BYTES // reading_bytes))
        self._nodes: dict[LMState, _Node] = {}
        # Since the last run, by parent, in order.
        self._asked: defaultdict[_Node, dict[_Node, None]] = defaultdict(dict)
        self._last: tuple[_Node, _Reading] | None = None

    def start(self, start_with_nothing: bool = False) -> LMState:
        """Begin a new text, and forget the states of the last one.

        Raises:
            OptionError: start_with_nothing is set.
        """
        _check_start(start_with_nothing)
        state = self._new_state()
        self._nodes = {state: _Node(None, self._vocabulary.begin, 0.0)}
        self._asked.clear()
        self._last = None
        return state

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The log-probability (nats) of a token after a state, and the state after both.

        Raises:
            InputError: the token is out of range.
            ModelError: the model yields nan or inf.
        """
        node = self._nodes[state]
        log_prob = self._vocabulary.score(self._read(node).log_probs, usr_token_idx)
        after = state.child(usr_token_idx)
        child = self._nodes.get(after)
        if child is None:
            token = self._vocabulary.text_id(usr_token_idx)
            child = node if token is None else _Node(node, token, node.log_prob + log_prob)
            self._nodes[after] = child
        self._asked[node][child] = None
        return after, log_prob

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The log-probability (nats) of </s> after a state, and the state after that."""
        node = self._nodes[state]
        after = state.child(_END)
        self._nodes[after] = node
        return after, float(self._read(node).log_probs[self._vocabulary.end])

    def _read(self, node: _Node) -> _Reading:
        if self._last is not None and self._last[0] is node:
            return self._last[1]  # the decoder asks for many tokens after one state
        reading = self._readings.get(node)
        if reading is None:
            parent = None if node.parent is None else self._readings.peek(node.parent)
            reading = self._begin(node) if parent is None else self._run(node, parent)
        self._last = node, reading
        return reading

    def _begin(self, node: _Node) -> _Reading:
        """Read a hypothesis from <s> on."""
        reading = _Reading(*read_beginning(self._lm, node.text()))
        self.num_runs += 1
        self._readings.put(node, reading)
        return reading

    def _run(self, node: _Node, parent: _Reading) -> _Reading:
        """Read the last token of a hypothesis, and of others that may be asked for next."""
        batch = [(node, parent.row), *self._likely_next(node)]
        nodes, parents = zip(*batch, strict=True)
        log_probs, rows = read_rows(self._lm, [one.token for one in nodes], parents)
        self.num_runs += 1
        readings = [_Reading(found.copy(), row) for found, row in zip(log_probs, rows, strict=True)]
        for one, reading in zip(nodes, readings, strict=True):
            self._readings.put(one, reading)
        self._asked.clear()
        return readings[0]

    def _likely_next(self, node: _Node) -> list[tuple[_Node, Row]]:
        """Hypotheses that may survive, and the rows they continue.

        The model finds these hypotheses likely, and the decoder asked early for their last token:
        of the tokens after one state it asks for the acoustically likely ones first.
        """
        waiting = []
        for parent, children in self._asked.items():
            reading = self._readings.peek(parent)
            if reading is None:
                continue
            for rank, child in enumerate(children):
                if child.parent is parent and child is not node and not self._readings.peek(child):
                    waiting.append((rank - child.log_prob, child, reading.row))
        likely = nsmallest(self._look_ahead - 1, waiting, key=itemgetter(0))
        return [(child, row) for _, child, row in likely]


class WordLM:
    """A model that scores words, for decoding with a lexicon; any model of text will do.

    Attributes:
        scorer: the model, and its caches.
    """

    def __init__(
        self,
        lm: LanguageModel,
        words: Sequence[str],
        new_state: Callable[[], LMState],
        *,
        cache_size: int | None = None,
    ) -> None:
        """Score these words, in the order of the decoder's word indices.

        `new_state` is the decoder's class of states; see `WordHistories` for `cache_size`.

        Raises:
            OptionError: as `WordHistories`.
        """
        super().__init__()
        self.scorer = WordHistories(lm, cache_size=cache_size)
        self._words, self._new_state = words, new_state
        self._histories: dict[LMState, History] = {}

    def start(self, start_with_nothing: bool = False) -> LMState:
        """Begin a new text, and forget the states of the last one.

        Raises:
            OptionError: start_with_nothing is set.
        """
        _check_start(start_with_nothing)
        state = self._new_state()
        self._histories = {state: self.scorer.begin()}
        return state

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The log-probability (nats) of a word after a state, and the state after both.

        Raises:
            InputError: the word is out of range, or has white space in it.
            ModelError: the model yields nan or inf.
        """
        if not 0 <= usr_token_idx < len(self._words):
            raise InputError(f"word {usr_token_idx} is not one of the {len(self._words)} words")
        step = self.scorer.score(self._histories[state], self._words[usr_token_idx])
        return self._after(state, usr_token_idx, step)

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The log-probability (nats) of </s> after a state, and the state after that."""
        return self._after(state, _END, self.scorer.end(self._histories[state]))

    def _after(self, state: LMState, index: int, step: WordStep) -> tuple[LMState, float]:
        after = state.child(index)
        self._histories[after] = step.history
        return after, step.log_prob


def _check_start(start_with_nothing: bool) -> None:
    if start_with_nothing:
        raise OptionError("a recurrent model starts with <s>, not with nothing")
