"""`--html` of `rescore` and `tune`: lists whose best text is another one now, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.cli.differences import differing
from lmscore.cli.report_files import write_page

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lmscore.cli.rescoring.ranked_lists import Job, Ranked
    from lmscore.cli.rescoring.tuning_report import TuningReport
    from lmscore.pages import Child
    from lmscore.runtime.rescoring.lists import Floats, Metric, NBestList, Weights
    from lmscore.runtime.rescoring.tuning import Candidates

_LISTS = 100  # that a page shows, while they need less than
_BYTES = 230_000
_HYPOTHESES = 5  # of each
_MOST = 300  # characters of a text
_MARKUP = 900  # bytes of a list beside its texts, about


@dataclass(frozen=True)
class Judged:
    """What compares texts with references, if anything does."""

    metric: Metric | None
    normalize: Callable[[str], str]

    def cells(self, nbest: NBestList, text: str) -> list[str]:
        """The metric of a text as a cell; none without a metric."""
        from lmscore.runtime.rescoring.lists import reference_of

        if self.metric is None:
            return []
        reference = self.normalize(reference_of(nbest))
        statistics = self.metric.statistics([self.normalize(text)], reference)
        return [f"{self.metric.value(statistics[0]):.2f}"]


class ChangedLists:
    """The lists of a run whose best hypothesis is another one than the first."""

    def __init__(self, weights: Weights, judged: Judged) -> None:
        """Begin without lists."""
        self._weights, self._judged = weights, judged
        self._elements: list[Element] = []
        self._lists = self._changed = self._size = 0

    def add(self, nbest: NBestList, order: Sequence[int]) -> None:
        """Count a list, and show it if its best text has changed and there is room."""
        self._lists += 1
        texts = [hypothesis.text for hypothesis in nbest.hypotheses]
        if not order or texts[order[0]] == texts[0]:
            return
        self._changed += 1
        if len(self._elements) < _LISTS and self._size < _BYTES:
            shown = order[:_HYPOTHESES]
            self._size += _MARKUP + sum(len(texts[place].encode()) + 160 for place in shown)
            self._elements.append(self._shown(nbest, order))

    def elements(self) -> Iterator[Element]:
        """The changed lists, side by side with what they were."""
        from lmscore.pages import element

        yield element("h2", "What changed, and why")
        left = self._changed - len(self._elements)
        more = f" (the first {len(self._elements)} are shown)" if left else ""
        yield element(
            "p", f"The best text is another one in {self._changed} of {self._lists} lists{more}."
        )
        yield from self._elements

    def _shown(self, nbest: NBestList, order: Sequence[int]) -> Element:
        from lmscore.pages import element, table

        first, best = (nbest.hypotheses[place].text for place in (0, order[0]))
        was, now = differing(_cut(first), _cut(best))
        rows: list[list[Child]] = [["", "text", *self._heads()]]
        rows.append(["was", was, *self._judged.cells(nbest, first)])
        rows.append(["is now", now, *self._judged.cells(nbest, best)])
        if nbest.reference is not None:
            rows.append(["reference", _cut(nbest.reference), *[""] * len(self._heads())])
        parts = _parts(nbest, self._weights)
        return element(
            "section",
            element("h3", nbest.id),
            table(rows, numbers=[2]),
            element("p", _decided(parts, order[0])),
            element(
                "details",
                element("summary", f"the first {min(_HYPOTHESES, len(order))} of the list"),
                table(self._hypotheses(nbest, order, parts), numbers=range(2 + len(parts))),
            ),
        )

    def _heads(self) -> list[str]:
        return [] if self._judged.metric is None else [self._judged.metric.title]

    def _hypotheses(
        self, nbest: NBestList, order: Sequence[int], parts: Mapping[str, Sequence[float]]
    ) -> Iterator[Sequence[str]]:
        yield ("was", "score", *(f"of {name}" for name in parts), "text")
        for place in order[:_HYPOTHESES]:
            adds = [column[place] for column in parts.values()]
            yield (
                str(place + 1),
                f"{sum(adds):.2f}",
                *(f"{value:.2f}" for value in adds),
                _cut(nbest.hypotheses[place].text),
            )


def _parts(nbest: NBestList, weights: Weights) -> dict[str, list[float]]:
    """What each term adds to the score of each hypothesis."""
    from lmscore.runtime.rescoring.lists import terms

    named = weights.terms()
    values = terms(nbest, list(named), length_normalization=weights.length_normalization)
    columns = zip(values.T.tolist(), named.items(), strict=True)
    return {name: [weight * value for value in column] for column, (name, weight) in columns}


def _decided(parts: Mapping[str, Sequence[float]], best: int) -> str:
    leads = {name: column[best] - column[0] for name, column in parts.items()}
    ranked = sorted(leads.items(), key=lambda item: -abs(item[1]))
    said = ", ".join(f"{lead:+.2f} by {name}" for name, lead in ranked)
    return f"It leads by {sum(leads.values()):.2f}: {said}."


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]} …"


def weight_charts(candidates: Candidates, values: Floats) -> Iterator[Element]:
    """The metric as a function of each weight but the first, the others as they are."""
    from lmscore.pages import Axis, Rule, Series, chart
    from lmscore.runtime.rescoring.tuning import metric_along

    title = candidates.metric.title
    for term, name in list(enumerate(candidates.names))[1:]:
        weight = float(values[term])
        left, right = sorted((-weight, 3 * weight)) if weight else (-1.0, 1.0)
        edges, found = metric_along(candidates, values, term).within(left, right)
        points = list(zip(edges.tolist(), [*found.tolist(), float(found[-1])], strict=True))
        yield chart(
            f"{title} against the weight of {name}",
            [Series(title, points, "steps")],
            x=Axis(f"weight of {name}", low=left, high=right),
            y=Axis(title),
            rules=[Rule(weight, f"{weight:.4g}"), Rule(0.0, f"without {name}")],
        )


class RescorePage:
    """The page of `lmscore rescore`; nothing where none is wanted."""

    def __init__(self, path: Path | None, job: Job) -> None:
        """Begin without lists."""
        self._path, self._job = path, job
        self._changed = ChangedLists(job.weights, Judged(job.metric, job.normalize))
        self._kept: list[NBestList] = []  # for the curves

    def watched(self, ranked: Iterable[Ranked]) -> Iterable[Ranked]:
        """Pass lists on, and see what has changed."""
        if self._path is None:
            return ranked
        return self._watched(ranked)

    def _watched(self, ranked: Iterable[Ranked]) -> Iterator[Ranked]:
        # In document context a weight also changes what the lists are scored after.
        keep = self._job.metric is not None and self._job.context == "sentence"
        for found in ranked:
            self._changed.add(found.nbest, found.order)
            self._kept += [found.nbest] * keep
            yield found

    def write(self, lines: Iterable[str]) -> None:
        """Write the page; `lines` are those of the summary."""
        if self._path is None:
            return
        from lmscore.pages import element

        body = [element("h1", "Rescored lists"), element("pre", "\n".join(lines))]
        if self._kept and self._job.metric is not None and not self._job.decision.mbr:
            body += self._charts(self._job.metric)
        write_page(self._path, "Rescored lists", [*body, *self._changed.elements()])

    def _charts(self, metric: Metric) -> Iterator[Element]:
        from lmscore.runtime.rescoring.tuning import as_values, candidates

        weights = self._job.weights
        judged = candidates(
            self._kept,
            list(weights.terms()),
            metric,
            length_normalization=weights.length_normalization,
            normalize=self._job.normalize,
        )
        return weight_charts(judged, as_values(weights))


def write_tuning_page(
    path: Path,
    report: TuningReport,
    weights: Weights,
    lists: Iterable[NBestList],
    normalize: Callable[[str], str],
) -> None:
    """Write the page of `lmscore tune`; the lists have the scores that were weighed."""
    from lmscore.pages import element
    from lmscore.runtime.rescoring.lists import ranking

    changed = ChangedLists(weights, Judged(report.candidates.metric, normalize))
    for nbest in lists:
        changed.add(nbest, ranking(nbest, weights) if nbest.hypotheses else [])
    title = f"{report.candidates.metric.title} and the weights"
    body = [
        element("h1", title),
        element("pre", report.as_text(weights)),
        *weight_charts(report.candidates, report.values),
        *changed.elements(),
    ]
    write_page(path, title, body)
