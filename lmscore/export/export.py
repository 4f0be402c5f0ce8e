"""Export: build each variant's graph, check it, put it in place, and record the measurements."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lmscore.bundle import (
    FP16,
    FP32,
    INT8,
    PARITY_FILE,
    WEIGHTS_FILE,
    Bundle,
    Config,
    GraphRecord,
    Parity,
    Weights,
    graph_file,
    load_weights,
)
from lmscore.errors import ExportError, OptionError
from lmscore.export.graph import OPERATORS, build_model
from lmscore.files import atomic_write
from lmscore.runtime.checking import GraphCheck, check_graph
from lmscore.runtime.engine import (
    Engine,
    Graph,
    check_structure,
    import_onnxruntime,
    open_session,
)

_LARGEST_FILE = 2**31 - 2**20  # protobuf's 2 GiB, less some room for the nodes
_WEIGHT_BYTES = {FP32: 4, FP16: 2, INT8: 1}

_log = logging.getLogger("lmscore")


def export_model(path: str | Path, *, variants: Sequence[str] = (FP32, INT8)) -> Config:
    """Export a model directory's weights to graphs, and return the new configuration.

    A graph takes its final name only after the comparison with parity.npz. config.json, which
    records the comparison, is written after each graph. Variants exported earlier are kept.

    Raises:
        OptionError: a variant that cannot be exported.
        ModelNotFoundError, ModelError: the directory is not a trained model.
        ExportError: a graph does not reproduce the trained model; it is not put in place.
        OutputFileError: a file cannot be written.
    """
    check_variants(variants)
    bundle = Bundle.read(path)
    weights = load_weights(bundle)
    parity = Parity.load(bundle)
    for variant in variants:
        record = _export_variant(bundle, weights, parity, variant)
        graphs = {**bundle.config.graphs, variant: record}
        bundle = Bundle(bundle.path, dataclasses.replace(bundle.config, graphs=graphs))
        bundle.write_config()
    return bundle.config


def check_variants(variants: Iterable[str]) -> None:
    """Raise OptionError if a variant cannot be exported."""
    for variant in variants:
        if variant not in OPERATORS:
            raise OptionError(f"no variant {variant!r}; there are {', '.join(OPERATORS)}")


def _export_variant(bundle: Bundle, weights: Weights, parity: Parity, variant: str) -> GraphRecord:
    target = bundle.path / graph_file(variant)
    check_size(bundle.config, variant)
    model = build_model(bundle.config, weights, variant)
    data: bytes = model.SerializeToString(deterministic=True)  # the same for the same weights
    with atomic_write(target) as file:
        file.write(data)
        file.flush()
        report = _check_file(Path(os.fspath(file.name)), target, bundle.config, parity, variant)
    _log.info(
        "%s: %.1f MB, at most %.2g nats from PyTorch, perplexity %+.2f %%",
        *(target, len(data) / 1e6, report.log_probs.value, 100 * report.perplexity_change),
    )
    return GraphRecord(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        quantized=OPERATORS[variant].stored_in_8_bits(bundle.config),
        max_log_prob_difference=report.log_probs.value,
        max_batching_difference=report.batching.value,
        perplexity_change=report.perplexity_change,
        log_z=report.log_z,
        checked_with=f"onnxruntime {import_onnxruntime().__version__}",
    )


def check_size(config: Config, variant: str) -> None:
    """Raise ExportError if a variant's graph does not fit into one file."""
    if config.num_parameters * _WEIGHT_BYTES[variant] > _LARGEST_FILE:
        raise ExportError(
            f"the {variant} graph of {config.num_parameters} parameters does not fit into one "
            "ONNX file, which holds 2 GB at most; train a smaller model, or export int8 only"
        )


def _check_file(
    written: Path, target: Path, config: Config, parity: Parity, variant: str
) -> GraphCheck:
    _log.info("%s: checking against %s", target, PARITY_FILE)
    check_structure(written, config)
    graph = Graph(open_session(written, device="cpu"), config, variant, target)
    report = check_graph(Engine(graph), parity)
    if failure := report.failure(variant):
        raise ExportError(
            f"{target} not written: {failure}; {PARITY_FILE} and {WEIGHTS_FILE} may be of "
            "different trainings, else please report it"
        )
    return report
