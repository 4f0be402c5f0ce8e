"""Weights that PyTorch modules of other programs hold, as a model directory."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

import lmscore
from lmscore.bundle import Cell, Config
from lmscore.errors import (
    ExportError,
    InputError,
    InputFileError,
    LmscoreError,
    ModelError,
    OptionError,
)
from lmscore.export import export_model
from lmscore.train import ImportOptions, import_weights
from lmscore.train.foreign_weights import recognise
from tests.train.toy import sentences, write

WORDS = ["<eos>", "<unk>", "the", "cat", "dog", "sees", "likes", "."]
V, E, H = len(WORDS), 12, 16


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Several threads wait for each other on a machine that does other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Network(nn.Module):
    """An embedding, a recurrent module and an output layer, by the names of some program."""

    def __init__(
        self,
        names: tuple[str, str, str],
        make: Callable[..., nn.Module],
        *,
        tied: bool = False,
        embedding: int = E,
    ) -> None:
        super().__init__()
        self.names = names
        E = H if tied else embedding
        self.add_module(names[0], nn.Embedding(V, E))
        self.add_module(names[1], make(E, H))
        self.add_module(names[2], nn.Linear(H, V))
        for weight in self.parameters():
            nn.init.uniform_(weight, -0.5, 0.5)
        if tied:
            output = getattr(self, names[2])
            output.weight = getattr(self, names[0]).weight

    def log_probs(self, ids: list[int]) -> Tensor:
        """Log-probabilities [T, V] after each of some tokens."""
        embed, recur, output = (getattr(self, name) for name in self.names)
        embedded = embed(torch.tensor(ids))
        if isinstance(recur, nn.ModuleList):
            for cell in recur:
                embedded = _run_cell(cell, embedded)
            return output(embedded).log_softmax(-1)  # type: ignore[no-any-return]
        hidden, _ = recur(embedded[None] if recur.batch_first else embedded[:, None])
        return output(hidden.reshape(len(ids), H)).log_softmax(-1)  # type: ignore[no-any-return]


def _run_cell(cell: nn.Module, inputs: Tensor) -> Tensor:
    state: Any = None
    outputs = []
    for row in inputs:
        state = cell(row[None], state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.cat(outputs)


def cells(kind: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Two layers of cells in a list, as ESPnet 1 has them; E must be H."""
    return lambda inputs, units: nn.ModuleList([kind(inputs, units), kind(units, units)])


PYTORCH = ("encoder", "rnn", "decoder")  # and ESPnet 2
ICEFALL = ("input_embedding", "rnn", "output_linear")
ESPNET = ("embed", "rnn", "lo")

NETWORKS: dict[str, tuple[Callable[[], Network], str, Cell | None]] = {
    "word_language_model": (lambda: Network(PYTORCH, lambda e, h: nn.LSTM(e, h, 2)), "", None),
    "tied": (lambda: Network(PYTORCH, lambda e, h: nn.LSTM(e, h, 2), tied=True), "", None),
    "gru": (lambda: Network(PYTORCH, lambda e, h: nn.GRU(e, h, 3)), "module.", None),
    "rnn-tanh": (lambda: Network(PYTORCH, nn.RNN), "", "rnn-tanh"),
    "rnn-relu": (
        lambda: Network(PYTORCH, lambda e, h: nn.RNN(e, h, nonlinearity="relu")),
        "",
        "rnn-relu",
    ),
    "without biases": (
        lambda: Network(PYTORCH, lambda e, h: nn.LSTM(e, h, bias=False)),
        "",
        None,
    ),
    "icefall": (
        lambda: Network(ICEFALL, lambda e, h: nn.LSTM(e, h, 3, batch_first=True)),
        "",
        None,
    ),
    "icefall, tied": (
        lambda: Network(ICEFALL, lambda e, h: nn.LSTM(e, h, batch_first=True), tied=True),
        "",
        None,
    ),
    "ESPnet 2": (
        lambda: Network(PYTORCH, lambda e, h: nn.GRU(e, h, 2, batch_first=True)),
        "lm.",
        None,
    ),
    "ESPnet 1": (lambda: Network(ESPNET, cells(nn.LSTMCell), embedding=H), "predictor.", None),
    "ESPnet 1, gru": (lambda: Network(ESPNET, cells(nn.GRUCell), embedding=H), "predictor.", None),
}


def state_of(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + name: weight.detach() for name, weight in network.state_dict().items()}


def save(path: Path, tensors: object) -> Path:
    torch.save(tensors, path)
    return path


def options(folder: Path, words: list[str] = WORDS, **changes: Any) -> ImportOptions:
    vocabulary = write(folder / "words.txt", words)
    return ImportOptions(**{"vocabulary": vocabulary, "context": "document", **changes})


def imported(folder: Path, network: Network, prefix: str = "", **changes: Any) -> Config:
    weights = save(folder / "model.pt", state_of(network, prefix))
    return import_weights(weights, folder / "model", options(folder, **changes)).config


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_scores_equal_pytorch(tmp_path: Path, name: str) -> None:
    make, prefix, cell = NETWORKS[name]
    torch.manual_seed(1)
    network = make()
    config = imported(tmp_path, network, prefix, cell=cell)
    export_model(tmp_path / "model")

    ids = [0, 2, 3, 5, 2, 4, 7]
    expected = network.log_probs(ids)[range(len(ids)), [*ids[1:], 0]]
    text = " ".join(WORDS[index] for index in ids[1:])
    for variant, tolerance in (("fp32", 1e-5), ("int8", 0.05)):
        lm = lmscore.load(tmp_path / "model", variant=variant)
        found = [token.log_prob for token in lm.score(text).tokens]
        np.testing.assert_allclose(found, expected, atol=tolerance)
    assert config.tie_word_embeddings == ("tied" in name)
    assert config.training["imported_from"] == "model.pt"


def test_where_a_checkpoint_keeps_its_model(tmp_path: Path) -> None:
    """icefall saves {"model": ..., "optimizer": ...}; safetensors hold tensors alone."""
    network = NETWORKS["icefall"][0]()
    kept = {"model": state_of(network), "optimizer": {"step": 3}, "best_valid_epoch": 2}
    import_weights(save(tmp_path / "c.pt", kept), tmp_path / "a", options(tmp_path))
    save_file(state_of(network), tmp_path / "c.safetensors")
    import_weights(tmp_path / "c.safetensors", tmp_path / "b", options(tmp_path))
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert first == second


def test_a_mapping_names_modules(tmp_path: Path) -> None:
    network = Network(("tokens", "memory", "scores"), nn.LSTM)
    mapping = {"embedding": "tokens", "rnn": "memory", "output": "scores"}
    assert imported(tmp_path, network, mapping=mapping).hidden_size == H
    with pytest.raises(
        OptionError, match="`mapping` names 'body', expected embedding, rnn, output"
    ):
        options(tmp_path, mapping={"body": "tokens"})
    with pytest.raises(OptionError, match=r"`mapping` names the output 'head', but w has sc"):
        recognise(state_of(network), source="w", mapping={**mapping, "output": "head"})


def test_words_with_ids_and_names_of_sentence_marks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A tokens.txt as icefall has it: <sos/eos> is both marks, #0 is no row of the weights."""
    tokens = ["<blk> 0", "<sos/eos> 1", "<unk> 2", "a 3", "c 5", "b 4", "d 6", "e 7", "#0 8"]
    network = NETWORKS["icefall"][0]()
    with caplog.at_level(logging.INFO, "lmscore"):
        config = imported(tmp_path, network, words=tokens, context="sentence")
    assert (config.bos_token_id, config.eos_token_id, config.unk_token_id) == (1, 1, 2)
    assert "begins with <sos/eos> and ends with <sos/eos>; the unknown word is <unk>" in caplog.text
    tokenizer = Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json"))
    assert tokenizer.encode("a b c f").ids == [3, 4, 5, 2]


def test_words_with_counts_are_in_the_order_of_ids(tmp_path: Path) -> None:
    words = [f"{word} {100 - place}" for place, word in enumerate(WORDS)]
    imported(tmp_path, NETWORKS["gru"][0](), words=words)
    tokenizer = Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json"))
    assert tokenizer.encode("the cat").ids == [2, 3]


def test_a_tokenizer_and_a_text(tmp_path: Path) -> None:
    made = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(tmp_path / "t.json"))
    text = write(tmp_path / "text", sentences(20))
    given: dict[str, Any] = {
        "vocabulary": None,
        "tokenizer": str(tmp_path / "t.json"),
        "text": (text,),
    }
    assert imported(tmp_path, NETWORKS["gru"][0](), **given).tokenizer == "custom"
    (tmp_path / "empty").touch()
    given["text"] = (str(tmp_path / "empty"),)
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="empty: the text is empty"):
        imported(tmp_path / "other", NETWORKS["gru"][0](), **given)


LSTM = state_of(Network(PYTORCH, nn.LSTM))
BOTH_WAYS = state_of(Network(PYTORCH, lambda e, h: nn.LSTM(e, h // 2, bidirectional=True)))
PROJECTED = state_of(Network(PYTORCH, lambda e, h: nn.LSTM(e, 2 * h, proj_size=h)))


def lstm(**changes: Tensor | None) -> dict[str, Tensor]:
    """The tensors of an LSTM, some of them replaced, added or left out."""
    changed = {name.replace("__", "."): tensor for name, tensor in changes.items()}
    return {name: tensor for name, tensor in {**LSTM, **changed}.items() if tensor is not None}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (BOTH_WAYS, "rnn.weight_ih_l0_reverse is of a layer that reads both ways"),
        (PROJECTED, r"rnn.weight_hr_l0 is of a layer that projects its state \(proj_size\)"),
        (lstm(norm__weight=torch.ones(H)), r"cannot take norm.weight \[16\], which belongs to no"),
        (lstm(encoder__weight=None), "no embedding among .*; name the module with `mapping` embed"),
        (lstm(rnn__weight_hh_l0=None), "layer 0 has no weight_hh"),
        (
            lstm(encoder__bias=torch.zeros(E)),
            r"cannot take encoder.bias \[12\], which belongs to no",
        ),
        (lstm(decoder__bias=torch.full((V,), torch.nan)), "decoder.bias has NaN or infinite"),
        (
            lstm(b__weight_hh_l0=torch.zeros(4, 1)),
            "recurrent layers in b, rnn, and lmscore has",
        ),
        (lstm(rnn__weight_hh_l2=torch.zeros(4, 1)), r"recurrent layers \[0, 2\], expected 0, 1, "),
        (
            {"encoder.weight": torch.zeros(V, E)},
            r"no recurrent layer among encoder.weight \[8",
        ),
        ({"epoch": 3}, "no tensors by name in it; save the state_dict"),
        ([torch.zeros(3)], "no tensors by name in it"),
    ],
)
def test_networks_that_lmscore_has_not(tmp_path: Path, tensors: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        import_weights(save(tmp_path / "w.pt", tensors), tmp_path / "model", options(tmp_path))
    assert not (tmp_path / "model").exists()


GATES = "[4 H, H] of an nn.LSTM, [3 H, H] of an nn.GRU or [H, H] of an nn.RNN"


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("rnn.weight_hh_l0", (7, 3), GATES),
        ("rnn.weight_hh_l0", (65, 16), GATES),
        ("rnn.weight_hh_l0", (64,), GATES),
        ("rnn.weight_hh_l0", (64, 0), GATES),
        ("rnn.weight_ih_l0", (64, 13), "[64, 12]"),
        ("rnn.weight_ih_l0", (64,), "[64, 12]"),
        ("rnn.bias_ih_l0", (3,), "[64]"),
        ("rnn.bias_hh_l0", (64, 1), "[64]"),
        ("rnn.weight_ih_l1", (64, 15), "[64, 16]"),
        ("rnn.weight_hh_l1", (48, 16), "[64, 16]"),
        ("encoder.weight", (V,), "[vocabulary, size]"),
        ("encoder.weight", (V, 0), "[vocabulary, size]"),
        ("decoder.weight", (V,), "[8, 16]"),
        ("decoder.weight", (V, 9), "[8, 16]"),
        ("decoder.bias", (9,), "[8]"),
    ],
)
def test_weights_of_another_shape(
    tmp_path: Path, name: str, shape: tuple[int, ...], expected: str
) -> None:
    tensors = state_of(Network(PYTORCH, lambda e, h: nn.LSTM(e, h, 2)))
    path = save(tmp_path / "w.pt", {**tensors, name: torch.zeros(shape)})
    message = f"{path}: {name} has shape {list(shape)}, expected {expected}"
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        import_weights(path, tmp_path / "model", options(tmp_path))
    assert not (tmp_path / "model").exists()


def test_an_embedding_that_is_the_output_layer_has_its_shape(tmp_path: Path) -> None:
    path = save(tmp_path / "w.pt", lstm(decoder__weight=None, decoder__bias=None))
    message = (
        r"encoder.weight has shape \[8, 12\], expected \[8, 16\], since it is the output layer, too"
    )
    with pytest.raises(ModelError, match=message):
        import_weights(path, tmp_path / "model", options(tmp_path))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            torch.zeros(64, 16, dtype=torch.int8),
            "a tensor of torch.int8, torch.strided, on cpu;",
        ),
        (torch.zeros(64, 16).to_sparse(), "a tensor of torch.float32, torch.sparse_coo, on cpu;"),
        (torch.zeros(64, 16, device="meta"), "a tensor of torch.float32, torch.strided, on meta;"),
    ],
)
def test_weights_that_are_no_plain_numbers(tmp_path: Path, tensor: Tensor, message: str) -> None:
    path = save(tmp_path / "w.pt", lstm(rnn__weight_hh_l0=tensor))
    with pytest.raises(ModelError, match=f"rnn.weight_hh_l0 is {message}"):
        import_weights(path, tmp_path / "model", options(tmp_path))


def test_the_cell_of_an_rnn_is_asked_for(tmp_path: Path) -> None:
    network = Network(PYTORCH, nn.RNN)
    with pytest.raises(OptionError, match="do not tell its non-linearity: give cell rnn-tanh or"):
        imported(tmp_path, network)
    with pytest.raises(OptionError, match=r"cell is 'gru', but the weights in .* are of 'lstm'"):
        imported(tmp_path, NETWORKS["icefall"][0](), cell="gru")


@pytest.mark.parametrize(
    ("words", "changes", "message"),
    [
        (WORDS[:-1], {}, "words.txt: 7 words, but the weights are of 8; list every word"),
        (["<eos>", *"abcdefg"], {}, "words.txt: no word for unknown words, such as <unk>"),
        (["<unk>", *"abcdefg"], {}, "words.txt: no token '</s>' in the vocabulary; name it with"),
        (WORDS, {"bos_token": "<x>", "context": "sentence"}, "no token '<x>' in the vocabulary"),
        (WORDS, {"tokenizer": "t"}, "give `vocabulary`, a list of words, or a tok"),
        (WORDS, {"vocabulary": None}, "give `vocabulary`, a list of words, or a tok"),
    ],
)
def test_vocabularies_that_do_not_fit(
    tmp_path: Path, words: list[str], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(LmscoreError, match=message):
        imported(tmp_path, NETWORKS["gru"][0](), words=words, **changes)
    assert not (tmp_path / "model").exists()


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    """A pickled module could run any code; it is refused unread."""
    made = tmp_path / "module.pt"
    torch.save(NETWORKS["gru"][0](), made)
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"a": 1}))
    write(tmp_path / "text.pt", ["hello"])
    for path in (made, tmp_path / "pickle.pt", tmp_path / "text.pt"):
        with pytest.raises(ModelError, match=r"neither safetensors nor a .pt file of tensors"):
            import_weights(path, tmp_path / "model", options(tmp_path))
    with pytest.raises(InputFileError, match=r"no\.pt: cannot be read: No such file"):
        import_weights(tmp_path / "no.pt", tmp_path / "model", options(tmp_path))


def test_a_directory_that_is_taken(tmp_path: Path) -> None:
    imported(tmp_path, NETWORKS["gru"][0]())
    with pytest.raises(OptionError, match="holds a model or a run already"):
        imported(tmp_path, NETWORKS["gru"][0]())


def test_a_tokenizer_that_is_there_stays(tmp_path: Path) -> None:
    place = tmp_path / "model" / "tokenizer.json"
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(InputError, match="empty: the text is empty"):
        imported(tmp_path, NETWORKS["gru"][0](), text=(str(empty),))
    assert not place.exists()
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    with pytest.raises(OptionError, match=r"tokenizer\.json: is there already, and no run made it"):
        imported(tmp_path, NETWORKS["gru"][0]())
    assert place.read_text() == "mine"


def test_int8_of_weights_of_which_a_few_are_large(tmp_path: Path) -> None:
    """8 bits lose most of a row beside a weight of 1,000 times its size; fp32 stays in place."""
    torch.manual_seed(1)
    network = Network(PYTORCH, nn.LSTM)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() == 2:
                weight[:, 0] *= 1000
    imported(tmp_path, network)
    with pytest.raises(ExportError) as raised:
        export_model(tmp_path / "model")
    found = re.fullmatch(
        r".*model_int8\.onnx not written: held-out perplexity is .* worse than PyTorch's, limit .*;"
        r" 8 bits are too few for output\.weight \(a row's largest weight is up to \d{4} times its "
        r"median\); the fp32 graph is in place and reproduces the training\. Use it, or export int8"
        r" with in_fp32='output\.weight': then it has .* MB, and its perplexity changes by \S+%",
        str(raised.value),
    )
    assert found is not None, str(raised.value)
    assert (tmp_path / "model" / "model.onnx").exists()
    record = export_model(tmp_path / "model", in_fp32=["output.weight"]).graphs["int8"]
    assert abs(record.perplexity_change) < 0.01
