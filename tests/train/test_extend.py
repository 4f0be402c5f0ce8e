"""Vocabularies that grow when a run goes on from a model."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import lmscore
from lmscore.bundle import TOKENIZER_FILE, WEIGHTS_FILE, Bundle
from lmscore.errors import OptionError
from lmscore.export import export_model
from lmscore.train import make_options, train
from lmscore.train.extend import _learn_merges, extend_tokenizer, extended_weights
from lmscore.train.options import TrainOptions
from lmscore.train.record import resumed_options
from tests.train.toy import sentences, toy_options, write

NEW = ["the wombat sees the quokka .", "the wombat likes the cat .", "a numbat"] * 40
Weights = Mapping[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each kind of tokenizer, of the same text."""
    made = {}
    for kind in ("word", "char", "bpe", "unigram"):
        folder = tmp_path_factory.mktemp(kind)
        text = write(folder / "text", [*sentences(150), "a zebra sees the cat ."])
        changes = {"vocab_size": 300} if kind in ("bpe", "unigram") else {"min_count": 2}
        made[kind] = train(
            toy_options(folder, train=(text,), tokenizer=kind, epochs=1, **changes)
        ).path
    return made


def options_on(model: Path, folder: Path, **changes: Any) -> TrainOptions:
    text, old = write(folder / "new", NEW), write(folder / "old", sentences(40, seed=5))
    values = {"train": (text,), "valid": (f"old={old}", f"new={text}"), "init_from": str(model)}
    few = {"epochs": 1, "batch_size": 8, "threads": 1, "precision": "fp32", "device": "cpu"}
    more = {"output": str(folder / "model"), "extend_vocabulary": 20}
    return make_options({**values, **few, **more, **changes})


def vocabulary(folder: Path) -> dict[str, int]:
    return Tokenizer.from_file(str(folder / TOKENIZER_FILE)).get_vocab()


@pytest.mark.parametrize(
    ("kind", "units"),
    [
        ("word", ["wombat", "numbat", "a", "quokka"]),
        ("char", ["w", "m", "u", "q", "k"]),
        ("bpe", ["at", "Ġwombat", "Ġquokka"]),
    ],
)
def test_new_units_come_behind_the_old_ones(
    models: dict[str, Path],
    tmp_path: Path,
    kind: str,
    units: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "lmscore"):
        bundle = train(options_on(models[kind], tmp_path))
    before, after = vocabulary(models[kind]), vocabulary(bundle.path)
    assert {unit: after[unit] for unit in before} == before
    assert sorted(after.values()) == list(range(len(after)))
    assert set(units) <= after.keys()
    added = f"{len(before):,} of the model and {len(after) - len(before)} of the text ("
    assert f"vocabulary: {added}" in caplog.text
    assert "step 0: held-out perplexity" in caplog.text  # of both texts, before the training
    assert bundle.config.vocab_size == len(after)
    export_model(bundle.path)
    assert lmscore.load(bundle.path).score(NEW[0]).num_oov == 0


def probabilities(weights: Weights) -> NDArray[np.float64]:
    """Softmax of the output layer after five hidden states, [5, V]."""
    embedding = weights["embedding.weight"].astype(np.float64)
    hidden = np.random.default_rng(1).normal(size=(5, embedding.shape[1]))
    exp = np.exp(hidden @ embedding.T + weights["output.bias"])
    return np.asarray(exp / exp.sum(1, keepdims=True))


@pytest.mark.parametrize("kind", ["word", "char"])
def test_known_words_keep_their_probabilities(models: dict[str, Path], kind: str) -> None:
    """The new units and `<unk>` share what `<unk>` had."""
    config, weights = Bundle.read(models[kind]).config, load_file(models[kind] / WEIGHTS_FILE)
    old, unk = config.vocab_size, config.unk_token_id
    assert unk is not None
    counts = np.ones(old + 3, np.int64)
    counts[[unk, *range(old, old + 3)]] = 4, 9, 1, 0
    tokenizer = Tokenizer.from_file(str(models[kind] / TOKENIZER_FILE))
    wider = dataclasses.replace(config, vocab_size=old + 3)
    before = probabilities(weights)
    after = probabilities(extended_weights(weights, tokenizer, wider, counts))

    known = np.arange(old) != unk
    np.testing.assert_allclose(after[:, :old][:, known], before[:, known], rtol=1e-4)
    shares = np.concatenate([after[:, [unk]], after[:, old:]], 1) / before[:, [unk]]
    np.testing.assert_allclose(shares, np.tile([5 / 18, 10 / 18, 2 / 18, 1 / 18], (5, 1)), 1e-4)


def test_a_new_piece_is_the_mean_of_its_pieces(models: dict[str, Path]) -> None:
    config, weights = Bundle.read(models["bpe"]).config, load_file(models["bpe"] / WEIGHTS_FILE)
    old = Tokenizer.from_file(str(models["bpe"] / TOKENIZER_FILE))
    new = extend_tokenizer(old, NEW, size=50, min_count=1, source="t")
    V = new.get_vocab_size()
    wider = dataclasses.replace(config, vocab_size=V)
    grown = extended_weights(weights, new, wider, np.zeros(V, np.int64))
    piece = new.token_to_id("Ġwombat")
    assert piece is not None
    old_pieces = old.encode("wombat").ids
    assert new.encode("wombat").ids == [piece]
    for name in ("embedding.weight", "output.bias"):
        np.testing.assert_allclose(grown[name][piece], weights[name][old_pieces].mean(0), 1e-5)
        np.testing.assert_array_equal(grown[name][: config.vocab_size], weights[name])


def test_merges_by_hand() -> None:
    """The example of Sennrich et al. 2016, without the ends of words."""
    words = {tuple("low"): 5, tuple("lower"): 2, tuple("newest"): 6, tuple("widest"): 3}
    merges = list(_learn_merges(words, size=8, min_count=3, known={}))
    assert merges == [
        *(("e", "s"), ("es", "t"), ("l", "o"), ("lo", "w")),
        *(("e", "w"), ("ew", "est"), ("n", "ewest"), ("d", "est")),
    ]
    assert merges[:2] == list(_learn_merges(words, size=50, min_count=8, known={}))
    assert ("e", "s") not in _learn_merges(words, size=50, min_count=2, known={"es": 1})
    assert list(_learn_merges({tuple("aaaa"): 2}, size=9, min_count=2, known={})) == [
        *(("a", "a"), ("aa", "aa"))
    ]


def test_a_piece_beside_an_unknown_character_is_none() -> None:
    words: dict[tuple[str, ...], int] = {("a", "<unk>", "b", "c"): 5}
    assert list(_learn_merges(words, size=9, min_count=2, known={}, unknown="<unk>")) == [
        ("b", "c")
    ]


def test_new_pieces_beside_an_unknown_one(models: dict[str, Path]) -> None:
    """A BPE with <unk>, as SentencePiece makes them: its new pieces are made of its old ones."""
    config, weights = Bundle.read(models["bpe"]).config, load_file(models["bpe"] / WEIGHTS_FILE)
    state = json.loads((models["bpe"] / TOKENIZER_FILE).read_text())
    state["model"]["unk_token"] = "</s>"
    old = Tokenizer.from_str(json.dumps(state))
    new = extend_tokenizer(old, NEW, size=50, min_count=1, source="t")
    V, piece = new.get_vocab_size(), new.token_to_id("Ġwombat")
    assert piece is not None
    wider = dataclasses.replace(config, vocab_size=V, unk_token_id=5)
    grown = extended_weights(weights, new, wider, np.zeros(V, np.int64))
    mean = weights["embedding.weight"][old.encode("wombat").ids].mean(0)
    np.testing.assert_allclose(grown["embedding.weight"][piece], mean, 1e-5)
    np.testing.assert_array_equal(grown["output.bias"][: config.vocab_size], weights["output.bias"])


def test_rare_words_are_left_out(models: dict[str, Path], tmp_path: Path) -> None:
    bundle = train(options_on(models["word"], tmp_path, min_count=60))
    assert vocabulary(bundle.path).keys() - vocabulary(models["word"]).keys() == {"wombat"}


def test_a_stopped_run_keeps_the_vocabulary(models: dict[str, Path], tmp_path: Path) -> None:
    bundle = train(options_on(models["word"], tmp_path))
    longer = train(resumed_options(bundle.path, {"epochs": 2}), resume=True)
    assert longer.config.vocab_size == bundle.config.vocab_size
    assert longer.config.training["options"]["extend_vocabulary"] == 20


def test_what_cannot_be_extended(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"adds words, .*tokenizer.json is a Unigram, which"):
        train(options_on(models["unigram"], tmp_path))
    with pytest.raises(OptionError, match="extend_vocabulary is of the model that init_from names"):
        toy_options(tmp_path, extend_vocabulary=5)
    with pytest.raises(OptionError, match="adds no words to output_layer classes"):
        toy_options(tmp_path, extend_vocabulary=5, init_from="m", output_layer="classes")


def test_foreign_text_is_warned_of(
    models: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = write(tmp_path / "ru", ["дом день мир", "ночь мир день"] * 30)
    train(options_on(models["char"], tmp_path, train=(text,), extend_vocabulary=None))
    assert "text to train on: 8" in caplog.text
    assert "of the tokens are unknown, which a perplexity says little about; `extend_voc" in (
        caplog.text
    )
