"""`lmscore info`: what a model directory holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lmscore.bundle import Bundle, Config
from lmscore.cli import options, streams
from lmscore.cli.graph_records import graph_table, layout_table
from lmscore.cli.signature import signature_document, signature_text
from lmscore.cli.table import size, table


def info(
    directory: options.ModelArgument = None,
    *,
    model: options.Model = None,
    signature: Annotated[
        bool,
        typer.Option(
            "--signature",
            help="Print what a program must know to run the graph itself: inputs, outputs, rules.",
        ),
    ] = False,
    output_format: options.Report = "text",
) -> None:
    """Describe a model: architecture, files, checks, training."""
    from lmscore.runtime.load import find_model

    bundle = Bundle.read(find_model(options.one_model(directory, model)))
    if output_format == "json":
        document = signature_document(bundle) if signature else _as_document(bundle)
        streams.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        streams.write(signature_text(bundle) if signature else _as_text(bundle))


def _as_document(bundle: Bundle) -> dict[str, Any]:
    return {
        "path": str(bundle.path),
        "num_parameters": bundle.config.num_parameters,
        "state_bytes": bundle.config.state_bytes,
        "files": _files(bundle),
        "config": json.loads(bundle.config.to_json()),
    }


def _as_text(bundle: Bundle) -> str:
    config = bundle.config
    blocks = [table([("model", bundle.path), *_architecture(config)])]
    blocks.append(table((name, size(count)) for name, count in _files(bundle).items()))
    if bundle.variants():
        blocks.append(graph_table(config, bundle.variants()))
        blocks.append(_graphs(bundle))
    if bundle.layouts():
        blocks.append(layout_table(config, bundle.layouts()))
    if config.training:
        blocks.append(table([("training", ""), *_flat(config.training, "  ")]))
    return "\n".join(blocks)


def _architecture(config: Config) -> list[tuple[str, str]]:
    tied = "tied" if config.tie_word_embeddings else "untied"
    ids = (config.bos_token_id, config.eos_token_id, config.unk_token_id)
    special = zip(("<s>", "</s>", "<unk>"), ids, strict=True)
    return [
        ("cell", config.architecture),
        ("vocabulary", f"{config.vocab_size} ({config.tokenizer})"),
        ("output layer", config.output_summary),
        ("special ids", ", ".join(f"{name} {i}" for name, i in special if i is not None)),
        ("parameters", f"{config.num_parameters:,} ({tied})"),
        ("state", f"{config.state_bytes:,} bytes a hypothesis"),
        ("context", config.context),
        ("direction", config.direction),
    ]


def _graphs(bundle: Bundle) -> str:
    """The export records of each graph that are too long for a column of `graph_table`."""
    rows: list[tuple[str, str, str]] = []
    for variant in bundle.variants():
        record = bundle.config.graphs[variant]
        rows.append((variant, "in 8 bits", ", ".join(record.quantized) or "nothing"))
        if record.in_fp32:
            rows.append(("", "in float32", ", ".join(record.in_fp32)))
        if (log_z := record.log_z) is not None:
            spread = f"mean {log_z.mean:+.3f}, deviation {log_z.std:.3f} nats"
            tau = f"Kendall's tau of sentences {log_z.rank_agreement:.3f}"
            rows.append(("", "log Z", f"{spread}; {tau}"))
        rows.append(("", "sha256", record.sha256))
    return table(rows)


def _files(bundle: Bundle) -> dict[str, int]:
    files = sorted(bundle.path.iterdir())
    return {file.name: file.stat().st_size for file in files if file.is_file()}


def _flat(values: Mapping[str, Any], indent: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += [(f"{indent}{key}", ""), *_flat(value, indent + "  ")]
        elif isinstance(value, list):
            rows.append((f"{indent}{key}", ", ".join(map(str, value))))
        else:
            rows.append((f"{indent}{key}", str(value)))
    return rows
