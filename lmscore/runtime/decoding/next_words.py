"""The likeliest next words, spelt token by token: best-first search in batches of partial words.

Letters in shapes: B partial words read at a time, F partial words waiting, S rows of state that
they continue, V vocabulary.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.names import NextUnit
from lmscore.runtime.decoding.never import never_generated
from lmscore.runtime.decoding.text import Prompt, lines_of
from lmscore.runtime.decoding.units import (
    NextOptions,
    Unit,
    Wanted,
    chosen_unit,
    merged,
    searches_for,
)
from lmscore.runtime.engine import Engine, State, Step
from lmscore.runtime.scoring import END
from lmscore.runtime.text import Ids, TextTokenizer, without_space_before

_BATCH = 32  # partial words read at a time: a graph run costs about as much as for one
_WORDS_PER_ROW = 8  # larger batches for many words: each run sorts all waiting partial words
_MIN_WORK = 4096  # partial words read at most,
_WORK_PER_WORD = 16  # unless many words are wanted

# Once all wanted words are found, other spellings are sought down to this share of the last word.
_SHARE = 1e-3
_ROUNDED_DOWN = 1 - 1e-6  # a bound that float32 may round up, so that no token is missed

_log = logging.getLogger("lmscore")

Floats = NDArray[np.float64]
Following = NDArray[np.floating[Any]]  # P(token | text and partial word) as the model gives it
Mask = NDArray[np.bool_]


def find_next_words(
    engine: Engine, tokenizer: TextTokenizer, text: str, k: int, options: NextOptions
) -> list[tuple[str, float]]:
    """The k likeliest next words after a text, best first; see `LanguageModel.next_words`."""
    unit = unit_of(engine, tokenizer, options)
    lines = lines_of(text, engine.config)
    if unit == "word":
        lines[-1] = lines[-1].rstrip()
    start = Prompt.after_lines(tokenizer, lines, engine.config).step(engine)
    return find_next_after(engine, tokenizer, start, k, options, begun=bool(lines[-1]))


def find_next_after(
    engine: Engine,
    tokenizer: TextTokenizer,
    start: Step,
    k: int,
    options: NextOptions,
    *,
    begun: bool,
) -> list[tuple[str, float]]:
    """The k likeliest next words after a step of one row; `begun`: there is a word before."""
    name = unit_of(engine, tokenizer, options)
    if name == "token":
        return _best_tokens(engine, tokenizer, start, k, unk=options.unk)
    found: dict[str, float] = {}
    for length, wanted in searches_for(name, options):
        unit = Unit.of(name, tokenizer, _bos(engine), length)
        first: Following = np.exp(start.log_probs)
        if begun and name == "word" and not unit.all_are_whole:
            first = _where_a_word_begins(start, tokenizer.begins_word)
        search = _Search(engine, tokenizer, k, unit, wanted)
        search.run(first, start.state)
        best = search.best()
        if search.is_incomplete:
            missing = search.missing()
            if missing:
                rest = replace(wanted, allowed=missing)
                search = _Search(engine, tokenizer, k, unit, rest, one_spelling=True)
                search.run(first, start.state)
                best += search.best()
                missing = search.missing()
            search.warn(all_are_found=wanted.allowed is not None and not missing)
        for word, probability in best:
            # What several lengths give to one merged word: the shorter string holds the longer.
            found[word] = max(probability, found.get(word, 0.0))
    return sorted(found.items(), key=_best_first)[:k]


def unit_of(engine: Engine, tokenizer: TextTokenizer, options: NextOptions) -> NextUnit:
    """The unit of the continuations: "word", "character" or "token"; errors of `chosen_unit`."""
    unit = chosen_unit(options, tokenizer, _bos(engine), engine.config.eos_token_id)
    searches_for(unit, options)  # raises OptionError
    return unit


def _bos(engine: Engine) -> int:
    return engine.config.bos_token_id


def _best_tokens(
    engine: Engine, tokenizer: TextTokenizer, start: Step, k: int, *, unk: bool
) -> list[tuple[str, float]]:
    """The k likeliest next tokens, as text where their bytes are text; `</s>` is one of them."""
    config, row = engine.config, start.log_probs[0].astype(np.float64)
    row[never_generated(config, unk=unk)] = -np.inf
    best = np.argsort(-row, kind="stable")[:k]
    found = []
    for token in best[np.isfinite(row[best])].tolist():
        piece = tokenizer.pieces[token].decode("utf-8", "replace")
        shown = piece if piece and "\ufffd" not in piece else tokenizer.token(token)
        name = END if token == config.eos_token_id else shown
        found.append((name, float(np.exp(row[token]))))
    return found


def _where_a_word_begins(start: Step, begins_word: NDArray[np.bool_]) -> Floats:
    """P(token | text, its last word is over), float64 [1, V]."""
    log_probs = np.where(begins_word, start.log_probs.astype(np.float64), -np.inf)
    weights = np.exp(log_probs - log_probs.max())
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class _Waiting:
    """Unread partial words, best first; each adds a token to one of S that were read."""

    probabilities: Floats  # [F], of all tokens of the partial word
    parents: Ids  # [F], which of the S
    tokens: Ids  # [F]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: slice | Ids | NDArray[np.bool_]) -> _Waiting:
        return _Waiting(self.probabilities[index], self.parents[index], self.tokens[index])

    def without(self, bound: float) -> _Waiting:
        """The partial words that are likelier than `bound`."""
        return self[self.probabilities > bound]

    def merged(self, other: _Waiting) -> _Waiting:
        """The partial words of both, best first."""
        both = _Waiting(
            np.concatenate([self.probabilities, other.probabilities]),
            np.concatenate([self.parents, other.parents]),
            np.concatenate([self.tokens, other.tokens]),
        )
        return both[np.argsort(-both.probabilities, kind="stable")]


class _Search:
    """The words found so far, and the partial words that may still become one.

    Partial words that cannot beat the k best words are dropped at once, so the search is over when
    no partial word waits.

    A long word has exponentially many spellings. `one_spelling` reads each partial word once, as it
    is spelt likeliest, so that words are found that nobody would expect.

    Attributes:
        unit: words or characters.
        waiting: the partial words to be read.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: TextTokenizer,
        k: int,
        unit: Unit,
        options: NextOptions,
        *,
        one_spelling: bool = False,
    ) -> None:
        self._engine, self._tokenizer, self._k = engine, tokenizer, k
        self.unit, self._merge = unit, options.merge
        self._wanted: Wanted | None = None
        self._enough, self._share = k, 1.0  # words that are sought
        if options.partial or options.allowed is not None:
            allowed = None if options.allowed is None else sorted(options.allowed)
            self._wanted = Wanted(tokenizer, unit, options.partial, allowed)
            if allowed is not None:  # there are no more words to wait for
                accepted = set(filter(self._wanted.accepts, allowed))
                count = len(set(map(merged, accepted)) if self._merge else accepted)
                self._enough, self._share = min(k, count), _SHARE if count <= k else 1.0
        never = never_generated(engine.config, unk=options.unk)
        self._never = [*never, engine.config.eos_token_id]  # tokens that no word has
        batch = max(_BATCH, k // _WORDS_PER_ROW)
        self._batch = min(batch, engine.token_budget)
        self._work = self._work_left = max(_MIN_WORK, _WORK_PER_WORD * k)
        self._best_never_read = 0.0  # probability of the likeliest partial word left unread
        self._words: defaultdict[str, float] = defaultdict(float)
        self._end = 0.0
        nothing = np.empty(0, np.int64)
        self.waiting = _Waiting(np.empty(0), nothing, nothing)
        self._spelt: list[bytes] = []  # [S]: partial words that were read,
        self._state = engine.initial_state(0)  # and the state after each, S rows
        self._one_spelling = one_spelling
        self._begun: set[bytes] = set()  # the partial words that were read, for one spelling

    def run(self, first: Following, state: State) -> None:
        """Search after a text; `first` float [1, V] is P(token | text), state has its row."""
        self.open([b""], np.ones(1), first, state)
        while len(self.waiting):
            self.read_best()

    def best(self) -> list[tuple[str, float]]:
        """The k likeliest words so far, best first."""
        end = [(END, self._end)] if self._wanted is None else []
        found = [*end, *self._words.items()]
        found.sort(key=_best_first)
        return [item for item in found[: self._k] if item[1] > 0]

    @property
    def is_incomplete(self) -> bool:
        """Whether a partial word was left unread that might have won."""
        return self._best_never_read > self._bound()

    def missing(self) -> set[str]:
        """The allowed words of which no spelling was found before the limit of work."""
        if self._wanted is None or not self.is_incomplete:
            return set()
        words = filter(self._wanted.accepts, self._wanted.allowed or ())
        return {word for word in words if self._shown(word) not in self._words}

    def warn(self, *, all_are_found: bool) -> None:
        """Log a warning that the limit of work has ended the search."""
        lost = (
            "the probabilities of unlikely words may lack spellings"
            if all_are_found
            else "a likelier word may be missing"
        )
        _log.warning("next words: stopped after %d partial words; %s", self._work, lost)

    def read_best(self) -> None:
        """Take the likeliest partial words: add the complete ones to the words, read the others."""
        best, self.waiting = self.waiting[: self._batch], self.waiting[self._batch :]
        pieces = self._tokenizer.pieces
        spelt = [
            self._spelt[parent] + pieces[token]
            for parent, token in zip(best.parents.tolist(), best.tokens.tolist(), strict=True)
        ]
        if self._one_spelling:
            new = [row for row, partial in enumerate(spelt) if self._is_new(partial)]
            best, spelt = best[np.array(new, np.int64)], [spelt[row] for row in new]
        self._work_left -= len(best)
        words = [self.unit.first(partial) for partial in spelt]
        for (word, over), probability in zip(words, best.probabilities.tolist(), strict=True):
            if over:
                self._add(word, probability)
        self.waiting = self.waiting.without(self._bound())
        rows = np.flatnonzero([not over for _, over in words])
        if len(rows):
            self._read([spelt[row] for row in rows], best[rows])

    def _is_new(self, partial: bytes) -> bool:
        """Note a partial word; whether it is the first of its letters, whatever space is before."""
        begun = without_space_before(partial) if self.unit.name == "word" else partial
        is_new = begun not in self._begun
        self._begun.add(begun)
        return is_new

    def _read(self, spelt: list[bytes], best: _Waiting) -> None:
        step = self._engine.step(best.tokens, self._state, best.parents)
        self.open(spelt, best.probabilities, np.exp(step.log_probs), step.state)

    def open(
        self, spelt: list[bytes], probabilities: Floats, following: Following, state: State
    ) -> None:
        """Complete the words of B partial ones, and queue the tokens that may follow.

        probabilities [B] are those of the partial words, following [B, V] those of each token after
        them; state has B rows, after the partial words.
        """
        config, begins = self._engine.config, self.unit.begins
        words = [self.unit.first(partial)[0] for partial in spelt]
        full = np.array([self.unit.is_full(word) for word in words])
        self._end += float(probabilities[~full] @ following[~full, config.eos_token_id])
        over = probabilities[full] * (following[full] @ begins.astype(np.float32))
        for at, probability in zip(np.flatnonzero(full).tolist(), over.tolist(), strict=True):
            self._add(words[at], probability)
        goes_on = ~(full[:, None] & begins)
        goes_on[:, self._never] = False
        if self._wanted is not None:
            goes_on &= np.stack([self._wanted.tokens(partial) for partial in spelt])
        self._wait(spelt, probabilities, following, goes_on, state)

    def _add(self, word: str, probability: float) -> None:
        wanted = self._wanted is None or self._wanted.accepts(word)
        if probability > 0 and wanted and _is_utf8(word):
            self._words[self._shown(word)] += probability

    def _shown(self, word: str) -> str:
        return merged(word) if self._merge else word

    def _wait(
        self,
        spelt: list[bytes],
        probabilities: Floats,
        following: Following,
        goes_on: Mask,
        state: State,
    ) -> None:
        """Queue the tokens that may go on B partial words, and drop the ones that cannot win."""
        bound = self._bound()
        likely = following > (bound / probabilities * _ROUNDED_DOWN)[:, None]
        rows, tokens = np.nonzero(likely & goes_on)
        longer = following[rows, tokens] * probabilities[rows]
        new = _Waiting(longer, rows + len(self._spelt), tokens).without(bound)
        waiting = self.waiting.without(bound).merged(new)
        self.waiting, never = waiting[: self._work_left], waiting[self._work_left :]
        if len(never):
            self._best_never_read = max(self._best_never_read, float(never.probabilities[0]))
        used, parents = np.unique(self.waiting.parents, return_inverse=True)
        self.waiting = replace(self.waiting, parents=parents)
        spelt = self._spelt + spelt
        self._spelt = [spelt[row] for row in used.tolist()]
        self._state = State.concat([self._state, state]).select(used)

    def _bound(self) -> float:
        """The probability that a word must beat: the k-th best word's, or the last one's."""
        if not self._enough:
            return 1.0
        end = [self._end] if self._wanted is None else []
        found = np.array([*end, *self._words.values()])
        last = self._enough
        return self._share * float(np.partition(found, -last)[-last]) if len(found) >= last else 0.0


def _is_utf8(word: str) -> bool:
    return word.encode("utf-8", "ignore").decode() == word


def _best_first(item: tuple[str, float]) -> tuple[float, str]:
    """A key that sorts words by their probabilities, and equally likely ones by their letters."""
    word, probability = item
    return -probability, word
