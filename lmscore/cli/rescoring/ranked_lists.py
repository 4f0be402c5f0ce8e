"""The work of `lmscore rescore`: scoring and ranking lists, a progress bar, and the summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from lmscore.bundle import Context
from lmscore.cli.scored_records import describe, input_progress, unknown_words
from lmscore.errors import OptionError

if TYPE_CHECKING:
    from lmscore.cli.rescoring.posterior_options import PosteriorOptions
    from lmscore.cli.rescoring.prefix_options import PrefixOptions
    from lmscore.runtime.rescoring.lists import (
        Counts,
        Gain,
        ListPosteriors,
        Metric,
        NBestList,
        ScoredList,
        ScoreSigns,
        Weights,
    )
    from lmscore.runtime.rescoring.models import ListScorer, RecurrentScorer


@dataclass(frozen=True, slots=True)
class Ranked:
    """A list with its new scores, the ranking of its hypotheses, and the gain."""

    nbest: NBestList
    order: Sequence[int]  # the places of the hypotheses, best first
    counts: Counts
    gain: Gain
    posteriors: ListPosteriors | None = None  # where they are asked for, and there are hypotheses


@dataclass(frozen=True)
class Job:
    """Scores and ranks lists, and measures the gain."""

    scorers: Sequence[ListScorer]
    weights: Weights
    prepare: Callable[[str], str]
    context: Context
    eos: bool
    metric: Metric | None
    normalize: Callable[[str], str]  # changes texts before the metric compares them
    decision: PosteriorOptions
    line_buffered: bool = False  # score each list before the next is read
    prefix: PrefixOptions | None = None  # where hypotheses follow a text

    def rank(self, lists: Iterable[NBestList]) -> Iterator[Ranked]:
        """Score and rank the lists; raises what scoring and ranking raise.

        Raises:
            OptionError: document context, or a prefix, needs exactly one model, a recurrent one.
        """
        from lmscore.runtime.rescoring.lists import Gain, ranking

        for scored in self._scored(lists):
            posteriors = self._posteriors(scored.nbest)
            if posteriors is not None and self.decision.mbr:
                order = posteriors.ranking()
            else:
                order = ranking(scored.nbest, self.weights)
            best = order[0] if order else None
            gain = Gain.of(scored.nbest, best, self.metric, normalize=self.normalize)
            yield Ranked(scored.nbest, order, scored.counts, gain, posteriors)

    def _posteriors(self, nbest: NBestList) -> ListPosteriors | None:
        """The probabilities of the hypotheses, where they are asked for and there are any."""
        from lmscore.runtime.rescoring.lists import ListPosteriors, posterior_scale

        if not (nbest.hypotheses and self.decision.are_wanted):
            return None
        scale = self.decision.posterior_scale
        if scale is None:
            scale = posterior_scale(self.weights, [scorer.name for scorer in self.scorers])
        return ListPosteriors(nbest, self.weights, scale, self.normalize)

    def _scored(self, lists: Iterable[NBestList]) -> Iterator[ScoredList]:
        from lmscore.runtime.rescoring.lists import scored_in_context

        if self.context == "sentence":
            score = self._score_of_lists()
            if self.line_buffered:
                return (scored for nbest in lists for scored in score([nbest]))
            return score(lists)
        model = self._recurrent("--context document")
        return scored_in_context(
            lists, model.lm, self.weights, name=model.name, eos=self.eos, prepare=self.prepare
        )

    def _score_of_lists(self) -> Callable[[Iterable[NBestList]], Iterator[ScoredList]]:
        """A function that scores lists each on its own, or after the text they follow."""
        from lmscore.runtime.rescoring.lists import scored_after_prefixes, scored_lists

        if self.prefix is None:
            return partial(scored_lists, scorers=self.scorers, prepare=self.prepare)
        model = self._recurrent("a prefix")
        return partial(
            scored_after_prefixes,
            lm=model.lm,
            name=model.name,
            channel=self.prefix.channel,
            eos=self.eos,
            prepare=self.prepare,
        )

    def _recurrent(self, what: str) -> RecurrentScorer:
        """The only model; raises OptionError, naming `what` needs it, if there is no such one."""
        from lmscore.runtime.rescoring.models import RecurrentScorer

        model = self.scorers[0]
        if len(self.scorers) > 1 or not isinstance(model, RecurrentScorer):
            raise OptionError(f"{what} is for one recurrent model alone")
        return model


class Meter:
    """Adds up the bytes that are read, and the counts and gains of the lists that are ranked."""

    def __init__(
        self, score: str | tuple[str, ...] | None = None, *, are_costs: bool = False
    ) -> None:
        """Begin at nothing; `score` is the decoder's own score, as `own_scores` has it."""
        from lmscore.runtime.rescoring.lists import Counts, Gain, ScoreSigns

        self._score = score
        self.bytes = 0
        self.signs = ScoreSigns(are_costs)
        self.counts = Counts()
        self.gain = Gain()

    def read(self, lists: Iterable[NBestList]) -> Iterator[NBestList]:
        """Pass the lists on and count their bytes."""
        for nbest in lists:
            self.bytes += nbest.source.size if nbest.source is not None else 0
            self.signs.see(nbest, self._score)
            yield nbest

    def shown(
        self, ranked: Iterable[Ranked], paths: Sequence[str], *, data_on_stdout: bool
    ) -> Iterator[Ranked]:
        """Pass the lists on and add them up, under a progress bar."""
        with input_progress("rescoring", paths, data_on_stdout=data_on_stdout) as progress:
            for found in ranked:
                self.counts += found.counts
                self.gain += found.gain
                yield found
                rate = self.counts.hypotheses / progress.seconds
                progress.update(self.bytes, f"{rate:,.0f} hypotheses/s")


def summary(
    job: Job, meter: Meter, first: NBestList | None, *, by_order: bool = False
) -> Iterator[str]:
    """The lines of a summary.

    Args:
        first: a list as it was read.
        by_order: whether the order of the lists is weighed for want of a score.
    """
    yield f"{_models(job.scorers, job.context)}: {_counts(meter.counts, eos=job.eos)}"
    gain = meter.gain
    empty = f", {gain.empty} of them empty" if gain.empty else ""
    yield (
        f"score = {formula(job.weights)}: the best hypothesis is not the first one in "
        f"{gain.changed} of {gain.lists} lists{empty}"
    )
    own = [] if first is None else list(first.hypotheses[0].features)
    used = {name.split("*")[0] for name in job.weights.features}
    if first is not None and used.isdisjoint(own) and (by_order or "rank" not in used):
        yield _unweighed(own, by_order=by_order)
    yield from score_hint(meter.signs)
    if job.metric is not None and (values := gain.values(job.metric)) is not None:
        yield "{}: {:.2f} by the first, {:.2f} by the best".format(job.metric.title, *values)


def score_hint(signs: ScoreSigns) -> Iterator[str]:
    """A hint to the user where the scores look like costs or probabilities."""
    hint = signs.hint()
    if hint is not None:
        for kind in ("costs", "probabilities"):
            hint = hint.replace(f"score_kind='{kind}'", f"--{kind}")
        yield hint


def _unweighed(own: Sequence[str], *, by_order: bool) -> str:
    """A hint to the user where none of the decoder's own scores has a weight."""
    order = ": their order counts, as `rank`" if by_order else ""
    if not own:
        return f"the lists have no scores of their own{order}; --weight rank=X weighs it"
    return f"none of the lists' own scores has a weight ({', '.join(own)}){order}; --weight NAME=X"


def _counts(counts: Counts, *, eos: bool) -> str:
    tokens = "tokens with </s>" if eos else "tokens without </s>"
    is_known = counts.tokens and counts.tokens_saved is not None
    saved = f" ({counts.tokens_saved} saved)" if is_known else ""
    one = len(counts.oovs) < 2
    oovs = (f"{n} OOVs" + ("" if one else f" of {name}") for name, n in counts.oovs.items())
    return ", ".join(
        [
            f"{counts.lists} lists, {counts.hypotheses} hypotheses, {counts.words} words",
            f"{counts.tokens} {tokens}{saved}",
            *oovs,
        ]
    )


def _models(scorers: Sequence[ListScorer], context: Context) -> str:
    names = (_model(scorer, context) for scorer in scorers)
    if len(scorers) == 1:
        return next(names)
    return ", ".join(f"{s.name} {name}" for s, name in zip(scorers, names, strict=True))


def _model(scorer: ListScorer, context: Context) -> str:
    from lmscore.runtime.rescoring.models import LodrScorer, Mixture, NgramScorer, RecurrentScorer

    if isinstance(scorer, RecurrentScorer):
        return describe(scorer.lm, context)
    if isinstance(scorer, LodrScorer):
        return str(scorer.lodr)
    if isinstance(scorer, NgramScorer):
        penalty = scorer.unk_penalty
        unknown = "" if penalty is None else f", {unknown_words(penalty)}"
        return f"({scorer.model.order}-gram{unknown})"
    return str(replace(scorer, fit=None)) if isinstance(scorer, Mixture) else ""


def formula(weights: Weights) -> str:
    """The formula of the score as text."""
    terms = [*weights.features.items()]
    if weights.word_penalty:
        terms.append(("words", weights.word_penalty))
    text = " ".join(
        f"{'-' if weight < 0 else '+'} {abs(weight):.4g} * {name}" for name, weight in terms
    ).removeprefix("+ ")
    power = weights.length_normalization
    return f"({text}) / words ** {power:.4g}" if power else text
