"""The graph of a model: layers from a variant's operators, state in and out, and the output layer.

Letters in shapes: B batch, T time (tokens), D columns of the output matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from lmscore.bundle import (
    FORMAT_VERSION,
    FP16,
    FP32,
    INT8,
    Config,
    HeadName,
    Value,
    Weights,
    graph_inputs,
    graph_outputs,
)
from lmscore.errors import needs_extra
from lmscore.export.builder import CONTRIB, GraphBuilder
from lmscore.export.class_heads import add_classes
from lmscore.export.float32 import Float32Operators
from lmscore.export.half import Float16Operators
from lmscore.export.halves import add_separate_layers, placed_features
from lmscore.export.heads import add_self_normalised, add_softmax
from lmscore.export.int8 import Int8Operators
from lmscore.export.layers import add_layers
from lmscore.export.operators import Operators

with needs_extra("export"):
    from onnx import ModelProto, TensorProto, ValueInfoProto, helper

OPSET = 17
IR_VERSION = 8
"""Both are older than every ONNX Runtime that the runtime supports."""


_DTYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64}

OPERATORS: Mapping[str, type[Operators]] = {
    FP32: Float32Operators,
    INT8: Int8Operators,
    FP16: Float16Operators,
}
"""The variants that can be exported."""

HEADS: Mapping[HeadName, Callable[[GraphBuilder, Config, Operators, str], None]] = {
    "softmax": add_softmax,
    "self-normalised": add_self_normalised,
    "classes": add_classes,
}
"""The output layers: functions that add every output except the state, from features [B, T, D]."""


def build_model(
    config: Config, weights: Weights, variant: str, in_fp32: Collection[str] = ()
) -> ModelProto:
    """Build a variant's graph; the file's metadata declares the state.

    `in_fp32` names the matrices that int8 leaves in float32.
    """
    builder = GraphBuilder()
    add_network(builder, config, weights, variant, in_fp32)
    values = graph_inputs(config), graph_outputs(config)
    return make_file(builder, *values, {**_metadata(config, variant), **builder.metadata})


def make_file(
    builder: GraphBuilder,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    metadata: Mapping[str, str],
) -> ModelProto:
    """Make a file of collected nodes."""
    model = helper.make_model(
        builder.graph("lmscore", _declared(inputs), _declared(outputs)),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)],
        ir_version=IR_VERSION,
        producer_name="lmscore",
    )
    helper.set_model_props(model, dict(metadata))
    return model


def add_network(
    b: GraphBuilder, config: Config, weights: Weights, variant: str, in_fp32: Collection[str] = ()
) -> None:
    """Add the nodes that make all outputs of a model's graph of all its inputs."""
    operators = OPERATORS[variant](b, config, weights, in_fp32)
    if config.separate:
        hidden = add_separate_layers(b, config, weights, OPERATORS[variant], in_fp32)
    else:
        # ONNX's recurrent cells are time-major: transposing ids is cheaper than vectors.
        x = operators.embed(b.op("Transpose", "tokens", to="tokens_by_time", perm=[1, 0]))
        hidden = add_layers(b, config, operators, x)
    # Projected first: ONNX Runtime 1.32 crashes on loading float16 products of transposed values.
    narrowed = operators.narrow(hidden) if config.is_projected else hidden
    features = b.op("Transpose", narrowed, to="features_by_row", perm=[1, 0, 2])
    if config.separate:
        features = placed_features(b, operators, features)
    HEADS[config.head_spec.name](b, config, operators, features)


def _declared(values: Sequence[Value]) -> list[ValueInfoProto]:
    return [helper.make_tensor_value_info(v.name, _DTYPES[v.dtype], v.shape) for v in values]


def _metadata(config: Config, variant: str) -> dict[str, str]:
    """The metadata of the file; RASR reads the state from entries STATE_<input> = <output>."""
    return {
        "format_version": str(FORMAT_VERSION),
        "variant": variant,
        **{f"STATE_{tensor.name}": tensor.next for tensor in config.state},
    }
