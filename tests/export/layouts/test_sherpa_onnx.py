"""The layouts inside sherpa-onnx itself, with a tiny transducer of random weights."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from lmscore.bundle import Cell
from lmscore.export import export_layout
from lmscore.runtime.engine import Engine
from tests.models import make_model

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("sherpa_onnx") is None, reason="sherpa-onnx is not installed"
)

_T, _D, _VOCAB = 9, 8, 60  # frames of a chunk, the size of everything, tokens
_NAMES = ["<blk>", "<sos/eos>", "<unk>", *(f"t{i}" for i in range(3, _VOCAB))]
_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64

# sherpa-onnx brings an ONNX Runtime of its own: it runs in a process of its own.
_RECOGNISE = """
import json, sys
import numpy as np
import sherpa_onnx

folder, lm = sys.argv[1:]
recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
    tokens=f"{folder}/tokens.txt", encoder=f"{folder}/encoder.onnx",
    decoder=f"{folder}/decoder.onnx", joiner=f"{folder}/joiner.onnx",
    decoding_method="modified_beam_search", lm=lm, lm_scale=0.5, num_threads=1,
)
stream = recognizer.create_stream()
stream.accept_waveform(16000, np.random.default_rng(1).uniform(-0.5, 0.5, 24000).astype("f"))
stream.input_finished()
while recognizer.is_ready(stream):
    recognizer.decode_stream(stream)
print(json.dumps({
    "tokens": recognizer.tokens(stream), "lm": [float(p) for p in recognizer.lm_probs(stream)],
}))
"""


Info = tuple[str, int, list[int | str]]


def _save(
    path: Path,
    nodes: list[NodeProto],
    inputs: list[Info],
    outputs: list[Info],
    weights: dict[str, NDArray[Any]],
    **metadata: object,
) -> None:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {name: str(value) for name, value in metadata.items()})
    onnx.save(model, path)


def make_transducer(folder: Path) -> None:
    random = np.random.default_rng(0)
    node = helper.make_node
    _save(
        folder / "encoder.onnx",
        [
            node("MatMul", ["x", "w"], ["frames"]),
            node("Slice", ["frames", "0", "9", "1", "4"], ["encoder_out"]),
            node("Identity", ["h"], ["next_h"]),
            node("Identity", ["c"], ["next_c"]),
        ],
        [("x", _FLOAT, ["N", _T, 80]), ("h", _FLOAT, [1, "N", _D]), ("c", _FLOAT, [1, "N", _D])],
        [
            ("encoder_out", _FLOAT, ["N", "F", _D]),
            ("next_h", _FLOAT, [1, "N", _D]),
            ("next_c", _FLOAT, [1, "N", _D]),
        ],
        {
            "w": random.normal(size=(80, _D)).astype("f"),
            **{name: np.array([int(name)]) for name in ("0", "9", "1", "4")},
        },
        model_type="lstm",
        num_encoder_layers=1,
        T=_T,
        decode_chunk_len=4,
        rnn_hidden_size=_D,
        d_model=_D,
    )
    _save(
        folder / "decoder.onnx",
        [
            node("Gather", ["table", "y"], ["both"]),
            node("ReduceMean", ["both"], ["decoder_out"], axes=[1], keepdims=0),
        ],
        [("y", _INT64, ["N", 2])],
        [("decoder_out", _FLOAT, ["N", _D])],
        {"table": random.normal(size=(_VOCAB, _D)).astype("f")},
        context_size=2,
        vocab_size=_VOCAB,
    )
    _save(
        folder / "joiner.onnx",
        [
            node("Add", ["encoder_out", "decoder_out"], ["sum"]),
            node("Tanh", ["sum"], ["bounded"]),
            node("MatMul", ["bounded", "output"], ["logit"]),
        ],
        [("encoder_out", _FLOAT, ["N", _D]), ("decoder_out", _FLOAT, ["N", _D])],
        [("logit", _FLOAT, ["N", _VOCAB])],
        {"output": random.normal(size=(_D, _VOCAB)).astype("f")},
        joiner_dim=_D,
    )
    lines = [f"{name} {index}\n" for index, name in enumerate(_NAMES)]
    (folder / "tokens.txt").write_text("".join(lines))


@pytest.mark.parametrize(("cell", "variant"), [("lstm", "fp32"), ("gru", "int8")])
def test_shallow_fusion(cell: Cell, variant: str, tmp_path: Path) -> None:
    make_transducer(tmp_path)
    bundle = make_model(tmp_path / "m", cell=cell, layers=2, variants=(variant,))
    lm, _ = export_layout(bundle.path, "sherpa-online", variant=variant)
    argv = [sys.executable, "-c", _RECOGNISE, str(tmp_path), str(lm)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    ids = list(map(_NAMES.index, found["tokens"]))
    assert len(ids) > 5
    engine = Engine.load(bundle, variant)
    expected, step = [], engine.read([])
    for token in ids:
        expected.append(float(step.log_probs[0, token]))
        step = engine.step([token], step.state)
    assert found["lm"] == pytest.approx(expected, abs=1e-3)


_RESCORE = """
import json, sys
import numpy as np
import sherpa_onnx

folder, *lms = sys.argv[1:]
found = []
for lm in lms:
    recognizer = sherpa_onnx.OfflineRecognizer.from_transducer(
        tokens=f"{folder}/tokens.txt", encoder=f"{folder}/whole.onnx",
        decoder=f"{folder}/decoder.onnx", joiner=f"{folder}/joiner.onnx", max_active_paths=8,
        decoding_method="modified_beam_search", lm=lm, lm_scale=1000.0, num_threads=1,
    )
    stream = recognizer.create_stream()
    stream.accept_waveform(16000, np.random.default_rng(1).uniform(-0.5, 0.5, 3000).astype("f"))
    recognizer.decode_stream(stream)
    found.append(stream.result.tokens)
print(json.dumps(found))
"""


def make_offline_encoder(folder: Path) -> None:
    node = helper.make_node
    _save(
        folder / "whole.onnx",
        [
            node("MatMul", ["x", "w"], ["encoder_out"]),
            node("Identity", ["x_lens"], ["encoder_out_lens"]),
        ],
        [("x", _FLOAT, ["N", "T", 80]), ("x_lens", _INT64, ["N"])],
        [("encoder_out", _FLOAT, ["N", "T", _D]), ("encoder_out_lens", _INT64, ["N"])],
        {"w": np.random.default_rng(3).normal(size=(80, _D)).astype("f")},
    )


def make_preference(path: Path, seed: int) -> None:
    """A language model of random costs for each token, which picks some hypothesis of the list."""
    costs = np.random.default_rng(seed).normal(size=_VOCAB).astype("f")
    costs[0] = 0.0  # padding
    node = helper.make_node
    _save(
        path,
        [
            node("Gather", ["costs", "x"], ["each"]),
            node("ReduceSum", ["each", "axis"], ["nll"], keepdims=0),
        ],
        [("x", _INT64, ["N", "T"]), ("x_lens", _INT64, ["N"])],
        [("nll", _FLOAT, ["N"])],
        {"costs": costs, "axis": np.array([1])},
    )


@pytest.mark.parametrize(("cell", "variant"), [("lstm", "fp32"), ("gru", "int8")])
def test_rescoring(cell: Cell, variant: str, tmp_path: Path) -> None:
    """Of the hypotheses in the list, which other models find, ours picks its likeliest.

    At a scale of 1000 nothing else counts. sherpa-onnx divides a hypothesis by its length, its two
    blanks at the beginning included.
    """
    make_transducer(tmp_path)
    make_offline_encoder(tmp_path)
    others = [tmp_path / f"{seed}.onnx" for seed in range(12)]
    for seed, path in enumerate(others):
        make_preference(path, seed)
    bundle = make_model(tmp_path / "m", cell=cell, layers=2, variants=(variant,))
    lm, _ = export_layout(bundle.path, "sherpa-offline", variant=variant)
    argv = [sys.executable, "-c", _RESCORE, str(tmp_path), str(lm), *map(str, others)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    chosen, *rest = map(tuple, json.loads(done.stdout.splitlines()[-1]))
    assert len({chosen, *rest}) > 3
    engine = Engine.load(bundle, variant)

    def cost(tokens: tuple[str, ...]) -> float:
        step, total = engine.read([]), 0.0
        for token in [*map(_NAMES.index, tokens), bundle.config.eos_token_id]:
            total -= float(step.log_probs[0, token])
            step = engine.step([token], step.state)
        return total / (len(tokens) + 2)

    assert chosen == min({chosen, *rest}, key=cost)
