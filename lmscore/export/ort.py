"""The .ort file of a graph, and the operators in it, for builds of ONNX Runtime with no others.

Such builds, for phones, read .ort files alone. A graph is optimised before it is stored, since they
cannot do it themselves; only by what every processor can run.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmscore.bundle import TARGETS_APART, Bundle, LayoutRecord, Parity, layout_file
from lmscore.errors import ExportError, needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.heads import add_whole_rows
from lmscore.files import atomic_write_bytes
from lmscore.runtime.checking import check_graph
from lmscore.runtime.engine import CPU, Engine, Graph, import_onnxruntime, open_session

with needs_extra("export"):
    import onnx
    from onnx import GraphProto, ModelProto, numpy_helper

OPERATORS_SUFFIX = ".required_operators.config"


def export_ort(path: str | Path, *, variant: str) -> tuple[Path, LayoutRecord]:
    """Write a variant's graph as an .ort file, and beside it the list of its operators.

    The file is compared with PyTorch's results as the graph was, and recorded in config.json. The
    list is for `build.sh --include_ops_by_config` of ONNX Runtime.

    Raises:
        ModelNotFoundError, ModelError: the directory is not a trained model.
        VariantError: the model was not exported to the variant.
        ExportError: the file does not reproduce the trained model; it is not put in place.
        OutputFileError: a file cannot be written.
    """
    bundle = Bundle.read(path)
    source, parity = bundle.graph_path(variant), Parity.load(bundle)
    target = bundle.path / layout_file("ort", variant)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        plain.write_bytes(_with_whole_rows(onnx.load(source)).SerializeToString())
        written = _optimised(plain, Path(folder) / "model.ort", "ORT")
        difference = _check(written, target, bundle, parity, variant)
        data = written.read_bytes()
        operators = onnx.load(_optimised(plain, Path(folder) / "model.onnx", "ONNX"))
    atomic_write_bytes(target, data)
    listed = target.with_name(f"{target.stem}{OPERATORS_SUFFIX}")
    atomic_write_bytes(listed, required_operators(operators, target.name).encode())
    record = LayoutRecord(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        max_difference=difference,
        checked_with=f"onnxruntime {import_onnxruntime().__version__}",
    )
    bundle.record_layout("ort", variant, record)
    return target, record


def _with_whole_rows(model: ModelProto) -> ModelProto:
    """The same graph without the way to targets alone, whose weights an .ort file would repeat.

    Rows with targets have to be whole then, as in the graphs that have no such way.
    """
    graph = model.graph
    places = {node.name: place for place, node in enumerate(graph.node)}
    if TARGETS_APART not in places:
        return model
    never = numpy_helper.from_array(np.array(False), "never")  # a constant is followed
    graph.initializer.append(never)
    graph.node[places[TARGETS_APART]].input[0] = never.name
    (entry,) = (each for each in model.metadata_props if each.key == TARGETS_APART)
    model.metadata_props.remove(entry)
    counting = GraphBuilder()
    rows = add_whole_rows(counting, "distributions")
    for node in graph.node:
        node.input[:] = [rows if name == "distributions" else name for name in node.input]
    nodes = [*counting.nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def required_operators(model: ModelProto, name: str) -> str:
    """A list of a model's operators: a line per domain, `domain;opset;operator,operator`."""
    versions = {each.domain: each.version for each in model.opset_import}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for domain, operator in _operators(model.graph):
        found[domain].add(operator)
    lines = [
        f"{domain or 'ai.onnx'};{versions[domain]};{','.join(sorted(found[domain]))}\n"
        for domain in sorted(found)
    ]
    return f"# The operators of {name}\n{''.join(lines)}"


def _operators(graph: GraphProto) -> Iterator[tuple[str, str]]:
    """Domain and name of each node, those of loops included."""
    for node in graph.node:
        yield node.domain, node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _operators(attribute.g)


def _optimised(source: Path, target: Path, form: str) -> Path:
    """Let ONNX Runtime store what it makes of a graph, as `ORT` or `ONNX`."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.save_model_format", form)
    onnxruntime.InferenceSession(str(source), options, providers=[CPU])
    return target


def _check(written: Path, target: Path, bundle: Bundle, parity: Parity, variant: str) -> float:
    """The largest difference of a log-probability from PyTorch's, nats."""
    graph = Graph(open_session(written, device="cpu"), bundle.config, variant, target)
    report = check_graph(Engine(graph), parity)
    if failure := report.failure(variant):
        raise ExportError(f"{target} not written: {failure}; please report it")
    return report.log_probs.value
