"""The word model's directory and its parity.npz, for tests below the language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.bundle import PARITY_FILE, Bundle
from lmscore.bundle.parity import Parity


@pytest.fixture(scope="module")
def bundle(model_path: Path) -> Bundle:
    return Bundle.read(model_path)


@pytest.fixture(scope="module")
def parity(bundle: Bundle) -> Parity:
    return Parity.load(bundle.path / PARITY_FILE, bundle.config)
