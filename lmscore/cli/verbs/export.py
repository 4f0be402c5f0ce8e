"""`lmscore export`: the ONNX graphs of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmscore.bundle import FP32, INT8, Bundle
from lmscore.cli import streams
from lmscore.cli.graph_records import graph_table, layout_table
from lmscore.cli.progress import Steps
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
    in_fp32: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MATRIX",
            help="Leave a matrix of the int8 graph in float32, since 8 bits are too few for it "
            "(rnn.weight_hh_l0, say); may be repeated.",
        ),
    ] = None,
    layout: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Write graphs for another program, too: sherpa-online, sherpa-offline, rasr, "
            "rasr-scorer or triton; may be repeated.",
        ),
    ] = None,
    ort: Annotated[
        bool,
        typer.Option(
            "--ort",
            help="Write .ort files and lists of their operators, too, for small builds of ONNX "
            "Runtime.",
        ),
    ] = False,
) -> None:
    """Write the ONNX graphs of a trained model, and check them.

    They are held against what PyTorch computed when the model was trained; PyTorch itself is not
    needed. Prints, per graph, the largest difference of a log-probability (in nats) and the change
    of perplexity on held-out text. With --layout the same network is written once more, with the
    inputs and outputs that another program expects, and held against the model's own graph; --ort
    stores the graphs as ONNX Runtime's builds for phones read them, held against PyTorch's results.
    """
    from lmscore.export import check_layout, check_variants, export_layout, export_model, export_ort

    variants = tuple(dict.fromkeys(variant or (FP32, INT8)))
    with command_line():
        check_variants(variants)
        for name in layout or ():
            check_layout(name)
    names = [*dict.fromkeys(layout or ()), *(["ort"] if ort else [])]
    pairs = [(name, each) for name in names for each in variants]
    with Steps("export", total=len(variants) + len(pairs)) as steps:
        kept = tuple(dict.fromkeys(in_fp32 or ()))
        with command_line():
            config = export_model(directory, variants=variants, in_fp32=kept, progress=steps.begin)
        for name, each in pairs:
            steps.begin(f"{name}, {each}")
            if name == "ort":
                export_ort(directory, variant=each)
            else:
                export_layout(directory, name, variant=each)
    streams.write(graph_table(config, variants))
    if pairs:
        streams.write("\n" + layout_table(Bundle.read(directory).config, pairs))
