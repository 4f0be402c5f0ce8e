"""`lmscore ppl`: the perplexity of a text, with everything it depends on."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from lmscore.cli import options, streams
from lmscore.cli.compat import start_report
from lmscore.cli.records import read_records
from lmscore.cli.scoring import PROMPT, describe, interactive, score_records, with_progress


def ppl(
    files: options.Files = None,
    *,
    output_format: Annotated[Literal["text", "json"], typer.Option("--format")] = "text",
    compat: options.Compat = None,
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
) -> None:
    """Print the perplexity of a text, per token and per word.

    Over all lines of all files. With it come the counts it is made of, the log-probability in
    nats, OOVs counted and left out, and bits per character and per byte, which may be compared
    across vocabularies. With --compat, the figures that KenLM or SRILM would give instead.
    """
    import lmscore
    from lmscore.runtime.compat import needs_words
    from lmscore.runtime.score import Summary

    paths = files or ["-"]
    layouts = {"--format": output_format != "text"}
    report = start_report(compat, paths, bos=bos, eos=eos, layouts=layouts)
    if interactive(paths):
        streams.note(PROMPT)
    records = read_records(paths, input_format=input_format, field=field, errors=errors)
    lm = lmscore.load(model, variant=variant, device=device, threads=threads)
    words = report is not None and needs_words(lm.config)
    scored = score_records(lm, records, bos=bos, eos=eos, context=context, words=words)
    summary = Summary(eos=eos)
    for _, score in with_progress(scored, paths, data_on_stdout=False):
        (report or summary).add(score)
    if report is not None:
        streams.write(report.summary())
    elif output_format == "json":
        how = {
            "model": str(lm.path),
            "variant": lm.variant,
            "context": context or lm.config.context,
            "bos": bos,
            "eos": eos,
        }
        streams.write(json.dumps({**how, **summary.as_dict()}, indent=2) + "\n")
    else:
        streams.write(f"{describe(lm, context)}\n{summary}\n")
