"""The options for the weights of scores in n-best lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli.option_values import assignments, number
from lmscore.cli.usage import UsageError, command_line

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lists import NBestList, Weights


@dataclass(frozen=True, kw_only=True)
class WeightOptions:
    """The weights of `lmscore rescore`: one by one, or in a file."""

    lm_weight: Annotated[
        float | None, typer.Option(metavar="X", help="The weight of each new score. Default: 0.5.")
    ] = None
    word_penalty: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Added for every word; below 0 longer texts lose. Default: 0."
        ),
    ] = None
    length_normalization: Annotated[
        float | None,
        typer.Option(metavar="X", help="Divide the sum by words to the power of X. Default: 0."),
    ] = None
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=X",
            help="The weight of a score of the list. Default: 1 for the decoder's own, 0 for the "
            "rest; may be given again.",
            show_default=False,
        ),
    ] = None
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All weights, as `lmscore tune` writes them."),
    ] = None

    @property
    def own(self) -> dict[str, float]:
        """The weights of --weight, by name; raises UsageError for what is none."""
        given = assignments("--weight", self.weight)
        return {name: number(f"--weight {name}", value) for name, value in given.items()}

    def check(self, added: Sequence[str]) -> None:
        """Raise UsageError for a weight that is none, or beside --weights.

        `added` has the names of the models' scores.
        """
        given = {
            "--lm-weight": self.lm_weight,
            "--word-penalty": self.word_penalty,
            "--length-normalization": self.length_normalization,
            "--weight": self.weight or None,
        }
        for option, value in given.items():
            if self.weights is not None and value is not None:
                raise UsageError(f"--weights has all weights: leave out {option}")
        with command_line():
            self.defaults(added)

    def tuned(self) -> Weights | None:
        """The weights in the file of --weights; raises what `read_weights` raises."""
        from lmscore.runtime.rescoring.lists import read_weights

        return None if self.weights is None else read_weights(self.weights)

    def defaults(
        self,
        added: Sequence[str],
        first: NBestList | None = None,
        score: str | tuple[str, ...] | None = None,
        *,
        lodr: bool = False,
    ) -> Weights:
        """The weights that hold where no file has all of them.

        Args:
            added: the names of the models' scores.
            first: a list with hypotheses, as it was read.
            score: the decoder's own scores, as their format names them.
            lodr: whether the score of --lodr is weighed, too.

        Raises:
            UsageError: a value of --weight is no number.
            OptionError: a weight is not finite.
        """
        from lmscore.runtime.rescoring.lists import LM_WEIGHT, default_weights
        from lmscore.runtime.rescoring.models import LODR, LODR_SHARE

        lm_weight = LM_WEIGHT if self.lm_weight is None else self.lm_weight
        of_lodr = {LODR: -LODR_SHARE * lm_weight} if lodr else {}
        return default_weights(
            first,
            score,
            added,
            lm_weight=lm_weight,
            word_penalty=self.word_penalty or 0.0,
            length_normalization=self.length_normalization or 0.0,
            given={**of_lodr, **self.own},
        )
