"""ONNX files written by hand, read by the onnx package and run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from lmscore.runtime.bench.onnx_file import Node, Value, onnx_file
from lmscore.runtime.engine.sessions import open_session

ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    np.array([[1.5, -0.25]], np.float16),
    np.array([[-128, 127], [0, 1]], np.int8),
    np.array([255, 0, 3], np.uint8),
    np.array(-(2**31), np.int32),
    np.ones((3, 300), np.float32),  # sizes that take two groups of seven bits
]


def product(weight: NDArray[Any]) -> bytes:
    rows, columns = weight.shape
    return onnx_file(
        [Node("MatMul", ["x", "weight"], "y")],
        [("weight", weight)],
        [Value("x", weight.dtype, ["M", rows])],
        [Value("y", weight.dtype, ["M", columns])],
    )


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{list(array.shape)}")
def test_the_onnx_package_reads_the_same_weights(array: NDArray[Any]) -> None:
    graph = onnx.load_from_string(onnx_file([], [("w", array)], [], [])).graph
    (tensor,) = graph.initializer
    read = numpy_helper.to_array(tensor)
    assert (tensor.name, read.dtype, read.shape) == ("w", array.dtype, array.shape)
    np.testing.assert_array_equal(read, array)


def test_big_endian_weights_are_turned_around() -> None:
    array = np.array([1, 256, -2], ">i4")
    (tensor,) = onnx.load_from_string(onnx_file([], [("w", array)], [], [])).graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), [1, 256, -2])


def test_what_is_written_is_valid_onnx() -> None:
    model = onnx.load_from_string(product(np.ones((4, 5), np.float32)))
    onnx.checker.check_model(model, full_check=True)
    (y,) = model.graph.output
    assert [d.dim_param or d.dim_value for d in y.type.tensor_type.shape.dim] == ["M", 5]
    (node,) = model.graph.node
    assert (node.op_type, list(node.input), list(node.output)) == ("MatMul", ["x", "weight"], ["y"])


@given(rows=st.integers(1, 300), columns=st.integers(1, 300), name=st.text(min_size=1))
def test_any_size_and_name(rows: int, columns: int, name: str) -> None:
    name = name.encode("utf-8", "ignore").decode() or "w"
    array = np.zeros((rows, columns), np.int8)
    (tensor,) = onnx.load_from_string(onnx_file([], [(name, array)], [], [])).graph.initializer
    assert (tensor.name, list(tensor.dims)) == (name, [rows, columns])


def test_onnx_runtime_computes_with_it(tmp_path: Path) -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    x = np.array([[1, 2, 3], [0, -1, 4]], np.float32)
    path = tmp_path / "product.onnx"
    path.write_bytes(product(weight))
    (y,) = open_session(path, device="cpu").run(None, {"x": x})
    np.testing.assert_array_equal(y, x @ weight)
