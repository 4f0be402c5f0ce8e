"""`lmscore rescore --explain`: one list with all of its scores, and what decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from lmscore.cli.rescoring.ranked_lists import formula
from lmscore.cli.table import table
from lmscore.errors import InputError

if TYPE_CHECKING:
    from lmscore.cli.rescoring.ranked_lists import Job, Ranked
    from lmscore.runtime.rescoring.lists import NBestList


def up_to(lists: Iterable[NBestList], key: str, *, alone: bool) -> Iterator[NBestList]:
    """The list of an id, after the lists before it unless it is asked for alone.

    Raises:
        InputError: there is no such list.
    """
    for nbest in lists:
        if nbest.id == key or not alone:
            yield nbest
        if nbest.id == key:
            return
    raise InputError(f"there is no list {key!r}")


def explanation(ranked: Ranked, job: Job) -> str:
    """The hypotheses of a list, best first, with every score and what it adds to the sum."""
    nbest = ranked.nbest
    lines = [f"{nbest.id}: score = {formula(job.weights)}"]
    if nbest.reference is not None:
        lines.append(f"reference: {nbest.reference}")
    if not ranked.order:
        return "\n".join([*lines, "no hypotheses", ""])
    parts = _parts(ranked, job)
    rows = table(_rows(ranked, job, parts)).removesuffix("\n")
    return "\n".join([*lines, "", rows, *_decided(ranked.order, parts), ""])


def _parts(ranked: Ranked, job: Job) -> dict[str, list[float]]:
    """What each term adds to the score of each hypothesis, in the order of the list."""
    from lmscore.runtime.rescoring.lists import terms

    weights = job.weights.terms()
    power = job.weights.length_normalization
    values = terms(ranked.nbest, list(weights), length_normalization=power)
    columns = zip(values.T.tolist(), weights.items(), strict=True)
    return {name: [weight * value for value in column] for column, (name, weight) in columns}


def _rows(ranked: Ranked, job: Job, parts: dict[str, list[float]]) -> Iterator[Sequence[str]]:
    hypotheses = ranked.nbest.hypotheses
    names = list(dict.fromkeys(name for each in hypotheses for name in each.features))
    risk = ["metric"] if job.metric is not None else []
    yield ("", "was", "score", *names, *(f"of {name}" for name in parts), *risk, "text")
    for rank, place in enumerate(ranked.order, 1):
        hypothesis = hypotheses[place]
        total = sum(column[place] for column in parts.values())
        yield (
            str(rank),
            str(place + 1),
            f"{total:.4f}",
            *(f"{hypothesis.features[n]:.4f}" if n in hypothesis.features else "" for n in names),
            *(f"{column[place]:.4f}" for column in parts.values()),
            *_metric(ranked.nbest, place, job),
            hypothesis.text,
        )


def _metric(nbest: NBestList, place: int, job: Job) -> list[str]:
    """The metric of one hypothesis, where one is asked for."""
    from lmscore.runtime.rescoring.lists import reference_of

    if job.metric is None:
        return []
    text = job.normalize(nbest.hypotheses[place].text)
    statistics = job.metric.statistics([text], job.normalize(reference_of(nbest)))
    return [f"{job.metric.value(statistics[0]):.2f}"]


def _decided(order: Sequence[int], parts: dict[str, list[float]]) -> Iterator[str]:
    """A line that says by what the best hypothesis is ahead: of the first one, or of the next."""
    if len(order) < 2:
        return
    best = order[0]
    other = order[1] if best == 0 else 0
    leads = {name: column[best] - column[other] for name, column in parts.items()}
    ranked = sorted(leads.items(), key=lambda item: -abs(item[1]))
    said = ", ".join(f"{lead:+.4f} by {name}" for name, lead in ranked)
    which = "the next one" if best == 0 else "the first of the list"
    yield f"the best is ahead of {which} by {sum(leads.values()):.4f}: {said}"
