"""`lmscore compare`: the perplexity of one text under several models, side by side."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmscore.cli import options, streams
from lmscore.cli.oov_costs import OovCosts
from lmscore.cli.progress import Progress
from lmscore.cli.table import size, table
from lmscore.cli.usage import UsageError
from lmscore.corpus.reading import located_lines

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel, ScoreOptions
    from lmscore.runtime.scoring import Summary


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL", help="A model directory or an ARPA file; two or more."),
    ],
    *,
    text: Annotated[
        list[str],
        typer.Option("--text", metavar="FILE", help="The text, a sentence a line; again for more."),
    ],
    output_format: options.Report = "text",
    device: options.Device = "auto",
    threads: options.Threads = None,
    trust: options.Trust = False,
    oov_costs: OovCosts,
    segmentation: options.Segmentation = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Print a table of the perplexities that several models give to a text.

    A row for each model: recurrent ones, n-gram models in ARPA files. Perplexities per word may be
    compared where as many words are unknown to each model; a note says where they are not. Bits
    per character may be compared across vocabularies if no word is unknown, or with --oov-cost
    MODEL, which spells unknown words. What a word is (--segmentation) goes by the first model. The
    speed is that of scoring here, reading the text and
    loading the model aside.
    """
    if len(models) < 2:
        raise UsageError("compare takes two models or more; for one there is lmscore ppl")
    if "-" in text:
        raise UsageError("--text is read once for each model: name a file, not standard input")
    oov_costs.check()
    speller = oov_costs.load(options.ModelOptions(device=device, threads=threads, trust=trust))
    lines = [line.text for line in located_lines(text)]
    rows = []
    with Progress("scoring", total=len(models)) as bar:
        for number, path in enumerate(models):
            bar.update(number, str(path))
            opened = options.ModelOptions(model=path, device=device, threads=threads, trust=trust)
            lm = opened.load()
            # The same for all models, or their perplexities per word could not be compared.
            segmentation = lm.segmentation if segmentation == "auto" else segmentation
            how: ScoreOptions = {
                "context": "sentence",
                "oov_cost": speller,
                "segmentation": segmentation,
            }
            rows.append(_Row.measured(lm, lines, how))
    if output_format == "json":
        streams.write(json.dumps([row.as_dict() for row in rows], indent=2) + "\n")
    else:
        streams.write(table([_HEADER, *(row.cells() for row in rows)]))
    if not quiet and speller is None and len({row.summary.oovs for row in rows}) > 1:
        streams.note(
            "the models do not know the same words: <unk> counts as one word, so that a model with "
            "more unknown words has it easier"
        )


_HEADER = (
    "model",
    "size",
    "perplexity per word",
    "without OOVs",
    "OOVs",
    "bits per character",
    "tokens per second",
)


@dataclass(frozen=True)
class _Row:
    name: str
    bytes: int  # of the files that are read
    summary: Summary
    seconds: float

    @classmethod
    def measured(cls, lm: LanguageModel, lines: list[str], how: ScoreOptions) -> _Row:
        lm.summarize(lines[:1])  # what is made on first use
        start = time.perf_counter()
        summary = lm.summarize(lines, **how)
        seconds = time.perf_counter() - start
        return cls(lm.path.resolve().name, _size_of(lm), summary, seconds)

    @property
    def speed(self) -> float:
        """Tokens per second."""
        return self.summary.tokens / max(self.seconds, 1e-9)

    def cells(self) -> tuple[str, ...]:
        """The row of a table."""
        from lmscore.runtime.scoring import rounded

        found = self.summary
        return (
            self.name,
            size(self.bytes),
            rounded(found.perplexity_per_word, 2),
            rounded(found.perplexity_excluding_oovs, 2),
            str(found.oovs),
            f"{found.bits_per_character:.4f}",
            f"{self.speed:,.0f}",
        )

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        figures = {"model": self.name, "size_bytes": self.bytes, "tokens_per_second": self.speed}
        return {**figures, **self.summary.as_dict()}


def _size_of(lm: LanguageModel) -> int:
    """The bytes of the graph, or of the ARPA file."""
    if lm.path.is_file():
        return lm.path.stat().st_size
    return lm.config.graphs[lm.variant].size_bytes
