"""The weights of a rescorer: how the features of a hypothesis become one score.

    score = (Σ weight · feature + word penalty · words) / words ** length normalization

A feature is named as in the list. These names can be used with every list:

- `words`: the number of words, which is what the word penalty weighs (a negative one penalises);
- `rank`: minus the place in the list, 0 for the first: all there is in a list without scores;
- `NAME*words`, `NAME*characters`: a feature times the length, for scores that a decoder has
  divided by the length.

A word is what white space separates in the text of the list; an empty text divides by 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import parse_object
from lmscore.errors import InputError, ModelError, OptionError
from lmscore.files import atomic_write_bytes, input_name, open_input
from lmscore.finite import is_finite
from lmscore.runtime.rescoring.lists.nbest import NBestList

Floats = NDArray[np.float64]

FORMAT_VERSION = 1

WORDS = "words"
RANK = "rank"

_LENGTHS: Mapping[str, Callable[[str], int]] = {
    "words": lambda text: len(text.split()),
    "characters": len,
}


@dataclass(frozen=True)
class Weights:
    """The weight of each feature, a penalty per word, and length normalization; a value."""

    features: Mapping[str, float]
    word_penalty: float = 0.0
    length_normalization: float = 0.0  # an exponent: 0 for none, 1 for the score per word

    def __post_init__(self) -> None:
        """Raise OptionError if a weight is not finite, or there is nothing to weigh."""
        if not self.features and not self.word_penalty:
            raise OptionError("no weights: name at least one feature")
        numbers: dict[str, object] = {
            **{f"the weight of {name!r}": weight for name, weight in self.features.items()},
            "the word penalty": self.word_penalty,
            "the length normalization": self.length_normalization,
        }
        for what, value in numbers.items():
            if not is_finite(value):
                raise OptionError(f"{what} is {value!r}, expected a finite number")

    def terms(self) -> dict[str, float]:
        """The weights that are not 0 by name, the word penalty as that of `words`."""
        penalty = self.features.get(WORDS, 0.0) + self.word_penalty
        named = {**self.features, WORDS: penalty}
        return {name: weight for name, weight in named.items() if weight}

    def combine(self, nbest: NBestList) -> Floats:
        """The score of each hypothesis, float64 [n], higher is better.

        A feature may be minus infinity (a probability of zero): the hypothesis comes last, or
        where the weight is 0 nothing happens.

        Raises:
            OptionError: a hypothesis lacks a feature, or has no score to compare: nan or infinity.
        """
        weights = self.terms()
        values = terms(nbest, list(weights), length_normalization=self.length_normalization)
        with np.errstate(invalid="ignore"):  # inf - inf: found below
            scores = weighted(values, list(weights.values()))
        for place, score in enumerate(scores.tolist(), 1):
            if math.isnan(score) or score == math.inf:
                raise OptionError(
                    f"{nbest.name}, hypothesis {place}: the score is {score}; "
                    "a feature of -inf needs a weight that is not negative"
                )
        return scores

    def best(self, nbest: NBestList) -> int | None:
        """The place of the best hypothesis, from 0, the first of equals; None in an empty list."""
        return int(self.combine(nbest).argmax()) if nbest.hypotheses else None

    def save(self, path: str | Path) -> None:
        """Write a JSON file that `read_weights` reads.

        Raises:
            OutputFileError: it cannot be written.
        """
        values = {**vars(self), "features": dict(self.features)}
        document = {"format_version": FORMAT_VERSION, **values}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        atomic_write_bytes(path, text.encode())


def terms(nbest: NBestList, names: Sequence[str], *, length_normalization: float = 0.0) -> Floats:
    """The terms that are weighed: features of each hypothesis by name, float64 [n, F].

    Raises:
        OptionError: a hypothesis lacks a feature.
    """
    columns = [_column(nbest, name) for name in names]
    values = np.array(columns, np.float64).reshape(len(names), len(nbest.hypotheses)).T
    if not length_normalization:
        return values
    lengths = np.maximum(_lengths(nbest, "words"), 1.0)
    return np.asarray(values / lengths[:, None] ** length_normalization)


def weighted(values: Floats, weights: Sequence[float] | Floats) -> Floats:
    """The sum of terms [n, F] times their weights [F], as float64 [n].

    Column by column, so that equal hypotheses get equal scores; a matrix product need not do that.
    """
    scores = np.zeros(len(values))
    for column, weight in zip(values.T, weights, strict=True):
        scores += weight * column
    return scores


def _column(nbest: NBestList, name: str) -> Sequence[float]:
    if any(name in hypothesis.features for hypothesis in nbest.hypotheses):
        return _feature(nbest, name)
    if name == WORDS:
        return _lengths(nbest, "words")
    if name == RANK:
        return range(0, -len(nbest.hypotheses), -1)
    factor, star, unit = name.rpartition("*")
    if star and unit in _LENGTHS:
        values, lengths = _feature(nbest, factor), _lengths(nbest, unit)
        return [value * length for value, length in zip(values, lengths, strict=True)]
    return _feature(nbest, name)


def _feature(nbest: NBestList, name: str) -> list[float]:
    for place, hypothesis in enumerate(nbest.hypotheses, 1):
        if name not in hypothesis.features:
            known = ", ".join([*hypothesis.features, WORDS, RANK])
            raise OptionError(
                f"{nbest.name}, hypothesis {place}: no feature {name!r}; there are {known}"
            )
    return [hypothesis.features[name] for hypothesis in nbest.hypotheses]


def _lengths(nbest: NBestList, unit: str) -> list[int]:
    return [_LENGTHS[unit](hypothesis.text) for hypothesis in nbest.hypotheses]


def read_weights(path: str | Path) -> Weights:
    """Weights from a JSON file.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: it does not hold weights; names file and key.
    """
    name = input_name(path)
    with open_input(path) as file:
        data = file.read()
    try:
        document = parse_object(data.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8") from error
    except ModelError as error:
        raise InputError(str(error)) from error
    if document.pop("format_version", None) != FORMAT_VERSION:
        raise InputError(f"{name}: 'format_version' must be {FORMAT_VERSION}")
    return _parsed(document, name)


def _parsed(document: dict[str, Any], name: str) -> Weights:
    known = [field.name for field in fields(Weights)]
    for key in document:
        if key not in known:
            raise InputError(f"{name}: unknown key {key!r}")
    features = document.pop("features", None)
    if not isinstance(features, dict):
        raise InputError(f"{name}: 'features' must be an object with a weight for each feature")
    try:
        return Weights(
            {key: _number(value, f"features.{key}") for key, value in features.items()},
            **{key: _number(value, key) for key, value in document.items()},
        )
    except OptionError as error:
        raise InputError(f"{name}: {error}") from error


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f"{key!r} is {value!r}, expected a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf  # which no weight may be
