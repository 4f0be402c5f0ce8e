"""A trained model, copied for a repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from bundle_model import main

import lmscore
from lmscore.bundle import Bundle, load_weights, save_weights
from lmscore.export import export_model
from lmscore.train import train
from tests.train.toy import sentences, toy_options, write


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_its_held_out_texts_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    valid = tuple(write(tmp_path / name, sentences(9, seed=2)) for name in names)
    model, small = train(toy_options(tmp_path, valid=valid, epochs=1)).path, tmp_path / "small"
    monkeypatch.setattr("sys.argv", ["bundle_model.py", str(model), str(small)])
    main()
    sizes = [(path / "model.safetensors").stat().st_size for path in (small, model)]
    assert sizes[0] < 0.8 * sizes[1]
    export_model(small, variants=["fp32"])  # it fits to parity.npz
    assert lmscore.load(small).score("the cat sees").num_tokens == 4


def test_several_become_their_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    valid = (write(tmp_path / "valid", sentences(9, seed=2)),)
    model = train(toy_options(tmp_path, valid=valid, epochs=1)).path
    other, mean = tmp_path / "other", tmp_path / "mean"
    shutil.copytree(model, other)
    weights = load_weights(Bundle.read(model))
    save_weights(other, {name: weight + 1 for name, weight in weights.items()})
    monkeypatch.setattr("sys.argv", ["bundle_model.py", str(model), str(other), str(mean)])
    main()
    found = load_weights(Bundle.read(mean))
    for name, weight in weights.items():
        np.testing.assert_allclose(found[name], weight + 0.5, atol=1e-3)  # in float16
    valid_of = [Bundle.read(path).config.training["valid"] for path in (model, mean)]
    assert valid_of[0]["tokens"] == valid_of[1]["tokens"]
    assert valid_of[0]["perplexity"] < valid_of[1]["perplexity"]  # of these weights
