"""The `lmscore` command: its options, and its verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from typer.main import get_command

import lmscore
from lmscore.cli import streams
from lmscore.cli.check import check
from lmscore.cli.export import export
from lmscore.cli.filter import filter_lines
from lmscore.cli.info import info
from lmscore.cli.lattice import lattice
from lmscore.cli.next import next_words
from lmscore.cli.pairs import pairs
from lmscore.cli.ppl import ppl
from lmscore.cli.rescore import rescore
from lmscore.cli.sample import sample
from lmscore.cli.score import score
from lmscore.cli.train import train
from lmscore.cli.tune import tune

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


VERBS: dict[str, Callable[..., None]] = {
    "train": train,
    "export": export,
    "score": score,
    "ppl": ppl,
    "filter": filter_lines,
    "pairs": pairs,
    "next": next_words,
    "sample": sample,
    "rescore": rescore,
    "lattice": lattice,
    "tune": tune,
    "check": check,
    "info": info,
}
for name, verb in VERBS.items():
    app.command(name)(verb)

command = get_command(app)
