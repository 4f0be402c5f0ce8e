"""RASR and Triton: the batch is axis 0 of every tensor, so the state is one float32 [B, S]."""

from __future__ import annotations

from lmscore.bundle import Config, Value
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.layouts.layout import (
    Layout,
    add_constant_inputs,
    add_joined_state,
    add_split_state,
)

with needs_extra("export"):
    from onnx import TensorProto


def _state(config: Config, name: str) -> Value:
    return Value(name, ("B", config.state_size))


def _read_rows(b: GraphBuilder, config: Config, words: str, lengths: str) -> None:
    """Make the model's inputs of rows of words, int32 [B, T] and [B], and the state."""
    tokens = b.cast(words, TensorProto.INT64, to="tokens")
    add_constant_inputs(b, config, tokens, targets=True)
    shape = b.op("Shape", tokens, to="layout_shape")
    from_none = b.integers("layout_no_targets", 0)
    empty = b.op("Concat", shape, from_none, to="layout_no_shape", axis=0)
    zeros = b.op("ConstantOfShape", empty, to="layout_zeros")
    b.cast(zeros, TensorProto.INT64, to="targets")
    b.op("Identity", lengths, to="lengths")
    add_split_state(b, config, "state")


def _after_rasr(b: GraphBuilder, config: Config) -> None:
    b.op("Identity", "log_probs", to="nn-output")
    add_joined_state(b, config, "next_state")


RASR = Layout(
    "rasr",
    lambda config: [
        Value("word", ("B", "T"), "int32"),
        Value("word-length", ("B",), "int32"),
        _state(config, "state"),
    ],
    lambda config: [
        Value("nn-output", ("B", "T", config.vocab_size)),
        _state(config, "next_state"),
    ],
    lambda b, config: _read_rows(b, config, "word", "word-length"),
    _after_rasr,
    lambda _: {"STATE_state": "next_state"},
)


def _after_scorer(b: GraphBuilder, config: Config) -> None:
    b.op("Neg", "log_probs", to="scores")
    add_joined_state(b, config, "next_state")


# Label scorers add up costs. The state says what was read, however long the prefix is.
RASR_SCORER = Layout(
    "rasr-scorer",
    lambda config: [
        Value("token", ("B", "T"), "int32"),
        Value("token-length", ("B",), "int32"),
        Value("prefix-length", ("B",), "int32"),
        _state(config, "state"),
    ],
    lambda config: [
        Value("scores", ("B", "T", config.vocab_size)),
        _state(config, "next_state"),
    ],
    lambda b, config: _read_rows(b, config, "token", "token-length"),
    _after_scorer,
    lambda _: {"STATE_state": "next_state"},
)


def _before_triton(b: GraphBuilder, config: Config) -> None:
    add_constant_inputs(b, config, b.op("Identity", "token", to="tokens"), targets=False)
    add_split_state(b, config, "state")


def _after_triton(b: GraphBuilder, config: Config) -> None:
    b.op("Squeeze", "log_probs", b.integers("layout_axis", 1), to="next_log_probs")
    add_joined_state(b, config, "next_state")


# A run has one token a row, but ONNX Runtime 1.32 refuses the int8 recurrence of a known length.
TRITON = Layout(
    "triton",
    lambda config: [Value("token", ("B", "T"), "int64"), _state(config, "state")],
    lambda config: [
        Value("next_log_probs", ("B", config.vocab_size)),
        _state(config, "next_state"),
    ],
    _before_triton,
    _after_triton,
)

_CONFIG = """\
backend: "onnxruntime"
max_batch_size: 64
input [ {{ name: "token" data_type: TYPE_INT64 dims: [ 1 ] }} ]
output [ {{ name: "next_log_probs" data_type: TYPE_FP32 dims: [ {vocabulary} ] }} ]
sequence_batching {{
  oldest {{ max_candidate_sequences: 1024 }}
  state [
    {{
      input_name: "state"
      output_name: "next_state"
      data_type: TYPE_FP32
      dims: [ {size} ]
      initial_state: {{
        name: "after_bos" data_type: TYPE_FP32 dims: [ {size} ] data_file: "after_bos"
      }}
    }}
  ]
}}
"""


def triton_config(config: Config) -> str:
    """The text of config.pbtxt: a sequence's state is kept by the server, `<s>` read already.

    It names no model, so that the server takes the name of the folder, which may be changed.
    """
    return _CONFIG.format(vocabulary=config.vocab_size, size=config.state_size)
