"""`lmscore regions`: log-probabilities of stretches of texts, for tables of items or of words."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.outfile import check_not_read, open_records
from lmscore.cli.records import TextInput, note_bad_records
from lmscore.cli.region_table import RegionTable
from lmscore.cli.region_texts import RegionText, TextRegions
from lmscore.cli.rejected import rejected_records
from lmscore.cli.scored_records import (
    describe,
    interactive,
    measure_records,
    score_records,
    with_progress,
)
from lmscore.cli.usage import UsageError
from lmscore.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmscore.corpus.reading import Record
    from lmscore.runtime.scoring import Score, TextMeasures

    Scored = Iterable[tuple[Record, Score | TextMeasures]]


def regions(
    *,
    output_format: options.Scores = "csv",
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Each row is a word or a region of the text that the rows with the same values in "
            "these columns make, one after another.",
            show_default=False,
        ),
    ] = None,
    region_field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column of the region's words, which are found in the text.",
            show_default=False,
        ),
    ] = None,
    span_field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="The column of the places of regions, as 0:9 10:31 (characters from 0, the end "
            "excluded); or two columns, of the start and of the end.",
            show_default=False,
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="What stands between the regions of a text.", show_default=False
        ),
    ] = None,
    joiner: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="What comes between the regions of --group-by and --separator."
        ),
    ] = " ",
    punctuation: Annotated[
        names.Punctuation,
        typer.Option(
            help="Punctuation at the edges of a region: part of it, left out, or (of words and "
            "--separator) a region of its own."
        ),
    ] = "keep",
    surprisal: Annotated[
        bool, typer.Option("--surprisal", help="Print bits, -log2 of the probability, not nats.")
    ] = False,
    entropy: Annotated[
        bool, typer.Option("--entropy", help="Of the distribution at the first token, in nats.")
    ] = False,
    rank: Annotated[
        bool, typer.Option("--rank", help="Of the first token: 1 and the number of likelier ones.")
    ] = False,
    alternatives: Annotated[
        int, typer.Option(metavar="K", min=0, help="The K likeliest first tokens.")
    ] = 0,
    output_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Before the names of the columns added. [none]")
    ] = "",
    model: options.ModelOptions,
    context: options.ContextMode = None,
    segmentation: options.Segmentation = "auto",
    text: TextInput,
    rejected: options.Rejected = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Print the log-probability (in nats) of regions of texts, a row for each.

    The columns of the input come back with those of the region behind them: log_prob, num_tokens,
    num_words, num_oov, is_exact, and before them the number of the record and of the region in it,
    its text and its place, except where each row of the input is one region. Without an option a
    region is a word. Every text begins with <s> and ends with </s>, which is in no region. A region
    that no token begins in has an empty log_prob; is_exact is false where a token reaches past the
    region.
    """
    chosen = TextRegions(
        group_by=_names("--group-by", group_by),
        region_field=region_field,
        span_fields=_names("--span-field", span_field),
        separator=separator,
        joiner=joiner,
        punctuation=punctuation,
    )
    _check(text, chosen)
    measured = {"entropy": entropy, "rank": rank, "alternatives": alternatives > 0}
    measures = [name for name in get_args(names.Measure) if measured[name]]
    if measures and context == "document":
        raise UsageError(f"--{measures[0]} is of texts on their own: not with --context document")
    split = text.splits(apart=f"--{measures[0]}" if measures else "") if text.split else "none"
    table = RegionTable(
        output_format,
        surprisal=surprisal,
        measures=tuple(measures),
        prefix=output_prefix,
        is_row=chosen.is_row,
    )
    paths, typed = text.paths, interactive(text.paths)
    check_not_read(rejected, paths)
    bad = text.bad_records()
    with (
        rejected_records(rejected, text.reading(), bad),
        open_records(output, resume=None, inputs=paths) as out,
    ):
        lm = model.load()
        if measures and (context or lm.config.context) == "document":
            raise OptionError(
                f"{lm.path}: entropies and ranks are of texts on their own: --context sentence"
            )
        said = lm.segmentation if segmentation == "auto" else segmentation
        chosen = replace(chosen, characters=said == "characters")
        waiting: deque[RegionText] = deque()
        records = _remembered(chosen.texts(text.records(bad=bad)), waiting)
        scored: Scored = (
            measure_records(
                partial(
                    lm.measure_stream,
                    alternatives=alternatives,
                    words=True,
                    segmentation=segmentation,
                ),
                records,
                line_buffered=typed,
                flush=out.flush,
            )
            if measures
            else score_records(
                lm,
                records,
                bos=True,
                eos=True,
                context=context,
                words=True,
                split=split,
                language=text.language,
                segmentation=segmentation,
                document_of=text.document_of(),
                line_buffered=typed,
                flush=out.flush,
            )
        )
        for _, result in with_progress(scored, paths, data_on_stdout=output is None):
            out.write(table.rows(waiting.popleft(), result))
    if not quiet:
        streams.note(f"{describe(lm, context, segmentation=segmentation)}: {table.summary}")
        note_bad_records(bad.count)


def _remembered(texts: Iterable[RegionText], waiting: deque[RegionText]) -> Iterator[Record]:
    """The records to score, each remembered with its regions until its score is there."""
    for found in texts:
        waiting.append(found)
        yield found.record


def _names(flag: str, given: str | None) -> tuple[str, ...]:
    found = tuple(name.strip() for name in (given or "").split(",") if name.strip())
    if given is not None and not found:
        raise UsageError(f"{flag} names no column")
    return found


def _check(text: TextInput, chosen: TextRegions) -> None:
    """Raise UsageError for options that do not go together."""
    given = {
        "--group-by": chosen.group_by,
        "--region-field": chosen.region_field,
        "--span-field": chosen.span_fields,
        "--separator": chosen.separator is not None,
    }
    flags = [flag for flag, value in given.items() if value]
    if len(flags) > 1:
        raise UsageError(f"{flags[0]} and {flags[1]} both say what a region is: give one")
    if chosen.separator == "":
        raise UsageError("--separator is empty")
    if len(chosen.span_fields) > 2:
        raise UsageError("--span-field names one column, or two: of the start and of the end")
    if chosen.joiner != " " and not (chosen.group_by or chosen.separator):
        raise UsageError("--joiner is for --group-by and --separator")
    if chosen.punctuation == "apart" and (chosen.is_row or chosen.span_fields):
        raise UsageError(f"{flags[0]} says what a region is: --punctuation keep or drop")
    if chosen.names_columns and text.kind == "text":
        raise UsageError(f"{flags[0]} names a column: give --input-format csv, tsv or jsonl")
    if chosen.names_columns and text.kind == "tsv" and not (text.names_columns or text.columns):
        raise UsageError(
            f"{flags[0]} names a column: say which one is the text, with --field, or name all with "
            "--columns"
        )
    if text.on_error == "keep":
        raise UsageError("--on-error keep is for score: there is no region in such a record")
    if chosen.group_by and text.on_error == "skip":
        raise UsageError("--on-error skip would leave words out of a text of --group-by")
