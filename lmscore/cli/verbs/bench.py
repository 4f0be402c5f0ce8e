"""`lmscore bench`: how fast a model is on this machine, and how fast it could be."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lmscore
from lmscore.cli import options, streams
from lmscore.cli.progress import Progress
from lmscore.cli.table import size, table
from lmscore.files import read_files

if TYPE_CHECKING:
    from lmscore.runtime.bench import Benchmark, Speed

_MOST_LINES = 50_000  # more than are scored in the time of a measurement


def bench(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Text to score, one sentence per line; the beginning of it is enough. Default: "
            "some that the model makes up.",
            show_default=False,
        ),
    ] = None,
    *,
    model: options.Model = None,
    variant: options.Variant = None,
    device: options.Device = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="This number of CPU threads only. Default: 1, 2, 4, ...",
            callback=options.checked_threads,
        ),
    ] = None,
    trust: options.Trust = False,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="S", min=1, max=3600, help="How long to measure; starting comes on top."
        ),
    ] = 30,
    output_format: Annotated[Literal["table", "json"], typer.Option("--format")] = "table",
) -> None:
    """Measure how fast a model scores text and takes steps here, and how near that is to the limit.

    The ceiling of scoring, and of a step of 32 hypotheses, is the rate of the model's matrix
    products alone; that of a single step, reading its weights once. Each number of threads is
    measured in processes of its own, in turns, while nothing else should use the machine.
    """
    from lmscore.runtime.bench import run_benchmark
    from lmscore.runtime.load import find_model

    path = find_model(model)
    lines = list(islice(read_files(files), _MOST_LINES)) if files else None
    with Progress("measuring", total=1) as progress:
        found = run_benchmark(
            path,
            lines=lines,
            variant=variant,
            device=device,
            threads=threads,
            trust=trust,
            seconds=seconds,
            on_progress=progress.update,
        )
    text = f"{found.lines} lines of {', '.join(files)}" if files else "made up by the model"
    show = _as_json if output_format == "json" else _as_table
    streams.write(show(found, path, text))


def _as_json(found: Benchmark, path: Path, text: str) -> str:
    from lmscore.runtime.bench import advice

    document = {
        "lmscore": lmscore.__version__,
        "model": str(path),
        "text": text,
        **dataclasses.asdict(found),
        "speeds": [_with_shares(speed) for speed in found.speeds],
        "advice": advice(found),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _with_shares(speed: Speed) -> dict[str, Any]:
    shares = ("scoring_share", "step_share", "beam_step_share")
    return {**dataclasses.asdict(speed), **{name: getattr(speed, name) for name in shares}}


def _as_table(found: Benchmark, path: Path, text: str) -> str:
    from lmscore.runtime.bench import advice

    blocks = [table(_circumstances(found, path, text)), table(_rows(found))]
    return "\n".join([*blocks, "".join(f"{sentence}\n" for sentence in advice(found))])


def _circumstances(found: Benchmark, path: Path, text: str) -> list[tuple[str, str]]:
    return [
        ("model", f"{path.resolve().name} ({found.variant}) on {found.device}"),
        ("machine", f"{found.machine}, {found.cores} cores"),
        ("versions", f"lmscore {lmscore.__version__}, onnxruntime {found.onnxruntime}"),
        ("text", f"{text}; {100 * found.padding:.1f} % padding"),
        ("loading", f"{1000 * found.load_seconds:.0f} ms"),
        ("peak memory", "unknown" if found.peak_bytes is None else size(found.peak_bytes)),
        ("weights", f"{size(found.weight_bytes)} read at each step"),
    ]


def _rows(found: Benchmark) -> list[tuple[str, ...]]:
    step, beam, share = "step, ms", "beam step, ms", "of the ceiling"
    rows: list[tuple[str, ...]] = [
        ("threads", "tokens/s", "x first", share, step, share, beam, share)
    ]
    first = found.speeds[0].tokens_per_second
    for speed in found.speeds:
        scoring = _rate(speed.tokens_per_second, first)
        rows.append((str(speed.threads or "default"), *scoring, *_shares(speed)))
    if found.together is not None:
        scoring = _rate(found.together.tokens_per_second, first)
        rows.append((f"1 in each of {found.together.processes} processes", *scoring, *[""] * 5))
    return rows


def _rate(tokens_per_second: float, first: float) -> tuple[str, str]:
    return f"{tokens_per_second:,.0f}", f"{tokens_per_second / first:.2f}"


def _shares(speed: Speed) -> tuple[str, ...]:
    return (
        f"{100 * speed.scoring_share:.0f} %",
        f"{1000 * speed.step_seconds:.3f}",
        f"{100 * speed.step_share:.0f} %",
        f"{1000 * speed.beam_step_seconds:.3f}",
        f"{100 * speed.beam_step_share:.0f} %",
    )
