"""`lmscore import`: weights that another program trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmscore import names
from lmscore.bundle import FP32, INT8
from lmscore.cli import streams
from lmscore.cli.graph_records import graph_table
from lmscore.cli.notes import library_notes
from lmscore.cli.usage import UsageError, command_line
from lmscore.errors import needs_extra

_BY_NAME = "Default: found by its usual names."


def import_weights(
    call: typer.Context,
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS", help="State dict of a PyTorch module: .safetensors, or .pt."
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Model directory to write.")
    ],
    vocabulary: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="List of words, one a line, in the order of the ids or with ids."
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A tokenizer.json or a SentencePiece model instead of a list."
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Take the tokenizer.json whatever its steps may do to a text; the model then "
            "needs --trust wherever it is loaded.",
        ),
    ] = False,
    approximate_tokenizer: Annotated[
        bool,
        typer.Option(
            "--approximate-tokenizer",
            help="Take a unigram SentencePiece model, too, whose pieces come in another order on "
            "about 1 of 10,000 lines.",
        ),
    ] = False,
    cell: Annotated[
        names.Cell | None,
        typer.Option(
            help="Cell of an nn.RNN, which the weights do not tell: rnn-tanh, rnn-relu.",
            show_choices=False,
        ),
    ] = None,
    context: Annotated[
        names.Context,
        typer.Option(
            help="Text that the model read in training: lines on their own, or one stream of them."
        ),
    ] = "sentence",
    bos_token: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Token that begins a sentence. {_BY_NAME}"),
    ] = None,
    eos_token: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Token that ends a sentence. {_BY_NAME}")
    ] = None,
    unk_token: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Token of unknown words. {_BY_NAME}")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PART=MODULE",
            help="Name of the module that is the embedding, rnn or output, where it is not known; "
            "may be given again.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Text to compare graphs on. Default: drawn from the model."
        ),
    ] = None,
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="Make the ONNX graphs, too.")
    ] = True,
) -> None:
    """Make a model directory of weights that another program trained, and export it.

    The network has an embedding, layers of nn.LSTM, nn.GRU or nn.RNN, and a linear output layer.
    The names of pytorch/examples' word_language_model, icefall's RnnLmModel and ESPnet's language
    models are known; --map names the modules of others.
    """
    with needs_extra("train"):
        from lmscore.train import ImportOptions
        from lmscore.train import import_weights as convert

    with command_line(mapping="--map"):
        options = ImportOptions(
            vocabulary=vocabulary,
            tokenizer=tokenizer,
            trust=trust,
            approximate_tokenizer=approximate_tokenizer,
            cell=cell,
            context=context,
            bos_token=bos_token,
            eos_token=eos_token,
            unk_token=unk_token,
            mapping=_mapping(mapping or []),
            text=tuple(text or ()),
        )
    with library_notes(call.command):
        config = convert(weights, output, options).config
    said = f"{output}: {config.architecture}, vocabulary {config.vocab_size:,}\n"
    if export:
        from lmscore.export import export_model

        said += graph_table(export_model(output), (FP32, INT8))
    streams.write(said)


def _mapping(given: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in given]
    for part, mark, module in pairs:
        if not (part and mark and module):
            raise UsageError(f"--map is {part + mark + module!r}, expected PART=MODULE")
    return {part: module for part, _, module in pairs}
