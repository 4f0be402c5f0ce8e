"""The options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lmscore.bundle import Context

InputFormat = Literal["text", "tsv", "jsonl"]

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        help="Text, one sentence per line; gzip and xz are unpacked. Default: standard input (-).",
        show_default=False,
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "-m",
        "--model",
        metavar="PATH",
        help="Model directory. Default: $LMSCORE_MODEL, else the bundled English model.",
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="int8, fp32, ... Default: the best for the device."),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="CPU threads. Default: one per core."),
]
ContextMode = Annotated[
    Context | None,
    typer.Option(
        "--context",
        help="How lines connect: each on its own, or the state carried from one to the next. "
        "Default: as the model was trained.",
    ),
]
Bos = Annotated[bool, typer.Option("--bos/--no-bos", help="Start every line from <s>.")]
Eos = Annotated[bool, typer.Option("--eos/--no-eos", help="Score the end of every line, </s>.")]
Reading = Annotated[
    InputFormat,
    typer.Option("--input-format", help="text; tsv: id<TAB>text; jsonl: one object per line."),
]
Field = Annotated[str, typer.Option(metavar="NAME", help="The key of the text in JSON Lines.")]
Utf8Errors = Annotated[
    Literal["strict", "replace"],
    typer.Option("--errors", help="Invalid UTF-8: stop, or put U+FFFD in its place."),
]
