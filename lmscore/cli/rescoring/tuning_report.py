"""The work of `lmscore tune`: scoring the lists, finding the weights, and the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmscore.cli.progress import Progress
from lmscore.cli.rescoring.tuning_advice import advice, unusual_weights
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
    added: tuple[str, ...] = ()  # the terms that are scores of language models

    @property
    def fitted(self) -> float:
        """The metric of the hypotheses that the weights choose, on the lists they are tuned on."""
        return self.candidates.value(self.candidates.best(self.values))

    def as_text(self, weights: Weights) -> str:
        """The report as tables, of the systems and of the weights, and what to do next."""
        tables = [table(self._systems()), table(self._weights(weights))]
        if len(self.comparison.groups) > 1:
            tables.insert(1, table(self._groups()))
        lines = [*unusual_weights(weights, self.added), f"next: {advice(self)}"]
        return "\n".join([*tables, "".join(f"{line}\n" for line in lines)])

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
                    "relative": self.comparison.relative(system),
                    "better": system.better,
                    "worse": system.worse,
                    **dict(zip(metric.labels, system.statistics, strict=False)),
                }
                for name, system in self._named().items()
            },
            "by_length": [
                {
                    "hypotheses": [group.fewest, group.most],
                    "lists": group.num_lists,
                    **dict(zip(self._named(), group.values, strict=True)),
                }
                for group in self.comparison.groups
            ],
            "weights": {**vars(weights), "features": dict(weights.features)},
            "next": advice(self),
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
        yield (*header, "relative", "better", "worse", *metric.labels)
        for name, system in self._named().items():
            counts = map(str, system.statistics[: len(metric.labels)])
            changes = ("",) * 5 if name == "1-best" else self._changes(system)
            yield (name, *_cells(system.metric), *changes, *counts)

    def _changes(self, system: System) -> Sequence[str]:
        """What has changed from the first hypotheses to those of a system."""
        relative = self.comparison.relative(system)
        shares = (100 * n / self.comparison.num_lists for n in (system.better, system.worse))
        return (
            *_cells(system.difference, "+"),
            "" if relative is None else f"{relative:+z.1f} %",
            *(f"{share:.1f} %" for share in shares),
        )

    def _groups(self) -> Iterator[Sequence[str]]:
        yield ("hypotheses", "lists", *self._named())
        for group in self.comparison.groups:
            size = (group.fewest, group.most)
            length = " .. ".join(map(str, dict.fromkeys(size)))
            yield (length, str(group.num_lists), *(f"{value:.2f}" for value in group.values))

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


def tuned(
    candidates: Candidates, folds: int, seed: int, *, added: Sequence[str] = ()
) -> TuningReport:
    """Tune weights on all lists, and measure their gain by cross-validation.

    Args:
        candidates: the lists.
        folds: the number of parts of the cross-validation.
        seed: of all that is random.
        added: the terms that are scores of language models.

    Raises:
        OptionError: there are fewer lists than folds.
    """
    from lmscore.runtime.rescoring.tuning import compare, cross_validate, find_weights

    with Progress("tuning", total=folds + 1) as progress:
        chosen = cross_validate(candidates, folds=folds, seed=seed, report=progress.update)
        values = find_weights(candidates, seed=seed)
    comparison = compare(candidates, chosen, seed=seed)
    return TuningReport(candidates, values, comparison, folds, tuple(added))


def measured(
    candidates: Candidates, weights: Weights, seed: int, *, added: Sequence[str] = ()
) -> TuningReport:
    """Measure the gain of given weights; the terms of `candidates` are theirs."""
    from lmscore.runtime.rescoring.tuning import as_values, compare

    values = as_values(weights)
    comparison = compare(candidates, candidates.best(values), seed=seed)
    return TuningReport(candidates, values, comparison, None, tuple(added))
