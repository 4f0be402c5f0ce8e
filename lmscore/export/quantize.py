"""8-bit weights, and their products in ONNX Runtime.

Weights are int8 with one scale per output; activations are uint8. If the range of an activation is
known, its step is fixed, and a row's result does not depend on other rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.export.builder import CONTRIB, GraphBuilder

Float32Array = NDArray[np.float32]

_LARGEST_PAIR = 127
"""The largest sum of two neighbouring weights before rounding; after rounding it is at most 128.

x64 processors without VNNI multiply uint8 activations by int8 weights in pairs and add each pair
in 16 bits. There 255 * 127 * 2 overflows silently; 255 * 128 does not. The price is about half a
bit of precision. ONNX Runtime's own remedy, session.x64quantprecision, halves the speed of
processors that have VNNI.
"""

_MIDDLE = 128
"""The uint8 that represents 0."""

STEP_OF_UNIT_RANGE = 1 / 127
"""The step of an activation within -1..1, such as the hidden state of most cells."""


def quantize_rows(weight: Float32Array) -> tuple[NDArray[np.int8], Float32Array]:
    """Quantise a weight [rows, columns] to int8 and scales [rows]: weight is about int8 * scale."""
    size = np.abs(weight)
    size[:, 1:] += np.abs(weight[:, :-1])
    largest = size.max(axis=1)
    scale = np.where(largest > 0, largest / _LARGEST_PAIR, 1).astype(np.float32)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


@dataclass(frozen=True)
class Factor:
    """The names of a product's second factor: int8 [columns, rows], its scales and bias [rows].

    A factor without scales is float32, and so is its product.
    """

    matrix: str
    scales: str
    bias: str = ""  # none


def store_factor(
    b: GraphBuilder,
    name: str,
    weight: Float32Array,
    bias: Float32Array | None = None,
    *,
    in_fp32: bool = False,
) -> Factor:
    """Store a weight [rows, columns] as a product's second factor, in int8 or `in_fp32`."""
    stored_bias = "" if bias is None else b.constant(f"{name}_bias", bias)
    if in_fp32:
        return Factor(b.constant(name, weight.T), "", stored_bias)
    quantized, scales = quantize_rows(weight)
    return Factor(b.constant(name, quantized.T), b.constant(f"{name}_scale", scales), stored_bias)


def add_product(b: GraphBuilder, name: str, x: str, factor: Factor, step: float | None) -> str:
    """Add x [..., columns] @ factor + bias -> [..., rows].

    `step` is the size of one unit of the quantised x, which covers -127 to 127 steps. If it is
    None, each run takes it from the largest value in all of x. A float32 factor needs none.
    """
    if not factor.scales:
        return _add_float_product(b, name, x, factor)
    if step is None:
        dynamic = (x, factor.matrix, factor.scales, "", factor.bias)
        return b.op("DynamicQuantizeMatMul", *dynamic, to=name, domain=CONTRIB)
    return add_fixed_product(b, name, quantize(b, name, x, step), factor)


@dataclass(frozen=True)
class Quantized:
    """The names of an activation in uint8, of the size of its unit, and of the value of 0."""

    x: str
    size: str
    zero: str


def quantize(b: GraphBuilder, name: str, x: str, step: float) -> Quantized:
    """Quantise an activation, -127 to 127 steps."""
    size = b.constant(f"{name}_step", np.array(step, dtype=np.float32))
    zero = b.constant(f"{name}_zero", np.array(_MIDDLE, dtype=np.uint8))
    return Quantized(b.op("QuantizeLinear", x, size, zero, to=f"{name}_quantized"), size, zero)


def add_fixed_product(b: GraphBuilder, name: str, x: Quantized, factor: Factor) -> str:
    """Add x [..., columns] @ factor + bias -> [..., rows]."""
    inputs = (x.x, factor.matrix, x.size, factor.scales, x.zero, "", factor.bias)
    return b.op("MatMulIntegerToFloat", *inputs, to=name, domain=CONTRIB)


def scale_rows(b: GraphBuilder, name: str, x: str) -> tuple[str, str]:
    """Divide each row of x by a step of its own, from its largest value; gives both."""
    largest = b.op("ReduceMax", b.op("Abs", x, to=f"{name}_size"), to=f"{name}_largest", axes=[-1])
    least = b.constant(f"{name}_least", np.array(1e-30, np.float32))
    units = b.constant(f"{name}_units", np.array(STEP_OF_UNIT_RANGE, np.float32))
    range_ = b.op("Max", largest, least, to=f"{name}_range")  # a row of zeros has none
    step = b.op("Mul", range_, units, to=f"{name}_row_step")
    return b.op("Div", x, step, to=f"{name}_scaled"), step


def add_product_by_rows(b: GraphBuilder, name: str, x: str, factor: Factor) -> str:
    """Add x [..., columns] @ factor + bias -> [..., rows], for an x of unknown range.

    Every row of x has its own step, from its largest value, and does not depend on other rows.
    """
    if not factor.scales:
        return _add_float_product(b, name, x, factor)
    scaled, step = scale_rows(b, name, x)
    product = add_product(b, f"{name}_unscaled", scaled, Factor(factor.matrix, factor.scales), 1)
    if not factor.bias:
        return b.op("Mul", product, step, to=name)
    return b.op("Add", b.op("Mul", product, step, to=f"{name}_unbiased"), factor.bias, to=name)


def _add_float_product(b: GraphBuilder, name: str, x: str, factor: Factor) -> str:
    if not factor.bias:
        return b.op("MatMul", x, factor.matrix, to=name)
    product = b.op("MatMul", x, factor.matrix, to=f"{name}_unbiased")
    return b.op("Add", product, factor.bias, to=name)
