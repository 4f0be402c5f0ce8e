"""The canonical graph around a variant's operators: state in and out, and the output heads.

Letters in shapes: B batch, T time (tokens), K targets per position, S rows of the incoming state,
F rows with distributions over the whole vocabulary, L layers, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping

from lmscore.bundle import FORMAT_VERSION, FP16, FP32, INT8, Config
from lmscore.bundle.weights import Weights
from lmscore.errors import needs_extra
from lmscore.export.builder import CONTRIB, GraphBuilder
from lmscore.export.cells import Float32Operators
from lmscore.export.class_heads import add_class_heads
from lmscore.export.half import Float16Operators
from lmscore.export.heads import add_heads
from lmscore.export.int8 import Int8Operators
from lmscore.export.layers import Operators, add_layers

with needs_extra("export"):
    from onnx import ModelProto, TensorProto, ValueInfoProto, helper

OPSET = 17
IR_VERSION = 8
"""Both are older than every ONNX Runtime that the runtime supports."""


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
    hidden = add_layers(b, config, operators, x)
    # In this order: ONNX Runtime 1.32 crashes on loading float16 products of what is transposed.
    narrowed = operators.narrow(hidden) if config.is_projected else hidden
    features = b.op("Transpose", narrowed, to="features_by_row", perm=[1, 0, 2])
    add = add_class_heads if config.output_layer == "classes" else add_heads
    add(b, config, operators, features)


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
