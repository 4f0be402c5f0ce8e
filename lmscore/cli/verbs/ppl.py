"""`lmscore ppl`: the perplexity of a text, with everything it depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmscore.cli import options, streams
from lmscore.cli.adaptive import DEFAULTS, adapted, check_model, check_options, describe_adapted
from lmscore.cli.compat import start_report
from lmscore.cli.oov_costs import OovCosts
from lmscore.cli.outfile import check_not_read
from lmscore.cli.perplexity_page import PerplexityPage
from lmscore.cli.records import TextInput, note_bad_records
from lmscore.cli.rejected import rejected_records
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.scored_records import PROMPT, describe, interactive, score_records, with_progress
from lmscore.cli.table import table
from lmscore.cli.usage import UsageError
from lmscore.files import input_name

if TYPE_CHECKING:
    from lmscore.runtime.scoring import Summary


def ppl(
    *,
    output_format: options.Report = "text",
    compat: options.Compat = None,
    model: options.ModelOptions,
    context: options.ContextMode = None,
    bos: options.Bos = True,
    eos: options.Eos = True,
    oov_costs: OovCosts,
    segmentation: options.Segmentation = "auto",
    text: TextInput,
    rejected: options.Rejected = None,
    html: Html = None,
    cache: Annotated[
        bool,
        typer.Option("--cache", help="Beside it, with a cache of the words read (extra train)."),
    ] = False,
    cache_size: Annotated[
        int, typer.Option(metavar="N", min=1, help="Tokens remembered.")
    ] = DEFAULTS["cache"]["size"],
    cache_flatness: Annotated[
        float, typer.Option(metavar="R", min=0, help="How much alike states must be.")
    ] = DEFAULTS["cache"]["flatness"],
    cache_weight: Annotated[
        float, typer.Option(metavar="P", min=0, max=1, help="Of the cache against the model.")
    ] = DEFAULTS["cache"]["weight"],
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Beside it, learning from what is read (extra train).")
    ] = False,
    dynamic_rate: Annotated[
        float, typer.Option(metavar="R", min=0, help="Learning rate of --dynamic.")
    ] = DEFAULTS["dynamic"]["rate"],
    dynamic_decay: Annotated[
        float, typer.Option(metavar="P", min=0, max=1, help="Back to the trained weights.")
    ] = DEFAULTS["dynamic"]["decay"],
    dynamic_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Read between two updates.")
    ] = DEFAULTS["dynamic"]["tokens"],
) -> None:
    """Print the perplexity of a text, per token and per word.

    Over all lines of all files, and of each file if there are several. With it come the counts it
    is made of, the log-probability in nats, OOVs counted and left out, and bits per character and
    per byte, which may be compared across vocabularies. With --compat, the figures that KenLM or
    SRILM would give instead. --cache and --dynamic add what a model of documents reaches when it
    adapts to what it reads: that takes PyTorch and the weights, and says nothing about the exported
    graph.
    """
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Summary, needs_words
    from lmscore.runtime.text import split_text

    paths = text.paths
    characters = segmentation == "characters"
    layouts = {"--format": output_format != "text", "--segmentation characters": characters}
    check_html(html, paths, apart={"--compat": compat})
    report = start_report(compat, paths, bos=bos, eos=eos, layouts=layouts)
    oov_costs.check(compat=compat, cache=cache, dynamic=dynamic)
    settings: dict[str, dict[str, float]] = {
        "cache": {"size": cache_size, "flatness": cache_flatness, "weight": cache_weight},
        "dynamic": {"rate": dynamic_rate, "decay": dynamic_decay, "tokens": dynamic_tokens},
    }
    wanted = {"cache": cache, "dynamic": dynamic}
    adaptive = {name: values for name, values in settings.items() if wanted[name]}
    check_options(adaptive, settings, compat=compat, bos=bos, eos=eos, context=context)
    if interactive(paths):
        streams.note(PROMPT)
    if text.on_error == "keep":
        raise UsageError("--on-error keep is for score: a record without a score adds nothing")
    check_not_read(rejected, paths)
    bad = text.bad_records()
    records = text.records(bad=bad)
    lm = model.load()
    if adaptive:
        check_model(lm.path)
    oov_cost = oov_costs.load(model)
    segmentation = "spaces" if compat else segmentation
    name = describe(lm, context, oov_cost=oov_cost, segmentation=segmentation)
    texts: list[str] = []
    words = report is not None and needs_words(lm.config)
    split = text.splits(apart="--compat" if compat else "")
    scored = score_records(
        lm,
        records,
        bos=bos,
        eos=eos,
        context=context,
        words=words,
        split=split,
        language=text.language,
        oov_cost=oov_cost,
        segmentation=segmentation,
        document_of=text.document_of(),
    )
    files: dict[str, Summary] = {}
    new = partial(Summary, eos=eos, oovs_spelt=isinstance(oov_cost, LanguageModel))
    summary, page = new(), PerplexityPage(html, "word")
    with rejected_records(rejected, text.reading(), bad):
        for record, score in with_progress(scored, paths, data_on_stdout=False):
            (report or summary).add(score)
            page.add(record.text, score)
            files.setdefault(input_name(record.file), new()).add(score)
            texts += split_text(record.text, split, text.language) if adaptive else []
    note_bad_records(bad.count)
    page.write(name, str(summary))
    found = {
        name: adapted(lm.path, texts, summary, name, values, model)
        for name, values in adaptive.items()
    }
    figures = _Figures(summary, files if len(files) > 1 else {}, adaptive, found)
    if report is not None:
        streams.write(report.summary())
    elif output_format == "json":
        how = {
            "model": str(lm.path),
            "variant": lm.variant,
            "context": context or lm.config.context,
            "bos": bos,
            "eos": eos,
            "segmentation": lm.segmentation if segmentation == "auto" else segmentation,
            "oov_cost": str(oov_cost.path) if isinstance(oov_cost, LanguageModel) else oov_cost,
        }
        streams.write(json.dumps({**how, **figures.as_dict()}, indent=2) + "\n")
    else:
        streams.write(f"{name}\n{figures}")


@dataclass(frozen=True)
class _Figures:
    """What is reported."""

    summary: Summary
    files: Mapping[str, Summary]  # of several files
    settings: Mapping[str, Mapping[str, float]]  # of models that adapt
    adapted: Mapping[str, Summary]  # what they reach

    def as_dict(self) -> dict[str, Any]:
        """Every figure by name."""
        of_files = {name: figures.as_dict() for name, figures in self.files.items()}
        parts = {
            name: {"settings": self.settings[name], **figures.as_dict()}
            for name, figures in self.adapted.items()
        }
        return {**self.summary.as_dict(), **({"files": of_files} if of_files else {}), **parts}

    def __str__(self) -> str:
        """The report for people."""
        text = f"{self.summary}\n"
        if self.files:
            text += "\n" + _table_of_files(self.files)
        for name, figures in self.adapted.items():
            text += f"\n{describe_adapted(name, self.settings[name])}\n{figures}\n"
        return text


def _table_of_files(files: Mapping[str, Summary]) -> str:
    """A row for each file."""
    from lmscore.runtime.scoring import rounded

    names = ("file", "sentences", "words", "OOVs", "perplexity per word", "per token")
    rows = [
        (
            name,
            figures.sentences,
            figures.words,
            figures.oovs,
            rounded(figures.perplexity_per_word, 4),
            rounded(figures.perplexity_per_token, 4),
        )
        for name, figures in files.items()
    ]
    return table([names, *rows])
