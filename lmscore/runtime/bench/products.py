"""The time of a model's matrix products alone, through ONNX Runtime: a limit of its speed.

Letters in shapes: M rows, B batch, V vocabulary, H hidden, L layers, G gates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import FP16, FP32, INT8, Config
from lmscore.runtime.bench.onnx_file import Node, Value, onnx_file
from lmscore.runtime.engine import (
    CPU_DEVICE,
    import_onnxruntime,
    open_session,
    session_device,
    thread_count,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_WARM_UP = 3  # runs
_ZERO = 128  # of int8 products, the uint8 that stands for 0, as in the graphs that export writes
_MOST_BYTES = 256 << 20  # of a matrix; of a larger one some columns are measured


@dataclass(frozen=True)
class Product:
    """Rows times a matrix: x [M, inputs] @ weight [inputs, outputs]."""

    inputs: int
    outputs: int


@dataclass(frozen=True)
class Arithmetic:
    """The types of a variant's products (x, weight, their sums) and the operator."""

    x: str
    weight: str
    sums: str
    operator: str


ARITHMETIC: Mapping[str, Arithmetic] = {
    FP32: Arithmetic("float32", "float32", "float32", "MatMul"),
    FP16: Arithmetic("float16", "float16", "float16", "MatMul"),
    INT8: Arithmetic("uint8", "int8", "int32", "MatMulInteger"),
}
"""By variant."""


def input_products(config: Config) -> list[Product]:
    """Products of all tokens of a run at once, before or behind the recurrence: [B*T, D] by W."""
    if config.cell_spec.mogrifications:
        return []
    return [*_products(config, "rnn.weight_ih"), *_products(config, "rnn.weight_ho")]


def recurrent_products(config: Config) -> list[Product]:
    """Products of the rows of the batch at every time: [B, H] by R; a window model has none.

    A Mogrifier's input is one of them, since the state changes it before.
    """
    inside = ["rnn.weight_hh"]
    if config.cell_spec.mogrifications:
        inside += ["rnn.weight_ih", "rnn.mogrifier_"]
    return [product for name in inside for product in _products(config, name)]


def output_products(config: Config) -> list[Product]:
    """Products that score every token: [B*T, H] by the output matrix, or by a projection first."""
    matrix = "embedding.weight" if config.tie_word_embeddings else "output.weight"
    return [*_products(config, "projection.weight"), *_products(config, matrix)]


def target_products(config: Config) -> list[Product]:
    """Products that score one target for each token: with classes, only the head."""
    rows = config.head_spec.target_rows(config)
    return [*_products(config, "projection.weight"), Product(config.output_dim, rows)]


def all_products(config: Config) -> list[Product]:
    """All products of a step."""
    return [*input_products(config), *recurrent_products(config), *output_products(config)]


def _products(config: Config, name: str) -> list[Product]:
    """The products with matrices, stored as [outputs, inputs], whose names begin with `name`."""
    shapes = config.weight_shapes().items()
    return [Product(*shape[::-1]) for key, shape in shapes if key.startswith(name)]


def weight_bytes(config: Config, variant: str) -> int:
    """Bytes that a step of one row must read: each matrix of its products once."""
    itemsize = np.dtype(ARITHMETIC[variant].weight).itemsize
    return itemsize * sum(p.inputs * p.outputs for p in all_products(config))


def product_seconds(
    products: Sequence[Product],
    rows: int,
    variant: str,
    *,
    device: str = "cpu",
    threads: int | None = None,
    at_once: int = 1,
    seconds: float = 0.5,
) -> float:
    """The median time of products (at least one) one after another, each of `rows` rows.

    Input and output stay on the device, and their memory is allocated once. `at_once` copies run
    side by side, with `threads` threads each; the time of all of them is divided by their number.
    `seconds` is how long it is repeated.
    """
    measured = [_within_memory(product, variant) for product in products]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "products.onnx"
        path.write_bytes(_graph(measured, ARITHMETIC[variant]))
        session = open_session(path, device=device, threads=threads)
    runs = [_bound(session, measured, rows, ARITHMETIC[variant]) for _ in range(at_once)]
    with ThreadPoolExecutor(at_once) as pool:
        times = list(pool.map(lambda run: repeat(run, seconds=seconds), runs))
    # Scaled up to the parts of products that were not measured.
    whole, cut = (sum(p.inputs * p.outputs for p in some) for some in (products, measured))
    return fmean(times) / at_once * whole / cut


def repeat(run: Callable[[], object], *, seconds: float) -> float:
    """The median time of a run, in seconds."""
    for _ in range(_WARM_UP):
        run()
    times: list[float] = []
    end = perf_counter() + seconds
    while not times or perf_counter() < end:
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return median(times)


def scoring_ceiling(
    config: Config,
    variant: str,
    *,
    rows: int,
    tokens: int,
    device: str = "cpu",
    threads: int | None = None,
    seconds: float = 1.0,
) -> float:
    """Tokens a second if only the matrix products of scoring took time.

    `rows` is B, the rows of the recurrent products, `tokens` B*T, the rows of all others. Threads
    may share each product, or do batches side by side: the quicker way counts.
    """
    count = thread_count(threads)
    ways = [{"threads": count}]
    if count > 1 and device in ("auto", CPU_DEVICE):
        ways.append({"threads": 1, "at_once": count})
    each = seconds / len(ways) / 2

    def quickest(products: Sequence[Product], rows: int) -> float:
        return min(
            product_seconds(products, rows, variant, device=device, seconds=each, **way)
            for way in ways
        )

    of_all_tokens = [*input_products(config), *target_products(config)]
    at_every_time = recurrent_products(config)
    recurrent = quickest(at_every_time, rows) / rows if at_every_time else 0.0
    return 1 / (recurrent + quickest(of_all_tokens, tokens) / tokens)


def step_ceiling(
    config: Config,
    variant: str,
    *,
    rows: int,
    device: str = "cpu",
    threads: int | None = None,
    seconds: float = 0.5,
) -> float:
    """Seconds of a step of B hypotheses if only its matrix products took time."""
    return product_seconds(
        all_products(config), rows, variant, device=device, threads=threads, seconds=seconds
    )


def _within_memory(product: Product, variant: str) -> Product:
    column = product.inputs * np.dtype(ARITHMETIC[variant].weight).itemsize
    return Product(product.inputs, min(product.outputs, max(1, _MOST_BYTES // column)))


def _graph(products: Sequence[Product], arithmetic: Arithmetic) -> bytes:
    numbered = list(enumerate(products))
    random = np.random.default_rng(0)
    weights = [(f"weight_{i}", _matrix(random, p, arithmetic.weight)) for i, p in numbered]
    zero = [] if arithmetic.operator == "MatMul" else ["zero"]
    if zero:
        weights.append(("zero", np.array(_ZERO, np.uint8)))
    return onnx_file(
        [
            Node(arithmetic.operator, [f"x_{i}", f"weight_{i}", *zero], f"y_{i}")
            for i, _ in numbered
        ],
        weights,
        [Value(f"x_{i}", arithmetic.x, ["M", p.inputs]) for i, p in numbered],
        [Value(f"y_{i}", arithmetic.sums, ["M", p.outputs]) for i, p in numbered],
    )


def _matrix(random: np.random.Generator, product: Product, dtype: str) -> NDArray[Any]:
    """Random numbers that are not so small that arithmetic would be slow."""
    numbers = random.integers(-64, 65, (product.inputs, product.outputs), dtype=np.int8)
    return numbers.astype(dtype, copy=False)


def _bound(
    session: InferenceSession, products: Sequence[Product], rows: int, arithmetic: Arithmetic
) -> Callable[[], object]:
    """A run whose inputs and outputs are on the session's device already."""
    value = import_onnxruntime().OrtValue
    kind, _, number = session_device(session).partition(":")
    device = (kind, int(number or 0))
    binding = session.io_binding()
    for i, p in enumerate(products):
        x = np.ones((rows, p.inputs), arithmetic.x)
        binding.bind_ortvalue_input(f"x_{i}", value.ortvalue_from_numpy(x, *device))
        y = value.ortvalue_from_shape_and_type(
            (rows, p.outputs), np.dtype(arithmetic.sums), *device
        )
        binding.bind_ortvalue_output(f"y_{i}", y)
    return lambda: session.run_with_iobinding(binding)
