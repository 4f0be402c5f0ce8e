"""How `rescore` works through lists, what it shows meanwhile, and what it says at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmscore.bundle import Context
from lmscore.cli import streams
from lmscore.cli.progress import Progress
from lmscore.cli.scored_records import describe, interactive, total_bytes
from lmscore.errors import OptionError

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.rescoring.lists.nbest import NBestList
    from lmscore.runtime.rescoring.lists.rescore import Gain, Totals
    from lmscore.runtime.rescoring.lists.weights import Weights
    from lmscore.runtime.rescoring.models.list_scoring import Counts
    from lmscore.runtime.rescoring.models.scorer import ListScorer

Ranked = tuple["NBestList", list[int]]  # a list, and the places of its hypotheses, best first


@dataclass(frozen=True)
class Job:
    """How lists are scored and ranked, and what it comes to."""

    scorers: Sequence[ListScorer]
    weights: Weights
    prepare: Callable[[str], str]
    context: Context
    eos: bool
    totals: Totals
    counts: Counts
    gain: Gain

    def rank(self, lists: Iterable[NBestList]) -> Iterator[Ranked]:
        """The lists with new scores in them, and how they rank their hypotheses.

        Raises:
            OptionError: document context with something else than one recurrent model, and
                whatever scoring and ranking raise.
        """
        from lmscore.runtime.rescoring.lists.rescore import ranking

        for nbest in self._scored(lists):
            order = ranking(nbest, self.weights)
            self.gain.add(nbest, order[0] if order else None)
            yield nbest, order

    def _scored(self, lists: Iterable[NBestList]) -> Iterator[NBestList]:
        if self.context == "sentence":
            from lmscore.runtime.rescoring.lists.rescore import add_scores

            return add_scores(lists, self.scorers, prepare=self.prepare, totals=self.totals)
        from lmscore.runtime.rescoring.lists.context import add_scores_in_context

        name, lm = self._only_model()
        return add_scores_in_context(
            lists,
            lm,
            self.weights,
            name=name,
            eos=self.eos,
            prepare=self.prepare,
            totals=self.totals,
            counts=self.counts,
        )

    def _only_model(self) -> tuple[str, LanguageModel]:
        from lmscore.runtime.rescoring.models.scorer import ModelScorer

        scorer = self.scorers[0]
        if len(self.scorers) > 1 or not isinstance(scorer, ModelScorer):
            raise OptionError("--context document is for one recurrent model alone")
        return scorer.name, scorer.lm


class Meter:
    """How much of the input has been read, for the progress bar."""

    def __init__(self) -> None:
        self.bytes = 0

    def read(self, lists: Iterable[NBestList]) -> Iterator[NBestList]:
        """The same lists, counted."""
        done, document = 0, None
        for nbest in lists:
            if nbest.source.document is not document:
                done, document = self.bytes, nbest.source.document
            self.bytes = done + nbest.source.document.num_read
            yield nbest

    def shown(
        self,
        ranked: Iterable[Ranked],
        paths: Sequence[str],
        totals: Totals,
        *,
        data_on_stdout: bool,
    ) -> Iterator[Ranked]:
        """The same lists, under a progress bar where it does not come between the data."""
        shown = not interactive(paths) and not (data_on_stdout and streams.is_terminal(sys.stdout))
        with Progress("rescoring", total=total_bytes(paths), shown=shown) as progress:
            for found in ranked:
                yield found
                rate = totals.hypotheses / progress.seconds
                progress.update(self.bytes, f"{rate:,.0f} hypotheses/s")


def summary(job: Job, first: NBestList | None) -> Iterator[str]:
    """What was done, in a few lines; `first` is a list as it was read."""
    yield f"{_models(job.scorers, job.context)}: {_counts(job)}"
    gain = job.gain
    empty = f", {gain.empty} of them empty" if gain.empty else ""
    yield (
        f"score = {_formula(job.weights)}: the best hypothesis is not the first one in "
        f"{gain.changed} of {gain.lists} lists{empty}"
    )
    if first is not None:
        yield from _unweighed(job.weights, list(first.hypotheses[0].features))
    values = gain.values()
    if gain.metric is not None and values is not None:
        yield "{}: {:.2f} by the first, {:.2f} by the best".format(gain.metric.title, *values)


def _unweighed(weights: Weights, own: Sequence[str]) -> Iterator[str]:
    """A hint, where what the decoder found out plays no part in the score."""
    used = {name.split("*")[0] for name in weights.features}
    if not own and "rank" not in used:
        yield "the lists have no scores of their own; --weight rank=X weighs their order"
    elif own and not used.intersection(own):
        yield f"none of the lists' own scores has a weight: {', '.join(own)}; --weight NAME=X"


def _counts(job: Job) -> str:
    totals = job.totals
    tokens = "tokens with </s>" if job.eos else "tokens without </s>"
    saved = f" ({job.counts.tokens_saved} saved)" if job.counts.tokens else ""
    one = len(totals.oovs) < 2
    counts = [
        f"{totals.lists} lists",
        f"{totals.hypotheses} hypotheses",
        f"{totals.words} words",
        f"{totals.tokens} {tokens}{saved}",
        *(f"{count} OOVs" + ("" if one else f" of {name}") for name, count in totals.oovs.items()),
    ]
    return ", ".join(counts)


def _models(scorers: Sequence[ListScorer], context: Context) -> str:
    names = (_model(scorer, context) for scorer in scorers)
    if len(scorers) == 1:
        return next(names)
    return ", ".join(f"{s.name} {name}" for s, name in zip(scorers, names, strict=True))


def _model(scorer: ListScorer, context: Context) -> str:
    from lmscore.runtime.rescoring.models.mixture import Mixture
    from lmscore.runtime.rescoring.models.ngram import NgramScorer
    from lmscore.runtime.rescoring.models.scorer import ModelScorer

    if isinstance(scorer, ModelScorer):
        return describe(scorer.lm, context)
    if isinstance(scorer, NgramScorer):
        return f"({scorer.model.order}-gram)"
    return str(replace(scorer, fit=None)) if isinstance(scorer, Mixture) else ""


def _formula(weights: Weights) -> str:
    """What `Weights` computes, for people."""
    terms = [*weights.features.items()]
    if weights.word_penalty:
        terms.append(("words", weights.word_penalty))
    text = " ".join(
        f"{'-' if weight < 0 else '+'} {abs(weight):.4g} * {name}" for name, weight in terms
    )
    text = text.removeprefix("+ ")
    power = weights.length_normalization
    return f"({text}) / words ** {power:.4g}" if power else text
