"""Hidden states as features of tokens, words and sentences.

A graph gives the state after a run, so texts are read a token at a time, many texts at once. The
feature of a token is the output of the layers after it was read.

Letters in shapes: n tokens, words or sentences; L layers, H hidden, F = chosen layers * H.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import OptionError
from lmscore.names import FeatureUnit, Pool
from lmscore.runtime.engine import Engine, Tensor
from lmscore.runtime.inside.inspection import read_order
from lmscore.runtime.scoring import WordTokens, word_tokens
from lmscore.runtime.text import Ids, TextTokenizer

_ROWS = 64  # texts that are read at once


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """What the features of a text are.

    Attributes:
        unit: what has a feature: "token", "word" (white space between them) or "sentence".
        pool: how the tokens of a word or sentence are joined: their "mean", the "last" one, or the
            largest value of each unit, "max".
        layers: the layers whose outputs are joined, from 0; negative ones count from the last.
    """

    unit: FeatureUnit = "sentence"
    pool: Pool = "mean"
    layers: Sequence[int] = (-1,)

    def checked(self, engine: Engine) -> FeatureOptions:
        """The options with layers counted from 0; raises OptionError for what the model lacks."""
        if self.unit not in get_args(FeatureUnit):
            raise OptionError(f"unit must be token, word or sentence, not {self.unit!r}")
        if self.pool not in get_args(Pool):
            raise OptionError(f"pool must be mean, last or max, not {self.pool!r}")
        config = engine.config
        if not config.cell_spec.is_recurrent:
            raise OptionError("a model without recurrence has no hidden states, hence no features")
        if config.cell_spec.has_heads:
            raise OptionError(
                f"the state of a {config.cell} layer is not its output, hence no features; in "
                "Python, inspect(text).layers[-1]['h'] has it"
            )
        L, chosen = config.num_hidden_layers, list(self.layers)
        if not chosen or not all(isinstance(layer, int) and -L <= layer < L for layer in chosen):
            raise OptionError(f"layers are {chosen}, expected numbers in {-L}..{L - 1}")
        return FeatureOptions(
            unit=self.unit, pool=self.pool, layers=tuple(layer % L for layer in chosen)
        )


def features_of(
    engine: Engine,
    tokenizer: TextTokenizer,
    texts: Sequence[str],
    options: FeatureOptions,
    *,
    first: int = 1,
) -> Iterator[NDArray[np.float32]]:
    """The features of texts, in their order: float32 [n, F], or [F] for a sentence.

    The options are checked ones; `first` is the number of the first text, for errors. A sentence
    without tokens has the state after <s>.

    Raises:
        InputError: a text has no ids.
        ModelError: the model yields nan or inf.
    """
    rows = tokenizer.encode_rows(texts, first=first).split()
    for text, states in zip(texts, _states(engine, rows, options.layers), strict=True):
        if options.unit == "token":
            yield states[1:]
        elif options.unit == "sentence":
            yield _pooled(states[1:] if len(states) > 1 else states, options.pool)
        else:
            yield _of_words(text, states[1:], tokenizer, options.pool)


def _of_words(
    text: str, states: Tensor, tokenizer: TextTokenizer, pool: Pool
) -> NDArray[np.float32]:
    """A feature for each word of a text; one that has no token of its own has zeros."""
    words = _words(tokenizer, text)
    found = np.zeros((len(words.texts), states.shape[1]), np.float32)
    for word in range(len(words.texts)):
        own = states[words.owners == word]
        if len(own):
            found[word] = _pooled(own, pool)
    return found


def word_texts(tokenizer: TextTokenizer, text: str) -> list[str]:
    """The words of a text that have a feature each."""
    return _words(tokenizer, text).texts


def _words(tokenizer: TextTokenizer, text: str) -> WordTokens:
    (encoded,) = tokenizer.encode_spans([text])
    return word_tokens(text, encoded.spans, eos=False, characters=tokenizer.spaceless)


def _pooled(states: Tensor, pool: Pool) -> NDArray[np.float32]:
    if pool == "last":
        return np.asarray(states[-1], np.float32)
    return np.asarray(states.mean(axis=0) if pool == "mean" else states.max(axis=0), np.float32)


def _states(engine: Engine, rows: Sequence[Ids], layers: Sequence[int]) -> Iterator[Tensor]:
    """The layers' outputs after <s> and after each token of each row, [1 + tokens, F]."""
    order = sorted(range(len(rows)), key=lambda number: -len(rows[number]))
    found: dict[int, Tensor] = {}
    for first in range(0, len(order), _ROWS):
        batch = order[first : first + _ROWS]
        texts = [read_order(engine.config, rows[number]) for number in batch]
        found.update(zip(batch, _batch_states(engine, texts, layers), strict=True))
    for number, row in enumerate(rows):
        yield _in_text_order(engine, found.pop(number), len(row))


def _in_text_order(engine: Engine, states: Tensor, length: int) -> Tensor:
    if engine.config.direction == "forward":
        return states
    return np.concatenate((states[:1], states[1 : 1 + length][::-1]))


def _batch_states(engine: Engine, rows: Sequence[Ids], layers: Sequence[int]) -> list[Tensor]:
    """The same of rows whose lengths do not rise: row by row they drop out at their ends."""
    steps: list[list[Tensor]] = [[] for _ in rows]
    tokens = np.full(len(rows), engine.config.bos_token_id, np.int64)
    state = engine.initial_state(len(rows))
    for time in range(1 + len(rows[0])):
        running = sum(len(row) >= time for row in rows)
        if time > 0:
            tokens = np.array([row[time - 1] for row in rows[:running]])
        state = engine.advance(tokens[:running], state, np.arange(running))
        h = np.asarray(state.tensors[0])[list(layers)]  # [layers, B, H]
        for row in range(running):
            steps[row].append(h[:, row].reshape(-1))
    for of_row in steps:
        engine.check_finite(of_row[-1])
    return [np.stack(of_row) for of_row in steps]
