"""`lmscore score`: a log-probability for every line, token or word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import options, streams
from lmscore.cli.compat import print_report, start_report
from lmscore.cli.layout import Layout, OutputFormat, Per
from lmscore.cli.records import read_records
from lmscore.cli.scoring import PROMPT, describe, interactive, score_records, with_progress

if TYPE_CHECKING:
    from lmscore.runtime.score import Summary


def score(
    files: options.Files = None,
    *,
    output_format: Annotated[OutputFormat, typer.Option("--format")] = "tsv",
    per: Annotated[Per, typer.Option(help="What gets a row of its own.")] = "sentence",
    surprisal: Annotated[
        bool, typer.Option("--surprisal", help="Print bits, -log2 of the probability, not nats.")
    ] = False,
    header: Annotated[
        bool, typer.Option("--header", help="Print a first line with the names of the columns.")
    ] = False,
    compat: options.Compat = None,
    model: options.Model = None,
    variant: options.Variant = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    context: options.ContextMode = None,
    bos: options.Bos = True,
    eos: options.Eos = True,
    prefix: options.Prefix = None,
    prefix_field: options.PrefixField = None,
    prefix_column: options.PrefixColumn = False,
    input_format: options.Reading = "text",
    field: options.Field = "text",
    errors: options.Utf8Errors = "strict",
    line_buffered: Annotated[
        bool, typer.Option("--line-buffered", help="Answer every line before reading the next.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary at the end.")] = False,
) -> None:
    r"""Print the log-probability (in nats) of every line of text.

    Columns: log_prob, num_tokens, num_oov, text, with tabs between them, an id first where the
    input has one. The end of sentence </s> is scored and counted. With --per token or --per word
    there is a row for each of them, </s> included: id of the line (or its number), index in the
    line, text, start and end in the line in characters, log_prob, is_oov; a tab, line break or
    backslash in the text is written as \t, \n, \r or \\. With --format jsonl there is an object
    per line, "tokens" or "words" in it; it keeps the fields of the JSON Lines it was read from.
    With --compat there is a block per line, with --per word the words in it, and one at the end.
    """
    own_prefixes = _has_own_prefixes(prefix, prefix_field, input_format, column=prefix_column)
    if header and output_format != "tsv":
        raise typer.BadParameter("--header is for --format tsv")
    paths = files or ["-"]
    layouts = {
        "--format": output_format != "tsv",
        "--per token": per == "token",
        "--surprisal": surprisal,
        "--header": header,
    }
    report = start_report(compat, paths, bos=bos, eos=eos, layouts=layouts)
    import lmscore
    from lmscore.runtime.compat import needs_words
    from lmscore.runtime.score import Summary

    typed = interactive(paths)
    if typed and not quiet:
        streams.note(PROMPT)
    records = read_records(
        paths,
        input_format=input_format,
        field=field,
        prefix_field=prefix_field,
        prefix_column=prefix_column,
        errors=errors,
    )
    lm = lmscore.load(model, variant=variant, device=device, threads=threads)
    scored = score_records(
        lm,
        records,
        bos=bos,
        eos=eos,
        context=context,
        tokens=per == "token" or (report is not None and per == "word"),
        words=per == "word" or (report is not None and needs_words(lm.config)),
        prefix=prefix,
        own_prefixes=own_prefixes,
        line_buffered=line_buffered or typed,
    )
    if report is not None:
        shown = with_progress(scored, paths, data_on_stdout=True)
        print_report(report, shown, words=per == "word", summary=not quiet)
        return
    layout = Layout(output_format, per, surprisal=surprisal, ids=input_format == "tsv")
    if header:
        streams.write(layout.header)
    summary = Summary(eos=eos)
    for record, result in with_progress(scored, paths, data_on_stdout=True):
        summary.add(result)
        streams.write(layout.lines(summary.sentences, record, result))
    streams.flush()
    if not quiet:
        streams.note(f"{describe(lm, context)}: {_counts(summary)}")
        streams.note(_figures(summary))


def _has_own_prefixes(
    prefix: str | None, field: str | None, input_format: options.InputFormat, *, column: bool
) -> bool:
    if [prefix is not None, field is not None, column].count(True) > 1:
        raise typer.BadParameter("give one of --prefix, --prefix-field and --prefix-column")
    if field is not None and input_format != "jsonl":
        raise typer.BadParameter("--prefix-field needs --input-format jsonl")
    if column and input_format != "tsv":
        raise typer.BadParameter("--prefix-column needs --input-format tsv")
    return field is not None or column


def _counts(summary: Summary) -> str:
    tokens = "tokens with </s>" if summary.eos else "tokens without </s>"
    counts = {
        "sentences": summary.sentences,
        "words": summary.words,
        tokens: summary.tokens,
        "OOVs": summary.oovs,
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _figures(summary: Summary) -> str:
    from lmscore.runtime.score import rounded

    word = "word, </s> counted" if summary.eos else "word"
    return (
        f"log-probability {summary.log_prob:.4f} nats, perplexity "
        f"{rounded(summary.perplexity, 2)} per token, {rounded(summary.ppl, 2)} per {word}"
    )
