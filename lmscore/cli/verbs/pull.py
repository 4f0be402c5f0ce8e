"""`lmscore pull`: a model from elsewhere, fetched and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmscore.bundle import Bundle
from lmscore.cli import options, streams
from lmscore.cli.progress import Progress
from lmscore.cli.usage import UsageError, command_line
from lmscore.errors import OutputFileError

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="org/name or org/name@revision on the Hub, or the URL of an archive."
    ),
]


def pull(
    name: Name,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Copy the model into this new directory. Default: it stays in the cache.",
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Fetch the newest state of a model, check its files, and print its directory.

    The name then loads it, with -m, without a connection. An archive is a tar, packed or not, or a
    zip of a model directory; https://.../my-lm.tar.gz#sha256=HEX is taken with that hash alone.
    What needs a login takes it from `hf auth login`.
    """
    from lmscore.hub import fetch, parse_reference

    with command_line():
        reference = parse_reference(name)
    if reference is None:
        raise UsageError(f"{name} is neither org/name nor a URL")
    if output is not None and output.exists():
        raise OutputFileError(f"{output}: is there already")
    with Progress(f"fetch {reference}", total=None, shown=not quiet) as bar:
        path = fetch(reference, lambda done, total: bar.update(done, f"{_of(done, total)}"))
    streams.write(f"{path if output is None else _copied(Bundle.read(path), output)}\n")


def _of(done: int, total: int | None) -> str:
    return f"{done / 1e6:.0f} MB" if total is None else f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"


def _copied(bundle: Bundle, target: Path) -> Path:
    """Copy a model directory, the contents of links in the place of links, whole or not at all."""
    import shutil

    staging = target.with_name(f".{target.name}.copying")
    try:
        shutil.copytree(bundle.path, staging)
        staging.rename(target)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise OutputFileError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target
