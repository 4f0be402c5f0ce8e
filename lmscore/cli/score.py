"""`lmscore score`: a log-probability for every line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmscore.cli import options, streams
from lmscore.cli.records import Record, read_records
from lmscore.cli.scoring import PROMPT, describe, interactive, score_records, with_progress
from lmscore.errors import InputError

if TYPE_CHECKING:
    from lmscore.runtime.score import Score, Summary

OutputFormat = Literal["tsv", "jsonl"]


def score(
    files: options.Files = None,
    *,
    output_format: Annotated[OutputFormat, typer.Option("--format")] = "tsv",
    model: options.Model = None,
    variant: options.Variant = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    context: options.ContextMode = None,
    bos: options.Bos = True,
    eos: options.Eos = True,
    input_format: options.Reading = "text",
    field: options.Field = "text",
    errors: options.Utf8Errors = "strict",
    line_buffered: Annotated[
        bool, typer.Option("--line-buffered", help="Answer every line before reading the next.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary at the end.")] = False,
) -> None:
    """Print the log-probability (in nats) of every line of text.

    Without a header: log_prob, num_tokens, num_oov, text, with tabs between them, an id first
    where the input has one. The end of sentence </s> is scored and counted. With --format jsonl
    an object per line; it keeps the fields of the JSON Lines it was read from.
    """
    import lmscore
    from lmscore.runtime.score import Summary

    paths = files or ["-"]
    typed = interactive(paths)
    if typed and not quiet:
        streams.note(PROMPT)
    records = read_records(paths, input_format=input_format, field=field, errors=errors)
    lm = lmscore.load(model, variant=variant, device=device, threads=threads)
    scored = score_records(
        lm,
        records,
        bos=bos,
        eos=eos,
        context=context,
        line_buffered=line_buffered or typed,
    )
    as_line = LINES[output_format]
    summary = Summary(eos=eos)
    for record, result in with_progress(scored, paths, data_on_stdout=True):
        streams.write(as_line(record, result))
        summary.add(result)
    streams.flush()
    if not quiet:
        streams.note(f"{describe(lm, context)}: {_counts(summary)}")
        streams.note(_figures(summary))


def _tsv(record: Record, score: Score) -> str:
    if "\n" in record.text:
        raise InputError(f"a text holds a line break: {record.text!r}; use --format jsonl")
    columns = [f"{score.log_prob:.4f}", str(score.num_tokens), str(score.num_oov), record.text]
    if record.id is not None:
        columns.insert(0, record.id)
    return "\t".join(columns) + "\n"


def _jsonl(record: Record, score: Score) -> str:
    document: dict[str, Any] = {"text": record.text}
    if record.id is not None:
        document = {"id": record.id, **document}
    if record.fields is not None:
        document = dict(record.fields)
    document["log_prob"] = score.log_prob
    document["num_tokens"] = score.num_tokens
    document["num_words"] = score.num_words
    document["num_oov"] = score.num_oov
    # JSON has no nan (there is no token) and no inf.
    document["perplexity"] = score.perplexity if math.isfinite(score.perplexity) else None
    return json.dumps(document, ensure_ascii=False) + "\n"


LINES: dict[OutputFormat, Callable[[Record, Score], str]] = {"tsv": _tsv, "jsonl": _jsonl}


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
