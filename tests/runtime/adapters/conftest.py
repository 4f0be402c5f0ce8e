"""Models of three kinds of vocabulary."""

from __future__ import annotations

import pytest

from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.models import make_model


@pytest.fixture(scope="session")
def char_lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A model of printable ASCII characters, and of <unk>."""
    path = tmp_path_factory.mktemp("char") / "model"
    return load(make_model(path, tokenizer="char", variants=["fp32"]).path, variant="fp32")


@pytest.fixture(scope="session")
def backward_lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A model that reads sentences from their end."""
    path = tmp_path_factory.mktemp("backward") / "model"
    bundle = make_model(path, variants=["fp32"], direction="backward")
    return load(bundle.path, variant="fp32")


@pytest.fixture(params=["word", "document", "bpe", "char"])
def any_lm(request: pytest.FixtureRequest) -> LanguageModel:
    """Each of the models that read forward."""
    fixture = {"word": "lm", "document": "document_lm", "bpe": "bpe_lm", "char": "char_lm"}
    found: LanguageModel = request.getfixturevalue(fixture[request.param])
    return found
