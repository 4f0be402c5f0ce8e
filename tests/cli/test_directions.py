"""--backward: a model of each direction in the verbs that score text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lmscore
from lmscore.errors import ModelNotFoundError
from lmscore.runtime.bidirectional import BidirectionalModel
from tests.cli.conftest import Run
from tests.models import make_model

LINES = ["the cat sat on the mat", "", "so long and thanks"]


@pytest.fixture(scope="module")
def backward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backward") / "back"
    return make_model(folder, direction="backward", seed=1, variants=["fp32"]).path


@pytest.fixture
def both(model_path: Path, backward: Path) -> BidirectionalModel:
    forward = lmscore.load(model_path, variant="fp32")
    return lmscore.bidirectional(forward, lmscore.load(backward))


def test_score(run: Run, backward: Path, both: BidirectionalModel) -> None:
    text = "".join(f"{line}\n" for line in LINES)
    result = run("score", "--backward", backward, "--variant", "fp32", stdin=text)
    assert result.status == 0
    wanted = [both.score(line) for line in LINES]
    assert [row[1:] for row in result.rows] == [
        [str(score.num_tokens), "0", line] for score, line in zip(wanted, LINES, strict=True)
    ]
    found = [float(row[0]) for row in result.rows]
    assert found == pytest.approx([score.log_prob for score in wanted], abs=1e-3)
    assert "and back (fp32, sentence context, backward): 3 sentences, 10 words" in result.err
    assert "10 tokens without </s>" in result.err


def test_every_word_with_rank_and_alternatives(
    run: Run, backward: Path, both: BidirectionalModel
) -> None:
    options = ("--per", "word", "--rank", "--alternatives", "2", "--format", "jsonl")
    result = run("score", "--backward", backward, "--variant", "fp32", *options, stdin=LINES[0])
    assert result.status == 0
    (found,) = result.objects
    (wanted,) = both.measure_stream([LINES[0]], alternatives=2, words=True)
    assert [word["text"] for word in found["words"]] == LINES[0].split()
    assert [word["onset_rank"] for word in found["words"]] == [w.onset_rank for w in wanted.words]


def test_the_unigram(run: Run, backward: Path, both: BidirectionalModel, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("the the cat\nthe dog\n")
    options = ("--backward", backward, "--unigram", file, "--variant", "fp32")
    result = run("score", *options, stdin=LINES[0])
    divided = lmscore.bidirectional(both.forward, both.backward, unigram=["the the cat", "the dog"])
    assert float(result.rows[0][0]) == pytest.approx(divided.score(LINES[0]).log_prob, abs=1e-3)


def test_pairs(run: Run, backward: Path, both: BidirectionalModel) -> None:
    good, bad = LINES[0], "the cat sat on mat the"
    pair = json.dumps({"sentence_good": good, "sentence_bad": bad})
    result = run("pairs", "--backward", backward, "--variant", "fp32", stdin=pair)
    assert result.status == 0
    scores = [both.score(text).log_prob for text in (good, bad)]
    assert [float(x) for x in result.rows[0][:2]] == pytest.approx(scores, abs=1e-3)
    assert "and back (fp32, sentence context, backward): accuracy" in result.err


def test_choose(run: Run, backward: Path, both: BidirectionalModel) -> None:
    options = ("--backward", backward, "--variant", "fp32")
    result = run("choose", "the ___ ran", "cat", "mat", "long", *options)
    assert result.status == 0
    wanted = both.choose("the ", ["cat", "mat", "long"], " ran")
    assert [row[2] for row in result.rows] == [choice.text for choice in wanted]
    assert float(result.rows[0][0]) == pytest.approx(wanted[0].probability, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--unigram", "x"], "--unigram is for both directions"),
        (["--backward", "x", "--no-bos"], "--no-bos is not for both directions"),
        (["--backward", "x", "--prefix", "a"], "--prefix is not for both directions"),
        (["--backward", "x", "--compat", "kenlm"], "--compat is not for both directions"),
        (
            ["--backward", "x", "--segmentation", "spaces"],
            "--segmentation is not for both directions",
        ),
        (["--backward", "x", "--split", "lines"], "--split"),
        (["--backward", "x", "--per", "part"], "--per part"),
    ],
)
def test_what_does_not_go_together(run: Run, options: list[str], message: str) -> None:
    result = run("score", *options, stdin="a")
    assert result.status == 2
    assert message in result.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as train --direction both makes it."""
    folder = tmp_path_factory.mktemp("directions") / "both"
    make_model(folder / "forward", variants=["fp32"])
    make_model(folder / "backward", direction="backward", seed=1, variants=["fp32"])
    return folder


def halves(folder: Path) -> tuple[str, ...]:
    return ("-m", str(folder / "forward"), "--backward", str(folder / "backward"))


PAIR = json.dumps({"sentence_good": LINES[0], "sentence_bad": LINES[2]})


@pytest.mark.parametrize(
    ("verb", "stdin"),
    [
        (("score", "--per", "word"), LINES[0]),
        (("choose", "the ___ ran", "cat", "mat"), None),
        (("pairs",), PAIR),
    ],
)
def test_a_folder_of_both_is_its_halves(
    run: Run, folder: Path, verb: tuple[str, ...], stdin: str | None
) -> None:
    whole = run(*verb, "-m", folder, stdin=stdin)
    assert (whole.status, whole.rows != []) == (0, True)
    apart = run(*verb, *halves(folder), stdin=stdin)
    assert (whole.out, whole.err) == (apart.out, apart.err)


def test_the_folder_in_the_environment(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = run("score", *halves(folder), stdin=LINES[0])
    monkeypatch.setenv("LMSCORE_MODEL", str(folder))
    assert run("score", stdin=LINES[0]).out == apart.out


def test_the_folder_has_its_backward_model(run: Run, folder: Path) -> None:
    result = run("score", "-m", folder, "--backward", folder / "backward", stdin="a")
    assert result.status == 2
    assert f"{folder}: holds a backward model, so --backward names none" in result.err
    result = run("score", "-m", folder, "--no-bos", stdin="a")
    assert result.status == 2
    assert "--no-bos is not for both directions" in result.err


def test_verbs_of_one_direction_name_the_halves(run: Run, folder: Path) -> None:
    for verb in (("ppl", "-m", folder), ("info", folder)):
        result = run(*verb, stdin="a")
        assert result.status == 1
        wanted = f"{folder}: holds a model of each direction: name {folder / 'forward'} or"
        assert wanted in result.err
    with pytest.raises(ModelNotFoundError, match="holds a model of each direction"):
        lmscore.load(folder)


def test_the_folder_in_python(folder: Path, model_path: Path) -> None:
    both = lmscore.load_bidirectional(folder)
    parts = [lmscore.load(folder / name) for name in ("forward", "backward")]
    assert both.score(LINES[0]) == lmscore.bidirectional(*parts).score(LINES[0])
    with pytest.raises(ModelNotFoundError, match="does not hold two models, forward and backward"):
        lmscore.load_bidirectional(model_path)


def test_a_forward_model_is_no_backward_one(run: Run, model_path: Path) -> None:
    result = run("score", "--backward", model_path, stdin="a")
    assert result.status == 1
    assert "reads forward, and is given as the backward model" in result.err
