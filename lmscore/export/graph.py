"""The canonical graph around a variant's operators: state in and out, and the output heads.

Letters in shapes: B batch, T time (tokens), K targets per position, S rows of the incoming state,
F rows with distributions over the whole vocabulary, L layers, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lmscore.bundle import FORMAT_VERSION, FP16, FP32, INT8, Config
from lmscore.errors import needs_extra
from lmscore.export.builder import CONTRIB, GraphBuilder
from lmscore.export.cells import Float32Operators
from lmscore.export.class_heads import PartProjections, add_class_heads
from lmscore.export.half import Float16Operators
from lmscore.export.heads import Projections, add_heads
from lmscore.export.int8 import Int8Operators
from lmscore.export.weights import Weights

with needs_extra("export"):
    from onnx import ModelProto, TensorProto, ValueInfoProto, helper

OPSET = 17
IR_VERSION = 8
"""Both are older than every ONNX Runtime that the runtime supports."""


class Operators(Projections, PartProjections, Protocol):
    """What a variant computes in its own way; everything else is common."""

    @property
    def stored_in_8_bits(self) -> tuple[str, ...]:
        """The parts of the model whose weights are int8."""

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, H], as the first layer takes them."""

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H], state [1, B, H] each -> hidden [T, B, H], next state."""


OPERATORS: Mapping[str, type[Float32Operators | Int8Operators]] = {
    FP32: Float32Operators,
    INT8: Int8Operators,
    FP16: Float16Operators,
}
"""The variants that can be exported."""


def build_model(config: Config, weights: Weights, variant: str) -> ModelProto:
    """A variant's graph, with its state declared in the file's metadata."""
    builder = GraphBuilder()
    operators = OPERATORS[variant](builder, config, weights)
    _add_body(builder, config, operators)
    graph = builder.graph("lmscore", _inputs(config), _outputs(config))
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)],
        ir_version=IR_VERSION,
        producer_name="lmscore",
    )
    helper.set_model_props(model, _metadata(config, variant))
    return model


def _add_body(b: GraphBuilder, config: Config, operators: Operators) -> None:
    # ONNX's recurrent cells are time-major: transposing ids is cheaper than transposing vectors.
    x = operators.embed(b.op("Transpose", "tokens", to="tokens_by_time", perm=[1, 0]))
    states = _incoming_state(b, config)
    following = []
    for layer, state in enumerate(states):
        x, next_state = operators.recur(layer, x, state)
        following.append(next_state)
    for index, tensor in enumerate(config.state):
        b.op("Concat", *(layer[index] for layer in following), to=tensor.next, axis=0)
    by_row = b.op("Transpose", x, to="hidden_by_row", perm=[1, 0, 2])
    add = add_class_heads if config.output_layer == "classes" else add_heads
    add(b, config, operators, by_row)


def _incoming_state(b: GraphBuilder, config: Config) -> list[list[str]]:
    """The parents' rows of each state tensor, by layer: [1, B, H] each."""
    by_tensor = []
    for tensor in config.state:
        chosen = b.op("Gather", tensor.name, "parents", to=f"{tensor.name}_of_parents", axis=1)
        names = [f"{tensor.name}_{layer}" for layer in range(tensor.layers)]
        b.node("Split", [chosen], names, axis=0)
        by_tensor.append(names)
    return [list(layer) for layer in zip(*by_tensor, strict=True)]


def _inputs(config: Config) -> list[ValueInfoProto]:
    info = helper.make_tensor_value_info
    return [
        info("tokens", TensorProto.INT64, ["B", "T"]),
        info("targets", TensorProto.INT64, ["B", "T", "K"]),
        info("k", TensorProto.INT64, [1]),
        info("lengths", TensorProto.INT32, ["B"]),
        info("parents", TensorProto.INT64, ["B"]),
        *([info("distributions", TensorProto.INT64, [1])] if config.has_partial_output else []),
        *(info(s.name, TensorProto.FLOAT, [s.layers, "S", s.size]) for s in config.state),
    ]


def _outputs(config: Config) -> list[ValueInfoProto]:
    info = helper.make_tensor_value_info
    whole = "F" if config.has_partial_output else "B"
    exact = whole if config.self_normalized else "B"
    scores = [info("target_scores", TensorProto.FLOAT, ["B", "T", "K"])]
    return [
        info("log_probs", TensorProto.FLOAT, [whole, "T", config.vocab_size]),
        info("target_log_probs", TensorProto.FLOAT, [exact, "T", "K"]),
        *(scores if config.self_normalized else []),
        info("top_log_probs", TensorProto.FLOAT, [whole, "T", "top"]),
        info("top_tokens", TensorProto.INT64, [whole, "T", "top"]),
        *(info(s.next, TensorProto.FLOAT, [s.layers, "B", s.size]) for s in config.state),
    ]


def _metadata(config: Config, variant: str) -> dict[str, str]:
    """What the file says of itself; STATE_<input> = <output> is the convention RASR reads."""
    return {
        "format_version": str(FORMAT_VERSION),
        "variant": variant,
        **{f"STATE_{tensor.name}": tensor.next for tensor in config.state},
    }
