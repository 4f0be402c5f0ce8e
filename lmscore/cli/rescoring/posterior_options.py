"""The options of decisions that stand on posterior probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import typer

from lmscore.cli.usage import UsageError


@dataclass(frozen=True, kw_only=True)
class PosteriorOptions:
    """The options of decisions that stand on posterior probabilities."""

    mbr: Annotated[
        bool,
        typer.Option(
            "--mbr",
            help="Choose the text with the fewest expected word errors, of the 100 best, instead "
            "of the one with the highest score.",
        ),
    ] = False
    confidence: Annotated[
        bool,
        typer.Option(
            "--confidence", help="With --best: a last column, the probability of every word."
        ),
    ] = False
    posterior_scale: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="What scores are divided by for the probabilities. Default: what the LM counts.",
        ),
    ] = None

    @property
    def are_wanted(self) -> bool:
        """Whether a decision needs probabilities."""
        return self.mbr or self.confidence

    def check(self, *, best: bool, chooses: bool) -> None:
        """Raise UsageError for options that do not go together.

        Args:
            best: whether --best prints texts.
            chooses: whether the choice among texts is seen at all.
        """
        if self.confidence and not best:
            raise UsageError("--confidence goes with --best")
        if self.mbr and not chooses:
            raise UsageError("--mbr chooses: it goes with --best, --rerank or --metric")
        self.check_scale()

    def check_scale(self) -> None:
        """Raise UsageError for a scale of probabilities that is none, or that nothing asks for."""
        if self.posterior_scale is None:
            return
        if not self.are_wanted:
            raise UsageError("--posterior-scale goes with --mbr or --confidence")
        if not (math.isfinite(self.posterior_scale) and self.posterior_scale > 0):
            raise UsageError(f"--posterior-scale must be above 0, not {self.posterior_scale}")
