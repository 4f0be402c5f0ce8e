"""What a graph file may hold, found out without the onnx package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from lmscore.bundle import CELLS
from lmscore.errors import InputFileError, ModelError
from lmscore.runtime.engine.operators import OPERATORS, check_operators
from tests.models import make_model

Change = Callable[[onnx.ModelProto], object]


def operators(graph: onnx.GraphProto) -> set[str]:
    """Those of a graph, and of the graphs in it."""
    inner = [attribute.g for node in graph.node for attribute in node.attribute]
    return {node.op_type for node in graph.node}.union(*map(operators, inner))


def test_only_operators_that_export_writes_are_known(tmp_path: Path) -> None:
    every = ("fp32", "int8", "fp16")
    for cell in CELLS:
        for tied in (True, False):
            path = tmp_path / f"{cell}-{tied}"
            make_model(path, cell=cell, tied=tied, layers=2, embedding=8, variants=every)
    make_model(tmp_path / "classes", cutoffs=(20, 40), variants=every)
    make_model(tmp_path / "self-normalised", self_normalized=True, variants=every)
    written = set()
    for file in tmp_path.glob("*/*.onnx"):
        check_operators(file)
        written |= operators(onnx.load(file).graph)
    assert written == OPERATORS


def external(tensor: TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def in_attribute(model: onnx.ModelProto) -> None:
    node = helper.make_node("Cast", ["tokens"], ["x"])
    attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    external(attribute.t, "weights.bin")
    model.graph.node.append(node)


def in_subgraph(model: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Loop", [], [])], "body", [], [])
    for name in ("outer", "outermost"):
        body = helper.make_graph([helper.make_node("Scan", [], [], body=body)], name, [], [])
    model.graph.node.extend(body.node)


def in_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("own", "f", [], [], [], []))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: external(m.graph.initializer[0], "weights.bin"), "weights in another file"),
        (lambda m: external(m.graph.initializer[0], "/etc/hostname"), "weights in another file"),
        (in_attribute, "weights in another file"),
        (in_subgraph, "the operator 'Loop'"),
        (in_function, "functions"),
        (lambda m: m.training_info.add(), "training steps"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse weights"),
        (lambda m: m.graph.node.add(op_type="EPContext"), "the operator 'EPContext'"),
        (lambda m: m.graph.node.add(op_type="Mine", domain="own"), "the operator 'Mine'"),
        (lambda m: m.graph.node.add(op_type="x" * 500), f"the operator '{'x' * 100}'"),
    ],
)
def test_what_export_never_writes_is_refused(
    model_path: Path, tmp_path: Path, change: Change, what: str
) -> None:
    model = onnx.load(model_path / "model.onnx")
    change(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=rf"model.onnx: holds {what}, .* lmscore export") as caught:
        check_operators(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot mmap an empty file"),
        (b"PK\x03\x04" + bytes(50), "a field of kind"),
        (b"<!DOCTYPE html>", "not an ONNX graph"),
        (b"\x80\x04\x95", "not an ONNX graph"),  # a pickle
        (b"\x3a\x7f", "truncated or damaged"),  # a graph of 127 bytes
        (b"\x3a" + b"\xff" * 9 + b"\x01", "truncated or damaged"),  # one of 2 ** 64 - 1
        (b"\x08" + b"\x80" * 20, "truncated or damaged"),  # a number without end
        (b"\xba\x80\x80\x80\x10\x00", "truncated or damaged"),  # 7 to whom 32 bits are enough
        (b"\x09\x00", "truncated or damaged"),
        (b"\x0d\x00", "truncated or damaged"),
    ],
)
def test_what_is_no_graph(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"model.onnx: .*{message}"):
        check_operators(path)


def test_numbers_of_all_kinds_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x96\x01" + b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x12\x01x")
    check_operators(path)


def test_graphs_in_graphs_without_end(tmp_path: Path) -> None:
    def field(key: int, value: bytes) -> bytes:
        size, length = len(value), b""
        while size > 127:
            size, length = size >> 7, length + bytes([size & 127 | 128])
        return bytes([key << 3 | 2]) + length + bytes([size]) + value

    graph = b""
    for _ in range(5_000):
        graph = field(1, field(5, field(6, graph)))
    (tmp_path / "model.onnx").write_bytes(field(7, graph))
    check_operators(tmp_path / "model.onnx")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"model.onnx: cannot be read"):
        check_operators(tmp_path / "model.onnx")
