"""N-best lists scored by the model: many lists at a time, each distinct beginning read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmscore.errors import InputError, OptionError
from lmscore.runtime.engine import (
    SHARING_METHODS,
    Engine,
    SharingMethod,
    State,
    TokenRows,
    reading_order,
    score_shared,
    token_rows,
)
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models.list_windows import Window, windows
from lmscore.runtime.scoring import Score, sum_scores
from lmscore.runtime.text import IdRows, TextTokenizer


@dataclass(frozen=True, slots=True)
class ListScores:
    """The scores of a list's hypotheses, in their order, and what a recurrent model read for them.

    Attributes:
        scores: may be none.
        tokens_read: tokens that are read for several lists at once count for the first of them.
            None: each hypothesis was scored by itself.
    """

    scores: Sequence[Score]
    tokens_read: int | None = None

    @property
    def num_tokens(self) -> int:
        """The tokens of all hypotheses, as their scores count them."""
        return sum(score.num_tokens for score in self.scores)

    @property
    def tokens_saved(self) -> int | None:
        """The tokens that did not have to be read; add up over lists that were read at once."""
        return None if self.tokens_read is None else self.num_tokens - self.tokens_read


def score_lists(
    lm: LanguageModel,
    lists: Iterable[Sequence[str]],
    *,
    bos: bool = True,
    eos: bool = True,
    method: SharingMethod = "auto",
    states: Iterable[State] | None = None,
) -> Iterator[ListScores]:
    """Score n-best lists as they come, in their order, in bounded memory.

    The scores are those of `LanguageModel.score_batch` in sentence context. Hypotheses that begin
    alike, of one list or of several, are read together as far as they do.

    Args:
        lists: the hypotheses of each; a list may be empty.
        bos: start each hypothesis from <s>. Without it, its first token is read, not scored.
        eos: score the end of sentence, </s>.
        method: "tree" shares beginnings, "flat" reads each distinct hypothesis by itself, "auto"
            takes the one that will be quicker.
        states: one row for each list, from which its hypotheses go on. Default: the initial state.

    Returns:
        For each list a score for each hypothesis, in its order; `Score.tokens` is left empty.

    Raises:
        InputError: a hypothesis is not a string that the model can read, or lists and states do
            not fit each other; says which.
        OptionError: no such method.
        ModelError: the model yields nan or inf.
    """
    if method not in SHARING_METHODS:
        raise OptionError(f"method must be one of {', '.join(SHARING_METHODS)}, not {method!r}")
    reader = _Reader(lm.engine, lm.tokenizer, bos, eos, method)
    return reader.stream(windows(lists, states))


@dataclass(frozen=True)
class _Reader:
    """A model, and the convention by which hypotheses are scored."""

    engine: Engine
    tokenizer: TextTokenizer
    bos: bool
    eos: bool
    method: SharingMethod

    def stream(self, parts: Iterable[Window]) -> Iterator[ListScores]:
        for window in parts:
            distinct, places = _distinct(window)
            scores, tokens_read = self._score(window, distinct) if distinct else ([], 0)
            for numbers in places:
                yield ListScores([scores[number] for number in numbers], tokens_read)
                tokens_read = 0

    def _score(self, window: Window, texts: Sequence[_Text]) -> tuple[list[Score], int]:
        """The score of each text, and the tokens that the model had to read."""
        rows = self._rows(self._encode(window, [text for _, text in texts]))
        parents = np.array([row for row, _ in texts], np.int64)
        state = State.concat(window.states) if window.states else self.engine.initial_state()
        log_probs, num_read = score_shared(self.engine, rows, state, parents, method=self.method)
        self.engine.check_finite(log_probs)
        unk_id = self.engine.config.unk_token_id
        oov = rows.targets == (-1 if unk_id is None else unk_id)
        owners = np.repeat(np.arange(len(texts)), rows.lengths)
        ends = (self.eos & (rows.lengths > 0)).astype(np.int64).tolist()
        scores = sum_scores([text for _, text in texts], owners, log_probs, oov, num_ends=ends)
        return scores, num_read

    def _encode(self, window: Window, texts: Sequence[str]) -> IdRows:
        try:
            return self.tokenizer.encode_rows(texts)
        except InputError:
            for number, hypotheses in enumerate(window.lists, window.first):
                self.tokenizer.encode_batch(hypotheses, name=f"list {number}, hypothesis")
            raise

    def _rows(self, texts: IdRows) -> TokenRows:
        """One row per text, of the tokens that are scored."""
        config = self.engine.config
        begin = np.array([config.bos_token_id] if self.bos else [], np.int64)
        before = IdRows.repeated(begin, len(texts.lengths))
        rows = token_rows(reading_order(texts, config), before=before, eos=config.eos_token_id)
        return rows if self.eos else _without_ends(rows)


_Text = tuple[int, str]  # the row of the starting state, and the text that follows it


def _distinct(window: Window) -> tuple[list[_Text], list[list[int]]]:
    """The distinct texts of a window, and for each list the numbers of its own among them."""
    numbers: dict[_Text, int] = {}
    places = []
    for position, hypotheses in enumerate(window.lists):
        row = position if window.states else 0
        places.append([numbers.setdefault((row, text), len(numbers)) for text in hypotheses])
    return list(numbers), places


def _without_ends(rows: TokenRows) -> TokenRows:
    """The rows without the last position of each, which predicts </s>."""
    kept = np.ones(len(rows.inputs), np.bool_)
    kept[(rows.starts + rows.lengths - 1)[rows.lengths > 0]] = False
    return TokenRows(rows.inputs[kept], rows.targets[kept], np.maximum(rows.lengths - 1, 0))
