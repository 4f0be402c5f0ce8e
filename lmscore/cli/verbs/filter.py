"""`lmscore filter`: the lines of a corpus whose perplexity lies within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import options, streams
from lmscore.cli.kept import Kept
from lmscore.cli.outfile import check_not_read, check_output, open_records, same_file
from lmscore.cli.perplexity_page import PerplexityPage
from lmscore.cli.records import TextInput, note_bad_records
from lmscore.cli.rejected import rejected_records, whole_records
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.scored_records import (
    PROMPT,
    describe,
    interactive,
    score_records,
    with_progress,
)
from lmscore.cli.usage import UsageError
from lmscore.corpus.reading import format_of
from lmscore.errors import OptionError
from lmscore.files import input_name
from lmscore.names import Unit

if TYPE_CHECKING:
    from lmscore.runtime.scoring import Score


def filter_lines(
    *,
    min_ppl: Annotated[
        float | None, typer.Option(metavar="X", help="The lowest perplexity to keep.")
    ] = None,
    max_ppl: Annotated[
        float | None, typer.Option(metavar="Y", help="The highest perplexity to keep.")
    ] = None,
    per: Annotated[
        Unit,
        typer.Option(help="Perplexity per word, token, character or byte, </s> counted as one."),
    ] = "word",
    invert: Annotated[
        bool, typer.Option("--invert", help="Print the lines outside of the bounds instead.")
    ] = False,
    rejected: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the records that are not printed to this file."),
    ] = None,
    model: options.ModelOptions,
    context: options.ContextMode = None,
    bos: options.Bos = True,
    eos: options.Eos = True,
    text: TextInput,
    html: Html = None,
    output: options.Output = None,
    resume: options.Resume = False,
    line_buffered: options.LineBuffered = False,
    quiet: options.Quiet = False,
) -> None:
    """Print the lines whose perplexity lies within bounds, byte for byte as they were.

    At least one bound is needed; a perplexity equal to a bound lies within. A line that has none,
    because --no-eos leaves nothing to divide by, lies outside. --resume takes up the --output of a
    run that was interrupted behind its last whole line.
    """
    lowest, highest = _bounds(min_ppl, max_ppl)
    _check_files(output, rejected, resume=resume)
    if text.on_error == "keep":
        raise UsageError("--on-error keep is for score: a record without a perplexity is not kept")
    paths = text.paths
    check_not_read(rejected, paths)
    _check_kinds(text, resume=resume)
    check_html(html, paths, output, apart={"--resume": resume})
    typed = interactive(paths)
    if typed and not quiet:
        streams.note(PROMPT)
    bad = text.bad_records()
    records = text.records(bad=bad)
    # In this order: the rejected lines appear once those kept are safe.
    with (
        rejected_records(rejected) as reject,
        open_records(output, resume=resume, inputs=paths) as out,
    ):
        bad.reject = reject
        lm = model.load()
        scored = partial(
            score_records,
            lm,
            bos=bos,
            eos=eos,
            context=context,
            split=text.splits(),
            language=text.language,
            line_buffered=line_buffered or typed,
            flush=out.flush,
        )
        shown = partial(with_progress, paths=paths, data_on_stdout=output is None)
        earlier = Kept(out)
        if (context or lm.config.context) == "sentence":
            rest = earlier.skip(records, reject, bar=not typed)
            pairs = shown(scored(rest), skipped=earlier.bytes)
        else:  # the state depends on all lines, so all are scored again
            pairs = shown(scored(records))
        tally, page = _Tally(), PerplexityPage(html, per)
        keep = whole_records(out.write_bytes, begun=out.size > 0)
        for record, score in pairs:
            perplexity = score.perplexity_per(per)
            kept = (lowest <= perplexity <= highest) != invert
            tally.add(score, kept=kept, defined=not math.isnan(perplexity))
            page.add(record.text, score)
            if not kept:
                reject(record)
            elif not earlier.has(record):
                keep(record)
        earlier.check_end()
    bounds = {"--min-ppl": lowest, "--max-ppl": highest}
    page.write(describe(lm, context), str(tally), bounds)
    if not quiet:
        before = f"resumed after {earlier.count} lines: " if earlier.count else ""
        streams.note(f"{describe(lm, context)}: {before}{tally}")
        note_bad_records(bad)


def _check_files(output: Path | None, rejected: Path | None, *, resume: bool) -> None:
    if rejected == Path("-"):
        raise UsageError("--rejected needs a file; standard output has the lines kept")
    if rejected and output and same_file(rejected, output):
        raise UsageError("--output and --rejected must be two files")
    check_output(output, resume=resume)


def _check_kinds(text: TextInput, *, resume: bool) -> None:
    """Raise OptionError where a record is not made of lines of its own."""
    for path in text.paths:
        kind = format_of(path, text.input_format)
        if kind in ("json", "parquet", "arrow"):
            raise OptionError(f"{input_name(path)}: filter writes lines: make it JSON Lines first")
        if resume and (kind == "csv" or (kind == "tsv" and text.names_columns)):
            raise OptionError(
                f"{input_name(path)}: --resume looks for whole lines, which no {kind.upper()} with "
                "names of columns has: leave it out"
            )


def _bounds(min_ppl: float | None, max_ppl: float | None) -> tuple[float, float]:
    if min_ppl is None and max_ppl is None:
        raise UsageError("nothing to filter by: give --min-ppl, --max-ppl or both")
    lowest = -math.inf if min_ppl is None else min_ppl
    highest = math.inf if max_ppl is None else max_ppl
    if math.isnan(lowest) or math.isnan(highest):
        raise UsageError("--min-ppl and --max-ppl must be numbers, not nan")
    if lowest > highest:
        raise UsageError(f"--min-ppl {lowest:g} is above --max-ppl {highest:g}")
    return lowest, highest


@dataclass
class _Tally:
    lines: int = 0
    words: int = 0
    kept_lines: int = 0
    kept_words: int = 0
    undefined: int = 0

    def add(self, score: Score, *, kept: bool, defined: bool) -> None:
        self.lines += 1
        self.words += score.num_words
        self.kept_lines += kept
        self.kept_words += kept * score.num_words
        self.undefined += not defined

    def __str__(self) -> str:
        text = f"kept {self.kept_lines} of {self.lines} lines, "
        text += f"{self.kept_words} of {self.words} words"
        if self.undefined:
            text += f"; {self.undefined} without a perplexity (nothing to divide by)"
        return text
