"""`--oov-cost`: what unknown words cost, in nats or by their spelling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli.options import ModelOptions
from lmscore.cli.usage import UsageError, command_line

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class OovCosts:
    """The option of verbs that score texts."""

    oov_cost: Annotated[
        str | None,
        typer.Option(
            metavar="NATS|MODEL",
            help="What each unknown word costs beside the probability of <unk>: so many nats, or "
            "its spelling, in a model of characters or subwords.",
            rich_help_panel="The model",
            show_default=False,
        ),
    ] = None

    def check(self, **others: object) -> None:
        """Raise UsageError for a cost that is no cost, or for an option that it does not join.

        `others`: the names of those options, and whether each is given.
        """
        from lmscore.runtime.arguments import check_oov_cost

        if self.oov_cost is None:
            return
        for name, given in others.items():
            if given:
                raise UsageError(f"--oov-cost does not go with --{name.replace('_', '-')}")
        if self._nats is not None:
            with command_line():
                check_oov_cost(self._nats)

    def load(self, model: ModelOptions) -> float | LanguageModel | None:
        """The cost, or the model of spellings, loaded as `model` is; raises what loading raises."""
        if self.oov_cost is None or self._nats is not None:
            return self._nats
        return replace(model, model=Path(self.oov_cost), variant=None, unk_penalty=None).load()

    @property
    def _nats(self) -> float | None:
        try:
            return float(self.oov_cost or "")
        except ValueError:
            return None
