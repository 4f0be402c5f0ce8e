"""`lmscore plot`: the pictures of training runs, and what they show in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmscore.cli import streams
from lmscore.cli.diagrams import check_drawing, draw_run, draw_runs
from lmscore.cli.findings import findings
from lmscore.cli.plot import check_picture
from lmscore.cli.run_records import RunRecord
from lmscore.errors import InputFileError


def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="A directory that lmscore train wrote; several."),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The picture: .png, .svg or .pdf."),
    ],
) -> None:
    """Draw training runs, and say what they show.

    One run: losses, gradients, dead units, and how far back the loss reaches. Several: their
    losses, perplexities, gradients and reach laid over one another. What each run shows is printed
    on standard output, a line each.
    """
    check_picture(output, option="--output")
    check_drawing()
    read = [RunRecord.read(folder) for folder in runs]
    for run in read:
        if not run.records:
            raise InputFileError(f"{run.folder}: nothing of a training is recorded there")
    kind = output.suffix.removeprefix(".").lower()
    if len(read) == 1:
        draw_run(read[0], output, kind=kind)
    else:
        draw_runs(read, output, kind=kind)
    for run in read:
        for found in findings(run):
            streams.write(f"{run.name}: {found}\n")
