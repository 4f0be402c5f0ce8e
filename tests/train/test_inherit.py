"""Training on from a model, and training backwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from lmscore.bundle import TOKENIZER_FILE, WEIGHTS_FILE, Bundle
from lmscore.errors import ModelNotFoundError, OptionError
from lmscore.train.options import TrainOptions
from lmscore.train.read_options import make_options, read_toml
from lmscore.train.record import resumed_options
from lmscore.train.run import train
from tests.models import make_model
from tests.train.toy import sentences, toy_options, write


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model to go on from."""
    return train(toy_options(tmp_path_factory.mktemp("general"))).path


def options_from(general: Path, folder: Path, **changes: Any) -> TrainOptions:
    text = write(folder / "text", sentences(200, seed=2))
    values = {"train": (text,), "output": str(folder / "model"), "init_from": str(general)}
    few = {"epochs": 1, "batch_size": 8, "threads": 1, "precision": "fp32", "device": "cpu"}
    return make_options({**values, **few, **changes})


def test_sizes_and_tokenizer_are_the_models(general: Path, tmp_path: Path) -> None:
    options = options_from(general, tmp_path)
    assert (options.hidden_size, options.cell) == (16, "lstm")
    bundle = train(options)
    assert bundle.config.tokenizer == "word"
    assert (bundle.path / TOKENIZER_FILE).read_bytes() == (general / TOKENIZER_FILE).read_bytes()
    assert bundle.config.training["options"]["init_from"] == "model"
    assert str(general) not in json.dumps(bundle.config.training)


def test_options_that_the_model_leaves_without_effect(tmp_path: Path) -> None:
    model = tmp_path / "weights"
    make_model(model, context="document")
    given = {"train": ("text",), "output": "out", "init_from": str(model)}
    for option, value, reason in (
        ("layer_dropout", 0.1, "there is one layer"),
        ("order", "given", "a document is read from its beginning to its end"),
    ):
        with pytest.raises(OptionError, match=f"{option} is {value!r} and has no effect: {reason}"):
            make_options({**given, option: value})
    make_model(tmp_path / "two", layers=2)
    make_options({**given, "init_from": str(tmp_path / "two"), "layer_dropout": 0.1})


def test_it_goes_on_from_the_weights(general: Path, tmp_path: Path) -> None:
    # A learning rate that changes nothing to speak of.
    bundle = train(options_from(general, tmp_path, learning_rate=1e-9, weight_decay=0.0))
    before, after = load_file(general / WEIGHTS_FILE), load_file(bundle.file(WEIGHTS_FILE))
    for name, weight in before.items():
        np.testing.assert_allclose(after[name], weight, atol=1e-6)


def test_what_it_starts_from_is_kept_unless_bettered(
    general: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = train(options_from(general, tmp_path, learning_rate=30.0, clip=1e6))
    (warning,) = (r.getMessage() for r in caplog.records if "`init_from`" in r.getMessage())
    assert "a lower `learning_rate` (now 30) or more updates (now " in warning
    assert (bundle.path / "checkpoints").is_dir()
    assert str(bundle.path / "checkpoints") in warning
    before, after = load_file(general / WEIGHTS_FILE), load_file(bundle.file(WEIGHTS_FILE))
    assert all((after[name] == weight).all() for name, weight in before.items())
    metrics = (bundle.path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(metrics[0])["step"] == 0
    assert bundle.config.training["best_update"] == 0 < bundle.config.training["updates"]
    assert "; the weights are those that it began with, of model: no evaluation found better" in (
        bundle.path / "README.md"
    ).read_text(encoding="utf-8")


def test_a_model_of_weights_alone_is_enough(tmp_path: Path) -> None:
    make_model(tmp_path / "weights", tokenizer="bpe", cell="gru", layers=2)
    bundle = train(options_from(tmp_path / "weights", tmp_path))
    assert (bundle.config.cell, bundle.config.num_hidden_layers) == ("gru", 2)


def test_a_gain_is_no_warning(
    general: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(options_from(general, tmp_path))
    assert "`init_from`" not in caplog.text


def test_a_resumed_run_does_not_need_the_first_model(general: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(general, source)
    train(options_from(source, tmp_path))
    shutil.rmtree(source)
    longer = resumed_options(tmp_path / "model", {"epochs": 2})
    assert train(longer, resume=True).config.training["epochs"] >= 2


def test_paths_in_a_toml_file_start_from_it(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('init_from = "general"\n')
    assert read_toml(tmp_path / "run.toml") == {"init_from": str(tmp_path / "general")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 32}, "hidden_size is 32, but the model .* has 16; leave it out"),
        ({"cell": "gru"}, "cell is 'gru', but the model .* has 'lstm'"),
        ({"tokenizer": "char"}, "tokenizer is 'char', but init_from brings that of"),
        ({"bos_token": "<x>"}, "bos_token is '<x>', but the model .* has '<s>'; leave it out"),
    ],
)
def test_other_sizes_are_refused(
    general: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        options_from(general, tmp_path, **changes)


def test_names_of_special_tokens_are_the_models(tmp_path: Path) -> None:
    train(toy_options(tmp_path, bos_token="[", eos_token="]", unk_token="?", epochs=1))
    options = options_from(tmp_path / "model", tmp_path, output=str(tmp_path / "next"))
    assert (options.bos_token, options.eos_token, options.unk_token) == ("[", "]", "?")


def test_options_that_were_not_filled_in_are_refused(general: Path, tmp_path: Path) -> None:
    options = toy_options(tmp_path, init_from=str(general), hidden_size=8)
    with pytest.raises(OptionError, match="hidden_size is 8"):
        train(options)


def test_a_model_without_weights_is_refused(general: Path, tmp_path: Path) -> None:
    shutil.copytree(general, tmp_path / "lean")
    (tmp_path / "lean" / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=WEIGHTS_FILE):
        train(options_from(tmp_path / "lean", tmp_path))
    with pytest.raises(ModelNotFoundError, match="no such directory"):
        options_from(tmp_path / "nowhere", tmp_path)


def test_a_backward_model_reads_lines_from_their_end(tmp_path: Path) -> None:
    text = write(tmp_path / "text", ["a b c", "", "d e"] * 100)
    valid = write(tmp_path / "valid", ["a b c"])
    bundle = train(
        toy_options(tmp_path, train=(text,), valid=(valid,), direction="backward", epochs=1)
    )
    assert Bundle.read(bundle.path).config.direction == "backward"
    from lmscore.runtime.text.tokenizer import TextTokenizer
    from lmscore.train.corpus import open_corpus

    tokenizer = TextTokenizer.load(bundle)
    corpus = open_corpus(bundle.path / "corpus", "train", bundle.config.vocab_size)
    spelled = [tokenizer.token(int(token)) for token in corpus.tokens[:8]]
    assert spelled == ["c", "b", "a", "</s>", "</s>", "e", "d", "</s>"]


def test_a_backward_model_of_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="reads sentence by sentence"):
        toy_options(tmp_path, direction="backward", context="document")
