"""A trained model, copied for a repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_model import main

import lmscore
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
