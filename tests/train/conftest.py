"""One model that is really trained, exported and shared by all tests that need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.bundle import Bundle
from lmscore.export import export_model
from lmscore.train import train
from tests.train.toy import sentences, toy_options, write


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An LSTM of 24, BPE, sentence context, fp32 and int8 graphs; its texts lie beside it."""
    folder = tmp_path_factory.mktemp("trained")
    valid = write(folder / "valid", [*sentences(40, seed=2), "", "a bird that nobody has seen"])
    options = toy_options(
        folder, valid=(valid,), tokenizer="bpe", vocab_size=300, hidden_size=24, epochs=12
    )
    bundle = train(options)
    return Bundle(bundle.path, export_model(bundle.path))


@pytest.fixture(scope="session")
def valid_text(trained: Bundle) -> Path:
    """The text that the trained model's perplexity was measured on."""
    return trained.path.parent / "valid"
