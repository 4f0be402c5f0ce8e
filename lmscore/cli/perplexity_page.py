"""`--html` of `ppl` and `filter`: how the perplexities of the texts are distributed."""

from __future__ import annotations

import itertools
import math
import random
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.cli.report_files import write_page
from lmscore.names import Unit

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lmscore.runtime.scoring import Score

_SAMPLE = 2000  # texts from which the examples are chosen
_SHOWN = 240  # characters of an example
_BINS = 48
_OUTSIDE = 0.002  # of the texts on either side, which the pictures leave out
_SHARES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
_POINTS = 120  # of a cumulative curve


class PerplexityPage:
    """The perplexity of every text, and some of the texts; nothing where no page is wanted."""

    def __init__(self, path: Path | None, per: Unit) -> None:
        """Begin without texts; `per` is the unit that perplexities are of."""
        self._path, self._per = path, per
        self._values, self._words = array("d"), array("q")
        self._undefined = 0
        self._sample: list[tuple[float, str]] = []
        self._draw = random.Random(0)  # noqa: S311  # of examples

    def add(self, text: str, score: Score) -> None:
        """Count a text."""
        if self._path is None:
            return
        value = score.perplexity_per(self._per)
        if not math.isfinite(value):
            self._undefined += 1
            return
        self._values.append(value)
        self._words.append(score.num_words)
        # Reservoir sampling: each text is in the sample with the same probability.
        place = self._draw.randrange(len(self._values))
        if len(self._sample) < _SAMPLE:
            self._sample.append((value, text))
        elif place < _SAMPLE:
            self._sample[place] = (value, text)

    def write(self, model: str, summary: str, bounds: dict[str, float] | None = None) -> None:
        """Write the page.

        Args:
            model: what scored the texts, and how.
            summary: the figures of the run.
            bounds: perplexities to mark, by name.
        """
        if self._path is None:
            return
        from lmscore.pages import element

        body = [
            element("h1", f"Perplexity per {self._per}, text by text"),
            element("p", model),
            element("pre", summary),
            *self._distribution(bounds or {}),
        ]
        if self._undefined:
            left = f"{self._undefined} texts have no finite perplexity, and are left out here."
            body.append(element("p", left))
        write_page(self._path, f"Perplexity by {model}", body)

    def _distribution(self, bounds: dict[str, float]) -> Iterator[Element]:
        if not self._values:
            return
        from lmscore.pages import Axis, Rule, Series, chart, element, table

        pairs = sorted(zip(self._values, self._words, strict=True))
        values, words = [value for value, _ in pairs], [count for _, count in pairs]
        low, high = _quantile(values, _OUTSIDE), _quantile(values, 1 - _OUTSIDE)
        axis = Axis(f"perplexity per {self._per}", is_log=True, low=low, high=high)
        rules = [
            Rule(bound, f"{name} {bound:g}")
            for name, bound in bounds.items()
            if low <= bound <= high
        ]
        yield chart(
            "How many texts have which perplexity",
            [Series("texts", _histogram(values, low, high), "bars")],
            x=axis,
            y=Axis("texts", low=0),
            rules=rules,
        )
        yield chart(
            "The share of texts, and of their words, up to a perplexity",
            [Series(f"{name}, %", line) for name, line in _cumulative(values, words).items()],
            x=axis,
            y=Axis("%", low=0, high=100),
            rules=rules,
        )
        yield element("h2", "The bound to take")
        yield element("p", "lmscore filter with this bound keeps as much of these texts:")
        yield table(_bounds(values, words, self._per), numbers=(0, 1, 2))
        yield element("h2", "Examples")
        yield element("p", "Texts whose perplexity is closest to each tenth of all texts.")
        yield table(self._examples(values), numbers=(0, 1))

    def _examples(self, values: Sequence[float]) -> Iterator[Sequence[str]]:
        sample = sorted(self._sample)
        yield ("texts below", "perplexity", "text")
        for tenth in range(11):
            wanted = _quantile(values, tenth / 10)
            value, text = min(sample, key=lambda pair: abs(pair[0] - wanted))
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
            yield (f"{10 * tenth} %", _figure(value), shown)


def _quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of sorted values lies."""
    return values[min(len(values) - 1, int(share * len(values)))]


def _histogram(values: Sequence[float], low: float, high: float) -> list[tuple[float, float]]:
    """The counts of sorted values in bins of equal width on a logarithmic axis."""
    if not low < high:
        return [(low / 1.05, len(values)), (low * 1.05, 0)]
    ratio = (high / low) ** (1 / _BINS)
    edges = [low * ratio**number for number in range(_BINS)] + [high]
    below = [bisect_right(values, edge) for edge in edges]
    below[0] = sum(value < low for value in values)
    counts = [later - earlier for earlier, later in itertools.pairwise(below)]
    return list(zip(edges, [*counts, 0], strict=True))


def _cumulative(
    values: Sequence[float], words: Sequence[int]
) -> dict[str, list[tuple[float, float]]]:
    """The percentage of texts and of words up to sorted values."""
    lines: dict[str, list[tuple[float, float]]] = {"texts": [], "words": []}
    total, read = max(1, sum(words)), 0
    stride = max(1, len(values) // _POINTS)
    for number, (value, count) in enumerate(zip(values, words, strict=True), 1):
        read += count
        if number % stride == 0 or number == len(values):
            lines["texts"].append((value, 100 * number / len(values)))
            lines["words"].append((value, 100 * read / total))
    return lines


def _bounds(values: Sequence[float], words: Sequence[int], per: Unit) -> Iterator[Sequence[str]]:
    """The upper bounds that keep some shares of the texts."""
    yield ("texts kept", "words kept", f"--max-ppl, --per {per}")
    total = max(1, sum(words))
    for share in _SHARES:
        bound = _rounded_up(values[max(0, math.ceil(share * len(values)) - 1)])
        kept = bisect_right(values, bound)
        yield (
            f"{100 * kept / len(values):.1f} %",
            f"{100 * sum(words[:kept]) / total:.1f} %",
            f"{bound:g}",
        )


def _rounded_up(value: float) -> float:
    """The value with three digits, and not less than it was."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.6g}")


def _figure(value: float) -> str:
    return f"{value:.1f}" if value < 1e6 else f"{value:.2e}"
