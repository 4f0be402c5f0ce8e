"""`lmscore tune` on lattices, and `lmscore lattice --weights`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

# The acoustic scores prefer `dog`, the old language model `cat`, by 2 and by 1.
ARCS = """\
VERSION=1.0
N=3 L=3
I=0
I=1
I=2
J=0 S=0 E=1 W=the a=-10 l=-2
J=1 S=1 E=2 W=cat a=-20 l=-3
J=2 S=1 E=2 W=dog a=-18 l=-4
"""
FP32 = ("--variant", "fp32")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "htk"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.lat").write_text(ARCS)
    with gzip.open(folder / "d.lat.gz", "wt") as file:
        file.write(ARCS)
    return folder


@pytest.fixture
def references(tmp_path: Path) -> Path:
    path = tmp_path / "ref.txt"
    path.write_text("".join(f"{name} the cat\n" for name in "abcd"))
    return path


def test_tuned_weights_choose_what_was_said(
    run: Run, tmp_path: Path, folder: Path, references: Path
) -> None:
    out = tmp_path / "weights.json"
    result = run("tune", folder, "--references", references, "--folds", 2, "-o", out, *FP32)
    assert result.status == 0, result.err
    assert result.err == ("lmscore: 4 lattices, htk-slf\nlmscore: 8 hypotheses of 4 lattices\n")
    first, tuned, *_ = (line.split() for line in result.out.splitlines()[1:])
    assert first[:2] == ["1-best", "50.00"]
    assert tuned[:2] == ["tuned", "0.00"]
    weights = json.loads(out.read_text())
    assert set(weights["features"]) == {"acoustic", "lm", "lmscore"}

    best = run("lattice", folder, "--best", "--weights", out, *FP32)
    assert best.out == "the cat\n" * 4
    judged = run("tune", folder, "--references", references, "--weights", out, *FP32)
    assert judged.out.splitlines()[2].split()[:2] == ["weights", "0.00"]


def test_named_on_standard_input(run: Run, references: Path) -> None:
    archive = "".join(
        f"{name}\n0 1 the 2,10,\n1 2 cat 3,20,\n1 2 dog 4,18,\n2 0,0,\n\n" for name in "abcd"
    )
    options = ("--input-format", "kaldi-lattice", "--references", references, "--folds", 2, *FP32)
    result = run("tune", *options, stdin=archive)
    assert result.status == 0, result.err
    assert result.err.startswith("lmscore: 4 lattices, kaldi-lattice\n")
    assert [line.split()[1] for line in result.out.splitlines()[1:4]] == ["50.00", "0.00", "0.00"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weigh", "lm"), "--weigh and --no-model are for lists, not for lattices"),
        (("--no-model",), "--weigh and --no-model are for lists, not for lattices"),
        (("--lm", "a"), "--lm is for lists, not for lattices"),
        (("--join", "@@"), "--join is for lists, not for lattices"),
        (("--costs",), "--costs is for lists, not for lattices"),
        (("--missing-list", "empty"), "--missing-list empty is for lists, not for lattices"),
        (("--feature", "lm"), "lattices have a score 'lm' already; choose another --feature"),
    ],
)
def test_options_of_lists(
    run: Run, folder: Path, references: Path, options: tuple[str, ...], message: str
) -> None:
    result = run("tune", folder, "--references", references, *options)
    assert result.status == 2
    assert result.err.endswith(f"lmscore: error: {message}\n") or message in result.err


def test_lattices_without_references(run: Run, folder: Path) -> None:
    result = run("tune", folder)
    assert result.status == 2
    assert "lattices hold no references: give --references" in result.err


def test_weights_and_scales_exclude_each_other(run: Run, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text('{"format_version": 1, "features": {"acoustic": 1, "lmscore": 5}}')
    result = run("lattice", folder, "--best", "--weights", path, "--lm-scale", 3)
    assert result.status == 2
    assert "--weights has all weights: leave out --lm-scale" in result.err


def test_weights_of_lists_do_not_fit(run: Run, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text('{"format_version": 1, "features": {"rank": 1, "acoustic": 1}}')
    result = run("lattice", folder, "--best", "--weights", path)
    assert result.status != 0
    assert "lattices have no score 'rank' that weights could weigh" in result.err


def test_an_n_gram_of_the_recognisers_text(
    run: Run, tmp_path: Path, folder: Path, references: Path
) -> None:
    arpa = "\\data\\\nngram 1=4\n\\1-grams:\n-1\t</s>\n-99\t<s>\n-1\tdog\n-3\t<unk>\n\\end\\\n"
    (tmp_path / "own.arpa").write_text(arpa)
    out, lodr = tmp_path / "weights.json", ("--lodr", tmp_path / "own.arpa")
    options = ("--references", references, "--folds", 2, *FP32)
    result = run("tune", folder, *options, *lodr, "-o", out)
    assert result.status == 0, result.err
    weights = json.loads(out.read_text())
    assert list(weights["features"]) == ["acoustic", "lm", "lmscore", "lodr"]
    best = run("lattice", folder, "--best", "--weights", out, *lodr, *FP32)
    assert best.out == "the cat\n" * 4
    missing = run("lattice", folder, "--best", "--weights", out, *FP32)
    assert (missing.status, missing.out) == (1, "")
    assert "the weights have 'lodr': give its n-gram model, --lodr FILE" in missing.err
