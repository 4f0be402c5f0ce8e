"""Tiny models with random weights, made and exported once per run; nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from lmscore.bundle import Bundle, Parity
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel

# As lmscore does it: some tests import onnxruntime first, and in this process others fork.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# No test asks a server elsewhere; those of the Hub have one of their own.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# Tests that say no device mean the CPU, also on a machine with a GPU; `tests/devices.py` has those
# that compare devices. A subprocess inherits it.
os.environ["LMSCORE_DEVICE"] = "cpu"

# Time is not what tests are about: the machine may be busy.
settings.register_profile("lmscore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `.ci/run`: the same examples every time, so that it fails for what was changed and nothing else.
# Whoever runs pytest draws new ones, and commits a failing one as an @example or its own test.
settings.register_profile("ci", settings.get_profile("lmscore"), derandomize=True)
settings.load_profile("lmscore")


@pytest.fixture
def any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Device "auto" chooses by what there is, as it does for users."""
    monkeypatch.delenv("LMSCORE_DEVICE")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; the test is skipped where there is none."""
    from tests.browsing import open_browser

    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word model of sentences, exported to fp32 and int8. Do not change it: copy it."""
    return _exported(tmp_path_factory.mktemp("word") / "model")


@pytest.fixture(scope="session")
def document_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word model of documents, in which </s> plays the part of <s>. Do not change it."""
    return _exported(tmp_path_factory.mktemp("document") / "model", context="document")


@pytest.fixture(scope="session")
def bpe_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level model, which has no OOV; two GRU layers. Do not change it."""
    path = tmp_path_factory.mktemp("bpe") / "model"
    return _exported(path, tokenizer="bpe", cell="gru", layers=2)


@pytest.fixture(scope="session")
def chinese_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Characters of a script without spaces, a combining mark, no white space; <unk> is 0."""
    names = ["<unk>", "<s>", "</s>", *"\u79e6\u5ddd\u5e8a\u524d\u660e\u6708", "\u0301"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    path = tmp_path_factory.mktemp("chinese") / "model"
    return _exported(path, tokenizer=tokenizer, hidden=8)


@pytest.fixture(scope="session")
def chinese_lm(chinese_model_path: Path) -> LanguageModel:
    """The model of Chinese characters in fp32."""
    return load(chinese_model_path, variant="fp32")


@pytest.fixture(scope="session")
def lm(model_path: Path) -> LanguageModel:
    """The word model in fp32."""
    return load(model_path, variant="fp32")


@pytest.fixture(scope="session")
def lm_int8(model_path: Path) -> LanguageModel:
    """The word model in int8."""
    return load(model_path, variant="int8")


@pytest.fixture(scope="session")
def document_lm(document_model_path: Path) -> LanguageModel:
    """The document model in fp32."""
    return load(document_model_path, variant="fp32")


@pytest.fixture(scope="session")
def bpe_lm(bpe_model_path: Path) -> LanguageModel:
    """The byte-level model in fp32."""
    return load(bpe_model_path, variant="fp32")


@pytest.fixture(scope="module")
def bundle(model_path: Path) -> Bundle:
    """The word model's directory."""
    return Bundle.read(model_path)


@pytest.fixture(scope="module")
def parity(bundle: Bundle) -> Parity:
    """The word model's parity.npz."""
    return Parity.load(bundle)


def _exported(path: Path, **options: Any) -> Path:
    from tests.models import make_model  # needs torch, and not every test needs a model

    return make_model(path, variants=("fp32", "int8"), **options).path
