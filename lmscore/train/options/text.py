"""The text to learn and the text to hold out: where it lies, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from lmscore.names import Context, InputFormat, Order, Split, TrainingDirection, Utf8Errors
from lmscore.train.options.declaration import NOT_NEGATIVE, Bounds, Option, OptionGroup


@dataclass(frozen=True, kw_only=True)
class TextOptions(OptionGroup):
    """Options of the texts that a model learns and is measured on."""

    heading: ClassVar[str] = "Text"

    train: Annotated[
        tuple[str, ...],
        Option(
            "Text to train on, one sentence per line, or records of another kind; packed files are "
            "unpacked. FILE:3 reads its lines three times in each "
            "epoch, FILE:0.5 half of them, drawn each time.",
            "FILE",
            path=True,
        ),
    ]
    valid: Annotated[
        tuple[str, ...],
        Option(
            "Held-out text; may be given again. NAME=FILE names it, so that several are reported "
            "apart. Default: lines of the text to train on, which are then not trained on.",
            "FILE",
            path=True,
            named=True,
        ),
    ] = ()
    valid_share: Annotated[
        float | None,
        Option(
            "Share of the lines that are held out, drawn at random; in document context they are "
            "blocks of lines.",
            "P",
            Bounds(above=0, below=1),
            default="0.01, of a short text up to 0.1",
        ),
    ] = None
    choose_by: Annotated[
        str | None,
        Option(
            "Name of the held-out text whose perplexity chooses the weights.",
            "NAME",
            default="all together",
        ),
    ] = None
    input_format: Annotated[
        InputFormat | None,
        Option(
            "text; tsv: id<TAB>text; csv; jsonl: an object per line; json: an array; parquet; "
            "arrow. Default: by the ending of the name, else text.",
            "KIND",
        ),
    ] = None
    field: Annotated[
        str | None,
        Option("The column or key of the text; doc.text reaches inside.", "NAME", default="text"),
    ] = None
    prefix_field: Annotated[
        str | None,
        Option(
            "Learn pairs: the column or key of the text that comes before; the loss is on the "
            "text alone.",
            "NAME",
        ),
    ] = None
    reverse_prefix: Annotated[
        bool, Option("Read the text that comes before from its end; with --prefix-field.")
    ] = False
    separate: Annotated[
        bool,
        Option(
            "Read the text that comes before by layers of its own, an encoder; with --prefix-field."
        ),
    ] = False
    columns: Annotated[
        tuple[str, ...],
        Option(
            "The columns of CSV or TSV whose first line does not name them; may be given again, "
            "for those that follow.",
            "NAME,...",
        ),
    ] = ()
    delimiter: Annotated[
        str,
        Option(
            "Between the columns of CSV: a character, or tab.",
            "C",
            pattern=r'tab|\\t|[^"\r\n]',
            allowed="one character, or tab",
        ),
    ] = ","
    encoding: Annotated[
        str | None, Option("Encoding of files without a byte-order mark.", "NAME", default="utf-8")
    ] = None
    errors: Annotated[
        Utf8Errors, Option("What invalid UTF-8 does: stop the run, or become U+FFFD.")
    ] = "strict"
    split: Annotated[
        Split | None,
        Option(
            "What a record is split into: its lines, its sentences (extra sentences), or nothing.",
            default="lines, of plain text none",
        ),
    ] = None
    language: Annotated[str, Option("The language of --split sentences: de, zh, ...", "CODE")] = (
        "en"
    )
    on_error: Annotated[
        Literal["stop", "skip"],
        Option(
            "What a record that cannot be read does: stop the run, or be skipped and counted.",
            resumable=True,
        ),
    ] = "stop"
    max_errors: Annotated[
        int | None,
        Option("Stop after more skipped records than that.", "N", NOT_NEGATIVE, resumable=True),
    ] = None
    context: Annotated[
        Context,
        Option("Whether lines stand on their own, or are one stream with the state carried."),
    ] = "sentence"
    direction: Annotated[
        TrainingDirection,
        Option(
            "Whether sentences are read from their beginning or from their end; both: one model of "
            "each, in DIR/forward and DIR/backward, with half of the minutes each."
        ),
    ] = "forward"
    order: Annotated[
        Order, Option("Order of the lines in an epoch: drawn anew, or as given in the files.")
    ] = "random"
