"""The options for hypotheses that follow a text: translations, corrections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli.rescoring.list_input import ListInput
from lmscore.cli.rescoring.list_models import ListModels
from lmscore.cli.usage import UsageError

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lists import NBestList


@dataclass(frozen=True, kw_only=True)
class PrefixOptions:
    """The options for hypotheses that follow a text: translations, corrections."""

    prefixes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the hypotheses translate, correct or continue: a line for each list, as in "
            "--references, which is read before them, so that P(hypothesis | line) is scored.",
            rich_help_panel="The model",
        ),
    ] = None
    first_as_prefix: Annotated[
        bool,
        typer.Option(
            "--first-as-prefix",
            help="The first hypothesis of each list is that text.",
            rich_help_panel="The model",
        ),
    ] = False
    channel: Annotated[
        bool,
        typer.Option(
            "--channel",
            help="Score the text after each hypothesis instead: P(line | hypothesis), a noisy "
            "channel.",
            rich_help_panel="The model",
        ),
    ] = False

    @property
    def are_wanted(self) -> bool:
        """Whether the hypotheses follow a text."""
        return self.prefixes is not None or self.first_as_prefix

    def check(self, models: ListModels, *, document: bool) -> None:
        """Raise UsageError for options that do not go together."""
        if self.prefixes is not None and self.first_as_prefix:
            raise UsageError("--prefixes or --first-as-prefix: hypotheses follow one text")
        if not self.are_wanted:
            if self.channel:
                raise UsageError("--channel goes with --prefixes or --first-as-prefix")
            return
        if len(models.lm or []) > 1 or models.lodr is not None:
            raise UsageError(
                "a prefix is for one model alone; the lists come back with its score, and the next "
                "run adds another"
            )
        if document:
            raise UsageError("--context document carries a state from list to list: no prefix then")

    def given_to(
        self, found: Iterator[NBestList], lists: ListInput, *, by_line: bool
    ) -> Iterator[NBestList]:
        """The lists with their texts; raises what `with_prefixes` raises.

        `by_line` says whether the ids of the lists count the lines.
        """
        from lmscore.runtime.rescoring.lists import with_first_as_prefix, with_prefixes

        if self.prefixes is not None:
            return with_prefixes(
                found,
                self.prefixes,
                by_line=by_line,
                first_id=lists.first_id,
                errors=lists.errors,
            )
        return with_first_as_prefix(found) if self.first_as_prefix else found
