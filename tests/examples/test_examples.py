"""The Python examples run, and their features are worth something."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lmscore.runtime.load import BUNDLED_MODEL
from lmscore.runtime.model import LanguageModel

pytest.importorskip("sklearn")
EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_who_wrote_a_sentence(lm: LanguageModel) -> None:
    found = example("classification").accuracies(str(lm.path))
    assert found["bag of words"] > found["always the more frequent"]
    assert all(0.5 < accuracy <= 1 for accuracy in found.values())


def test_names_in_sentences() -> None:
    found = example("tagging").scores(str(BUNDLED_MODEL), count=12)
    assert all(0.1 < score < 1 for score in found.values())


def test_spans_of_tags() -> None:
    spans = example("tagging").spans
    assert spans("O B-X I-X O B-Y I-X".split()) == {(1, 2, "X"), (4, 4, "Y"), (5, 5, "X")}
    assert spans("I-X B-X I-X".split()) == {(0, 0, "X"), (1, 2, "X")}
