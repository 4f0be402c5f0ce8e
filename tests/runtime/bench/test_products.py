"""The matrix products that bound a model's speed: the right ones, computed right."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import onnx
import pytest

from lmscore.bundle import CELLS, Cell, Config
from lmscore.runtime.bench import products
from lmscore.runtime.bench.products import (
    ARITHMETIC,
    Product,
    all_products,
    input_products,
    output_products,
    product_seconds,
    recurrent_products,
    repeat,
    scoring_ceiling,
    step_ceiling,
    target_products,
    weight_bytes,
)
from lmscore.runtime.engine.sessions import open_session
from tests.models import make_model

VARIANTS = sorted(ARITHMETIC)


@pytest.fixture(params=CELLS)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    cell: Cell = request.param
    return make_model(tmp_path, cell=cell, layers=2, vocab=50, hidden=16, embedding=8).config


def test_every_weight_matrix_is_multiplied_by_once(config: Config) -> None:
    matrices = {name: s for name, s in config.weight_shapes().items() if len(s) == 2}
    expected = sorted(shape[::-1] for shape in matrices.values())  # a tied one is the output
    found = sorted((p.inputs, p.outputs) for p in all_products(config))
    assert found == expected


def test_the_bytes_of_a_step(config: Config) -> None:
    parameters = sum(prod(s) for s in config.weight_shapes().values() if len(s) == 2)
    sizes = {variant: weight_bytes(config, variant) for variant in VARIANTS}
    assert sizes == {"fp16": 2 * parameters, "fp32": 4 * parameters, "int8": parameters}


def test_the_sizes_of_an_lstm(tmp_path: Path) -> None:
    config = make_model(tmp_path, cell="lstm", layers=2, vocab=50, hidden=16).config
    assert input_products(config) == recurrent_products(config) == [Product(16, 64)] * 2
    assert output_products(config) == target_products(config) == [Product(16, 50)]
    classes = replace(config, output_layer="classes", cutoffs=(20, 30))
    assert output_products(classes) == [Product(16, 50)]
    assert target_products(classes) == [Product(16, 22)]  # 20 words and 2 classes


def test_an_output_matrix_of_its_own(tmp_path: Path) -> None:
    config = make_model(tmp_path, vocab=50, hidden=16, embedding=8, tied=False).config
    assert output_products(config) == [Product(16, 50)]


def test_a_window_has_a_ceiling_without_recurrent_products(tmp_path: Path) -> None:
    config = make_model(tmp_path, cell="window", window=3, vocab=50, hidden=16).config
    assert input_products(config) == [Product(48, 16)]
    assert recurrent_products(config) == []
    assert scoring_ceiling(config, "fp32", rows=2, tokens=8, threads=1, seconds=0.01) > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_graph_computes_each_product(variant: str, tmp_path: Path) -> None:
    shapes = [Product(3, 4), Product(3, 4), Product(5, 2)]
    path = tmp_path / "products.onnx"
    path.write_bytes(products._graph(shapes, ARITHMETIC[variant]))
    session = open_session(path, device="cpu")
    random = np.random.default_rng(1)
    feeds = {
        f"x_{i}": random.integers(0, 9, (2, p.inputs)).astype(ARITHMETIC[variant].x)
        for i, p in enumerate(shapes)
    }
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor).astype(np.int64)
        for tensor in onnx.load(path).graph.initializer
    }
    zero = int(weights.get("zero", 0))
    for i, y in enumerate(session.run(None, feeds)):
        expected = (feeds[f"x_{i}"].astype(np.int64) - zero) @ weights[f"weight_{i}"]
        np.testing.assert_array_equal(y.astype(np.int64), expected)
        assert y.dtype == ARITHMETIC[variant].sums


@pytest.mark.parametrize("variant", VARIANTS)
def test_ceilings_are_finite_and_positive(variant: str, tmp_path: Path) -> None:
    config = make_model(tmp_path).config
    rate = scoring_ceiling(config, variant, rows=2, tokens=6, threads=1, seconds=0.01)
    seconds = step_ceiling(config, variant, rows=3, threads=1, seconds=0.01)
    assert 0 < rate < float("inf")
    assert 0 < seconds < float("inf")


def test_a_token_takes_its_share_of_each_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_model(tmp_path, layers=2, hidden=16).config
    asked = []

    def measure(some: list[Product], rows: int, variant: str, **options: object) -> float:
        asked.append((len(some), rows, variant, options))
        # Sharing is quicker for few rows, side by side for many.
        return {4: 2.0, 60: 6.0}[rows] * (1 if ("at_once" in options) == (rows == 60) else 1.5)

    monkeypatch.setattr(products, "product_seconds", measure)
    rate = scoring_ceiling(config, "int8", rows=4, tokens=60, threads=3, seconds=1)
    assert rate == 1 / (6 / 60 + 2 / 4)
    shared = {"device": "cpu", "threads": 3, "seconds": 0.25}
    side_by_side = {"device": "cpu", "threads": 1, "at_once": 3, "seconds": 0.25}
    assert asked == [
        (2, 4, "int8", shared),
        (2, 4, "int8", side_by_side),
        (3, 60, "int8", shared),
        (3, 60, "int8", side_by_side),
    ]


@pytest.mark.parametrize(("device", "threads"), [("cpu", 1), ("cuda:0", 3)])
def test_where_nothing_is_done_side_by_side(
    tmp_path: Path, device: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_model(tmp_path).config
    asked = []

    def measure(some: list[Product], rows: int, variant: str, **options: object) -> float:
        asked.append(options)
        return 1.0

    monkeypatch.setattr(products, "product_seconds", measure)
    scoring_ceiling(config, "fp32", rows=4, tokens=60, device=device, threads=threads)
    assert asked == [{"device": device, "threads": threads, "seconds": 0.5}] * 2


def test_side_by_side_each_takes_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([3.0, 5.0])
    monkeypatch.setattr(products, "repeat", lambda run, seconds: run() or next(times))
    seconds = product_seconds([Product(8, 10)], 2, "int8", threads=1, at_once=2)
    assert seconds == (3 + 5) / 2 / 2


def test_a_matrix_too_large_is_measured_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_MOST_BYTES", 4 * 8 * 10)
    built = []
    graph = products._graph

    def record(some: list[Product], *rest: products.Arithmetic) -> bytes:
        built.append(some)
        return graph(some, *rest)

    monkeypatch.setattr(products, "_graph", record)
    monkeypatch.setattr(products, "repeat", lambda run, seconds: run() or 3.0)
    seconds = product_seconds([Product(8, 50), Product(8, 10)], 2, "fp32", threads=1)
    assert built == [[Product(8, 10), Product(8, 10)]]
    assert seconds == 3.0 * (50 + 10) / (10 + 10)


def test_repeat_gives_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 1.0, 1.0, 1.0, 6.0, 6.0, 6.0, 8.0, 11.0])
    monkeypatch.setattr(products, "perf_counter", lambda: next(clock))
    runs = []
    assert repeat(lambda: runs.append(1), seconds=10) == 2.0  # of 1, 5 and 2
    assert len(runs) == products._WARM_UP + 3
