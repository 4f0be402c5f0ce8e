"""Linear interpolation of back-off models into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import OptionError
from lmscore.finite import is_finite
from lmscore.runtime.ngram.model import (
    BOS,
    CONTROL,
    EOS,
    IMPOSSIBLE,
    UNK,
    Doubles,
    Floats,
    Ids,
    NgramModel,
    Table,
    unigram_keys,
)
from lmscore.runtime.ngram.weights import normalized


def interpolated(models: Sequence[NgramModel], weights: Sequence[float]) -> NgramModel:
    """One model whose n-grams are those of all models, P(w | h) = Σ weight · P_model(w | h).

    It is exact for every n-gram that it holds; others back off. A model that does not know a word
    gives it nothing.

    Raises:
        OptionError: there is no model, or the weights are no shares of 1, one for each.
    """
    if not models:
        raise OptionError("a mixture needs at least one model")
    check_shares(weights, len(models))
    words = list(dict.fromkeys([*CONTROL, *(word for model in models for word in model.words)]))
    numbers = {word: number for number, word in enumerate(words)}
    parts = [_Part(model, numbers) for model in models]
    keys: Ids = unigram_keys(len(words))
    rows = keys[:, None]
    tables = [Table(keys, _mixed(parts, weights, rows), np.zeros(len(keys), np.float32))]
    for n in range(2, max(model.order for model in models) + 1):
        keys = np.unique(np.concatenate(list(_keys(parts, n, len(words)))))
        for part in parts:
            part.advance(n, keys, len(words))
        contexts, last = np.divmod(keys, len(words))
        rows = np.column_stack([rows[contexts], last])
        tables.append(Table(keys, _mixed(parts, weights, rows), np.zeros(len(keys), np.float32)))
    has_unknown = any(model.has_unknown for model in models)
    return normalized(NgramModel(words, tuple(tables), has_unknown))


def word_log_probs(
    models: Sequence[NgramModel], sentences: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """What each of M models says of each word of a text, its </s> included, float64 [M, N], nats.

    A word that a model does not know has -inf.
    """
    rows = []
    for model in models:
        ids = [np.array([BOS, *model.encode(sentence), EOS]) for sentence in sentences]
        tokens = np.concatenate(ids) if ids else np.empty(0, np.int64)
        found = model.log_probs(tokens, tokens == BOS)
        rows.append(np.where(tokens == UNK, -np.inf, found)[tokens != BOS])
    return np.array(rows)


class _Part:
    """One of the models, in the numbers of the mixture.

    Attributes:
        places: the numbers that the model's n-grams of the last order have in the mixture.
    """

    def __init__(self, model: NgramModel, numbers: dict[str, int]) -> None:
        self.model = model
        self.places = np.array([numbers[word] for word in model.words], np.int64)
        self._words = self.places
        self._own = np.full(len(numbers), UNK, np.int64)
        self._own[self._words] = unigram_keys(model.vocab_size)
        self._known = np.zeros(len(numbers), np.bool_)
        self._known[self._words] = True
        self._known[UNK] = model.has_unknown

    def keys(self, n: int, V: int) -> Ids:
        """The keys of the model's n-grams in the mixture, of V words; none beyond its order."""
        if n > self.model.order:
            return np.empty(0, np.int64)
        contexts, last = np.divmod(self.model.tables[n - 1].keys, self.model.vocab_size)
        return self.places[contexts] * V + self._words[last]

    def advance(self, n: int, table: Ids, V: int) -> None:
        """Go on to the n-grams of an order, whose keys in the mixture are `table`."""
        self.places = np.searchsorted(table, self.keys(n, V))

    def log_probs(self, rows: Ids) -> Doubles:
        """Log P(last word | the others) of rows [M, n] of the mixture's words; -inf: not known."""
        found = self.model.log_probs_of(self._own[rows].astype(np.int32))
        return np.where(self._known[rows[:, -1]], found, -np.inf)


def _keys(parts: Sequence[_Part], n: int, V: int) -> Iterator[Ids]:
    return (part.keys(n, V) for part in parts)


def _mixed(parts: Sequence[_Part], weights: Sequence[float], rows: Ids) -> Floats:
    """The log-probabilities of M n-grams by all models, float32 [M]."""
    shares = [(part, np.log(weight)) for part, weight in zip(parts, weights, strict=True) if weight]
    found: NDArray[np.float64] = np.full(len(rows), -np.inf)
    for part, share in shares:
        found = np.logaddexp(found, part.log_probs(rows) + share)
    if rows.shape[1] == 1:
        found[BOS] = IMPOSSIBLE
    return np.clip(found, IMPOSSIBLE, 0).astype(np.float32)


def check_shares(weights: Sequence[float], num_models: int) -> None:
    """Raise OptionError unless the weights are shares of 1, one for each of some models."""
    if len(weights) != num_models:
        raise OptionError(f"{len(weights)} weights for a mixture of {num_models}")
    for weight in weights:
        if not (is_finite(weight) and weight >= 0):
            raise OptionError(f"a weight of a mixture is {weight}, expected 0 to 1")
    if abs(fsum(weights) - 1) > 1e-6:
        raise OptionError(f"the weights of a mixture sum to {fsum(weights):g}, not to 1")
