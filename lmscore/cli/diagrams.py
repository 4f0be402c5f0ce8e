"""A picture of metrics.jsonl, the record of a training run: losses, gradients and dead units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmscore.errors import needs_extra
from lmscore.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "diagnosis.png"

_SIZE = (12.0, 8.0)  # inches

Record = Mapping[str, Any]


def check_drawing() -> None:
    """Raise MissingExtraError if matplotlib is not installed."""
    with needs_extra("plot"):
        import matplotlib.figure  # noqa: F401


def draw_diagnosis(folder: Path) -> Path | None:
    """Draw the record of a run into `diagnosis.png` beside it; raises OutputFileError.

    The picture shows the training and the held-out loss, the gradient norm of each part and the
    share of clipped updates, dead units, and at each evaluation how far back the loss reaches.

    Returns:
        The path of the picture, or None if nothing is recorded yet.
    """
    from matplotlib.figure import Figure

    records = read_metrics(folder)
    if not records:
        return None
    updates = [record for record in records if "gradient_norms" in record]
    evaluations = [record for record in records if "gradient_by_lag" in record]
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots(2, 2)
    _draw_loss(axes[0, 0], updates, evaluations)
    _draw_norms(axes[0, 1], updates)
    _draw_dead_units(axes[1, 0], updates)
    _draw_lags(axes[1, 1], evaluations)
    for axis in axes.flat:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize="small")
    with atomic_write(folder / PICTURE) as file:
        figure.savefig(file, format="png")
    return folder / PICTURE


def read_metrics(folder: Path) -> list[Record]:
    """The records of a run; none if it never came to training."""
    from lmscore.train import METRICS_FILE

    path = folder / METRICS_FILE
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _draw_loss(axes: Axes, updates: Sequence[Record], evaluations: Sequence[Record]) -> None:
    from lmscore.train import EVALUATED

    axes.set(title="Loss", xlabel="update", ylabel="nats per token")
    _line(axes, updates, [record["loss"] for record in updates], "training")
    apart = f"{EVALUATED}/"
    for key in dict.fromkeys(key for record in evaluations for key in record):
        if key == EVALUATED or key.startswith(apart):
            losses = [record.get(key) for record in evaluations]
            label = " ".join(("held out", key.removeprefix(EVALUATED).removeprefix("/"))).strip()
            _line(axes, evaluations, losses, label, marker="o")


def _draw_norms(axes: Axes, updates: Sequence[Record]) -> None:
    axes.set(title="Gradients before clipping", xlabel="update", ylabel="norm", yscale="log")
    for name in updates[-1]["gradient_norms"] if updates else ():
        _line(axes, updates, [record["gradient_norms"][name] for record in updates], name)
    share = axes.twinx()
    share.set(ylabel="share of updates that were clipped (dotted)", ylim=(-0.02, 1.02))
    rates = [record["clipping_rate"] for record in updates]
    share.plot([record["step"] for record in updates], rates, color="grey", linestyle=":")


def _draw_dead_units(axes: Axes, updates: Sequence[Record]) -> None:
    axes.set(title="Dead units", xlabel="update", ylabel="share of a layer", ylim=(-0.02, 1.02))
    for layer in range(len(updates[-1]["dead_units"]) if updates else 0):
        shares = [record["dead_units"][layer] for record in updates]
        _line(axes, updates, shares, f"layer_{layer}")


def _draw_lags(axes: Axes, evaluations: Sequence[Record]) -> None:
    """Draw the gradient norms by lag; the curves of earlier evaluations are paler."""
    axes.set(title="How far back the loss reaches", xlabel="k", yscale="log")
    axes.set_ylabel("norm of d loss(t) / d state(t - k)")
    for number, record in enumerate(evaluations, 1):
        curves = [
            (f"{name}, layer_{layer}", norms)
            for name, layers in record["gradient_by_lag"].items()
            for layer, norms in enumerate(layers)
        ]
        for color, (label, norms) in enumerate(curves):
            axes.plot(
                range(1, len(norms) + 1),
                _drawable(norms),
                color=f"C{color}",
                alpha=number / len(evaluations),
                label=label if number == len(evaluations) else None,
            )


def _line(
    axes: Axes, records: Sequence[Record], values: Sequence[float | None], label: str, **how: Any
) -> None:
    axes.plot([record["step"] for record in records], _drawable(values), label=label, **how)


def _drawable(values: Sequence[float | None]) -> list[float]:
    """The values with NaN, which matplotlib draws as a gap, for None."""
    return [float("nan") if value is None else value for value in values]
