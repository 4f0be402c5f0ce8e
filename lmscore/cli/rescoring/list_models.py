"""The options for the models that score n-best lists, and the models they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.option_values import number
from lmscore.cli.usage import command_line
from lmscore.files import read_lines

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.models import ListScorer


@dataclass(frozen=True, kw_only=True)
class ListModels(options.ModelOptions):
    """The models that score n-best lists: one, several, or a mixture of several."""

    feature: options.Feature = "lmscore"
    lm: Annotated[
        list[str] | None,
        typer.Option(
            "--lm",
            metavar="[NAME=]PATH",
            help="A model directory, or an n-gram model (ARPA, or a KenLM binary of your own: a "
            "stranger's may crash), in place of --model; given again, each is a feature of its own "
            "name.",
            show_default=False,
        ),
    ] = None
    mix: Annotated[
        names.Mix | None,
        typer.Option(
            help="Make one feature of all --lm: their words' probabilities, interpolated.",
            show_default=False,
        ),
    ] = None
    mix_weights: Annotated[
        str | None, typer.Option(metavar="W,W,...", help="What share each --lm has in it.")
    ] = None
    mix_text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text that no --lm has seen, to which the shares are fitted instead.",
        ),
    ] = None
    lodr: options.LodrModel = None
    unnormalized: options.Unnormalized = False
    eos: Annotated[
        bool, typer.Option("--eos/--no-eos", help="Score the end of every hypothesis, </s>.")
    ] = True

    def feature_names(self) -> list[str]:
        """The names of the models' features; raises UsageError if the options are not valid.

        The one of --lodr is not among them.
        """
        from lmscore.runtime.rescoring.models import check_models

        with command_line(lms="--lm", weights="--mix-weights", texts="--mix-text"):
            named = check_models(
                self.lm or [],
                model=self.model,
                name=self.feature,
                mix=self.mix,
                weights=self._shares(),
                texts=self.mix_text,
                lodr=self.lodr,
            )
        return [self.feature] if self.mix or not named else list(named)

    def open(self, prepare: Callable[[str], str], errors: names.Utf8Errors) -> list[ListScorer]:
        """Open the models; raises what `open_scorers` raises.

        Args:
            prepare: a function from a text to the text that a model scores.
            errors: how to treat invalid UTF-8 in --mix-text.
        """
        from lmscore.runtime.rescoring.models import open_scorers

        text = None if self.mix_text is None else read_lines(self.mix_text, errors=errors)
        return open_scorers(
            self.lm or [],
            model=self.model,
            name=self.feature,
            mix=self.mix,
            weights=self._shares(),
            texts=None if text is None else map(prepare, text),
            eos=self.eos,
            device=self.device,
            variant=self.variant,
            threads=self.threads,
            trust=self.trust,
            unnormalized=self.unnormalized,
            unk_penalty=self.unk_penalty,
            lodr=self.lodr,
        )

    def _shares(self) -> list[float] | None:
        if self.mix_weights is None:
            return None
        return [number("--mix-weights", share) for share in self.mix_weights.split(",")]


def note_mixtures(scorers: Iterable[ListScorer]) -> None:
    """Print the weights and the perplexity of each fitted mixture on standard error."""
    from lmscore.runtime.rescoring.models import Mixture

    for scorer in scorers:
        if isinstance(scorer, Mixture) and scorer.fit is not None:
            streams.note(f"{scorer.name} = {scorer}")
