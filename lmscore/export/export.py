"""Export: build each variant's graph, check it, put it in place, and record the measurements."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    without_variant,
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

_OTHER_TRAINING = (
    f"{PARITY_FILE} and {WEIGHTS_FILE} may be of different trainings, else please report it"
)

_log = logging.getLogger("lmscore")


def export_model(
    path: str | Path,
    *,
    variants: Sequence[str] = (FP32, INT8),
    progress: Callable[[str], None] = lambda _: None,
) -> Config:
    """Export a model directory's weights to graphs, and return the new configuration.

    A graph takes its final name only after the comparison with parity.npz. config.json, which
    records the comparison, is written after each graph that is new or another than before: the
    same weights, exported again, leave a checkout clean. Variants exported earlier are kept.
    `progress` is called with the name of each file before it is made.

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
    for index, variant in enumerate(variants):
        progress(graph_file(variant))
        record = _export_variant(bundle, weights, parity, variant, proven=FP32 in variants[:index])
        before, layouts = bundle.config.graphs, bundle.config.layouts
        is_new = variant not in before or before[variant].sha256 != record.sha256
        if is_new:
            layouts = without_variant(layouts, variant)  # they are of other weights
        graphs = {**before, variant: record}
        config = dataclasses.replace(bundle.config, graphs=graphs, layouts=layouts)
        bundle = Bundle(bundle.path, config)
        if is_new:
            bundle.write_config()
    return bundle.config


def check_variants(variants: Iterable[str]) -> None:
    """Raise OptionError if a variant cannot be exported."""
    for variant in variants:
        if variant not in OPERATORS:
            raise OptionError(f"no variant {variant!r}; there are {', '.join(OPERATORS)}")


def _export_variant(
    bundle: Bundle, weights: Weights, parity: Parity, variant: str, *, proven: bool
) -> GraphRecord:
    """Write a graph; `proven` says that the fp32 graph has just reproduced the parity."""
    target = bundle.path / graph_file(variant)
    check_size(bundle.config, variant)
    model = build_model(bundle.config, weights, variant)
    data: bytes = model.SerializeToString(deterministic=True)  # the same for the same weights
    with atomic_write(target) as file:
        file.write(data)
        file.flush()
        written = Path(os.fspath(file.name))
        report = _check_file(written, target, bundle.config, parity, variant)
        if failure := report.failure(variant):
            cause = _loss_of_bits(weights, variant) if proven else _OTHER_TRAINING
            raise ExportError(f"{target} not written: {failure}; {cause}")
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


def _loss_of_bits(weights: Weights, variant: str) -> str:
    """Why a graph with fewer bits is far from the fp32 graph, and what to do."""
    outliers = {name: _outlier(weight) for name, weight in weights.items() if weight.ndim == 2}
    worst = max(outliers, key=lambda name: outliers[name])
    return (
        f"{variant} has too few bits for these weights: in {worst} the largest of a row is up to "
        f"{outliers[worst]:.0f} times its median, and the steps of a row, which has its own, span "
        "them all. The fp32 graph is in place and reproduces the training: use it, or train with "
        "more `weight_decay`"
    )


def _outlier(weight: NDArray[np.float32]) -> float:
    """The largest ratio, over the rows, of the largest weight's size to the median size."""
    size = np.abs(weight)
    median = np.median(size, axis=1)
    rows = median > 0
    return float(np.max(size.max(axis=1)[rows] / median[rows], initial=0))


def _check_file(
    written: Path, target: Path, config: Config, parity: Parity, variant: str
) -> GraphCheck:
    _log.info("%s: checking against %s", target, PARITY_FILE)
    check_structure(written, config)
    graph = Graph(open_session(written, device="cpu"), config, variant, target)
    return check_graph(Engine(graph), parity)
