"""The .ort file gives what the graph gives, and its list names what a small build must have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from onnxruntime import InferenceSession

from lmscore.bundle import Bundle, Cell
from lmscore.errors import ExportError, VariantError
from lmscore.export import export_ort, ort
from lmscore.export.ort import required_operators
from lmscore.runtime.checking import check_model
from tests.models import make_model


@pytest.mark.parametrize(
    ("cell", "variant", "operators"),
    [
        ("lstm", "fp32", {"ai.onnx": {"LSTM", "TopK"}}),
        (
            "gru",
            "int8",
            {"ai.onnx": {"Scan", "Sigmoid"}, "com.microsoft": {"MatMulIntegerToFloat"}},
        ),
    ],
)
def test_the_file_and_its_operators(
    cell: Cell, variant: str, operators: dict[str, set[str]], tmp_path: Path
) -> None:
    bundle = make_model(tmp_path / "m", cell=cell, variants=(variant,))
    path, record = export_ort(bundle.path, variant=variant)
    assert path.name == ("model.ort" if variant == "fp32" else "model_int8.ort")
    assert path.read_bytes()[4:8] == b"ORTM"
    assert Bundle.read(bundle.path).config.layouts["ort"][variant] == record
    assert check_model(bundle.path).problems == []
    graphs = [path, bundle.graph_path(variant)]
    names = [{value.name for value in InferenceSession(graph).get_inputs()} for graph in graphs]
    assert names[0] == names[1]
    listed = path.with_name(f"{path.stem}.required_operators.config").read_text().splitlines()
    found = {}
    for line in listed[1:]:
        domain, opset, every = line.split(";")
        found[domain] = set(every.split(","))
        assert int(opset) == (17 if domain == "ai.onnx" else 1)
    for domain, wanted in operators.items():
        assert wanted <= found[domain]


def test_the_file_has_no_second_way_to_targets(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "m", vocab=2700, hidden=128, variants=("int8",))
    path, _ = export_ort(bundle.path, variant="int8")
    assert path.stat().st_size < bundle.graph_path("int8").stat().st_size + 1.5 * 2700 * 128
    session = InferenceSession(path)
    assert [each.name for each in session.get_overridable_initializers()] == ["distributions"]
    graph = InferenceSession(bundle.graph_path("int8"))
    state = {name: np.zeros((1, 3, 128), np.float32) for name in "hc"}
    feeds = {"k": np.array([1]), "lengths": np.full(3, 2, np.int32), "parents": np.arange(3)}
    feeds |= {"tokens": np.array([[1, 2], [3, 4], [5, 6]]), "measured": np.array([0]), **state}
    for K in (0, 1, 2):
        feeds["targets"] = np.arange(6 * K).reshape(3, 2, K)
        for given in ({}, *({"distributions": np.array([F])} for F in (0, 1, 3))):
            found, wanted = (
                each.run(["target_log_probs", "next_h"], {**feeds, **given})
                for each in (session, graph)
            )
            np.testing.assert_allclose(found[0], wanted[0], atol=3e-6)
            np.testing.assert_allclose(found[1], wanted[1], atol=1e-6)
    none = {**feeds, "targets": np.zeros((3, 2, 0), np.int64), "distributions": np.array([0])}
    assert session.run(["log_probs"], none)[0].shape == (0, 2, 2700)
    listed = path.with_name(f"{path.stem}.required_operators.config").read_text()
    assert "If" not in listed.replace("\n", ",").replace(";", ",").split(",")


def test_operators_inside_of_loops_are_listed() -> None:
    node, info = helper.make_node, helper.make_tensor_value_info
    branch = helper.make_graph([node("Neg", ["x"], ["y"])], "b", [], [info("y", 1, None)])
    graph = helper.make_graph(
        [node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
        "g",
        [info("c", 9, []), info("x", 1, None)],
        [info("y", 1, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    assert required_operators(model, "m.ort") == "# The operators of m.ort\nai.onnx;17;If,Neg\n"


def test_what_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_model(tmp_path / "m", variants=("fp32",))
    with pytest.raises(VariantError, match="no variant 'int8'"):
        export_ort(bundle.path, variant="int8")

    class Report:
        log_probs = np.nan

        def failure(self, variant: str) -> str:
            return f"{variant} is elsewhere"

    monkeypatch.setattr(ort, "check_graph", lambda *_: Report())
    with pytest.raises(ExportError, match=r"model.ort not written: fp32 is elsewhere"):
        export_ort(bundle.path, variant="fp32")
    assert not (bundle.path / "model.ort").exists()
