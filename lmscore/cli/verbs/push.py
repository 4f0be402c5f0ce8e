"""`lmscore push`: a model directory written to a repository of the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmscore.cli import streams
from lmscore.cli.usage import UsageError, command_line


def push(
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="A model directory with its model card.")
    ],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="org/name, or org/name@branch, on the Hub.")
    ],
    *,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository that nobody else sees.")
    ] = False,
    message: Annotated[
        str, typer.Option(metavar="TEXT", help="Of the commit. Default: the architecture.")
    ] = "",
) -> None:
    """Write a model to the Hugging Face Hub, which needs a login, and print its address.

    Its files are checked first. Files that are none of a model stay here, checkpoints too.
    README.md becomes the page of the model: state there what text it has read, and its licence.
    """
    from lmscore.hub import HubModel, parse_reference, upload

    with command_line():
        reference = parse_reference(name)
    if not isinstance(reference, HubModel):
        raise UsageError(f"{name} is no org/name of the Hub")
    streams.write(f"{upload(directory, reference, private=private, message=message)}\n")
