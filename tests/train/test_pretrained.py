"""Word vectors of another program as the first values of an embedding."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from lmscore.errors import InputError, InputFileError, OptionError
from lmscore.train import train
from lmscore.train.network import RecurrentLM
from lmscore.train.pretrained import load_embeddings
from tests.train.toy import toy_config, toy_options, words_tokenizer

CONFIG = toy_config(embedding_size=3)


def network_with(path: Path, content: str) -> RecurrentLM:
    path.write_text(content, encoding="utf-8")
    network = RecurrentLM(CONFIG)
    with torch.no_grad():
        network.embedding.weight.zero_()
    load_embeddings(network, path, words_tokenizer(30, CONFIG))
    return network


@pytest.mark.parametrize("header", ["", "3 3\n"])
def test_known_words_have_their_vectors(tmp_path: Path, header: str) -> None:
    lines = "w4 1 2 3\nelse 9 9 9\nw7 0.5 -1e-3 2 \nw4 7 7 7\n"
    found = network_with(tmp_path / "vectors", header + lines).embedding.weight.detach().numpy()
    expected = np.zeros((30, 3))
    expected[4], expected[7] = (1, 2, 3), (0.5, -0.001, 2)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("w4 1 2\n", OptionError, r"vectors:1: the vectors have 2 numbers, the embedding 3: give "),
        ("w4 1 2 3\nw5 1 x 3\n", InputError, "vectors:2: no word and numbers"),
        ("w4 1 2 3\nw5 1 nan 3\n", InputError, "vectors:2: 'w5' has no finite vector"),
        ("w4 1 2 3\n\n", InputError, "vectors:2: '' has no finite vector"),
        ("else 1 2 3\n", InputError, "none of its words is a token"),
    ],
)
def test_mistakes(tmp_path: Path, content: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        network_with(tmp_path / "vectors", content)


def test_a_run_starts_from_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(b"cat 1 2 3\ndog 4 5 6\n"))
    options = {"embedding_size": 3, "embeddings": str(path), "epochs": 1}
    with caplog.at_level(logging.INFO, "lmscore"):
        bundle = train(toy_options(tmp_path, **options))
    assert "embeddings: 2 tokens have a vector" in caplog.text
    assert bundle.config.training["options"]["embeddings"] == "vectors.gz"
    with pytest.raises(InputFileError, match="no such file"):
        train(toy_options(tmp_path, output=str(tmp_path / "b"), embeddings="none"))
    with pytest.raises(OptionError, match="embeddings are of a new model"):
        toy_options(tmp_path, embeddings="a", init_from="b")
