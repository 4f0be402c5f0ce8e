"""What the report of `lmscore tune` means, in a line each: weights below 0, and what to do next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmscore.cli.rescoring.tuning_report import TuningReport
    from lmscore.runtime.rescoring.lists import Weights

_NOTHING = 0.01  # of the metric: what a language model gains, at most, if it gains nothing
_LITTLE = 0.05  # of the metric: what the best hypotheses gain where the lists hold little
_HALF = 0.5


def unusual_weights(weights: Weights, added: Collection[str] = ()) -> Iterator[str]:
    """A line for each score whose weight has another sign than one expects.

    A weight below 0 is unusual, but for a word penalty, and for the n-gram of LODR one above 0.

    Args:
        weights: the weights found.
        added: the scores that are language models'.
    """
    from lmscore.runtime.rescoring.models import LODR

    for name, weight in weights.features.items():
        if name == LODR and weight > 0:
            yield (
                f"the weight of {name} is above 0 ({weight:.4g}): what its text makes likely is "
                "right more often, so the recogniser has not learnt this text; give the n-gram as "
                "--lm"
            )
        if weight >= 0 or name in ("words", LODR):
            continue
        if name in added:
            yield (
                f"the weight of {name} is below 0 ({weight:.4g}): what the language model finds "
                "likely is wrong more often; see that it gets the text as it knows it "
                "(--lowercase, --join, --remove)"
            )
        else:
            yield (f"the weight of {name} is below 0 ({weight:.4g}): lower is better, as of a cost")


def advice(report: TuningReport) -> str:
    """What to do next, in one line."""
    found = report.comparison
    sign = 1 if report.candidates.metric.higher_is_better else -1
    most, gained = (sign * s.difference.value for s in (found.oracle, found.chosen))
    if most <= _LITTLE * found.first.metric.value:
        return (
            f"the lists hold little that is better: at best {found.oracle.metric.value:.2f} "
            f"{report.candidates.metric.title}; ask the recogniser for more hypotheses"
        )
    models = [name for name in report.added if name in report.candidates.names]
    return _obstacle(report, models) or _harvest(report, gained / most, has_models=bool(models))


def _obstacle(report: TuningReport, models: Sequence[str]) -> str | None:
    """Why there is no gain to be used, if there is none."""
    useless = _useless(report, models)
    if useless is not None:
        return (
            f"the LM has no weight ({useless}): its text is far from this domain; adapt it with "
            "train --init-from"
        )
    sign = 1 if report.candidates.metric.higher_is_better else -1
    change = report.comparison.chosen.difference
    if change.low <= 0 <= change.high:
        adapt = "; or adapt the model with train --init-from" if models else ""
        return (
            f"the change may be chance, for its interval holds 0: tune on more than "
            f"{report.comparison.num_lists} lists{adapt}"
        )
    if sign * change.value < 0:
        return "the weights make it worse: tune them on lists like these"
    return None


def _harvest(report: TuningReport, share: float, *, has_models: bool) -> str:
    gained = f"{100 * share:.0f} % of what the lists hold is gained"
    if has_models and share < _HALF:
        return f"{gained}; adapt the model to text of this domain with train --init-from"
    if report.folds is None:
        return f"{gained}: use the weights with --weights"
    return f"{gained}: write the weights with --output, and use them with --weights"


def _useless(report: TuningReport, models: Sequence[str]) -> str | None:
    """Why the language models are of no use, if they are not."""
    candidates = report.candidates
    places = [candidates.names.index(name) for name in models]
    if models and (report.values[places] < 0).all():
        return f"that of {', '.join(models)} is below 0"
    without = report.values.copy()
    without[places] = 0.0
    sign = 1 if candidates.metric.higher_is_better else -1
    gain = sign * (report.fitted - candidates.value(candidates.best(without)))
    if models and gain <= _NOTHING * abs(report.comparison.first.metric.value):
        return f"{', '.join(models)} changes next to nothing"
    return None
