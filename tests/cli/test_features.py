"""`lmscore features`: what Python gives, in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

import lmscore
from lmscore.runtime.model import LanguageModel
from tests.cli.conftest import Run
from tests.models import make_model

LINES = ["the cat sat", "", "so long and thanks for all the fish"]
STDIN = "".join(f"{line}\n" for line in LINES)


def test_an_array(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    output = tmp_path / "features.npy"
    result = run("features", "--variant", "fp32", "-o", output, stdin=STDIN)
    assert result.status == 0
    assert (result.out, "3 features in" in result.err) == ("", True)
    found = np.load(output)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack([lm.features(line) for line in LINES]), atol=1e-6)


def test_a_table(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    output, text = tmp_path / "features.parquet", tmp_path / "text.tsv"
    text.write_text("".join(f"u{number}\t{line}\n" for number, line in enumerate(LINES)))
    options = ("--variant", "fp32", "--per", "word", "--pool", "last", "-o", output)
    assert run("features", text, *options).status == 0
    rows = pyarrow.parquet.read_table(output).to_pylist()
    assert [row["text"] for row in rows] == " ".join(LINES).split()
    assert [row["number"] for row in rows] == [1] * 3 + [3] * 8
    assert [row["id"] for row in rows] == ["u0"] * 3 + ["u2"] * 8
    assert [row["index"] for row in rows] == [1, 2, 3, *range(1, 9)]
    wanted = lm.features(LINES[2], unit="word", pool="last")
    np.testing.assert_allclose([row["features"] for row in rows[3:]], wanted, atol=1e-6)


def test_tokens_of_both_directions(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    path = make_model(tmp_path / "back", direction="backward", seed=1, variants=["fp32"]).path
    output = tmp_path / "features.npy"
    options = ("--backward", path, "--per", "token", "--variant", "fp32", "-o", output)
    assert run("features", *options, stdin="the cat sat").status == 0
    both = lmscore.bidirectional(lm, lmscore.load(path))
    (wanted,) = both.features_stream(["the cat sat"], unit="token")
    np.testing.assert_allclose(np.load(output), wanted, atol=1e-6)


def test_many_rows(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "features.parquet"
    assert run("features", "-o", output, stdin="the cat\n" * 5000).status == 0
    assert pyarrow.parquet.read_metadata(output).num_rows == 5000


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["-o", "x.txt"], 2, "features are written to .npy or .parquet"),
        (["-o", "x.npy", "--layers", "a"], 2, "--layers is 'a', expected numbers"),
        (["-o", "x.npy", "--layers", "3"], 1, "--layers are [3], expected numbers in -1..0"),
        (["-o", "x.npy", "--on-error", "keep"], 2, "--on-error keep is for score"),
        (["-o", "x.npy", "--unigram", "a"], 2, "--unigram is for both directions"),
    ],
)
def test_mistakes(
    run: Run,
    options: list[str],
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("features", *options, stdin="a")
    assert (result.status, message in result.err) == (status, True), result.err
    assert not list(tmp_path.iterdir())
