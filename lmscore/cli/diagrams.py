"""Pictures of training runs: one run as its diagnosis, or several laid over one another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmscore.cli.run_records import Record, RunRecord
from lmscore.errors import needs_extra
from lmscore.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "diagnosis.png"

_SIZE = (12.0, 8.0)  # inches
_FEW = 100  # updates: below, every one is drawn as a point
_PALEST = 0.25  # of the first evaluation's curve; the last one has 1


def check_drawing() -> None:
    """Raise MissingExtraError if matplotlib is not installed."""
    with needs_extra("plot"):
        import matplotlib.figure  # noqa: F401


def draw_diagnosis(run: RunRecord) -> Path | None:
    """Draw the record of a run into `diagnosis.png` beside it; raises OutputFileError.

    The picture shows the training and the held-out loss, the gradient norm of each part and the
    share of clipped updates, dead units, and at each evaluation how far back the loss reaches.

    Returns:
        The path of the picture, or None if nothing is recorded yet.
    """
    if not run.records:
        return None
    draw_run(run, run.folder / PICTURE, kind="png")
    return run.folder / PICTURE


def draw_run(run: RunRecord, path: Path, *, kind: str) -> None:
    """Draw one run, as `draw_diagnosis` does, into a picture of a kind: png, svg, pdf."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    figure.suptitle(_literal(run.title))
    axes = figure.subplots(2, 2)
    _draw_loss(axes[0, 0], run)
    _draw_norms(axes[0, 1], run)
    _draw_dead_units(axes[1, 0], run)
    _draw_lags(axes[1, 1], run)
    _finish(figure, axes, path, kind)


def draw_runs(runs: Sequence[RunRecord], path: Path, *, kind: str) -> None:
    """Lay several runs over one another, a colour each; raises OutputFileError.

    The picture shows the training loss, the held-out perplexity, the norm of the whole gradient,
    and how far back the loss reaches at the last evaluation, with a line style for each layer.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    figure.suptitle("\n".join(_literal(run.title) for run in runs), fontsize="medium")
    axes = figure.subplots(2, 2)
    (loss, held_out), (norm, lags) = axes
    loss.set(title="Training loss", xlabel="update", ylabel="nats per token")
    held_out.set(title="Held-out perplexity", xlabel="update", ylabel="per token", yscale="log")
    norm.set(title="Gradient before clipping", xlabel="update", ylabel="norm", yscale="log")
    _label_lags(lags)
    for number, run in enumerate(runs):
        look: dict[str, Any] = {"color": f"C{number}", "label": _literal(run.name)}
        _line(loss, run.updates, [record["loss"] for record in run.updates], **look)
        perplexities = [record.get("valid_perplexity") for record in run.evaluations]
        _line(held_out, run.evaluations, perplexities, marker="o", **look)
        _line(norm, run.updates, [record["gradient_norm"] for record in run.updates], **look)
        for layer, norms in enumerate(_last_lags(run)):
            label = f"{_literal(run.name)}, layer {layer}"
            style = ("-", "--", ":", "-.")[layer % 4]
            _curve(lags, norms, color=f"C{number}", linestyle=style, label=label)
    _finish(figure, axes, path, kind)


def _finish(figure: Any, axes: Any, path: Path, kind: str) -> None:
    for axis in axes.flat:
        if not math.isfinite(axis.dataLim.minposy):  # a run may fail before there is a norm
            axis.set_yscale("linear")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize="small")
    with atomic_write(path) as file:
        figure.savefig(file, format=kind)


def _draw_loss(axes: Axes, run: RunRecord) -> None:
    from lmscore.train import EVALUATED

    updates, evaluations = run.updates, run.evaluations
    axes.set(title="Loss", xlabel="update", ylabel="nats per token")
    _line(axes, updates, [record["loss"] for record in updates], label="training")
    apart = f"{EVALUATED}/"
    for key in dict.fromkeys(key for record in evaluations for key in record):
        if key == EVALUATED or key.startswith(apart):
            losses = [record.get(key) for record in evaluations]
            label = " ".join(("held out", key.removeprefix(EVALUATED).removeprefix("/"))).strip()
            _line(axes, evaluations, losses, label=label, marker="o")
    if run.failure is not None:
        step = run.failure["step"]
        axes.axvline(step, color="black", linestyle="--", label=f"not finite at update {step}")


def _draw_norms(axes: Axes, run: RunRecord) -> None:
    updates = run.updates
    axes.set(title="Gradients before clipping", xlabel="update", ylabel="norm", yscale="log")
    for name in updates[-1]["gradient_norms"] if updates else ():
        norms = [record["gradient_norms"][name] for record in updates]
        _line(axes, updates, norms, label=name)
    share = axes.twinx()
    share.set(ylabel="share of updates that were clipped (dotted)", ylim=(-0.02, 1.02))
    rates = [record["clipping_rate"] for record in updates]
    share.plot([record["step"] for record in updates], rates, color="grey", linestyle=":")


def _draw_dead_units(axes: Axes, run: RunRecord) -> None:
    updates = run.updates
    axes.set(title="Dead units", xlabel="update", ylabel="share of a layer", ylim=(-0.02, 1.02))
    for layer in range(len(updates[-1]["dead_units"]) if updates else 0):
        shares = [record["dead_units"][layer] for record in updates]
        _line(axes, updates, shares, label=f"layer_{layer}")


def _draw_lags(axes: Axes, run: RunRecord) -> None:
    """Draw the gradient norms by lag; the curves of earlier evaluations are paler."""
    evaluations = run.evaluations
    _label_lags(axes)
    for number, record in enumerate(evaluations, 1):
        curves = [
            (f"{name}, layer_{layer}", norms)
            for name, layers in record["gradient_by_lag"].items()
            for layer, norms in enumerate(layers)
        ]
        shade = _PALEST + (1 - _PALEST) * number / len(evaluations)
        is_last = number == len(evaluations)
        for color, (label, norms) in enumerate(curves):
            _curve(axes, norms, color=f"C{color}", alpha=shade, label=label if is_last else None)
        if curves and number in (1, len(evaluations)) and len(evaluations) > 1:
            axes.plot([], [], color="black", alpha=shade, label=f"shade of update {record['step']}")


def _label_lags(axes: Axes) -> None:
    axes.set(title="How far back the loss reaches", xlabel="k", yscale="log")
    axes.set_ylabel("norm of d loss(t) / d state(t - k)")


def _last_lags(run: RunRecord) -> list[list[float | None]]:
    """The gradient norms of each layer's first state tensor at the last evaluation."""
    by_lag = run.evaluations[-1]["gradient_by_lag"] if run.evaluations else {}
    return list(next(iter(by_lag.values()), []))


def _curve(axes: Axes, norms: Sequence[float | None], **how: Any) -> None:
    axes.plot(range(1, len(norms) + 1), _drawable(norms), **how)


def _line(
    axes: Axes, records: Sequence[Record], values: Sequence[float | None], **how: Any
) -> None:
    """Draw values over updates; where there are few, each is a point."""
    if records and records[-1]["step"] <= _FEW:
        how = {"marker": ".", **how}
    axes.plot([record["step"] for record in records], _drawable(values), **how)


def _drawable(values: Sequence[float | None]) -> list[float]:
    """The values with NaN, which matplotlib draws as a gap, for None."""
    return [float("nan") if value is None else value for value in values]


def _literal(name: str) -> str:
    """A name in which matplotlib reads no formula."""
    return name.replace("$", r"\$")
