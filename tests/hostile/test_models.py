"""Model directories made to hurt: an error of ours, at worst wrong numbers; nothing is executed,
and no file outside of the directory is read."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lmscore.bundle import (
    CONFIG_FILE,
    PARITY_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    Config,
    Parity,
    load_weights,
)
from lmscore.errors import InputError, LmscoreError, ModelError, ModelNotFoundError
from lmscore.export import export_model
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.cli.conftest import Run, finish, start
from tests.hostile.directory import FP32_FILE, copied, edit_json, forge

Change = Callable[[Any], object]


@pytest.fixture
def model(model_path: Path, tmp_path: Path) -> Path:
    """A model directory to spoil."""
    return copied(model_path, tmp_path / "model")


def fp32(path: Path) -> LanguageModel:
    return load(path, variant="fp32", threads=1)


def refused(path: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        fp32(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 10**18}, "vocab_size is 10{18}, more than 2147483648"),
        ({"hidden_size": 10**12}, "hidden_size is 10{12}, more than"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 10{9}, more than 1024"),
        ({"vocab_size": 2**31}, "bytes of weights for the .* parameters of config.json"),
        ({"vocab_size": -60}, "expected a positive integer"),
        ({"vocab_size": 60.0}, "expected a positive integer"),
        ({"vocab_size": "60"}, "expected a positive integer"),
        ({"vocab_size": True}, "expected a positive integer"),
        ({"vocab_size": None}, "expected a positive integer"),
        ({"bos_token_id": 10**400}, "expected an id below 60"),
        ({"format_version": 2}, r"format_version is 2, this lmscore reads 1; .*export it again"),
        ({"format_version": [1]}, r"format_version is \[1\]"),
        ({"layer_norm": True}, "unknown key 'layer_norm'"),
        ({"training": {"note": float("nan")}}, "cannot be written again"),
        ({"training": {"note": "\ud800"}}, "cannot be written again: .*surrogates"),
        ({"training": {"\udfff": 1}}, "cannot be written again: .*surrogates"),
    ],
)
def test_impossible_configurations(model: Path, changes: dict[str, Any], message: str) -> None:
    edit_json(model / CONFIG_FILE, lambda document: document.update(changes))
    refused(model, message)


@pytest.mark.parametrize("name", ["../fp32", "x/../../fp32", "/fp32", "", "fp32\n", "FP32", "\x00"])
def test_a_variant_is_not_a_path(model: Path, name: str) -> None:
    def rename(document: Any) -> None:
        document["graphs"][name] = document["graphs"].pop("fp32")

    edit_json(model / CONFIG_FILE, rename)
    refused(model, "which is no name of a variant")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 10_000 + "]" * 10_000, "cannot be used: .*recursion"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "cannot be used: .*recursion"),
        ('{"vocab_size": 1, "vocab_size": 2}', "key 'vocab_size' is there twice"),
        ('{"vocab_size": ' + "9" * 5_000 + "}", "cannot be used: .*4300 digits"),
        ("\ufeff{}", "not JSON"),
        ("null", "expected a JSON object"),
        ('{"a": }', "line 1: not JSON"),
    ],
)
def test_json_made_to_hurt(model: Path, text: str, message: str) -> None:
    (model / CONFIG_FILE).write_text(text, encoding="utf-8")
    refused(model, message)


@pytest.mark.parametrize("depth", [100, 400, 950])
def test_a_training_record_that_is_nested_deep(model: Path, run: Run, depth: int) -> None:
    config = model / CONFIG_FILE
    edit_json(config, lambda document: document.update(training="nested"))
    nested = '{"a":' * depth + "{}" + "}" * depth  # deeper than the encoder of JSON may go
    config.write_text(config.read_text(encoding="utf-8").replace('"nested"', nested), "utf-8")
    for argv in (["score"], ["info"], ["info", "--format", "json"]):
        result = run(*argv, f"--model={model}", stdin="the cat\n")
        assert result.status in (0, 1)
        assert result.status == 0 or result.err.count("\n") == 1


def test_a_config_that_would_move_the_cursor(model: Path, run: Run) -> None:
    note = {"\x1b[2Jnote": "\x9b1A", "number": 10**310}
    edit_json(model / CONFIG_FILE, lambda document: document.update(training=note))
    out = run("info", model).out
    assert "  \\x1b[2Jnote  \\x9b1A\n" in out
    assert f"1{'0' * 310}\n" in out


def test_a_config_that_is_not_utf8(model: Path) -> None:
    (model / CONFIG_FILE).write_bytes("{}".encode("utf-16"))
    refused(model, "not UTF-8")


def test_huge_declarations_are_refused_without_effort() -> None:
    text = json.dumps({"num_hidden_layers": 10**9})
    with pytest.raises(ModelError):
        Config.from_json(text)


@pytest.mark.parametrize(
    "name", [CONFIG_FILE, TOKENIZER_FILE, FP32_FILE, PARITY_FILE, WEIGHTS_FILE]
)
@pytest.mark.parametrize("kind", ["directory", "pipe", "dangling link", "circular link", "empty"])
def test_what_is_no_file(model: Path, name: str, kind: str) -> None:
    path = model / name
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        if sys.platform == "win32":
            pytest.skip("POSIX pipes")
        os.mkfifo(path)  # whoever opens it waits for a writer, for ever
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "circular link":
        path.symlink_to(name)
    else:
        path.touch()
    for_export = name in (PARITY_FILE, WEIGHTS_FILE)
    with pytest.raises(LmscoreError) as caught:
        export_model(model, variants=["fp32"]) if for_export else fp32(model)
    assert str(model) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["with space", "Überraschung 猫", "line\nbreak", "-m", "a" * 200])
def test_odd_names_of_directories(model: Path, tmp_path: Path, run: Run, name: str) -> None:
    expected = fp32(model).score("the cat").log_prob
    path = model.rename(tmp_path / name)
    assert fp32(path).score("the cat").log_prob == expected
    assert run("score", f"--model={path}", stdin="the cat\n").status == 0
    (path / TOKENIZER_FILE).write_text("{}")
    assert run("score", f"--model={path}", stdin="the cat\n").err.count("\n") == 1


def test_a_directory_whose_name_is_not_utf8(model: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / os.fsdecode(b"\xff")
    try:
        model.rename(path)
    except OSError:
        pytest.skip("this file system wants UTF-8")
    assert "\\udcff" in run("info", path).out
    assert json.loads(run("info", path, "--format", "json").out)["path"] == str(path)
    result = run("score", f"--model={path}", stdin="the cat\n")
    assert result.status in (0, 1)
    assert result.status == 0 or result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["a" * 5_000, "a\x00b", "a\ud800b"])
def test_impossible_names_of_directories(name: str) -> None:
    with pytest.raises(ModelNotFoundError):
        load(name)


def edit_graph(path: Path, change: Change) -> None:
    graph = onnx.load(path / FP32_FILE)
    change(graph)
    (path / FP32_FILE).write_bytes(graph.SerializeToString())
    forge(path)


@pytest.mark.parametrize("climbing", [True, False])
def test_a_graph_that_reads_another_file(model: Path, tmp_path: Path, climbing: bool) -> None:
    weights = tmp_path / "weights.bin" if climbing else model / "weights.bin"

    def move_out(graph: onnx.ModelProto) -> None:
        (tensor,) = (t for t in graph.graph.initializer if t.name == "embedding.weight")
        weights.write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        location = os.path.relpath(weights, model)
        tensor.external_data.add(key="location", value=location)

    edit_graph(model, move_out)
    refused(model, "holds weights in another file")


def test_a_graph_without_an_end(model: Path) -> None:
    forever = onnx.numpy_helper.from_array(np.array(2**63 - 1), "forever")
    yes = onnx.numpy_helper.from_array(np.array(True), "yes")
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["going"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("going", TensorProto.BOOL, [])],
    )

    def add_loop(graph: onnx.ModelProto) -> None:
        graph.graph.initializer.extend([forever, yes])
        graph.graph.node.append(helper.make_node("Loop", ["forever", "yes"], [], body=body))

    edit_graph(model, add_loop)
    refused(model, "holds the operator 'Loop'")


def rename_input(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].name = "token"


def wrong_shape(graph: onnx.ModelProto) -> None:
    tensor = graph.graph.initializer[0]
    tensor.dims[0] += 1


def huge_shape(graph: onnx.ModelProto) -> None:
    graph.graph.initializer[0].dims[0] = 2**62


def other_opset(graph: onnx.ModelProto) -> None:
    graph.opset_import[0].version = 10_000


def own_domain(graph: onnx.ModelProto) -> None:
    graph.graph.node[0].domain = "own"


@pytest.mark.parametrize("change", [rename_input, wrong_shape, huge_shape, other_opset, own_domain])
def test_graphs_that_do_not_fit(model: Path, change: Change) -> None:
    edit_graph(model, change)
    refused(model, FP32_FILE)


def test_a_graph_that_fails_when_it_runs(model: Path) -> None:
    def spoil(graph: onnx.ModelProto) -> None:
        (tensor,) = (t for t in graph.graph.initializer if t.name == "V")
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([7]), tensor.name))

    edit_graph(model, spoil)
    program = start("score", "--model", str(model), "--variant=fp32")
    result = finish(program, b"the cat\n")  # a process, since native code writes to stderr itself
    assert result.status == 1
    assert "model.onnx: ONNX Runtime cannot run it: " in result.err
    assert result.err.count("\n") == 1


def test_a_graph_whose_outputs_have_other_shapes(model: Path) -> None:
    def give_every_state_twice(graph: onnx.ModelProto) -> None:
        (node,) = (node for node in graph.graph.node if "next_h" in node.output)
        assert node.op_type == "Concat"
        node.input.append(node.input[0])
        node.attribute[0].i = 1

    edit_graph(model, give_every_state_twice)
    with pytest.raises(ModelError, match=r"'next_h' is \[1, 2, 16\] instead of \[1, 1, 16\]; "):
        fp32(model).sample_batch(["the", "cat"], max_tokens=2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["embedding.weight", "output.bias"])
def test_weights_that_are_not_finite(model: Path, name: str, value: float) -> None:
    def spoil(graph: onnx.ModelProto) -> None:
        (tensor,) = (t for t in graph.graph.initializer if t.name == name)
        array = onnx.numpy_helper.to_array(tensor).copy()
        array.flat[:] = value
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))

    edit_graph(model, spoil)
    with pytest.raises(ModelError, match="not finite"):
        fp32(model).score("the cat")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"PK\x03\x04" + bytes(100),
        b"<html><body>404</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        pickle.dumps({"model": 1}),
        b"\x08\x08",
        b"ORTM" * 10,
    ],
)
def test_what_is_no_graph(model: Path, data: bytes) -> None:
    (model / FP32_FILE).write_bytes(data)
    forge(model)
    refused(model, FP32_FILE)


def other_ids(tokenizer: Any) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["the"] = 1_000


def ids_twice(tokenizer: Any) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["the"] = vocabulary["cat"]


def huge_ids(tokenizer: Any) -> None:
    tokenizer["model"]["vocab"]["the"] = 2**32 - 1


def slow_pattern(tokenizer: Any) -> None:
    tokenizer["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }


@pytest.mark.parametrize("change", [other_ids, ids_twice, huge_ids])
def test_tokenizers_with_other_ids(model: Path, change: Change) -> None:
    edit_json(model / TOKENIZER_FILE, change)
    refused(model, "does not match tokenizer_sha256")
    forge(model)
    refused(model, "60 tokens do not fill the ids below vocab_size 60")


def stripped_ends(tokenizer: Any) -> None:
    tokenizer["decoder"] = {"type": "Strip", "content": "a", "start": 0, "stop": 1}


def chained_replacements(tokenizer: Any) -> None:
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [step] * 64}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (chained_replacements, "may make a text more than 1000 times longer"),
        (slow_pattern, "may take too long"),
        (stripped_ends, "strips the ends of tokens, which may be shorter than that"),
    ],
)
def test_tokenizers_without_an_end(
    model: Path, run: Run, change: Change, message: str, tmp_path: Path
) -> None:
    edit_json(model / TOKENIZER_FILE, change)
    forge(model)
    refused(model, message)
    result = run("score", f"--model={model}", stdin="the cat\n")
    assert result.status == 1
    assert result.err.endswith("only with --trust, which is for files of people whom you trust\n")
    (tmp_path / "text").write_text("the cat\n")
    text = tmp_path / "text"
    train = ["train", text, "--valid", text, f"--tokenizer={model / TOKENIZER_FILE}"]
    assert message in run(*train, "-o", tmp_path / "new").err


def test_a_pattern_that_is_too_slow(model: Path, run: Run) -> None:
    edit_json(model / TOKENIZER_FILE, slow_pattern)
    forge(model)
    assert run("score", f"--model={model}", "--trust", stdin="the cat\n").status == 0
    lm = load(model, variant="fp32", threads=1, trust=True)
    with pytest.raises(InputError, match=r"text 2: cannot be tokenized: .*retry-limit"):
        lm.score_batch(["the cat", "a" * 40 + "!", "sat"])
    assert lm.score("the").num_tokens == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b'{"model":' * 10_000,
        b"\xff\xfe{\x00}\x00",
        pickle.dumps({"model": 1}),
        b'{"version": "2.0", "model": {"type": "WordLevel", "vocab": {}, "unk_token": "x"}}',
    ],
)
def test_what_is_no_tokenizer(model: Path, data: bytes) -> None:
    (model / TOKENIZER_FILE).write_bytes(data)
    forge(model)
    refused(
        model, "tokenizers can read|tokens do not fill|not JSON|not UTF-8|recursion|a step with"
    )


class Exploit:
    """What a pickle runs when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def archive_with(path: Path, name: str, content: bytes) -> None:
    """parity.npz with one more member, in place of one of this name."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in {**members, name: content}.items():
            archive.writestr(member, data)


def as_npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header_only(shape: str) -> bytes:
    """An array that says how large it is, and is not."""
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def test_a_pickle_in_parity_is_not_run(model: Path, tmp_path: Path) -> None:
    exploit = np.array([Exploit(tmp_path / "run")], dtype=object)
    archive_with(model / PARITY_FILE, "inputs.npy", as_npy(exploit))
    with pytest.raises(ModelError, match=r"parity.npz: damaged"):
        Parity.load(Bundle.read(model))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content",
    [
        header_only("(1000000000000,)"),
        header_only("(4611686018427387904, 4)"),
        header_only("(-1,)"),
        header_only("(" * 500 + ")" * 500),
        header_only("__import__('os')"),
        b"\x93NUMPY\x09\x00" + bytes(50),
        b"",
    ],
)
def test_arrays_that_are_not_what_they_say(model: Path, content: bytes) -> None:
    archive_with(model / PARITY_FILE, "inputs.npy", content)
    with pytest.raises(ModelError, match=r"parity.npz: "):
        Parity.load(Bundle.read(model))


def test_an_archive_that_fills_the_memory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmscore.bundle.parity._MAX_BYTES", 1 << 20)
    archive_with(model / PARITY_FILE, "zeros.npy", bytes(1 << 20))
    assert (model / PARITY_FILE).stat().st_size < 1 << 15
    with pytest.raises(ModelError, match=r"unpacked it would take \d+ bytes, at most 1048576 are"):
        Parity.load(Bundle.read(model))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(8),
        b"\xff" * 8,
        struct.pack("<Q", 10) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        pickle.dumps({"embedding.weight": 1}),
    ],
)
def test_weights_that_are_none(model: Path, data: bytes) -> None:
    (model / WEIGHTS_FILE).write_bytes(data)
    with pytest.raises(ModelError, match=r"model.safetensors: "):
        load_weights(Bundle.read(model))
