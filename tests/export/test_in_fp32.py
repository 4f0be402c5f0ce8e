"""int8 graphs in which some matrices stay in float32, because 8 bits are too few for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from lmscore.bundle import CELLS, Bundle, Cell
from lmscore.errors import OptionError
from lmscore.export import export_layout, export_model
from lmscore.export.graph import build_model
from lmscore.export.operators import matrices
from lmscore.runtime.checking import check_model
from lmscore.runtime.engine import Graph
from lmscore.runtime.engine.sessions import session_options
from tests.export.conftest import ENCODERS, OUTPUTS, SIZES, random_state, tiny_config
from tests.models import TorchModel, make_model


def difference(model: TorchModel, in_fp32: list[str]) -> float:
    """The largest difference of a log-probability from torch, nats, on random texts."""
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    data = build_model(model.config, weights, "int8", in_fp32).SerializeToString()
    session = onnxruntime.InferenceSession(data, session_options(1))
    graph = Graph(session, model.config, "int8", "memory")
    random = np.random.default_rng(0)
    tokens = random.integers(0, model.config.vocab_size, (4, 6))
    state = random_state(model.config, 4, random)
    expected, _ = model.score(tokens, state)
    (found,) = graph.run(["log_probs"], tokens, state=state)
    return float(np.abs(found - expected).max())


@pytest.mark.parametrize(
    ("cell", "sizes"),
    [
        *((cell, {"layers": 2}) for cell in CELLS),
        *(("lstm", sizes) for sizes in (*SIZES.values(), *OUTPUTS.values(), *ENCODERS.values())),
        *(("lstm", {"layers": 3, "connections": name}) for name in ("highway", "dense")),
    ],
)
def test_a_graph_with_every_matrix_in_float32_equals_torch(
    cell: Cell, sizes: dict[str, Any]
) -> None:
    model = TorchModel(tiny_config(cell, **sizes), seed=1)
    assert difference(model, matrices(model.config)) < 2e-5 < difference(model, [])


@pytest.mark.parametrize("name", ["untied", "projected"])
def test_one_matrix_in_float32(name: str) -> None:
    model = TorchModel(tiny_config("lstm", **SIZES[name]), seed=1)
    for matrix in matrices(model.config):
        assert difference(model, [matrix]) < 0.1


def test_what_is_recorded(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model", layers=2)
    plain = export_model(bundle.path).graphs["int8"]
    assert plain.in_fp32 == ()
    names = ("rnn.weight_hh_l0", "embedding.weight")
    record = export_model(bundle.path, in_fp32=names).graphs["int8"]
    assert record.in_fp32 == names == Bundle.read(bundle.path).config.graphs["int8"].in_fp32
    assert record.quantized == ("input projection", "recurrence")  # that of the second layer
    assert plain.size_bytes < record.size_bytes
    assert not check_model(bundle.path).problems
    export_layout(bundle.path, "triton", variant="int8")  # equals the model's own graph


def test_a_record_of_a_version_before(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model", variants=("fp32", "int8"))
    path = bundle.path / "config.json"
    document = json.loads(path.read_text())
    for record in document["graphs"].values():
        del record["in_fp32"]
    path.write_text(json.dumps(document))
    assert Bundle.read(bundle.path).config.graphs["int8"].in_fp32 == ()


def test_matrices_that_there_are_not(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model")
    with pytest.raises(OptionError) as raised:
        export_model(bundle.path, in_fp32=["rnn.weight_hh_l7"])
    assert str(raised.value) == (
        "in_fp32 is 'rnn.weight_hh_l7', expected a matrix of the model: embedding.weight, "
        "rnn.weight_ih_l0, rnn.weight_hh_l0"
    )
    with pytest.raises(OptionError, match="in_fp32 names matrices of the int8 graph, which is no"):
        export_model(bundle.path, variants=["fp32"], in_fp32=["rnn.weight_hh_l0"])
