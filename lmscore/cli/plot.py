"""`lmscore tune --plot`: a picture of a metric as a function of a weight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.cli.usage import UsageError
from lmscore.errors import needs_extra
from lmscore.files import atomic_write

if TYPE_CHECKING:
    from lmscore.cli.rescoring.tuning_report import TuningReport

_SIZE = (7.0, 4.5)  # inches
_MARGIN = 0.05  # of the picture's width, on either side


def plot_metric(path: Path, report: TuningReport, term: int) -> None:
    """Draw the metric as a function of one weight, from minus to three times its value.

    A line stands at 0, and the chosen weight has the 95 % interval of the metric there.

    The suffix of the path names the kind of picture: .png, .svg, .pdf. `term` is the index of the
    weight. Raises OutputFileError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    from lmscore.runtime.rescoring.tuning import estimated, metric_along

    steps = metric_along(report.candidates, report.values, term)
    weight = float(report.values[term])
    interval = estimated(report.candidates, report.candidates.best(report.values))
    name, metric = report.candidates.names[term], report.candidates.metric.title
    first, found = report.comparison.first.metric.value, float(steps(weight))
    edges, values = steps.within(*_range(weight))
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot(
        title=f"{metric} and the weight of {name}", xlabel=f"weight of {name}", ylabel=metric
    )
    axes.stairs(values, edges, baseline=None, label="all lists, the other weights as they are")
    axes.axhline(first, color="grey", linestyle=":", label=f"1-best, {first:.2f}")
    axes.axvline(0.0, color="grey", linewidth=0.8, label=f"without {name}")
    axes.errorbar(
        [weight],
        [found],
        [[max(0.0, found - interval.low)], [max(0.0, interval.high - found)]],
        fmt="o",
        color="black",
        capsize=4,
        label=f"weight {weight:.4g}: {found:.2f} [{interval.low:.2f}, {interval.high:.2f}]",
    )
    axes.set_xlim(edges[0], edges[-1])
    axes.legend()
    with atomic_write(path) as file:
        figure.savefig(file, format=_kind(path))


def _range(weight: float) -> tuple[float, float]:
    left, right = sorted((-weight, 3 * weight)) if weight else (-1.0, 1.0)
    margin = _MARGIN * (right - left)
    return left - margin, right + margin


def check_picture(path: Path, *, option: str = "--plot") -> None:
    """Raise an error that names the option, before the work begins, if there can be no picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: there is no such kind of picture.
    """
    with needs_extra("plot"):
        from matplotlib.figure import Figure

    kinds = Figure().canvas.get_supported_filetypes()
    if _kind(path) not in kinds:
        raise UsageError(f"{option} {path}: no such kind of picture; there are {', '.join(kinds)}")


def _kind(path: Path) -> str:
    return path.suffix.removeprefix(".").lower()
