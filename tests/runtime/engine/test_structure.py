"""What a graph file may hold, found out without the onnx package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lmscore
from lmscore.bundle import CELLS, Bundle
from lmscore.errors import InputFileError, ModelError
from lmscore.runtime.engine.operators import IF, OPERATORS, SCAN
from lmscore.runtime.engine.structure import check_structure
from tests.models import make_model

Change = Callable[[onnx.ModelProto], object]


def operators(graph: onnx.GraphProto) -> set[str]:
    """The operators of a graph, and of the graphs in it."""
    inner = [attribute.g for node in graph.node for attribute in node.attribute]
    return {node.op_type for node in graph.node}.union(*map(operators, inner))


def test_all_that_export_writes_passes_and_nothing_more_is_known(tmp_path: Path) -> None:
    every = ("fp32", "int8", "fp16")
    for cell in CELLS:
        for tied in (True, False):
            path = tmp_path / f"{cell}-{tied}"
            make_model(path, cell=cell, tied=tied, layers=2, embedding=8, variants=every)
    make_model(tmp_path / "classes", cutoffs=(20, 40), variants=every)
    make_model(tmp_path / "self-normalised", self_normalized=True, variants=every)
    make_model(tmp_path / "wide-window", cell="window", window=40, variants=every)
    make_model(tmp_path / "deep", cell="gru", layers=9, connections="residual", variants=every)
    for cell in ("lstm-mogrifier", "gated-delta"):  # whose layers have the most nodes
        path = tmp_path / f"deep-{cell}"
        make_model(path, cell=cell, layers=16, hidden=8, connections="highway", variants=every)
    path = tmp_path / "residual"  # ONNX Runtime once crashed on it
    make_model(path, cell="gated-delta", layers=2, connections="residual", variants=every)
    make_model(tmp_path / "encoder", layers=2, separate=True, variants=every)
    make_model(tmp_path / "learned-state", learned_initial_state=True, variants=every)
    make_model(tmp_path / "many-words", vocab=2700, variants=every)
    written = set()
    for file in tmp_path.glob("*/*.onnx"):
        check_structure(file, Bundle.read(file.parent).config)
        written |= operators(onnx.load(file).graph)
    assert written == {*OPERATORS, SCAN, IF}


OLD = Path(__file__).parent / "data" / "version_0_1_0"


@pytest.mark.parametrize(
    ("name", "variant", "log_probs"),
    [
        ("lstm-1", "fp32", [-25.145963, -4.238872, -12.302910]),
        ("gru-2", "int8", [-27.271106, -4.355959, -13.096314]),
    ],
)
def test_graphs_of_version_0_1_0_give_the_scores_of_then(
    name: str, variant: str, log_probs: list[float]
) -> None:
    """They have neither measures nor shapes of 0, and load without trust."""
    lm = lmscore.load(OLD / name, variant=variant)
    scores = lm.score_batch(["thanks for all the fish", "", "so long"])
    assert [score.log_prob for score in scores] == pytest.approx(log_probs, abs=1e-4)


def external(tensor: TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def in_attribute(model: onnx.ModelProto) -> None:
    node = helper.make_node("Cast", ["tokens"], ["x"])
    attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    external(attribute.t, "weights.bin")
    model.graph.node.append(node)


def add(model: onnx.ModelProto, operator: str, *inputs: str, to: str = "x", **more: Any) -> str:
    """Add a node at the end of a graph."""
    model.graph.node.append(helper.make_node(operator, inputs, [to], **more))
    return to


def store(model: onnx.ModelProto, name: str, *numbers: int, scalar: bool = False) -> str:
    """Add integers to a graph."""
    array = np.array(numbers[0] if scalar else numbers, np.int64)
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def tokens_by_time(model: onnx.ModelProto) -> str:
    """Add an array int64 [T, 1]."""
    end = add(model, "Squeeze", add(model, "Shape", "tokens", to="end_1", start=1), to="end")
    first, step = (store(model, f"n{n}", n, scalar=True) for n in (0, 1))
    times = add(model, "Range", first, end, step, to="all_times")
    return add(model, "Unsqueeze", times, store(model, "column", 1), to="times_column")


def loop(inner: onnx.GraphProto, *inputs: str, outputs: Sequence[str]) -> onnx.NodeProto:
    return helper.make_node("Scan", inputs, outputs, body=inner, num_scan_inputs=2)


def body(*nodes: onnx.NodeProto, outputs: Sequence[str], states: int = 0) -> onnx.GraphProto:
    """The body of a loop over two inputs."""
    inputs = [f"state_{n}" for n in range(states)] + ["a", "b"]
    taken, given = (
        [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in names]
        for names in (inputs, outputs)
    )
    return helper.make_graph(list(nodes), "body", taken, given)


def loop_in_loop(model: onnx.ModelProto) -> None:
    times = tokens_by_time(model)
    inner = body(helper.make_node("Identity", ["a"], ["seen"]), outputs=["seen"])
    outer = body(loop(inner, times, times, outputs=["all"]), outputs=["all"])
    model.graph.node.append(loop(outer, times, times, outputs=["x"]))


def layer_in_loop(model: onnx.ModelProto) -> None:
    (place,) = (i for i, node in enumerate(model.graph.node) if node.op_type == "LSTM")
    layer = onnx.NodeProto()
    layer.CopyFrom(model.graph.node[place])
    del model.graph.node[place:]
    times = tokens_by_time(model)
    outer = body(layer, outputs=[layer.output[0]])
    model.graph.node.append(loop(outer, times, times, outputs=["x"]))


def one_more_loop(model: onnx.ModelProto) -> None:
    times = tokens_by_time(model)
    inner = body(helper.make_node("Identity", ["a"], ["seen"]), outputs=["seen"])
    model.graph.node.append(loop(inner, times, times, outputs=["x"]))


def growing_state(model: onnx.ModelProto) -> None:
    del model.graph.node[:]
    times = tokens_by_time(model)
    twice = helper.make_node("Concat", ["state_0", "state_0"], ["more"], axis=0)
    inner = body(
        twice, helper.make_node("Identity", ["a"], ["seen"]), states=1, outputs=["more", "seen"]
    )
    start = store(model, "start", 1)
    model.graph.node.append(loop(inner, start, times, times, outputs=["last", "x"]))


def loop_over_weights(model: onnx.ModelProto) -> None:
    del model.graph.node[:]
    inner = body(helper.make_node("Identity", ["a"], ["seen"]), outputs=["seen"])
    weights = "embedding.weight"
    model.graph.node.append(loop(inner, weights, weights, outputs=["x"]))


def loop_over_three(model: onnx.ModelProto) -> None:
    del model.graph.node[:]
    times = tokens_by_time(model)
    inner = body(helper.make_node("Identity", ["a"], ["seen"]), states=1, outputs=["seen"])
    node = helper.make_node("Scan", [times] * 3, ["x"], body=inner, num_scan_inputs=3)
    model.graph.node.append(node)


def choice_of_five_axes(model: onnx.ModelProto) -> None:
    places = store(model, "places", 0, 0, 0, 0, 0)
    add(model, "GatherND", "tokens", places)


def choice_of_fewer_axes(model: onnx.ModelProto) -> None:
    """The last axis of the places has one number, where a bound says two."""
    axis, data = store(model, "last_axis", -1), store(model, "row", 0, 0, 0)
    column = add(model, "Unsqueeze", "tokens", axis, to="column")
    pair = add(model, "Concat", column, column, to="pair", axis=-1)
    start, end = store(model, "start", -1), store(model, "end", 2)
    add(model, "GatherND", data, add(model, "Slice", pair, start, end, axis, to="one"))


def choice_of_no_axis(model: onnx.ModelProto) -> None:
    """The last axis of the places is empty, where a bound says one: all is chosen each time."""
    axis, data = store(model, "last_axis", -1), store(model, "row", 0, 0, 0)
    column = add(model, "Unsqueeze", "tokens", axis, to="column")
    start, end = store(model, "start", 1), store(model, "end", 2)
    add(model, "GatherND", data, add(model, "Slice", column, start, end, axis, to="none"))


def doubled(model: onnx.ModelProto) -> None:
    name = "tokens"
    for number in range(40):
        name = add(model, "Concat", name, name, to=f"twice_{number}", axis=0)


def squared(model: onnx.ModelProto) -> None:
    flat = add(model, "Reshape", "tokens", store(model, "flat", -1), to="flat_tokens")
    row = add(model, "Unsqueeze", flat, store(model, "axis_0", 0), to="row")
    column = add(model, "Unsqueeze", flat, store(model, "axis_1", 1), to="as_column")
    add(model, "Mul", row, column)


def folded(model: onnx.ModelProto) -> None:
    """A constant that ONNX Runtime would compute when it loads the graph."""
    add(model, "ConstantOfShape", store(model, "huge", 1 << 20, 1 << 20))


def endless_range(model: onnx.ModelProto) -> None:
    zero, one, last = (store(model, f"r{n}", n, scalar=True) for n in (0, 1, 1 << 62))
    add(model, "Range", zero, last, one)


def range_of_a_token(model: onnx.ModelProto) -> None:
    zero, one = (store(model, f"r{n}", n, scalar=True) for n in (0, 1))
    first = add(model, "Squeeze", "k", store(model, "axis", 0), to="as_scalar")
    add(model, "Range", zero, first, one)


def many_products(model: onnx.ModelProto) -> None:
    for number in range(60):
        add(model, "Gemm", "rows", "embedding.weight", to=f"again_{number}", transB=1)


def choice(change: Callable[[onnx.GraphProto], None]) -> Change:
    """A change that adds an If of which one body was changed."""

    def add_to(model: onnx.ModelProto) -> None:
        bodies = [
            helper.make_graph(
                [helper.make_node("Identity", ["tokens"], [f"{name}_inner"])],
                name,
                [],
                [helper.make_tensor_value_info(f"{name}_inner", TensorProto.INT64, None)],
            )
            for name in ("then", "else")
        ]
        change(bodies[1])
        model.graph.node.append(helper.make_node("Cast", ["k"], ["truth"], to=TensorProto.BOOL))
        node = helper.make_node("If", ["truth"], ["chosen"])
        for name, body in zip(("then_branch", "else_branch"), bodies, strict=True):
            node.attribute.append(helper.make_attribute(name, body))
        model.graph.node.append(node)

    return add_to


def loop_inside(body: onnx.GraphProto) -> None:
    body.node.append(helper.make_node("Scan", ["tokens"], ["x"]))


def choice_inside(body: onnx.GraphProto) -> None:
    body.node.append(helper.make_node("If", ["k"], ["x"]))


def two_outputs(body: onnx.GraphProto) -> None:
    body.output.append(helper.make_tensor_value_info("tokens", TensorProto.INT64, None))


def with_an_input(body: onnx.GraphProto) -> None:
    body.input.append(helper.make_tensor_value_info("x", TensorProto.INT64, None))


def another_rank(body: onnx.GraphProto) -> None:
    body.node[0].op_type = "Shape"


def too_wide(body: onnx.GraphProto) -> None:
    name = "tokens"
    for number in range(40):
        body.node.append(helper.make_node("Concat", [name, name], [f"wide_{number}"], axis=0))
        name = f"wide_{number}"


def one_branch(model: onnx.ModelProto) -> None:
    choice(lambda _: None)(model)
    del model.graph.node[-1].attribute[-1]


def hidden_default(body: onnx.GraphProto) -> None:
    """A number that would take the place of an input's, and a range that would be as long."""
    body.initializer.append(numpy_helper.from_array(np.array([1 << 27]), "distributions"))


def another_default(model: onnx.ModelProto) -> None:
    store(model, "k", 0)


def test_a_choice_of_two_arrays_passes(bundle: Bundle, tmp_path: Path) -> None:
    model = onnx.load(bundle.path / "model.onnx")
    choice(lambda _: None)(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    check_structure(path, bundle.config)


def many_nodes(model: onnx.ModelProto) -> None:
    for number in range(1000):
        add(model, "Identity", "tokens", to=f"tokens_{number}")


def used_before(model: onnx.ModelProto) -> None:
    add(model, "Add", "tokens", "later")
    add(model, "Identity", "tokens", to="later")


def in_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("own", "f", [], [], [], []))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: external(m.graph.initializer[0], "weights.bin"), "weights in another file"),
        (lambda m: external(m.graph.initializer[0], "/etc/hostname"), "weights in another file"),
        (in_attribute, "weights in another file"),
        (loop_in_loop, "a loop inside a loop"),
        (layer_in_loop, "a loop inside a loop"),
        (one_more_loop, "more loops than layers"),
        (growing_state, "a loop whose state grows"),
        (loop_over_weights, "Scan over more steps than there are tokens"),
        (loop_over_three, "Scan of another kind"),
        (choice_of_five_axes, "GatherND of an unknown number of axes"),
        (choice_of_fewer_axes, "GatherND of an unknown number of axes"),
        (choice_of_no_axis, "GatherND of an unknown number of axes"),
        (doubled, r"an array of up to \d+\*B\*T elements"),
        (squared, r"an array of up to B\*B\*T\*T elements"),
        (folded, "an array of up to 1099511627776 elements"),
        (endless_range, r"an array of up to \(more than 10+\) elements"),
        (range_of_a_token, "Range of an unknown length"),
        (many_products, r"products of up to \d+\*B\*T .* multiplications"),
        (many_nodes, "more than 620 nodes"),
        (choice(loop_inside), "a loop inside a loop"),
        (choice(choice_inside), "If of another kind"),
        (choice(two_outputs), "If of another kind"),
        (choice(with_an_input), "If of another kind"),
        (choice(another_rank), "If with arrays of different axes"),
        (choice(too_wide), r"an array of up to .*B\*T.* elements"),
        (one_branch, "If of another kind"),
        (choice(hidden_default), "the name 'distributions' twice, or none"),
        (lambda m: setattr(m, "ir_version", 3), "a graph of format 3"),
        (another_default, "the name 'k' twice, or none"),
        (used_before, "the value 'later', which nothing made before"),
        (lambda m: add(m, "Identity", "tokens", to="logits"), "the name 'logits' twice, or none"),
        (lambda m: add(m, "Tanh", "k", alpha=1), "Tanh with 'alpha'"),
        (lambda m: setattr(m.opset_import[0], "version", 18), r"operators of versions \{.*18.*\}"),
        (in_function, "functions"),
        (lambda m: m.training_info.add(), "training steps"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse weights"),
        (lambda m: m.graph.node.add(op_type="EPContext"), "the operator 'EPContext'"),
        (lambda m: m.graph.node.add(op_type="Mine", domain="own"), "the operator 'Mine'"),
        (lambda m: m.graph.node.add(op_type="x" * 500), f"the operator '{'x' * 100}'"),
    ],
)
def test_what_export_never_writes_is_refused(
    bundle: Bundle, tmp_path: Path, change: Change, what: str
) -> None:
    model = onnx.load(bundle.path / "model.onnx")
    change(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=rf"model.onnx: holds {what}, .* lmscore export") as caught:
        check_structure(path, bundle.config)
    assert "\n" not in str(caught.value)


def attention(model: onnx.ModelProto) -> onnx.NodeProto:
    found: onnx.NodeProto
    (found,) = (node for node in model.graph.node if node.op_type == "LinearAttention")
    return found


def with_input(place: int, name: str) -> Change:
    return lambda model: attention(model).input.__setitem__(place, name)


def with_attribute(name: str, value: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node = attention(model)
        others = [each for each in node.attribute if each.name != name]
        del node.attribute[:]
        node.attribute.extend([*others, helper.make_attribute(name, value)])

    return change


def one_more_attention(model: onnx.ModelProto) -> None:
    node = onnx.NodeProto()
    node.CopyFrom(attention(model))
    node.output[:] = ["again", "memory_again"]
    model.graph.node.append(node)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (with_input(3, "before_0"), "LinearAttention with a memory of another kind"),
        (with_attribute("q_num_heads", 4), "LinearAttention with a memory of another kind"),
        (with_attribute("kv_num_heads", 1), "LinearAttention with a memory of another kind"),
        (with_input(0, "projected_0"), "LinearAttention over more steps than there are tokens"),
        (with_attribute("state_window", 8), "LinearAttention with 'state_window'"),
        (one_more_attention, "more loops than layers"),
    ],
)
def test_another_attention_is_refused(tmp_path: Path, change: Change, what: str) -> None:
    bundle = make_model(tmp_path, cell="gated-delta", hidden=66, variants=("fp32",))
    path = bundle.path / "model.onnx"
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=f"holds {what}"):
        check_structure(path, bundle.config)


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
def test_what_is_no_graph(bundle: Bundle, tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"model.onnx: .*{message}"):
        check_structure(path, bundle.config)


def test_numbers_of_all_kinds_are_skipped(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    numbers = b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x12\x01x"
    path.write_bytes((bundle.path / "model.onnx").read_bytes() + numbers)
    check_structure(path, bundle.config)


def test_graphs_in_graphs_without_end(bundle: Bundle, tmp_path: Path) -> None:
    def field(key: int, value: bytes) -> bytes:
        size, length = len(value), b""
        while size > 127:
            size, length = size >> 7, length + bytes([size & 127 | 128])
        return bytes([key << 3 | 2]) + length + bytes([size]) + value

    graph = b""
    for _ in range(5_000):
        graph = field(1, field(5, field(6, graph)))
    (tmp_path / "model.onnx").write_bytes(field(7, graph))
    with pytest.raises(ModelError, match="a loop inside a loop"):
        check_structure(tmp_path / "model.onnx", bundle.config)


def test_a_file_that_is_not_there(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"model.onnx: cannot be read"):
        check_structure(tmp_path / "model.onnx", bundle.config)
