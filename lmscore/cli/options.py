"""The options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from lmscore import names

_Path = TypeVar("_Path", str, Path)


def unless_standard_output(path: _Path | None) -> _Path | None:
    """The file that an --output names; `-` is standard output, as no --output is."""
    return None if str(path) == "-" else path


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
Unnormalized = Annotated[
    bool,
    typer.Option(
        "--unnormalized",
        help="Score without the softmax, at a cost that the vocabulary does not raise; for models "
        "trained with --self-normalize.",
    ),
]
ContextMode = Annotated[
    names.Context | None,
    typer.Option(
        "--context",
        help="How lines connect: each on its own, or the state carried from one to the next. "
        "Default: as the model was trained.",
    ),
]
Bos = Annotated[bool, typer.Option("--bos/--no-bos", help="Start every line from <s>.")]
Eos = Annotated[bool, typer.Option("--eos/--no-eos", help="Score the end of every line, </s>.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write to this file, as the scores come. Default: standard output (-).",
        callback=unless_standard_output,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with an --output that was interrupted, if it is there."),
]
LineBuffered = Annotated[
    bool, typer.Option("--line-buffered", help="Answer every line before reading the next.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No summary at the end.")]
Compat = Annotated[
    names.Tool | None,
    typer.Option(
        "--compat",
        help="Print what KenLM's query or SRILM's ngram -ppl would: words counted, base 10.",
        show_default=False,
    ),
]
Records = Annotated[names.RecordFormat, typer.Option("--format")]
Report = Annotated[names.ReportFormat, typer.Option("--format")]
Reading = Annotated[
    names.InputFormat,
    typer.Option("--input-format", help="text; tsv: id<TAB>text; jsonl: one object per line."),
]
Field = Annotated[str, typer.Option(metavar="NAME", help="The key of the text in JSON Lines.")]
Prefix = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What every text follows, read but not scored: the beginning of its sentence (a space "
        "comes between), or in document context the sentence before.",
    ),
]
PrefixField = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The key of each text's own prefix in JSON Lines."),
]
PrefixColumn = Annotated[
    bool, typer.Option("--prefix-column", help="tsv input is id<TAB>prefix<TAB>text.")
]
Utf8Errors = Annotated[
    names.Utf8Errors,
    typer.Option("--errors", help="Invalid UTF-8: stop, or put U+FFFD in its place."),
]
Lists = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        help="N-best lists, all in one format; a directory stands for its files, @FILE for the "
        "paths in it; gzip and xz are unpacked. Default: standard input (-).",
        show_default=False,
    ),
]
ReadingLists = Annotated[
    names.ListFormat | None,
    typer.Option(
        "--input-format",
        help="The format of the lists. Default: told from the content.",
        show_default=False,
    ),
]
References = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What was really said, a line for each list: id and text; text alone for moses and "
        "nemo. Default: the references in the lists.",
    ),
]
BeamSize = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="nemo: how many rows a list has.")
]
Archives = Annotated[
    list[str] | None,
    typer.Option(
        "--scores",
        metavar="NAME=FILE",
        help="kaldi: an archive of costs that goes with the lists; may be given again.",
        show_default=False,
    ),
]
Join = Annotated[
    names.SubwordMark | None,
    typer.Option(help="Join subwords for the model: the mark they bear.", show_default=False),
]
Lowercase = Annotated[bool, typer.Option("--lowercase", help="Lower-case the text for the model.")]
Remove = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORD",
        help="A word that the model does not get to see, such as <unk> or [noise]; @FILE for the "
        "words in it; may be given again.",
        show_default=False,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--lm",
        metavar="[NAME=]PATH",
        help="A model directory, or an n-gram model (ARPA or KenLM binary), in place of --model; "
        "given again, each is a feature of its own name.",
        show_default=False,
    ),
]
Mix = Annotated[
    names.Mix | None,
    typer.Option(
        help="Make one feature of all --lm: their words' probabilities, interpolated.",
        show_default=False,
    ),
]
MixWeights = Annotated[
    str | None,
    typer.Option(metavar="W,W,...", help="What share each --lm has in it."),
]
MixText = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Text that no --lm has seen, to which the shares are fitted instead."
    ),
]
Feature = Annotated[
    str, typer.Option(metavar="NAME", help="What the new feature is called in the lists.")
]
