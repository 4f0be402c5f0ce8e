"""The work of `lmscore tune`: scoring the lists, finding the weights, and the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmscore.cli.progress import Progress
from lmscore.cli.table import table

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lists import Floats, NBestList, Weights
    from lmscore.runtime.rescoring.models import ListScorer
    from lmscore.runtime.rescoring.tuning import Candidates, Comparison, Estimate, System


def with_scores(
    lists: Sequence[NBestList], scorers: Sequence[ListScorer], prepare: Callable[[str], str]
) -> Iterator[NBestList]:
    """Add the scores of models to the lists as new features, under a progress bar."""
    if not scorers:
        yield from lists
        return
    from lmscore.runtime.rescoring.lists import add_scores

    with Progress("scoring", total=len(lists)) as progress:
        for done, nbest in enumerate(add_scores(lists, scorers, prepare=prepare), 1):
            yield nbest
            progress.update(done, f"{done / progress.seconds:,.0f} lists/s")


@dataclass(frozen=True)
class TuningReport:
    """Weights, and the metric of the hypotheses that they choose."""

    candidates: Candidates
    values: Floats  # the weights of the terms
    comparison: Comparison
    folds: int | None  # None: nothing was tuned

    @property
    def fitted(self) -> float:
        """The metric of the hypotheses that the weights choose, on the lists they are tuned on."""
        return self.candidates.value(self.candidates.best(self.values))

    def as_text(self, weights: Weights) -> str:
        """The report as two tables: of the systems, and of the weights."""
        return f"{table(self._systems())}\n{table(self._weights(weights))}"

    def as_json(self, weights: Weights) -> str:
        """The report as JSON, with the names of the library."""
        metric = self.candidates.metric
        document: dict[str, Any] = {
            "metric": metric.title,
            "lists": self.comparison.num_lists,
            "hypotheses": self.comparison.num_hypotheses,
            "folds": self.folds,
            "systems": {
                name: {
                    "value": dataclasses.asdict(system.metric),
                    "difference": dataclasses.asdict(system.difference),
                    **dict(zip(metric.labels, system.statistics, strict=False)),
                }
                for name, system in self._named().items()
            },
            "weights": {**vars(weights), "features": dict(weights.features)},
        }
        if self.folds is not None:
            document["fitted"] = self.fitted
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def _named(self) -> dict[str, System]:
        compared = self.comparison
        chosen = "tuned" if self.folds is not None else "weights"
        return {"1-best": compared.first, chosen: compared.chosen, "oracle": compared.oracle}

    def _systems(self) -> Iterator[Sequence[str]]:
        metric = self.candidates.metric
        header = (f"{self.comparison.num_lists} lists", metric.title, "95 %", "difference", "95 %")
        yield (*header, *metric.labels)
        for name, system in self._named().items():
            counts = map(str, system.statistics[: len(metric.labels)])
            difference = ("", "") if name == "1-best" else _cells(system.difference, "+")
            yield (name, *_cells(system.metric), *difference, *counts)

    def _weights(self, weights: Weights) -> Iterator[Sequence[str]]:
        if self.folds is None:
            yield ("weights", "")
        else:
            title = self.candidates.metric.title
            yield ("weights", f"tuned on all lists, where they reach {self.fitted:.2f} {title};")
            yield ("", f"above, each of {self.folds} parts is judged by weights tuned on the rest")
        for name, weight in weights.features.items():
            yield (f"  {name}", f"{weight:.6g}")
        yield ("  word penalty", f"{weights.word_penalty:.6g}")
        yield ("  length normalization", f"{weights.length_normalization:.6g}")


def _cells(found: Estimate, sign: str = "") -> tuple[str, str]:
    """A value and its confidence interval, as text."""
    return f"{found.value:{sign}z.2f}", f"{found.low:{sign}z.2f} .. {found.high:{sign}z.2f}"


def tuned(candidates: Candidates, folds: int, seed: int) -> TuningReport:
    """Tune weights on all lists, and measure their gain by cross-validation.

    Raises:
        OptionError: there are fewer lists than folds.
    """
    from lmscore.runtime.rescoring.tuning import compare, cross_validate, find_weights

    with Progress("tuning", total=folds + 1) as progress:
        chosen = cross_validate(candidates, folds=folds, seed=seed, report=progress.update)
        values = find_weights(candidates, seed=seed)
    return TuningReport(candidates, values, compare(candidates, chosen, seed=seed), folds)


def measured(candidates: Candidates, weights: Weights, seed: int) -> TuningReport:
    """Measure the gain of given weights; the terms of `candidates` are theirs."""
    from lmscore.runtime.rescoring.tuning import as_values, compare

    values = as_values(weights)
    comparison = compare(candidates, candidates.best(values), seed=seed)
    return TuningReport(candidates, values, comparison, None)
