"""The model card says what was measured."""

from __future__ import annotations

from dataclasses import replace

from lmscore.bundle import Bundle
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


def test_a_perplexity_that_fits_no_float(trained: Bundle) -> None:
    training = dict(trained.config.training)
    training["valid"] = {**training["valid"], "perplexity_per_word": None}
    config = replace(trained.config, training=training)
    assert "beyond 1e308 per word" in held_out_sentence(config)
    assert "| beyond 1e308 |" in model_card(config)
