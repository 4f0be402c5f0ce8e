"""The typer command `lmscore`: its options and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

import lmscore
from lmscore.cli import streams
from lmscore.cli.options import expanded

VERBS = {  # by name, which is also its module's: the function in the module
    "train": "train",
    "export": "export",
    "score": "score",
    "ppl": "ppl",
    "filter": "filter_lines",
    "pairs": "pairs",
    "choose": "choose",
    "next": "next_words",
    "sample": "sample",
    "rescore": "rescore",
    "lattice": "lattice",
    "tune": "tune",
    "check": "check",
    "info": "info",
    "bench": "bench",
}


def make_command(argv: Sequence[str]) -> Callable[..., Any]:
    """Build the command with the verb that the command line names, or else with all verbs.

    Each verb costs about 4 ms of start-up time.
    """
    app = typer.Typer(
        name="lmscore",
        help="Train a compact recurrent language model, export it to ONNX, and score text with it.",
        no_args_is_help=True,
        rich_markup_mode=None,  # Rich would cost start-up time
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    named = next((word for word in argv if not word.startswith("-")), None)
    for verb in [named] if named in VERBS else VERBS:
        module = import_module(f"lmscore.cli.verbs.{verb}")
        app.command(verb)(expanded(getattr(module, VERBS[verb])))
    return get_command(app)


def _version(asked: bool) -> None:
    if asked:
        streams.write(f"lmscore {lmscore.__version__}\n")
        raise typer.Exit


def _options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj.debug = debug
    context.obj.verb = getattr(context.command, "commands", {}).get(context.invoked_subcommand)
