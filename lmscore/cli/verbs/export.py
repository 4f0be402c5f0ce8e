"""`lmscore export`: the ONNX graphs of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmscore.bundle import FP32, INT8
from lmscore.cli import streams
from lmscore.cli.graph_records import graph_table
from lmscore.cli.usage import command_line


def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="A model that lmscore train wrote.")
    ],
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="fp32, int8 or, for GPUs, fp16; may be repeated. Default: fp32 and int8.",
        ),
    ] = None,
) -> None:
    """Write the ONNX graphs of a trained model, and check them.

    They are held against what PyTorch computed when the model was trained; PyTorch itself is not
    needed. Prints, per graph, the largest difference of a log-probability (in nats) and the change
    of perplexity on held-out text.
    """
    from lmscore.export import check_variants, export_model

    variants = tuple(dict.fromkeys(variant or (FP32, INT8)))
    with command_line():
        check_variants(variants)
    config = export_model(directory, variants=variants)
    streams.write(graph_table(config, variants))
