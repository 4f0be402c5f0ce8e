from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lmscore.export.builder import GraphBuilder
from lmscore.export.quantize import add_product, quantize_rows, store_factor
from lmscore.runtime.engine.sessions import session_options

matrices = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-8, 8, width=32, allow_subnormal=False),
)


@given(matrices)
def test_a_weight_moves_by_half_a_step_at_most(weight: NDArray[np.float32]) -> None:
    stored, scale = quantize_rows(weight)
    assert stored.dtype == np.int8
    assert scale.shape == weight.shape[:1]
    restored = stored * scale[:, None]
    assert (np.abs(restored - weight) <= scale[:, None] * 0.5001).all()


@given(matrices)
def test_pairs_of_products_never_overflow_16_bits(weight: NDArray[np.float32]) -> None:
    stored, _ = quantize_rows(weight)
    size = np.abs(stored.astype(np.int32))
    assert ((size[:, 1:] + size[:, :-1]) * 255 < 2**15).all()


def test_a_row_of_zeros_stays_zero() -> None:
    stored, scale = quantize_rows(np.zeros((2, 3), np.float32))
    assert not stored.any()
    assert (scale == 1).all()


def test_the_range_is_used() -> None:
    stored, scale = quantize_rows(np.array([[1.0, 0.0, -2.0], [0.0, 0.5, 0.5]], np.float32))
    np.testing.assert_array_equal(stored, [[64, 0, -127], [0, 64, 64]])
    np.testing.assert_allclose(scale, [2 / 127, 1 / 127])


def test_the_argument_is_left_alone() -> None:
    weight = np.array([[1.0, -2.0]], np.float32)
    quantize_rows(weight)
    np.testing.assert_array_equal(weight, [[1.0, -2.0]])


@pytest.mark.parametrize("step", [None, 1 / 127, 1.0])
@pytest.mark.parametrize("biased", [True, False])
def test_a_product_is_that_of_the_rounded_factors(step: float | None, biased: bool) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(6, 9)).astype(np.float32)
    bias = random.normal(size=6).astype(np.float32) if biased else None
    units = random.integers(-127, 128, (4, 9))
    units[0, :2] = (-127, 127)
    x = (units * (step or 0.5)).astype(np.float32)
    stored, scale = quantize_rows(weight)
    expected = x @ (stored * scale[:, None]).T + (0 if bias is None else bias)
    np.testing.assert_allclose(product(weight, bias, step, x), expected, rtol=1e-2, atol=0.5)
    if step is not None:
        np.testing.assert_allclose(product(weight, bias, step, x), expected, rtol=1e-4, atol=1e-4)


def product(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    step: float | None,
    x: NDArray[np.float32],
) -> NDArray[np.float32]:
    builder = GraphBuilder()
    add_product(builder, "y", "x", store_factor(builder, "w", weight, bias), step)
    info = helper.make_tensor_value_info
    graph = builder.graph(
        "product",
        [info("x", TensorProto.FLOAT, ["rows", weight.shape[1]])],
        [info("y", TensorProto.FLOAT, ["rows", weight.shape[0]])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options(1))
    (found,) = session.run(["y"], {"x": x})
    return np.asarray(found)
