"""Metrics of texts and their references: WER, CER, BLEU and chrF.

Each metric is a function of statistics that add up over a corpus. The statistics of every
hypothesis are counted once; from them comes the value of any selection of hypotheses.

Letters in shapes: n hypotheses, S statistics of each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import needs_extra
from lmscore.names import MetricName

Statistics = NDArray[np.int64]
Floats = NDArray[np.float64]

_WITHIN_WORDS = "'\u2019-"  # both apostrophes, and the hyphen


class Metric(Protocol):
    """A measure of hypotheses, given references."""

    @property
    def title(self) -> str:
        """The name in tables, with the unit."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value means better hypotheses."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the statistics that a report shows; may be empty."""

    def statistics(self, texts: Sequence[str], reference: str) -> Statistics:
        """The statistics of each hypothesis, int64 [n, S]; raises MissingExtraError."""

    def value(self, statistics: Statistics | Floats) -> Floats:
        """The metric of sums of statistics, [..., S] -> float64 [...]."""


@dataclass(frozen=True)
class ErrorRate:
    """Edit distance to the reference, in per cent of the reference's length: WER, CER.

    Of a reference without any unit each inserted one counts 100 %; in a corpus that is just an
    insertion.
    """

    title: str
    units: Callable[[str], Sequence[str]]
    unit: str
    higher_is_better: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The kinds of errors, and the unit of the reference's length."""
        return ("substitutions", "deletions", "insertions", self.unit)

    def statistics(self, texts: Sequence[str], reference: str) -> Statistics:
        """Substitutions, deletions, insertions and the reference's length, [n, 4]."""
        with needs_extra("tune"):
            from rapidfuzz.distance import Levenshtein

        units = self.units(reference)
        rows = []
        for text in texts:
            edits = [edit.tag for edit in Levenshtein.editops(units, self.units(text))]
            counts = map(edits.count, ("replace", "delete", "insert"))
            rows.append([*counts, len(units)])
        return np.array(rows, np.int64).reshape(-1, 4)

    def value(self, statistics: Statistics | Floats) -> Floats:
        """Errors in per cent."""
        errors = statistics[..., :3].sum(-1)
        return np.asarray(100 * errors / np.maximum(statistics[..., 3], 1))


@dataclass(frozen=True)
class Bleu:
    """BLEU (Papineni et al. 2002) with sacrebleu's `13a` tokenisation and exponential smoothing."""

    title: str = "BLEU"
    higher_is_better: bool = True
    labels: tuple[str, ...] = ()

    def statistics(self, texts: Sequence[str], reference: str) -> Statistics:
        """Both lengths, matching n-grams and n-grams of four orders, [n, 10]."""
        with needs_extra("mt"):
            from sacrebleu.metrics.bleu import BLEU

        bleu = BLEU(force=True, references=[[reference]])
        scores = [bleu.corpus_score([text], None) for text in texts]
        rows = [[score.sys_len, score.ref_len, *score.counts, *score.totals] for score in scores]
        return np.array(rows, np.int64).reshape(-1, 10)

    def value(self, statistics: Statistics | Floats) -> Floats:
        """The geometric mean of the precisions times the brevity penalty, 0 to 100."""
        length, reference = statistics[..., 0], statistics[..., 1]
        correct, total = statistics[..., 2:6], statistics[..., 6:10]
        halvings = np.cumsum((correct == 0) & (total > 0), axis=-1)
        smoothed = np.where(correct > 0, correct, 0.5**halvings)
        with np.errstate(divide="ignore"):  # an order without n-grams makes the product 0
            logs = np.log(np.where(total > 0, smoothed / np.maximum(total, 1), 0.0))
        penalty = np.minimum(0.0, 1 - reference / np.maximum(length, 1))
        value = 100 * np.exp(logs.mean(-1) + penalty)
        return np.asarray(np.where(correct.any(-1), value, 0.0))


@dataclass(frozen=True)
class Chrf:
    """chrF2 (Popović 2015): character n-grams of six orders, recall counted twice."""

    title: str = "chrF2"
    higher_is_better: bool = True
    labels: tuple[str, ...] = ()

    def statistics(self, texts: Sequence[str], reference: str) -> Statistics:
        """n-grams of the hypothesis, of the reference, and common, of each order, [n, 18]."""
        with needs_extra("mt"):
            from sacrebleu.metrics.chrf import CHRF

        # sacrebleu has only the sums in its public interface.
        rows = CHRF()._extract_corpus_statistics(texts, [[reference] * len(texts)])
        return np.array(rows, np.int64).reshape(-1, 18)

    def value(self, statistics: Statistics | Floats) -> Floats:
        """F2 of the precision and the recall, means over the orders that are there, 0 to 100."""
        hypothesis, reference, common = np.moveaxis(
            statistics.reshape(*statistics.shape[:-1], -1, 3), -1, 0
        )
        there = (hypothesis > 0) & (reference > 0)
        orders = np.maximum(there.sum(-1), 1)
        matches = np.where(there, common, 0)
        precision = (matches / np.maximum(hypothesis, 1)).sum(-1) / orders
        recall = (matches / np.maximum(reference, 1)).sum(-1) / orders
        weighted = 4 * precision + recall
        return np.asarray(100 * 5 * precision * recall / np.where(weighted > 0, weighted, 1.0))


METRICS: Mapping[MetricName, Metric] = {
    "wer": ErrorRate("WER %", str.split, "words"),
    "cer": ErrorRate("CER %", lambda text: " ".join(text.split()), "characters"),
    "bleu": Bleu(),
    "chrf": Chrf(),
}


def normalization(
    *, ignore_case: bool = False, ignore_punctuation: bool = False
) -> Callable[[str], str]:
    """A function for hypotheses and references before they are compared; nothing by default.

    Args:
        ignore_case: lower-case both.
        ignore_punctuation: leave out what Unicode calls punctuation, except an apostrophe or a
            hyphen within a word (don't, x-ray).
    """

    def normalize(text: str) -> str:
        if ignore_case:
            text = text.lower()
        return without_punctuation(text) if ignore_punctuation else text

    return normalize


def without_punctuation(text: str) -> str:
    """The text without punctuation; an apostrophe or a hyphen within a word stays."""
    pieces = []
    for before, character, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        category = unicodedata.category(character)
        within = character in _WITHIN_WORDS and before.isalnum() and after.isalnum()
        if within or not category.startswith("P"):
            pieces.append(character)
        elif category == "Pd":  # a dash stands between words
            pieces.append(" ")
    return " ".join("".join(pieces).split())
