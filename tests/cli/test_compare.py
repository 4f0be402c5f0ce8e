"""`lmscore compare`: several models beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lmscore
from lmscore.runtime.model import LanguageModel
from tests.cli.conftest import Run

LINES = ["the cat sat on the mat", "", "so long and thanks"]
ARPA = "\\data\\\nngram 1=4\n\n\\1-grams:\n-1\t<s>\n-0.5\t</s>\n-0.4\tthe\n-1.5\t<unk>\n\n\\end\\\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A text and an n-gram model."""
    text, arpa = tmp_path / "text", tmp_path / "my.arpa"
    text.write_text("".join(f"{line}\n" for line in LINES))
    arpa.write_text(ARPA)
    return text, arpa


def test_a_recurrent_model_beside_an_ngram_model(
    run: Run, lm_int8: LanguageModel, files: tuple[Path, Path]
) -> None:
    text, arpa = files
    result = run("compare", lm_int8.path, arpa, "--text", text, "--format", "json")
    assert result.status == 0
    first, second = json.loads(result.out)
    for found, lm in ((first, lm_int8), (second, lmscore.load(arpa))):
        wanted = lm.summarize(LINES)
        assert found["model"] == lm.path.name
        assert found["perplexity_per_word"] == pytest.approx(wanted.perplexity_per_word)
        assert found["oovs"] == wanted.oovs
    assert first["size_bytes"] == (lm_int8.path / "model_int8.onnx").stat().st_size
    assert second["size_bytes"] == arpa.stat().st_size
    assert "the models do not know the same words" in result.err


def test_unknown_words_that_are_spelt(
    run: Run, lm_int8: LanguageModel, bpe_lm: LanguageModel, files: tuple[Path, Path]
) -> None:
    text, arpa = files
    options = ("--text", text, "--format", "json", "--oov-cost", bpe_lm.path)
    result = run("compare", lm_int8.path, arpa, *options)
    found = json.loads(result.out)[1]["bits_per_character"]
    speller = lmscore.load(bpe_lm.path)
    wanted = lmscore.load(arpa).summarize(LINES, oov_cost=speller).bits_per_character
    assert found == pytest.approx(wanted)
    assert "do not know the same words" not in result.err


def test_a_table(run: Run, lm_int8: LanguageModel, files: tuple[Path, Path]) -> None:
    result = run("compare", lm_int8.path, lm_int8.path, "--text", files[0])
    header, *rows = result.out.splitlines()
    assert header.split("  ")[0] == "model"
    assert "perplexity per word" in header
    assert len(rows) == 2
    assert result.err == ""


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["a", "--text", "b"], 2, "two models or more"),
        (["a", "b", "--text", "-"], 2, "name a file, not standard input"),
        (["a", "b", "--text", "/none"], 1, "no such file"),
    ],
)
def test_mistakes(run: Run, arguments: list[str], status: int, message: str) -> None:
    result = run("compare", *arguments)
    assert (result.status, message in result.err) == (status, True), result.err
