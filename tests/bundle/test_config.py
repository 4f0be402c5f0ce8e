"""The model directory: read back as written, and a clear error for all that can be wrong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmscore.bundle import (
    CELLS,
    CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    Cell,
    Config,
    GraphRecord,
    LogZRecord,
    graph_file,
    head_size,
)
from lmscore.errors import InputFileError, ModelError, ModelNotFoundError, VariantError
from lmscore.files import sha256_file

Document = dict[str, Any]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A directory whose files are only what config.json knows of them."""
    (tmp_path / TOKENIZER_FILE).write_text("{}")
    graphs = {}
    for variant in ("fp32", "int8"):
        path = tmp_path / graph_file(variant)
        path.write_bytes(f"the {variant} graph".encode())
        graphs[variant] = GraphRecord(
            sha256=sha256_file(path),
            size_bytes=path.stat().st_size,
            quantized=("embedding.weight",) if variant == "int8" else (),
            max_log_prob_difference=1e-5,
            max_batching_difference=0.0,
            perplexity_change=0.001,
            checked_with="onnxruntime 1.31.1",
        )
    config = Config(
        cell="lstm",
        vocab_size=10,
        hidden_size=4,
        num_hidden_layers=2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        unk_token_id=None,
        context="sentence",
        tokenizer="bpe",
        tokenizer_sha256=sha256_file(tmp_path / TOKENIZER_FILE),
        training={"minutes": 8, "corpus": "Bücher"},
        graphs=graphs,
    )
    made = Bundle(tmp_path, config)
    made.write_config()
    return made


def test_what_is_written_is_read(bundle: Bundle) -> None:
    assert Bundle.read(bundle.path) == bundle
    assert Bundle.read(str(bundle.path)).variants() == ("fp32", "int8")
    assert bundle.graph_path("int8") == bundle.path / "model_int8.onnx"
    assert bundle.tokenizer_file() == bundle.path / TOKENIZER_FILE


def test_config_json_declares_the_state(bundle: Bundle) -> None:
    document = json.loads((bundle.path / CONFIG_FILE).read_text())
    assert document["format_version"] == 1
    assert document["state"] == [
        {"name": "h", "next": "next_h", "layers": 2, "size": 4},
        {"name": "c", "next": "next_c", "layers": 2, "size": 4},
    ]
    assert bundle.config.state[0].shape(3) == (2, 3, 4)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if CELLS[cell].has_recurrent_matrix])
@pytest.mark.parametrize("tied", [True, False])
def test_parameters(bundle: Bundle, cell: Cell, tied: bool) -> None:
    config = dataclasses.replace(bundle.config, cell=cell, tie_word_embeddings=tied)
    whole = cell in ("lstm", "lstm-peephole", "lstm-mogrifier")
    gates = 4 if whole else 3 if cell == "gru" or cell.startswith("lstm") else 1
    more = {"lstm-peephole": 3 * 4, "lstm-mogrifier": 5 * 4 * 4}
    layer = gates * 4 * (4 + 4 + 2) + more.get(cell, 0)
    assert config.num_parameters == (1 if tied else 2) * 10 * 4 + 2 * layer + 10
    assert config.weight_shapes()["rnn.weight_hh_l1"] == (gates * 4, 4)
    assert ("output.weight" in config.weight_shapes()) is not tied
    names = ["h", "c"] if cell.startswith("lstm") else ["h"]
    assert [tensor.name for tensor in config.state] == names


def test_mogrifiers_go_between_input_and_output(bundle: Bundle) -> None:
    config = dataclasses.replace(bundle.config, cell="lstm-mogrifier", embedding_size=6)
    shapes = config.weight_shapes()
    first = [shapes[f"rnn.mogrifier_{number}_l0"] for number in range(1, 6)]
    assert first == [(6, 4), (4, 6), (6, 4), (4, 6), (6, 4)]
    assert shapes["rnn.mogrifier_2_l1"] == (4, 4)


@pytest.mark.parametrize(("hidden", "n", "d"), [(4, 1, 4), (64, 1, 64), (512, 8, 64), (96, 2, 48)])
def test_heads_and_their_memory(bundle: Bundle, hidden: int, n: int, d: int) -> None:
    config = dataclasses.replace(
        bundle.config, cell="gated-delta", hidden_size=hidden, embedding_size=6
    )
    assert head_size(hidden) == d
    shapes = config.weight_shapes()
    assert shapes["rnn.weight_ih_l0"] == (5 * hidden + 2 * n, 6)
    assert shapes["rnn.weight_conv_l1"] == (3 * hidden, 1, 4)
    assert shapes["rnn.weight_ho_l1"] == (hidden, hidden)
    assert "rnn.weight_hh_l0" not in shapes
    assert [(part.name, part.shape(2)) for part in config.state] == [
        ("memory", (2, 2, n * d * d)),
        ("convolved", (2, 2, 3 * 3 * hidden)),
    ]
    assert Config.from_json(config.to_json()) == config


def test_parameters_of_a_window(bundle: Bundle) -> None:
    config = dataclasses.replace(bundle.config, cell="window", window_size=3, embedding_size=5)
    # A matrix of 10 words, 3 of them to 4 units, 4 units to 4, 4 units to the size of a word.
    assert config.num_parameters == 10 * 5 + (3 * 5 * 4 + 4) + (4 * 4 + 4) + 4 * 5 + 10
    (window,) = config.state
    assert (window.name, window.next, window.shape(7)) == ("window", "next_window", (2, 7, 5))
    assert config.architecture == "2 x window of 3 tokens, hidden size 4, embedding size 5"


@pytest.mark.parametrize("tied", [True, False])
def test_an_embedding_of_another_size(bundle: Bundle, tied: bool) -> None:
    config = dataclasses.replace(bundle.config, embedding_size=6, tie_word_embeddings=tied)
    shapes = config.weight_shapes()
    assert shapes["embedding.weight"] == (10, 6)
    assert shapes["rnn.weight_ih_l0"] == (16, 6)
    assert shapes["rnn.weight_ih_l1"] == (16, 4)
    assert shapes.get("projection.weight") == ((6, 4) if tied else None)
    assert shapes.get("output.weight") == (None if tied else (10, 4))
    assert config.state == bundle.config.state


def test_an_encoder(bundle: Bundle) -> None:
    config = dataclasses.replace(bundle.config, separate=True, num_hidden_layers=2)
    if config.bos_token_id == config.eos_token_id:
        config = dataclasses.replace(config, bos_token_id=config.eos_token_id - 1)
    assert Config.from_json(config.to_json()) == config
    shapes = config.weight_shapes()
    assert shapes["encoder.rnn.weight_hh_l1"] == shapes["rnn.weight_hh_l1"]
    assert len([name for name in shapes if name.startswith("encoder.")]) == 8
    assert [tensor.name for tensor in config.state] == [*config.cell_spec.state, "phase"]
    assert config.prefix_token_id == config.eos_token_id
    assert bundle.config.prefix_token_id == bundle.config.bos_token_id


def test_a_learned_initial_state(bundle: Bundle) -> None:
    config = dataclasses.replace(bundle.config, learned_initial_state=True, num_hidden_layers=2)
    assert Config.from_json(config.to_json()) == config
    H = config.hidden_size
    shapes = config.weight_shapes()
    first = {name: shapes[f"initial.{name}"] for name in config.cell_spec.state}
    assert first == dict.fromkeys(config.cell_spec.state, (2, 1, H))
    assert [tensor.name for tensor in config.state] == [*config.cell_spec.state, "phase"]
    assert "learned initial state" in config.architecture


def test_an_encoder_needs_marks_and_a_state(bundle: Bundle) -> None:
    same = dataclasses.replace(bundle.config, separate=True, bos_token_id=3, eos_token_id=3)
    with pytest.raises(ModelError, match="so bos_token_id is not eos_token_id"):
        Config.from_json(same.to_json())
    cell = dataclasses.replace(bundle.config, cell="window", window_size=3, separate=True)
    with pytest.raises(ModelError, match="separate is true, and the cell window has no state"):
        Config.from_json(cell.to_json())


def test_older_models_have_fewer_keys(bundle: Bundle) -> None:
    path = bundle.path / CONFIG_FILE
    document = json.loads(path.read_text())
    for key in (
        "direction",
        "embedding_size",
        "connections",
        "separate",
        "window_size",
        "learned_initial_state",
    ):
        del document[key]
    path.write_text(json.dumps(document))
    assert Bundle.read(bundle.path) == bundle


def test_residual_is_the_older_name_of_connections(bundle: Bundle) -> None:
    path = bundle.path / CONFIG_FILE
    document = json.loads(path.read_text())
    del document["connections"]
    path.write_text(json.dumps({**document, "residual": True}))
    assert Bundle.read(bundle.path).config.connections == "residual"
    path.write_text(json.dumps({**document, "residual": False}))
    assert Bundle.read(bundle.path).config.connections == "plain"


@pytest.mark.parametrize("tied", [True, False])
def test_dense_connections_widen_what_reads_them(bundle: Bundle, tied: bool) -> None:
    config = dataclasses.replace(
        bundle.config, connections="dense", embedding_size=6, tie_word_embeddings=tied
    )
    shapes = config.weight_shapes()
    assert shapes["rnn.weight_ih_l0"] == (16, 6)
    assert shapes["rnn.weight_ih_l1"] == (16, 6 + 4)
    assert shapes.get("projection.weight") == ((6, 6 + 4 + 4) if tied else None)
    assert shapes.get("output.weight") == (None if tied else (10, 14))
    assert config.output_dim == (6 if tied else 14)
    assert config.architecture.endswith("embedding size 6, dense")


def test_highways_have_a_gate_above_the_first_layer(bundle: Bundle) -> None:
    plain = bundle.config
    config = dataclasses.replace(plain, connections="highway")
    added = {name: shape for name, shape in config.weight_shapes().items() if "highway" in name}
    assert added == {"highway.weight_l1": (4, 4), "highway.bias_l1": (4,)}
    assert config.num_parameters == plain.num_parameters + 4 * 4 + 4


def test_peepholes_are_three_weights_a_unit(bundle: Bundle) -> None:
    shapes = dataclasses.replace(bundle.config, cell="lstm-peephole").weight_shapes()
    assert shapes["rnn.peephole_l1"] == (12,)
    assert shapes["rnn.weight_hh_l1"] == (16, 4)


def _without(key: str) -> Callable[[Document], object]:
    return lambda document: document.pop(key)


def _with(**changes: object) -> Callable[[Document], object]:
    return lambda document: document.update(changes)


def _classes(*cutoffs: int, **changes: object) -> Callable[[Document], object]:
    return _with(output_layer="classes", cutoffs=list(cutoffs), **changes)


def _log_z(**changes: object) -> Callable[[Document], object]:
    return _graph_with(log_z={"mean": 0.0, "std": 0.2, "rank_agreement": 1, **changes})


def _graph_with(**changes: object) -> Callable[[Document], object]:
    return lambda document: document["graphs"]["int8"].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with(colour="blue"), "unknown key 'colour'"),
        (_without("cell"), "key 'cell' is missing"),
        (_without("tokenizer_sha256"), "key 'tokenizer_sha256' is missing"),
        (_without("unk_token_id"), "key 'unk_token_id' is missing"),
        (_without("state"), "key 'state' is missing"),
        (_without("format_version"), "format_version is None, this lmscore reads 1"),
        (_with(format_version=2), "format_version is 2"),
        (_with(format_version=True), "format_version is True"),
        (_with(cell="transformer"), "cell is 'transformer', expected one of lstm, gru"),
        (_with(cell=["lstm"]), r"cell is \['lstm'\]"),
        (_with(context="page"), "context is 'page', expected one of sentence, document"),
        (_with(tokenizer="sentencepiece"), "tokenizer is 'sentencepiece'"),
        (_with(vocab_size=0), "vocab_size is 0, expected a positive integer"),
        (_with(hidden_size=4.0), "hidden_size is 4.0"),
        (_with(num_hidden_layers=True), "num_hidden_layers is True"),
        (_with(embedding_size=0), "embedding_size is 0, expected a positive integer"),
        (_with(embedding_size=1 << 21), "embedding_size is 2097152, more than 1048576"),
        (_with(residual=None), "residual must be true or false"),
        (
            _with(residual=True, connections="dense"),
            "residual is true, but connections are another",
        ),
        (_with(connections="sparse"), "connections is 'sparse', expected one of plain, residual"),
        (_with(window_size=3), "window_size is 3, expected 2 or more for the cell window and null"),
        (_with(cell="window"), "window_size is None, expected 2 or more for the cell window"),
        (_with(cell="window", window_size=1), "window_size is 1, expected 2 or more"),
        (_with(cell="window", window_size=2.0), "window_size is 2.0, expected a positive integer"),
        (_with(vocab_size=2), "eos_token_id is 2, expected an id below 2"),
        (_with(bos_token_id=-1), "bos_token_id is -1, expected an id below 10"),
        (_with(eos_token_id=None), "eos_token_id is None"),
        (_with(unk_token_id="0"), "unk_token_id is '0'"),
        (_with(tie_word_embeddings=1), "tie_word_embeddings must be true or false"),
        (_with(output_layer="tree"), "output_layer is 'tree', expected one of softmax, classes"),
        (_with(self_normalized=1), "self_normalized must be true or false"),
        (_with(cutoffs=3), "cutoffs are 3, expected a list of ids"),
        (_with(cutoffs=[True]), r"cutoffs are \[True\], expected a list of ids"),
        (_with(cutoffs=[3]), "output_layer is 'softmax' with 1 cutoffs"),
        (_with(output_layer="classes"), "output_layer is 'classes' with 0 cutoffs"),
        (_classes(0, 3), r"cutoffs are \[0, 3\], expected rising ids between 0 and 10"),
        (_classes(3, 3), r"cutoffs are \[3, 3\], expected rising ids"),
        (_classes(3, 10), r"cutoffs are \[3, 10\], expected rising ids"),
        (_classes(3, self_normalized=True), "classes are normalised, so self_normalized must be"),
        (_with(tokenizer_sha256=None), "tokenizer_sha256 must be a string"),
        (_with(training=[]), "training must be an object"),
        (_with(cell="gru"), "state does not fit the cell 'gru'"),
        (_with(hidden_size=5), "state does not fit"),
        (_with(graphs=[]), "graphs must be an object"),
        (_with(graphs={"int8": None}), "graphs.int8 must be an object"),
        (_with(graphs={"int8": {}}), r"graphs.int8: key '\w+' is missing"),
        (_graph_with(colour="blue"), "graphs.int8: unknown key 'colour'"),
        (_graph_with(sha256=5), "graphs.int8.sha256 is 5, expected str"),
        (_graph_with(size_bytes=1.5), "graphs.int8.size_bytes is 1.5, expected int"),
        (_graph_with(perplexity_change="none"), "graphs.int8.perplexity_change is 'none'"),
        (_graph_with(quantized="all"), "graphs.int8.quantized is 'all'"),
        (_graph_with(quantized=[1]), r"graphs.int8.quantized is \[1\]"),
        (_graph_with(log_z=0.1), "graphs.int8.log_z must be an object"),
        (_graph_with(log_z={"mean": 0}), "graphs.int8.log_z: key '\\w+' is missing"),
        (_log_z(std="wide"), "graphs.int8.log_z.std is 'wide', expected float"),
        (_with(layouts=[]), "layouts must be an object"),
        (_with(layouts={"../x": {}}), r"layouts.../x: no such layout; there are sherpa-online, "),
        (_with(layouts={"rasr": []}), "layouts.rasr must be an object"),
        (_with(layouts={"rasr": {"../x": {}}}), "layouts.rasr has '../x', which is no name of a"),
        (_with(layouts={"rasr": {"fp32": {}}}), r"layouts.rasr.fp32: key '\w+' is missing"),
    ],
)
def test_a_wrong_key_is_named(
    bundle: Bundle, change: Callable[[Document], object], message: str
) -> None:
    path = bundle.path / CONFIG_FILE
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=message) as caught:
        Bundle.read(bundle.path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1: not JSON"),
        (b'{\n"cell": "lstm",\n', "line 3: not JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"cell": "\xff"}', "not UTF-8"),
    ],
)
def test_a_damaged_config(bundle: Bundle, data: bytes, message: str) -> None:
    (bundle.path / CONFIG_FILE).write_bytes(data)
    with pytest.raises(ModelError, match=message) as caught:
        Bundle.read(bundle.path)
    assert str(bundle.path / CONFIG_FILE) in str(caught.value)


def test_keys_that_may_be_left_out(bundle: Bundle) -> None:
    document = json.loads(bundle.config.to_json())
    del document["training"], document["graphs"]
    for key in ("direction", "output_layer", "cutoffs", "self_normalized"):
        del document[key]
    config = Config.from_json(json.dumps(document))
    assert config == dataclasses.replace(bundle.config, training={}, graphs={})


def test_records_of_before_log_z(bundle: Bundle) -> None:
    document = json.loads(bundle.config.to_json())
    for record in document["graphs"].values():
        assert record.pop("log_z") is None
    assert Config.from_json(json.dumps(document)) == bundle.config


def test_classes_are_ranges_of_ids(bundle: Bundle) -> None:
    assert bundle.config.classes == ()
    config = dataclasses.replace(bundle.config, output_layer="classes", cutoffs=(4, 5))
    assert Config.from_json(config.to_json()) == config
    assert config.classes == (slice(4, 5), slice(5, 10))
    assert config.weight_shapes()["output.classes.weight"] == (2, 4)
    assert config.num_parameters == bundle.config.num_parameters + 2 * 4 + 2


def test_what_is_measured_of_log_z_is_kept(bundle: Bundle) -> None:
    record = dataclasses.replace(bundle.config.graphs["int8"], log_z=LogZRecord(0.01, 0.3, 0.98))
    graphs = {**bundle.config.graphs, "int8": record}
    config = dataclasses.replace(bundle.config, self_normalized=True, graphs=graphs)
    assert Config.from_json(config.to_json()) == config
    assert config.head_spec.has_scores
    assert not bundle.config.head_spec.has_scores


def test_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        if path.name == CONFIG_FILE:
            raise PermissionError(13, "Permission denied")
        return True

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(ModelNotFoundError, match=r"config\.json: Permission denied"):
        Bundle.read(tmp_path)


def test_no_model_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="missing: no such directory"):
        Bundle.read(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(ModelNotFoundError, match="file: is a file, not a model directory"):
        Bundle.read(tmp_path / "file")
    with pytest.raises(ModelNotFoundError, match=r"config.json is missing; .*lmscore train"):
        Bundle.read(tmp_path)


def test_an_unreadable_config(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputFileError, match=r"config.json: cannot be read: Permission denied"):
        Bundle.read(bundle.path)


def test_a_missing_file_says_how_to_get_it(bundle: Bundle) -> None:
    with pytest.raises(ModelNotFoundError, match=r"model.safetensors is missing; copy it"):
        bundle.file(WEIGHTS_FILE)
    with pytest.raises(ModelNotFoundError, match=r"notes.txt is missing; export the model again"):
        bundle.file("notes.txt")


def test_the_tokenizer_must_be_the_models_own(bundle: Bundle) -> None:
    path = bundle.path / TOKENIZER_FILE
    path.write_text("{} ")
    with pytest.raises(ModelError, match=r"tokenizer.json: does not match tokenizer_sha256"):
        bundle.tokenizer_file()
    path.unlink()
    with pytest.raises(ModelNotFoundError, match=r"tokenizer.json is missing"):
        bundle.tokenizer_file()


def test_a_graph_must_be_the_one_that_was_checked(bundle: Bundle) -> None:
    path = bundle.path / graph_file("int8")
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(ModelError, match=r"model_int8.onnx: 13 bytes, config.json says 14"):
        bundle.graph_path("int8")
    path.write_bytes(data[:-1] + b"X")
    with pytest.raises(ModelError, match=r"model_int8.onnx: does not match its sha256"):
        bundle.graph_path("int8")
    path.unlink()
    assert bundle.variants() == ("fp32",)
    with pytest.raises(VariantError, match=r"no variant 'int8' \(there: fp32\)"):
        bundle.graph_path("int8")
    bundle.graph_path("fp32").unlink()
    with pytest.raises(VariantError, match=r"no variant 'fp16' \(there: none\)"):
        bundle.graph_path("fp16")
