"""The `lmscore` command: its options, and its verbs."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.main import get_command

import lmscore
from lmscore.cli import streams
from lmscore.cli.export import export
from lmscore.cli.info import info
from lmscore.cli.ppl import ppl
from lmscore.cli.score import score
from lmscore.cli.train import train

app = typer.Typer(
    name="lmscore",
    help="Train a compact recurrent language model, export it to ONNX, and score text with it.",
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich would cost start-up time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        streams.write(f"lmscore {lmscore.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj.debug = debug


for verb in (train, export, score, ppl, info):
    app.command()(verb)

command = get_command(app)
