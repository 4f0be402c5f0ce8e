"""`lmscore next`: the likeliest next words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.layout import cell
from lmscore.cli.records import TextInput, words_of_file
from lmscore.cli.scored_records import interactive, with_progress
from lmscore.cli.usage import UsageError, command_line
from lmscore.corpus.reading import Record, json_line

if TYPE_CHECKING:
    from lmscore.runtime.decoding import NextKeywords

_PROMPT = "type text, and see what may come next; Ctrl-D ends it"


def next_words(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help='What has been said; "" is the beginning of a sentence. '
            "Default: every line of the input.",
            show_default=False,
        ),
    ] = None,
    *,
    files: options.Input = None,
    top: Annotated[
        int,
        typer.Option("-k", "--top", metavar="N", min=1, max=10_000, help="How many words."),
    ] = 10,
    unit: Annotated[
        names.NextUnit,
        typer.Option(
            help="What a word is; auto: text between white space, but tokens where the vocabulary "
            "does not show where words begin, as in Chinese."
        ),
    ] = "auto",
    partial: Annotated[
        str, typer.Option(metavar="TEXT", help="Only words that begin so, such as rail.")
    ] = "",
    allowed: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Only words of this file, white space between."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help='Count "world," and "world." as "world".')
    ] = False,
    unk: Annotated[
        bool, typer.Option("--unk", help="Let <unk> come, where the vocabulary has it.")
    ] = False,
    output_format: options.Records = "tsv",
    model: options.ModelOptions,
    input_format: options.Reading = None,
    field: options.Field = None,
    encoding: options.Encoding = None,
    errors: options.Utf8Errors = "strict",
) -> None:
    r"""Print the likeliest next words after a text, best first, with their probabilities.

    Without a header: probability, word, with a tab between them; "</s>" is the end of the
    sentence; a tab or line break in a word is written as \t, \n or \r. For the lines of an input,
    the number of the line comes first, or its id where it has one. With --format jsonl an object
    per text, with the list "words" and their "unit".
    """
    if text is not None and files is not None:
        raise UsageError("give a TEXT or --input, not both")
    read = TextInput(
        files=files, input_format=input_format, field=field, encoding=encoding, errors=errors
    )
    if text is None and interactive(read.paths):
        streams.note(_PROMPT)
    records = read.records() if text is None else iter([Record(text)])
    chosen: NextKeywords = {"unit": unit, "partial": partial, "merge": merge, "unk": unk}
    if allowed is not None:
        chosen["allowed"] = words_of_file(allowed, errors=errors)
    _check(chosen)
    lm = model.load()
    unit = lm.next_unit(**chosen)
    if unit == "token" and chosen["unit"] == "auto":
        streams.note("the vocabulary does not show where words begin: the outcomes are tokens")
    found = ((record, lm.next_words(record.text, k=top, **chosen)) for record in records)
    shown = with_progress(found, read.paths, data_on_stdout=True)
    for number, (record, words) in enumerate(shown, 1):
        if output_format == "jsonl":
            objects = [{"word": word, "probability": p} for word, p in words]
            streams.write(json_line({**record.as_fields(), "unit": unit, "words": objects}))
        else:
            key = number if record.id is None else cell(record.id)
            begin = "" if text is not None else f"{key}\t"
            streams.write("".join(f"{begin}{p:.4g}\t{cell(word)}\n" for word, p in words))
        streams.flush()


def _check(chosen: NextKeywords) -> None:
    """Raise UsageError for an impossible value."""
    from lmscore.runtime.decoding import NextOptions

    with command_line():
        NextOptions(**chosen)
