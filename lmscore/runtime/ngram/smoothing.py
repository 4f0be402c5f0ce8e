"""Estimate back-off models from counts.

Letters in shapes: M n-grams of an order, C contexts (n-grams of the order below).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import OptionError
from lmscore.names import Smoothing
from lmscore.runtime.ngram.counts import NgramCounts
from lmscore.runtime.ngram.discounts import (
    Discounts,
    absolute_discount,
    good_turing_ratios,
    kneser_ney_discounts,
)
from lmscore.runtime.ngram.grams import Grams, observed_extensions, prepare
from lmscore.runtime.ngram.model import (
    BOS,
    EOS,
    UNK,
    Doubles,
    Floats,
    NgramModel,
    Numbers,
    Table,
    blocks,
)
from lmscore.runtime.ngram.weights import logarithms, normalized, selected

SMOOTHINGS: tuple[Smoothing, ...] = get_args(Smoothing)


def estimate(
    counts: NgramCounts,
    smoothing: Smoothing = "kneser-ney",
    *,
    prune: Sequence[int] = (),
    discount_fallback: bool = False,
    k: float = 1.0,
) -> NgramModel:
    """Estimate a back-off model.

    Args:
        counts: those of the text.
        smoothing: "kneser-ney", interpolated and modified (Chen and Goodman 1998, section 4.1.5),
            equal to KenLM's lmplz; "absolute", interpolated absolute discounting with one discount
            an order (Ney et al. 1994); "katz", back-off with Good-Turing discounts (Katz 1987);
            "add-k", k more of every word after every context; "mle", relative frequencies.
        prune: for order 1, 2, ... the count up to which n-grams are left out; the last one is
            that of all higher orders. Not for "add-k" and "mle". Their probability goes to the
            words that back off.
        discount_fallback: take 0.5, 1 and 1.5 where the counts give no discounts.
        k: of "add-k", above 0.

    Raises:
        OptionError: no such smoothing; thresholds that are negative, fall, or are too many; k.
        InputError: the counts give no discounts, as those of small or made-up texts.
    """
    check_smoothing(smoothing, len(counts.tables), prune=prune, k=k)
    grams = prepare(counts)
    if smoothing == "add-k":
        return _add_k(counts.words, grams, k)
    if smoothing == "mle":
        return _relative_frequencies(counts.words, grams)
    kept = _kept(grams, _thresholds(prune, len(grams)))
    if smoothing == "katz":
        return _katz(counts.words, grams, kept)
    if smoothing == "absolute":
        values = observed = [gram.counts for gram in grams]
        find = absolute_discount
    else:
        values, observed = [gram.extensions for gram in grams], observed_extensions(grams)
        find = kneser_ney_discounts
    discounts = [
        find(seen, order, fallback=discount_fallback) for order, seen in enumerate(observed, 1)
    ]
    return _interpolated(counts.words, grams, values, discounts, kept)


def check_smoothing(
    smoothing: str, order: int, *, prune: Sequence[int] = (), k: float = 1.0
) -> None:
    """Raise OptionError for options that `estimate` does not take for models of an order."""
    if smoothing not in SMOOTHINGS:
        raise OptionError(f"smoothing must be one of {', '.join(SMOOTHINGS)}, not {smoothing!r}")
    if smoothing in ("add-k", "mle") and any(prune):
        raise OptionError(f"smoothing={smoothing!r} prunes nothing; leave `prune` out")
    if not 0 < k < np.inf:
        raise OptionError(f"k must be above 0, not {k}")
    _thresholds(prune, order)


def _interpolated(
    words: Sequence[str],
    grams: list[Grams],
    values: list[Numbers],
    discounts: list[Discounts],
    kept: list[NDArray[np.bool_]],
) -> NgramModel:
    """Discount the values, and give what is taken to the order below, in proportion."""
    log_probs: list[Floats] = []
    log_backoffs: list[Floats] = []
    lower: Doubles = np.full(1, 1 / (np.count_nonzero(kept[0]) - 1))  # of all words but <s>
    for gram, value, discount, keep in zip(grams, values, discounts, kept, strict=True):
        totals = gram.per_context(value.__getitem__)
        left = gram.per_context(partial(_left, value, discount, keep))
        left = np.divide(left, totals, out=np.ones(len(totals)), where=totals > 0)
        own = np.empty(len(value))
        for part in blocks(len(value)):
            contexts = gram.contexts_of(part)
            below = lower[gram.suffixes[part]] if log_probs else lower
            kept_value = value[part] - discount.of(value[part])
            own[part] = kept_value / np.maximum(totals, 1)[contexts] + left[contexts] * below
        log_probs.append(logarithms(own))
        log_backoffs.append(logarithms(left))
        lower = own  # in 64 bits for the next order alone
    log_probs[0][BOS] = 0  # never asked for; as KenLM has it
    highest = np.zeros(len(grams[-1].keys), np.float32)
    return _selected(words, grams, log_probs, [*log_backoffs[1:], highest], kept)


def _left(values: Numbers, discount: Discounts, keep: NDArray[np.bool_], part: slice) -> Doubles:
    """What a part of the n-grams leaves to the order below; those that are pruned, everything."""
    return np.where(keep[part], discount.of(values[part]), values[part])


def _katz(words: Sequence[str], grams: list[Grams], kept: list[NDArray[np.bool_]]) -> NgramModel:
    """Good-Turing discounts of small counts; what they take goes to unseen words (Katz 1987)."""
    probabilities = []
    for gram in grams:
        totals = gram.per_context(gram.counts.__getitem__)
        ratios = good_turing_ratios(gram.counts)
        discounted = gram.counts * ratios[np.minimum(gram.counts, len(ratios) - 1)]
        # Where nothing is taken, one more is counted, so that something is left to back off with.
        totals += gram.per_context(discounted.__getitem__) >= totals
        probabilities.append(discounted / totals[gram.contexts])
    unseen = (grams[0].counts == 0) & (np.arange(len(words)) != BOS)
    probabilities[0][unseen] = (1 - probabilities[0].sum()) / np.count_nonzero(unseen)
    probabilities[0][BOS] = 1
    nothing = [np.ones(len(gram.keys)) for gram in grams]
    model = _pruned(words, grams, probabilities, nothing, kept)
    return normalized(model)


def _add_k(words: Sequence[str], grams: list[Grams], k: float) -> NgramModel:
    """(count + k) / (count of the context + k V) in the highest order, 1 / V below it.

    So an unseen word has k V / (count of the context + k V) times 1 / V, which is the back-off.
    """
    V = len(words) - 1  # <s> is never predicted
    probabilities = [np.full(len(gram.keys), 1 / V) for gram in grams]
    backoffs = [np.ones(len(gram.keys)) for gram in grams]
    highest = grams[-1]
    totals = highest.per_context(highest.counts.__getitem__) + k * V
    probabilities[-1] = (highest.counts + k) / totals[highest.contexts]
    if len(grams) > 1:
        backoffs[-2] = k * V / totals
    probabilities[0][BOS] = 1
    return _pruned(words, grams, probabilities, backoffs, _all(grams))


def _relative_frequencies(words: Sequence[str], grams: list[Grams]) -> NgramModel:
    """Counts divided by those of their contexts; nothing is left for unseen words."""
    totals = [gram.per_context(gram.counts.__getitem__) for gram in grams]
    probabilities = [
        gram.counts / np.maximum(total, 1)[gram.contexts]
        for gram, total in zip(grams, totals, strict=True)
    ]
    backoffs = [np.where(total > 0, 0.0, 1.0) for total in totals[1:]]
    probabilities[0][BOS] = 1
    return _pruned(
        words, grams, probabilities, [*backoffs, np.ones(len(grams[-1].keys))], _all(grams)
    )


def _thresholds(prune: Sequence[int], order: int) -> list[int]:
    """The threshold of each order."""
    given = list(prune) or [0]
    if len(given) > order:
        raise OptionError(f"{len(given)} thresholds to prune {order} orders")
    if min(given) < 0 or sorted(given) != given:
        raise OptionError(f"the thresholds to prune must be 0 or more, and not fall: {given}")
    return given + given[-1:] * (order - len(given))


def _all(grams: list[Grams]) -> list[NDArray[np.bool_]]:
    return [np.ones(len(gram.keys), np.bool_) for gram in grams]


def _kept(grams: list[Grams], thresholds: list[int]) -> list[NDArray[np.bool_]]:
    """The n-grams that are counted more often than the threshold; <unk>, <s>, </s> always stay."""
    kept = [
        gram.counts > threshold if threshold else np.ones(len(gram.keys), np.bool_)
        for gram, threshold in zip(grams, thresholds, strict=True)
    ]
    kept[0][[UNK, BOS, EOS]] = True
    return kept


def _pruned(
    words: Sequence[str],
    grams: list[Grams],
    probabilities: list[Doubles],
    backoffs: list[Doubles],
    kept: list[NDArray[np.bool_]],
) -> NgramModel:
    """The model of the n-grams that are kept."""
    log_probs = list(map(logarithms, probabilities))
    return _selected(words, grams, log_probs, list(map(logarithms, backoffs)), kept)


def _selected(
    words: Sequence[str],
    grams: list[Grams],
    log_probs: list[Floats],
    log_backoffs: list[Floats],
    kept: list[NDArray[np.bool_]],
) -> NgramModel:
    """The model of the n-grams that are kept, from natural logarithms."""
    tables = [
        Table(gram.keys, p, b) for gram, p, b in zip(grams, log_probs, log_backoffs, strict=True)
    ]
    return selected(NgramModel(words, tuple(tables)), kept)
