"""The distribution that a token is drawn from (log-probs, warped and cut), and the draw.

Log-probs are floats [B, V] (nats) and need not sum to one; tokens that are cut have -inf. At least
one token of every row stays. Equally likely tokens stay or go together.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.arguments import (
    check_argument,
    check_count,
    check_keywords,
    check_lines,
    check_stop,
)
from lmscore.runtime.text import Ids

LogProbs = NDArray[np.floating[Any]]

_MAX_PENALTY = 1000  # so that penalised log-probs stay finite in float32
# Below the one only the likeliest are left, above the other all are equally likely; temperatures
# much further out would be 0 or infinite in float32.
_COLDEST, _HOTTEST = 1e-30, 1e30
_TINY = np.finfo(np.float64).tiny


class SamplingKeywords(TypedDict, total=False):
    """The keywords of `LanguageModel.sample`, `sample_batch` and `stream`.

    By default, texts are distributed as the model says. Tokens are drawn from its
    log-probabilities after, in this order: repetition_penalty, temperature, top_k, top_p, min_p.

    Attributes:
        max_tokens: the length at which an unfinished sample is cut ("length"). Default: 100.
        max_lines: the number of lines after which a sample of a model of documents ends; the </s>
            before are line breaks. Default: 1.
        temperature: divides the log-probabilities; 0 always takes the likeliest token. Default: 1.
        top_k: draw from the k likeliest tokens only.
        top_p: from the fewest likeliest tokens whose probabilities sum to p.
        min_p: from the tokens that are at least p times as likely as the likeliest.
        repetition_penalty: multiplies the log-probabilities of tokens that have occurred, in the
            prompt too. Default: 1.
        stop: strings before which the text ends ("stop"); tokens past it are not reported.
        seed: gives the same samples every time on one machine, whatever the batch: the first n are
            the same however many are drawn, and in each of the three methods. Only samples of an
            int8 rnn-relu depend on their batch. Default: other samples every time.
        allowed_words: the only words of the text, with single spaces between them. Words that the
            vocabulary cannot spell cannot come.
        pattern: a regular expression (of Rust's crate regex, without look-around) that the whole
            text matches, or begins to where it is cut.

        unk: whether <unk> may come, in the samples of a word or character model. Default: no.

    A continuation begins with a space where a word follows a word. The space is part of the text,
    but neither of the `allowed_words`, which bring it, nor of the `pattern`, which it may precede.
    """

    max_tokens: int
    max_lines: int
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float
    stop: Sequence[str]
    seed: int | None
    allowed_words: Collection[str] | None
    pattern: str | None
    unk: bool


@dataclass(frozen=True)
class SamplingOptions:
    """A value for each of `SamplingKeywords`, and the number of samples.

    Raises:
        OptionError: a value is impossible; names the option.
    """

    num_samples: int = 1  # of each prompt
    max_tokens: int = 100
    max_lines: int = 1
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    stop: Sequence[str] = ()
    seed: int | None = None
    allowed_words: Collection[str] | None = None
    pattern: str | None = None
    unk: bool = False

    @classmethod
    def given(cls, options: SamplingKeywords, *, num_samples: int = 1) -> SamplingOptions:
        """Make options of the keywords of a method.

        Raises:
            TypeError: a keyword is not an option.
            OptionError: as the class.
        """
        check_keywords(options, SamplingKeywords)
        return cls(num_samples=num_samples, **options)

    def __post_init__(self) -> None:
        check_count("num_samples", self.num_samples)
        check_count("max_tokens", self.max_tokens)
        check_lines(self.max_lines, constrained=self.is_constrained)
        check_argument("temperature", self.temperature, Real, _not_negative, "0 (greedy) or more")
        if self.top_k is not None:
            check_count("top_k", self.top_k)
        if self.top_p is not None:
            check_argument("top_p", self.top_p, Real, lambda p: 0 < p <= 1, "in 0 < p <= 1")
        if self.min_p is not None:
            check_argument("min_p", self.min_p, Real, lambda p: 0 <= p <= 1, "in 0 <= p <= 1")
        penalty, allowed = self.repetition_penalty, f"in 0 < x <= {_MAX_PENALTY}"
        check_argument(
            "repetition_penalty", penalty, Real, lambda x: 0 < x <= _MAX_PENALTY, allowed
        )
        check_stop(self.stop)
        if self.seed is not None:
            check_argument("seed", self.seed, Integral, _not_negative, "an integer, 0 or more")

    @property
    def is_constrained(self) -> bool:
        """Whether only some texts may come."""
        return self.allowed_words is not None or self.pattern is not None

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is taken, and no token drawn."""
        return self.temperature == 0

    def warp(self, log_probs: LogProbs, seen: Sequence[NDArray[np.bool_]]) -> LogProbs:
        """The log-probs to draw from, given the model's.

        `seen` is B of bool [V]: the tokens of the prompt and of the continuation so far.
        """
        if self.repetition_penalty != 1:
            log_probs = penalize_repetition(log_probs, np.stack(seen), self.repetition_penalty)
        if self.is_greedy:
            return log_probs
        log_probs = apply_temperature(log_probs, self.temperature)
        if self.top_k is not None:
            log_probs = keep_top_k(log_probs, self.top_k)
        if self.top_p is not None:
            log_probs = keep_top_p(log_probs, self.top_p)
        if self.min_p is not None:
            log_probs = keep_min_p(log_probs, self.min_p)
        return log_probs


def penalize_repetition(log_probs: LogProbs, seen: NDArray[np.bool_], penalty: float) -> LogProbs:
    """Raise the probability of seen tokens to the power of `penalty` (after Keskar et al. 2019).

    CTRL divides positive scores by the penalty; log-probs are negative, so they are multiplied.
    """
    return np.where(seen, log_probs * penalty, log_probs)


def apply_temperature(log_probs: LogProbs, temperature: float) -> LogProbs:
    """Divide log-probs by the temperature, relative to the likeliest, which so stays finite."""
    if temperature == 1:
        return log_probs
    relative = log_probs - log_probs.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # to -inf, where it belongs
        return np.asarray(relative / min(max(temperature, _COLDEST), _HOTTEST))


def keep_top_k(log_probs: LogProbs, k: int) -> LogProbs:
    """Keep the k likeliest tokens."""
    V = log_probs.shape[1]
    if k >= V:
        return log_probs
    least = np.partition(log_probs, V - k, axis=1)[:, V - k, None]
    return np.where(log_probs >= least, log_probs, -np.inf)


def keep_top_p(log_probs: LogProbs, p: float) -> LogProbs:
    """Keep the fewest likeliest tokens that sum to p (nucleus sampling, Holtzman et al. 2020)."""
    if p == 1:
        return log_probs
    likeliest_first = -np.sort(-log_probs, axis=1)
    probabilities = np.exp(likeliest_first - likeliest_first[:, :1])
    sums = np.cumsum(probabilities, axis=1, dtype=np.float64)
    last = np.count_nonzero(sums < p * sums[:, -1:], axis=1)
    least = np.take_along_axis(likeliest_first, last[:, None], axis=1)
    return np.where(log_probs >= least, log_probs, -np.inf)


def keep_min_p(log_probs: LogProbs, p: float) -> LogProbs:
    """Keep tokens at least p times as likely as the likeliest (Nguyen et al. 2024)."""
    least = log_probs.max(axis=1, keepdims=True) + (math.log(p) if p else -math.inf)
    return np.where(log_probs >= least, log_probs, -np.inf)


def random_stream(seed: int | None, sample: int, prompt: Ids) -> np.random.Generator:
    """The random numbers of a prompt's sample number `sample`, whatever its batch.

    The ids of the prompt are part of the seed: else many prompts would get like continuations.
    """
    return np.random.default_rng(None if seed is None else [seed, sample, *prompt.tolist()])


def draw(log_probs: LogProbs, streams: Sequence[np.random.Generator]) -> Ids:
    """Draw a token from each row, int64 [B]: a block of about sqrt(V) tokens, then one of them.

    Both are drawn by a race: of exponential times, each divided by its weight, the shortest wins,
    in proportion to the weights (the Gumbel-max trick, without its logarithms). The last bits of
    log-probs may depend on the batch, as in any matrix product. That moves every boundary of a
    cumulative distribution, but hardly ever changes a winner. With blocks a draw takes about
    2 sqrt(V) random numbers in place of V, the same number whatever was cut.
    """
    V = log_probs.shape[1]
    size = math.isqrt(V - 1) + 1
    starts = np.arange(0, V, size)
    weights = np.exp(log_probs - log_probs.max(axis=1, keepdims=True))
    times = np.stack([random.standard_exponential(len(starts) + size) for random in streams])
    times = np.maximum(times, _TINY)
    block = _first(times[:, : len(starts)], np.add.reduceat(weights, starts, axis=1))
    tokens = starts[block, None] + np.arange(size)
    inside = np.take_along_axis(weights, np.minimum(tokens, V - 1), axis=1)
    inside[tokens >= V] = 0
    return np.asarray(starts[block] + _first(times[:, len(starts) :], inside))


def _first(times: NDArray[np.float64], weights: LogProbs) -> Ids:
    """The winner of each row's race, int64 [B]; a weight of 0 never wins."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.argmin(times / weights, axis=1))


def _not_negative(value: float) -> bool:
    return 0 <= value < math.inf
