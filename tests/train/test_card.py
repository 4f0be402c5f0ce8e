"""The model card says what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmscore.bundle import Bundle
from lmscore.runtime.load import bundled_models
from lmscore.train.card import held_out_sentence, model_card


def test_card(trained: Bundle) -> None:
    card = (trained.path / "README.md").read_text()
    valid = trained.config.training["valid"]

    assert card == model_card(trained.config)
    assert "| architecture | 1 x lstm, hidden size 24, tied embeddings |" in card
    p, per_word = valid["perplexity"], valid["perplexity_per_word"]
    assert f"| held out | {valid['tokens']} | 0 | {p:.2f} | {p:.2f} | {per_word:.2f} |" in card
    assert "text: 200 lines" in card
    assert "Held-out text: valid. Each line" in card
    assert 0 < trained.config.training["best_update"] <= trained.config.training["updates"]
    assert "began with" not in card


def test_unknown_words_are_stated(trained: Bundle) -> None:
    training = dict(trained.config.training)
    counts = {"lines": 10, "tokens": 110, "oov": 4}
    training["train"] = {**training["train"], **counts}
    training["valid"] = {**training["valid"], **counts, "tokens": 50, "oov": 3}
    config = replace(trained.config, training=training, unk_token_id=0)
    card = model_card(config)
    assert "110 tokens, 4 (4.00%) OOVs |" in card
    assert "| held out | 50 | 3 (7.50%) |" in card
    assert "bits per character are too low, and not" in card
    void = "bits per character (too low: 3 (7.50%) tokens are OOVs, which are not spelt)"
    assert held_out_sentence(config).endswith(void)
    assert "too low" not in model_card(trained.config)


def test_a_perplexity_that_fits_no_float(trained: Bundle) -> None:
    training = dict(trained.config.training)
    training["valid"] = {**training["valid"], "perplexity_per_word": None}
    config = replace(trained.config, training=training)
    assert "beyond 1e308 per word" in held_out_sentence(config)
    assert "| beyond 1e308 |" in model_card(config)


def test_the_fields_at_its_top_are_yaml_that_the_hub_reads(trained: Bundle) -> None:
    hub = pytest.importorskip("huggingface_hub")
    found = hub.ModelCard((trained.path / "README.md").read_text()).data.to_dict()
    assert found["library_name"] == "lmscore"
    assert found["pipeline_tag"] == "text-generation"
    assert "lstm" in found["tags"]
    for folder in bundled_models().values():
        bundled = hub.ModelCard((folder / "README.md").read_text()).data.to_dict()
        assert (bundled["language"], bundled["license"]) == ("en", "apache-2.0")
