"""Which texts of a corpus are kept, by a figure of each: a perplexity, or a difference of two."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, TypeVar

from lmscore.errors import InputError, OptionError

Item = TypeVar("Item")
Bucket = Literal["head", "middle", "tail"]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A random choice that prefers texts of ordinary perplexity (De la Rosa et al. 2022, BERTIN).

    A text of perplexity x is kept with probability `share` * exp(-((x - m) / m)² / `width`), m the
    median. The choice depends on the seed and the text alone, so it is the same in every run.

    Attributes:
        median: of the perplexities of a sample.
        share: the probability at the median, in 0..1.
        width: how far from the median texts are kept, above 0.
        seed: another one draws other texts.
    """

    median: float
    share: float = 0.78
    width: float = 4.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise OptionError for an impossible value."""
        if not 0 < self.share <= 1:
            raise OptionError(f"draw_share must be above 0 and at most 1, not {self.share:g}")
        if not 0 < self.width < math.inf:
            raise OptionError(f"draw_width must be a number above 0, not {self.width:g}")

    def probability(self, perplexity: float) -> float:
        """The probability with which a text is kept; 0 for nan."""
        if not math.isfinite(perplexity):
            return 0.0
        distance = (perplexity - self.median) / self.median
        return self.share * math.exp(-(distance**2) / self.width)

    def keeps(self, perplexity: float, text: str) -> bool:
        """Whether a text is kept."""
        digest = blake2b(f"{self.seed} {text}".encode(errors="surrogatepass"), digest_size=8)
        return int.from_bytes(digest.digest(), "big") / 2**64 < self.probability(perplexity)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Bounds, buckets, and a draw.

    Attributes:
        lowest: the lowest figure that is kept, if there is a bound.
        highest: the highest.
        invert: keep what lies outside instead; what has no figure lies outside.
        max_oov: the largest share of <unk> among the tokens without </s>.
        thirds: the bounds between head and middle, and between middle and tail.
        draw: a random choice among what lies within.
    """

    lowest: float | None = None
    highest: float | None = None
    invert: bool = False
    max_oov: float = 1.0
    thirds: tuple[float, float] | None = None
    draw: Draw | None = None

    def keeps(self, figure: float, text: str, oov_rate: float = 0.0) -> bool:
        """Whether a text of that figure (nan: it has none) and share of <unk> is kept."""
        within = self.lowest is None or self.lowest <= figure
        within &= self.highest is None or figure <= self.highest
        within &= not oov_rate > self.max_oov
        if within and self.draw is not None:
            within = self.draw.keeps(figure, text)
        return within != self.invert

    def bucket(self, figure: float) -> Bucket | None:
        """The third that a figure lies in; None for nan, and where there are no thirds."""
        if self.thirds is None or math.isnan(figure):
            return None
        head, middle = self.thirds
        if figure <= head:
            return "head"
        return "middle" if figure <= middle else "tail"


def quantile(figures: Sequence[float], share: float) -> float:
    """The lowest of sorted figures that at least this share, in 0..1, do not exceed."""
    # 0.29 * 100 is a little more than 29.
    return figures[max(0, math.ceil(len(figures) * share - 1e-9) - 1)]


def percentile_bounds(figures: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """The bounds, both within, of what lies between two percentiles of sorted figures.

    Those of 0 and 30, 30 and 60, 60 and 100 have nothing in common and leave nothing out.
    """
    lowest = -math.inf if low <= 0 else math.nextafter(quantile(figures, low / 100), math.inf)
    highest = math.inf if high >= 100 else quantile(figures, high / 100)
    return lowest, highest


def sorted_figures(figures: Iterable[float]) -> list[float]:
    """Figures in order, without nan; raises InputError if there is none."""
    found = sorted(figure for figure in figures if not math.isnan(figure))
    if not found:
        raise InputError("no text of the sample has a figure: there are no percentiles")
    return found


def reservoir(items: Iterable[Item], size: int, *, seed: int = 0) -> list[Item]:
    """A random sample of a stream whose length is not known; each item is as likely as any other.

    This is Algorithm R (Vitter 1985). All of the stream is read.
    """
    draw = random.Random(seed)  # noqa: S311  # the same sample for the same seed
    sample: list[Item] = []
    for number, item in enumerate(items, 1):
        if len(sample) < size:
            sample.append(item)
        elif (place := draw.randrange(number)) < size:
            sample[place] = item
    return sample
