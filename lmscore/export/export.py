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
from lmscore.export.operators import matrices
from lmscore.export.remedy import find_remedy
from lmscore.files import atomic_write
from lmscore.runtime.checking import GraphCheck, check_graph
from lmscore.runtime.engine import (
    Engine,
    Graph,
    check_structure,
    check_version,
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
    in_fp32: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Config:
    """Export a model directory's weights to graphs, and return the new configuration.

    A graph takes its final name only after the comparison with parity.npz. config.json, which
    records the comparison, is written after each graph that is new or another than before: the
    same weights, exported again, leave a checkout clean. Variants exported earlier are kept.
    `in_fp32` names matrices of model.safetensors that the int8 graph leaves in float32, since 8
    bits are too few for them. `progress` is called with the name of each file before it is made.

    Raises:
        OptionError: a variant that cannot be exported, or a matrix that the model does not have.
        ModelNotFoundError, ModelError: the directory is not a trained model.
        MissingExtraError: ONNX Runtime is not installed, or older than the cell's operator.
        ExportError: a graph does not reproduce the trained model; it is not put in place.
        OutputFileError: a file cannot be written.
    """
    check_variants(variants)
    bundle = Bundle.read(path)
    _check_in_fp32(bundle.config, variants, in_fp32)
    check_version(bundle.config.cell)
    weights = load_weights(bundle)
    parity = Parity.load(bundle)
    for index, variant in enumerate(variants):
        progress(graph_file(variant))
        kept = tuple(in_fp32) if variant == INT8 else ()
        proven = FP32 in variants[:index]
        record = _export_variant(bundle, weights, parity, variant, kept, proven=proven)
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


def _check_in_fp32(config: Config, variants: Sequence[str], in_fp32: Sequence[str]) -> None:
    if in_fp32 and INT8 not in variants:
        raise OptionError("in_fp32 names matrices of the int8 graph, which is not exported")
    for name in in_fp32:
        if name not in matrices(config):
            raise OptionError(
                f"in_fp32 is {name!r}, expected a matrix of the model: "
                f"{', '.join(matrices(config))}"
            )


def _export_variant(
    bundle: Bundle,
    weights: Weights,
    parity: Parity,
    variant: str,
    in_fp32: tuple[str, ...],
    *,
    proven: bool,
) -> GraphRecord:
    """Write a graph; `proven` says that the fp32 graph has just reproduced the parity."""
    target = bundle.path / graph_file(variant)
    check_size(bundle.config, variant)
    model = build_model(bundle.config, weights, variant, in_fp32)
    data: bytes = model.SerializeToString(deterministic=True)  # the same for the same weights
    with atomic_write(target) as file:
        file.write(data)
        file.flush()
        written = Path(os.fspath(file.name))
        report = _check_file(written, target, bundle.config, parity, variant)
        if failure := report.failure(variant):
            lossy = proven and variant == INT8
            cause = _loss_of_bits(bundle.config, weights, parity) if lossy else _OTHER_TRAINING
            raise ExportError(f"{target} not written: {failure}; {cause}")
    _log.info(
        "%s: %.1f MB, at most %.2g nats from PyTorch, perplexity %+.2f %%",
        *(target, len(data) / 1e6, report.log_probs.value, 100 * report.perplexity_change),
    )
    return GraphRecord(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        quantized=OPERATORS[variant].stored_in_8_bits(bundle.config, in_fp32),
        max_log_prob_difference=report.log_probs.value,
        max_batching_difference=report.batching.value,
        perplexity_change=report.perplexity_change,
        log_z=report.log_z,
        checked_with=f"onnxruntime {import_onnxruntime().__version__}",
        in_fp32=in_fp32,
    )


def check_size(config: Config, variant: str) -> None:
    """Raise ExportError if a variant's graph does not fit into one file."""
    if config.num_parameters * _WEIGHT_BYTES[variant] > _LARGEST_FILE:
        raise ExportError(
            f"the {variant} graph of {config.num_parameters} parameters does not fit into one "
            "ONNX file, which holds 2 GB at most; train a smaller model, or export int8 only"
        )


def _loss_of_bits(config: Config, weights: Weights, parity: Parity) -> str:
    """Why the int8 graph is far from the fp32 graph, and what to do."""
    in_place = "the fp32 graph is in place and reproduces the training"
    _log.info("int8: looking for the matrices that need more than 8 bits")
    remedy = find_remedy(config, weights, parity)
    if remedy is None:
        return f"8 bits are too few for all matrices of this model; {in_place}: use it"
    names = [
        f"{name} (a row's largest weight is up to {_outlier(weights[name]):.0f} times its median)"
        for name in remedy.in_fp32
    ]
    kept = " ".join(f"in_fp32={name!r}" for name in remedy.in_fp32)
    return (
        f"8 bits are too few for {' and '.join(names)}; {in_place}. Use it, or export int8 with "
        f"{kept}: then it has {remedy.size_bytes / 1e6:.1f} MB, and its perplexity changes by "
        f"{remedy.perplexity_change:+.2%}"
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
