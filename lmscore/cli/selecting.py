"""The options of `lmscore filter` that say what is kept, and what is added to it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmscore.cli.usage import UsageError, command_line
from lmscore.names import Unit

if TYPE_CHECKING:
    from lmscore.corpus import Selection
    from lmscore.runtime.scoring import Score

_keep_option = functools.partial(typer.Option, rich_help_panel="What is kept")
_field_option = functools.partial(typer.Option, rich_help_panel="Fields to add")


@dataclass(frozen=True, kw_only=True)
class Selecting:
    """What is kept, and the fields that are added to records."""

    min_ppl: Annotated[
        float | None, _keep_option(metavar="X", help="The lowest perplexity to keep.")
    ] = None
    max_ppl: Annotated[
        float | None, _keep_option(metavar="Y", help="The highest perplexity to keep.")
    ] = None
    per: Annotated[
        Unit,
        _keep_option(help="Perplexity per word, token, character or byte, </s> counted as one."),
    ] = "word"
    percentile: Annotated[
        str | None,
        _keep_option(
            metavar="[P:]Q",
            help="Keep what lies below percentile Q of a sample, and above P if it is given.",
        ),
    ] = None
    against: Annotated[
        Path | None,
        _keep_option(
            metavar="MODEL",
            help="Go by the difference of cross-entropies, --model less this general model (Moore "
            "and Lewis 2010), in place of perplexity.",
        ),
    ] = None
    min_difference: Annotated[
        float | None, _keep_option(metavar="X", help="The lowest difference to keep, in nats.")
    ] = None
    max_difference: Annotated[
        float | None,
        _keep_option(metavar="Y", help="The highest one; below 0 the text is likelier in --model."),
    ] = None
    max_oov: Annotated[
        float,
        _keep_option(
            metavar="P",
            min=0,
            max=1,
            help="The largest share of <unk> among the tokens without </s>.",
        ),
    ] = 1.0
    draw: Annotated[
        bool,
        _keep_option(
            "--draw",
            help="Keep texts at random: with probability --draw-share near the median perplexity "
            "of a sample, with less the further they are from it.",
        ),
    ] = False
    draw_share: Annotated[float, _keep_option(metavar="P", help="At the median.")] = 0.78
    draw_width: Annotated[
        float, _keep_option(metavar="W", help="Larger: more texts far from the median.")
    ] = 4.5
    invert: Annotated[bool, _keep_option("--invert", help="Print what is outside instead.")] = False
    sample: Annotated[
        str | None,
        _keep_option(metavar="FILE", help="The sample for percentiles. Default: of the input."),
    ] = None
    sample_size: Annotated[int, _keep_option(metavar="N", min=1, help="Records drawn.")] = 10_000
    seed: Annotated[int, _keep_option(metavar="N", min=0, help="Of the sample and --draw.")] = 0
    score_field: Annotated[
        str | None,
        _field_option(metavar="NAME", help="Add the perplexity, or the difference, to records."),
    ] = None
    bucket_field: Annotated[
        str | None,
        _field_option(metavar="NAME", help="Add head, middle or tail, the thirds of a sample."),
    ] = None
    bucket_bounds: Annotated[
        str | None,
        _field_option(metavar="X,Y", help="The last of head and of middle, in place of a sample."),
    ] = None
    kept_field: Annotated[
        str | None,
        _field_option(metavar="NAME", help="Print every record, and add whether it is kept."),
    ] = None

    def check(self) -> None:
        """Raise UsageError for an impossible value, or for nothing to do."""
        self._check_bounds()
        self._percentiles()
        self._thirds()
        if self.draw and self.against is not None:
            raise UsageError("--draw goes by perplexity: leave --against out")
        if self.bucket_bounds is not None and self.bucket_field is None:
            raise UsageError("--bucket-bounds goes with --bucket-field")
        if len(self.added) < 3 - self._names.count(None):
            raise UsageError("two fields to add have the same name")
        if not self.needs_sample and self.sample is not None:
            raise UsageError("--sample goes with --percentile, --bucket-field or --draw")
        with command_line():
            self._draw([1.0])

    @property
    def _names(self) -> list[str | None]:
        return [self.score_field, self.bucket_field, self.kept_field]

    @property
    def added(self) -> dict[str, type]:
        """The types of the fields that are added, by name."""
        kinds = zip(self._names, (float, str, bool), strict=True)
        return {name: kind for name, kind in kinds if name is not None}

    @property
    def needs_sample(self) -> bool:
        """Whether percentiles of a sample are needed."""
        thirds = self.bucket_field is not None and self.bucket_bounds is None
        return self.percentile is not None or self.draw or thirds

    def selection(self, figures: Sequence[float]) -> Selection:
        """What to keep; `figures`, in order, are those of the sample if one is needed."""
        from lmscore.corpus import Selection, percentile_bounds, quantile

        lowest, highest = self._check_bounds()
        low_high = self._percentiles()
        if low_high is not None:
            below, above = percentile_bounds(figures, *low_high)
            lowest = below if lowest is None else max(lowest, below)
            highest = above if highest is None else min(highest, above)
        thirds = self._thirds()
        if thirds is None and self.bucket_field is not None:
            thirds = quantile(figures, 1 / 3), quantile(figures, 2 / 3)
        return Selection(
            lowest=lowest,
            highest=highest,
            invert=self.invert,
            max_oov=self.max_oov,
            thirds=thirds,
            draw=self._draw(figures) if self.draw else None,
        )

    def values(self, selection: Selection, figure: float, *, kept: bool) -> dict[str, Any]:
        """The values of the added fields of a record."""
        values = zip(self._names, (figure, selection.bucket(figure), kept), strict=True)
        return {name: value for name, value in values if name is not None}

    def figure(self, score: Score, general: Score | None) -> float:
        """The perplexity of a text, or the difference; nan where there is nothing to divide by."""
        if general is None:
            return score.perplexity_per(self.per)
        own, other = score.count(self.per), general.count(self.per)
        if not own or not other:
            return math.nan
        return general.log_prob / other - score.log_prob / own

    def _check_bounds(self) -> tuple[float | None, float | None]:
        """The bounds of the figure; raises UsageError for impossible ones."""
        bounds = {
            "ppl": (self.min_ppl, self.max_ppl),
            "difference": (self.min_difference, self.max_difference),
        }
        of, other = ("ppl", "difference") if self.against is None else ("difference", "ppl")
        if bounds[other] != (None, None):
            advice = "goes with --against MODEL" if other == "difference" else "is not --against's"
            raise UsageError(f"--min-{other} or --max-{other} {advice}")
        low, high = bounds[of]
        chosen = (low, high) != (None, None) or self.percentile or self.draw or self.max_oov < 1
        if not chosen and (self.kept_field is not None or not self.added):
            raise UsageError(
                f"nothing to filter by: give --min-{of}, --max-{of} or both, a --percentile, or "
                "a --score-field to add"
            )
        if any(bound is not None and math.isnan(bound) for bound in (low, high)):
            raise UsageError(f"--min-{of} and --max-{of} must be numbers, not nan")
        if low is not None and high is not None and low > high:
            raise UsageError(f"--min-{of} {low:g} is above --max-{of} {high:g}")
        return low, high

    def _percentiles(self) -> tuple[float, float] | None:
        if self.percentile is None:
            return None
        low, _, high = self.percentile.rpartition(":")
        found = _numbers([low or "0", high])
        if found is None or not 0 <= found[0] < found[1] <= 100:
            raise UsageError(
                f"--percentile is {self.percentile!r}, expected Q or P:Q, 0 <= P < Q <= 100"
            )
        return found

    def _thirds(self) -> tuple[float, float] | None:
        if self.bucket_bounds is None:
            return None
        found = _numbers(self.bucket_bounds.split(","))
        if found is None or found[0] > found[1]:
            raise UsageError(f"--bucket-bounds is {self.bucket_bounds!r}, expected X,Y, X <= Y")
        return found

    def _draw(self, figures: Sequence[float]) -> Any:
        from lmscore.corpus import Draw, quantile

        return Draw(
            median=quantile(figures, 0.5),
            share=self.draw_share,
            width=self.draw_width,
            seed=self.seed,
        )


def _numbers(cells: Sequence[str]) -> tuple[float, float] | None:
    try:
        first, second = map(float, cells)
    except ValueError:
        return None
    return None if math.isnan(first) or math.isnan(second) else (first, second)
