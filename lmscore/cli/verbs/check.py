"""`lmscore check`: does a model compute here what it computed where it was made?"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import FAILED, options, streams
from lmscore.cli.progress import Steps
from lmscore.cli.table import table

if TYPE_CHECKING:
    from lmscore.runtime.checking import Finding, ModelCheck


def check(
    directory: options.ModelArgument = None,
    *,
    model: options.Model = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="int8, fp32, ...; may be repeated. Default: all."),
    ] = None,
    device: options.Device = "cpu",
    threads: options.Threads = None,
    trust: options.Trust = False,
    output_format: options.Report = "text",
) -> None:
    """Check that a model computes here what PyTorch computed when it was trained.

    PyTorch is not needed. Prints what was measured, what export recorded and how much is allowed;
    what is wrong goes to standard error, a line each, and the exit status is 1.
    """
    from lmscore.runtime.checking import check_model

    with Steps("check") as steps:
        found = check_model(
            options.one_model(directory, model),
            variants=variant,
            device=device,
            threads=threads,
            trust=trust,
            progress=steps.begin,
        )
    streams.write(_as_json(found) if output_format == "json" else _as_text(found))
    for problem in found.problems:
        streams.note(f"error: {problem}")
    if found.problems:
        raise typer.Exit(FAILED)


def _as_json(found: ModelCheck) -> str:
    findings = [dataclasses.asdict(finding) for finding in found.findings]
    for finding in findings:
        if isinstance(finding["measured"], float) and not math.isfinite(finding["measured"]):
            finding["measured"] = None  # JSON has no nan and no inf; `problem` says it
    document = {
        "path": str(found.path),
        "device": found.device,
        "ok": not found.problems,
        "findings": findings,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _as_text(found: ModelCheck) -> str:
    header = ("file", "what", "here", "at export", "limit", "")
    rows = [header, *(_row(finding) for finding in found.findings)]
    return f"{table([('model', found.path), ('device', found.device)])}\n{table(rows)}"


def _row(finding: Finding) -> tuple[str, ...]:
    numbers = (finding.measured, finding.recorded, finding.limit)
    verdict = "ok" if finding.problem is None else "DIFFERS"
    return (finding.file, finding.what, *map(_cell, numbers), verdict)


def _cell(value: float | str | None) -> str:
    return f"{value:.3g}" if isinstance(value, float) else value or ""
