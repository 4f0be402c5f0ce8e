"""Classes and self-normalised scores, from text through training and export to the runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import lmscore
from lmscore.bundle import WEIGHTS_FILE, Bundle
from lmscore.errors import OptionError
from lmscore.export import export_model
from lmscore.train import train
from lmscore.train.evaluate import held_out_batches, mean_log_z
from lmscore.train.inherit import load_weights_into
from lmscore.train.network import RecurrentLM
from lmscore.train.read_options import make_options
from lmscore.train.record import OPTIONS_FILE, resumed_options
from tests.train.toy import sentences, toy_corpus, toy_options, write

LIKELY, UNLIKELY = "the cat sees the dog .", "cat the the . dog sees"


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("classes")
    bundle = train(toy_options(folder, output_layer="classes", cutoffs=(5, 8), epochs=10))
    return Bundle(bundle.path, export_model(bundle.path))


@pytest.fixture(scope="module")
def self_normalized(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("self")
    valid = write(folder / "valid", sentences(40, seed=2))
    bundle = train(toy_options(folder, valid=(valid,), self_normalize=0.1, epochs=10))
    return Bundle(bundle.path, export_model(bundle.path))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_classes_learn(classes: Bundle, variant: str) -> None:
    assert (classes.config.output_layer, classes.config.cutoffs) == ("classes", (5, 8))
    assert classes.config.training["valid"]["perplexity"] < 5
    lm = lmscore.load(classes.path, variant=variant)
    likely, unlikely = lm.score_batch([LIKELY, UNLIKELY])
    assert likely.log_prob > unlikely.log_prob + 5
    log_probs, _ = lm.step([lm.config.bos_token_id], lm.initial_state())
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)


def test_the_card_and_the_weights_say_so(classes: Bundle) -> None:
    card = (classes.path / "README.md").read_text()
    assert "| output layer | classes, from the ids 5, 8 on |" in card
    assert load_file(classes.file(WEIGHTS_FILE))["output.classes.weight"].shape == (2, 16)


def test_the_bias_begins_at_the_frequencies_of_words_and_classes(classes: Bundle) -> None:
    network = RecurrentLM(classes.config)
    counts = torch.arange(classes.config.vocab_size)
    network.head.set_bias(counts)
    with torch.no_grad():
        log_probs = network.log_probs(torch.zeros(1, 16))
    smoothed = (counts + 1).double()
    torch.testing.assert_close(log_probs[0].exp(), (smoothed / smoothed.sum()).float())


def test_cutoffs_are_chosen_where_none_are_given(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    words = [f"w{n}" for n in (draw.zipf(1.3, 4000) - 1) % 300]
    text = write(tmp_path / "text", (" ".join(words[i : i + 10]) for i in range(0, 4000, 10)))
    bundle = train(toy_options(tmp_path, train=(text,), output_layer="classes", epochs=1))
    cutoffs = bundle.config.cutoffs
    assert cutoffs
    assert list(cutoffs) == sorted(cutoffs)
    assert 0 < cutoffs[0] < cutoffs[-1] < bundle.config.vocab_size


def test_classes_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"cutoffs are \[5, 99\], but the vocabulary ends at 12"):
        train(toy_options(tmp_path, output_layer="classes", cutoffs=(5, 99)))
    two = write(tmp_path / "two", ["a"] * 200)
    options = toy_options(
        tmp_path,
        train=(two,),
        valid=(two,),
        output=str(tmp_path / "few"),
        output_layer="classes",
        vocab_size=4,
    )
    with pytest.raises(OptionError, match="a vocabulary of 4 is not worth classes"):
        train(options)


def test_a_run_with_classes_is_resumed(tmp_path: Path) -> None:
    options = {"output_layer": "classes", "cutoffs": (4, 7)}
    whole = train(toy_options(tmp_path, **options, epochs=2, output=str(tmp_path / "whole")))
    half = train(toy_options(tmp_path, **options, epochs=1))
    resumed = train(resumed_options(half.path, {"epochs": 2}), resume=True)
    assert (resumed.config.cutoffs, resumed.config.output_layer) == ((4, 7), "classes")
    assert whole.config.training["updates"] == resumed.config.training["updates"]


def test_a_run_of_before_there_were_classes_is_resumed(tmp_path: Path) -> None:
    train(toy_options(tmp_path, epochs=1))
    path = tmp_path / "model" / OPTIONS_FILE
    recorded = json.loads(path.read_text())
    for key in ("output_layer", "cutoffs", "self_normalize"):
        del recorded[key]
    path.write_text(json.dumps(recorded))
    options = resumed_options(tmp_path / "model", {})
    assert (options.output_layer, options.cutoffs, options.self_normalize) == ("softmax", (), 0)


def test_a_model_with_classes_is_trained_further(classes: Bundle, tmp_path: Path) -> None:
    text = write(tmp_path / "text", sentences(200, seed=2))
    values = {"train": (text,), "output": str(tmp_path / "model"), "init_from": str(classes.path)}
    options = make_options({**values, "epochs": 1, "learning_rate": 1e-9, "precision": "fp32"})
    assert (options.output_layer, options.cutoffs) == ("classes", (5, 8))
    bundle = train(options)
    assert bundle.config.cutoffs == (5, 8)
    before, after = load_file(classes.file(WEIGHTS_FILE)), load_file(bundle.file(WEIGHTS_FILE))
    for name, weight in before.items():
        np.testing.assert_allclose(after[name], weight, atol=1e-6)
    with pytest.raises(OptionError, match="output_layer is 'softmax', but the model"):
        make_options({**values, "output_layer": "softmax"})


def test_self_normalised_goes_as_the_new_run_does(
    self_normalized: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="lmscore")
    text = write(tmp_path / "text", sentences(200, seed=2))
    values = {"train": (text,), "init_from": str(self_normalized.path), "epochs": 1}
    for alpha in (0.0, 0.1):
        made = {"output": str(tmp_path / f"{alpha}"), "self_normalize": alpha, "threads": 1}
        bundle = train(make_options({**values, **made}))
        assert bundle.config.self_normalized == bool(alpha)
        said = [text for text in caplog.messages if "without `self_normalize` the new" in text]
        assert len(said) == 1  # of the first one


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_the_certificate_says_how_near_scores_are(self_normalized: Bundle, variant: str) -> None:
    record = self_normalized.config.graphs[variant].log_z
    assert record is not None
    assert abs(record.mean) < 0.1
    assert 0 < record.std < 0.3
    assert record.rank_agreement > 0.9
    exact = lmscore.load(self_normalized.path, variant=variant)
    near = lmscore.load(self_normalized.path, variant=variant, unnormalized=True)
    for text in (LIKELY, UNLIKELY):
        expected, found = exact.score(text), near.score(text)
        assert found.log_prob == pytest.approx(expected.log_prob, abs=1)
        assert found.log_prob != expected.log_prob


def test_the_mean_of_log_z_is_taken_out_of_the_bias(self_normalized: Bundle) -> None:
    network = RecurrentLM(self_normalized.config).eval()
    load_weights_into(network, self_normalized)
    corpus = toy_corpus([5, 9, 12], vocab=self_normalized.config.vocab_size)
    batches = held_out_batches(corpus, network.config)
    hidden = torch.randn(4, 16)
    before, log_probs = mean_log_z(network, batches), network.log_probs(hidden)
    with torch.no_grad():
        network.head.bias.sub_(before)
    assert mean_log_z(network, batches) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(network.log_probs(hidden), log_probs)


def test_the_mean_is_zero_after_training(self_normalized: Bundle) -> None:
    from lmscore.train.corpus import open_corpus

    network = RecurrentLM(self_normalized.config).eval()
    load_weights_into(network, self_normalized)
    valid = open_corpus(self_normalized.path / "corpus", "valid", network.config.vocab_size)
    assert mean_log_z(network, held_out_batches(valid, network.config)) == pytest.approx(
        0, abs=1e-5
    )
