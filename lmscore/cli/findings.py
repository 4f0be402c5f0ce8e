"""What the record of a training run shows, in words, and what to try."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from lmscore.cli.run_records import RunRecord

_JUMP = 20  # a gradient norm so many times the median is a burst
_CLIPPED = 0.9  # the share of clipped updates from which clip determines the step
_DEAD = 0.3  # of a layer's units
_RISE = 0.02  # nats: a held-out loss that is worse than the best by more is rising
_REACH = 0.01  # of the gradient at lag 1
_GROWS = 10  # times the gradient at lag 1: it explodes


def findings(run: RunRecord) -> list[str]:
    """A sentence for each thing that a run shows; at least one where something is recorded."""
    if not run.records:
        return []
    found = [
        *_failure(run),
        *_bursts(run),
        *_clipping(run),
        *_dead_units(run),
        *_reach(run),
        *_overfitting(run),
    ]
    return found or ["nothing unusual in the losses, gradients and units"]


def _failure(run: RunRecord) -> Iterator[str]:
    if run.failure is None:
        return
    step = run.failure["step"]
    yield (
        f"exploding: at update {step}: the loss or the gradient is not finite; try a lower "
        "--clip or --learning-rate"
    )


def _bursts(run: RunRecord) -> Iterator[str]:
    """Gradients that are suddenly much larger than before."""
    norms = [(record["step"], record.get("gradient_norm")) for record in run.updates]
    finite = [norm for _, norm in norms if norm is not None]
    if len(finite) < 5:
        return
    usual = statistics.median(finite)
    step, largest = max(((s, n) for s, n in norms if n is not None), key=lambda pair: pair[1])
    if largest > _JUMP * usual:
        yield (
            f"bursts of the gradient: a norm of {largest:.3g} at update {step}, {usual:.3g} is "
            "usual; --clip keeps such updates small"
        )


def _clipping(run: RunRecord) -> Iterator[str]:
    rates = [record["clipping_rate"] for record in run.updates]
    late = rates[len(rates) // 2 :]
    if late and statistics.fmean(late) > _CLIPPED:
        yield (
            f"{100 * statistics.fmean(late):.0f} % of the later updates were clipped: --clip "
            "determines the size of the step, and a higher --learning-rate changes little"
        )


def _dead_units(run: RunRecord) -> Iterator[str]:
    for layer, share in enumerate(run.updates[-1]["dead_units"] if run.updates else ()):
        if share is not None and share >= _DEAD:
            yield (
                f"layer {layer}: {100 * share:.0f} % of the units are dead, with the same output "
                "for every token; try a lower --learning-rate, or a cell without ReLU"
            )


def _reach(run: RunRecord) -> Iterator[str]:
    """How far back the loss reaches, at the last evaluation, by the first state tensor."""
    if not run.evaluations:
        return
    by_lag = run.evaluations[-1]["gradient_by_lag"]
    for layer, norms in enumerate(next(iter(by_lag.values()), ())):
        known = [norm for norm in norms if norm is not None]
        if len(known) < 2 or not known[0]:
            continue
        if known[-1] > _GROWS * known[0]:
            yield (
                f"layer {layer}: the gradient grows with the lag, {known[-1] / known[0]:.0f} times "
                f"over {len(known)} tokens: it explodes"
            )
        elif (lag := _first_below(known, _REACH * known[0])) is not None:
            yield (
                f"layer {layer}: the loss reaches {lag - 1} tokens back: from lag {lag} on the "
                "gradient is below 1 % of that at lag 1"
            )


def _first_below(norms: Sequence[float], bound: float) -> int | None:
    """The lag, from 1, from which on all norms are below a bound."""
    last = max((lag for lag, norm in enumerate(norms, 1) if norm >= bound), default=0)
    return last + 1 if last < len(norms) else None


def _overfitting(run: RunRecord) -> Iterator[str]:
    from lmscore.train import EVALUATED

    losses = [(r["step"], r[EVALUATED]) for r in run.evaluations if r[EVALUATED] is not None]
    if len(losses) < 2:
        return
    step, best = min(losses, key=lambda pair: pair[1])
    if losses[-1][1] > best + _RISE:
        yield (
            f"the held-out loss was lowest at update {step} ({best:.3f} nats) and is "
            f"{losses[-1][1]:.3f} at the end: overfitting; try more --dropout or a shorter run "
            "(--patience 3)"
        )
