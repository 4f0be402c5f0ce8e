"""`lmscore tune`: weights from lists with references, and what they gain."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lmscore.errors import how_to_install
from tests.cli.conftest import Run
from tests.missing import hide_package

List = dict[str, Any]


def make_list(key: str, reference: str | None, *rows: tuple[str, float, float]) -> List:
    hypotheses = [{"text": text, "score": am, "old": old} for text, am, old in rows]
    found: List = {"id": key, "hypotheses": hypotheses}
    return found if reference is None else {**found, "reference": reference}


# The second hypothesis is right where `old` rises by 2 and `score` falls by 1.
LISTS = [
    *[make_list(f"u{i}", "the cat", ("a cat", -1, -5), ("the cat", -2, -3)) for i in range(6)],
    make_list("v", "the dog", ("the dog", -1, -5), ("a dog", -4, -4)),
    make_list("w", "the man"),
]


READ = f"lmscore: {len(LISTS)} lists, jsonl\n"


def write(path: Path, lists: list[List]) -> Path:
    path.write_text("".join(json.dumps(nbest) + "\n" for nbest in lists))
    return path


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    return write(tmp_path / "lists.jsonl", LISTS)


OWN = ("--no-model", "--no-word-penalty", "--weigh", "score", "--weigh", "old", "--folds", "4")


@pytest.mark.skipif(os.name != "posix", reason="a pipe with a name")
def test_lists_down_a_pipe_are_read_once(run: Run, lists: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, lists.read_bytes())
    os.close(write_end)
    found = run("tune", f"/dev/fd/{read_end}", *OWN)
    os.close(read_end)
    assert (found.err, found.out) == (READ, run("tune", lists, *OWN).out)


def test_the_report(run: Run, lists: Path) -> None:
    result = run("tune", lists, *OWN)
    assert (result.status, result.err) == (0, READ)
    split = ([line.split("  ") for line in part.splitlines()] for part in parts(result))
    systems, lengths, weights, _ = split
    rows = [[cell.strip() for cell in row if cell.strip()] for row in systems]
    changes = ["difference", "95 %", "relative", "better", "worse"]
    assert rows[0] == ["8 lists", "WER %", "95 %", *changes, *LABELS]
    assert [row[:2] for row in rows[1:]] == [
        ["1-best", "50.00"],
        ["tuned", "12.50"],
        ["oracle", "12.50"],
    ]
    assert [row[-4:] for row in rows[1:]] == [
        ["6", "2", "0", "16"],
        ["0", "2", "0", "16"],
        ["0", "2", "0", "16"],
    ]
    assert rows[2][3] == "-37.50"
    assert rows[2][4].startswith("-5")
    # 6 of 8 lists, all but `v`, whose first one is right, and the empty `w`.
    assert rows[2][5:8] == ["-75.0 %", "75.0 %", "0.0 %"]
    assert [[cell.strip() for cell in row if cell.strip()] for row in lengths] == [
        ["hypotheses", "lists", "1-best", "tuned", "oracle"],
        ["1", "1", "100.00", "100.00", "100.00"],
        ["2", "7", "42.86", "0.00", "0.00"],
    ]
    assert weights[0][-1].strip() == "tuned on all lists, where they reach 12.50 WER %;"
    assert [row[1] for row in weights[2:]] == [
        "score",
        "old",
        "word penalty",
        "length normalization",
    ]


LABELS = ["substitutions", "deletions", "insertions", "words"]


def parts(result: Any) -> list[str]:
    found: list[str] = result.out.split("\n\n")
    assert len(found) == 4
    assert found[-1] == (
        "next: 100 % of what the lists hold is gained: write the weights with --output, and use "
        "them with --weights\n"
    )
    return found


def test_json(run: Run, lists: Path, tmp_path: Path) -> None:
    result = run("tune", lists, *OWN, "--format", "json", "-o", tmp_path / "weights.json")
    found = json.loads(result.out)
    assert (found["metric"], found["lists"], found["hypotheses"]) == ("WER %", 8, 15)
    assert (found["folds"], found["fitted"]) == (4, 12.5)
    tuned = found["systems"]["tuned"]
    assert tuned["value"]["value"] == 12.5
    assert tuned["difference"]["value"] == -37.5
    assert [tuned[label] for label in LABELS] == [0, 2, 0, 16]
    assert (tuned["relative"], tuned["better"], tuned["worse"]) == (-75, 6, 0)
    assert found["by_length"][0] == {
        "hypotheses": [1, 1],
        "lists": 1,
        "1-best": 100,
        "tuned": 100,
        "oracle": 100,
    }
    assert found["next"].startswith("100 % of what the lists hold")
    saved = json.loads((tmp_path / "weights.json").read_text())
    assert saved.pop("format_version") == 1
    assert found["weights"] == saved
    assert saved["features"]["score"] == 1
    # The right ones win from 0.5 on, and from 3 on the wrong one of the list `v`.
    assert saved["features"]["old"] == pytest.approx(1.75)


def test_rescore_takes_the_weights(run: Run, lists: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.json"
    assert run("tune", lists, *OWN, "-o", weights).status == 0
    again = run("tune", lists, *OWN, "-o", weights)
    assert (again.status, again.out) == (1, "")
    assert f"{weights}: there is something in it already; remove it" in again.err
    result = run("rescore", lists, "--weights", weights, "--best", "--quiet")
    assert (result.status, result.err) == (0, "")
    assert result.out.split("\n") == [*["the cat"] * 6, "the dog", "", ""]


def test_weights_measured_on_other_lists(run: Run, lists: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.json"
    run("tune", lists, *OWN, "-o", weights)
    other = write(tmp_path / "other.jsonl", LISTS[5:])
    result = run("tune", other, "--no-model", "--weights", weights, "--format", "json")
    found = json.loads(result.out)
    assert list(found["systems"]) == ["1-best", "weights", "oracle"]
    assert [system["value"]["value"] for system in found["systems"].values()] == [
        50,
        pytest.approx(100 / 3),
        pytest.approx(100 / 3),
    ]
    assert found["folds"] is None
    assert "fitted" not in found
    text = run("tune", other, "--no-model", "--weights", weights).out
    assert "\nweights" in text
    assert "tuned" not in text


def test_the_scores_of_a_model(run: Run, lists: Path, tmp_path: Path) -> None:
    """As if they had been in the lists before; the decoder's own score comes first."""
    options = ("--folds", "4", "--format", "json")
    direct = json.loads(run("tune", lists, *options).out)
    assert list(direct["weights"]["features"]) == ["score", "lmscore"]
    scored = tmp_path / "scored.jsonl"
    run("rescore", lists, "-o", scored, "--feature", "rnn")
    own = ("--no-model", "--weigh", "score", "--weigh", "rnn")
    indirect = json.loads(run("tune", scored, *own, *options).out)
    values = list(direct["weights"]["features"].values())
    assert list(indirect["weights"]["features"].values()) == pytest.approx(values, rel=1e-3)
    assert indirect["weights"]["word_penalty"] == pytest.approx(
        direct["weights"]["word_penalty"], rel=1e-3
    )
    assert indirect["systems"] == direct["systems"]


def test_several_models(run: Run, lists: Path, model_path: Path) -> None:
    models = ("--lm", f"one={model_path}", "--lm", f"two={model_path}")
    result = run("tune", lists, *models, "--folds", "2", "--format", "json")
    assert list(json.loads(result.out)["weights"]["features"]) == ["score", "one", "two"]


def test_lists_without_scores_have_an_order(run: Run, tmp_path: Path) -> None:
    lists = [{"input": ["the cat", "a cat"], "output": "a cat"}] * 3
    (tmp_path / "lists.json").write_text(json.dumps(lists))
    result = run("tune", tmp_path / "lists.json", "--folds", "3", "--format", "json")
    assert list(json.loads(result.out)["weights"]["features"]) == ["rank", "lmscore"]


def test_length_normalization(run: Run, lists: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.json"
    run("tune", lists, *OWN, "--length-normalization", "0.5", "-o", weights)
    assert json.loads(weights.read_text())["length_normalization"] == 0.5


def test_references_from_a_file(run: Run, tmp_path: Path) -> None:
    lists = write(
        tmp_path / "lists.jsonl",
        [make_list(nbest["id"], None, ("x", 0, 0), ("y", 0, 0)) for nbest in LISTS],
    )
    references = tmp_path / "references.txt"
    references.write_text("".join(f"{nbest['id']} y\n" for nbest in LISTS))
    result = run("tune", lists, *OWN, "--references", references, "--format", "json")
    systems = json.loads(result.out)["systems"]
    assert [systems[name]["value"]["value"] for name in ("1-best", "oracle")] == [100, 0]


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        ((), 3),
        (("--ignore-case",), 2),
        (("--ignore-punctuation",), 2),
        (("--ignore-case", "--ignore-punctuation"), 1),
        (("--ignore-case", "--ignore-punctuation", "--remove", "um"), 0),
        (("--ignore-case", "--ignore-punctuation", "--remove", "um", "--lowercase"), 0),
        (("--lowercase",), 3),
    ],
)
def test_what_is_compared(run: Run, tmp_path: Path, options: tuple[str, ...], errors: int) -> None:
    rows = [("The cat, um", 0.0, 0.0), ("x y z", -1.0, 0.0)]
    lists = write(tmp_path / "a.jsonl", [make_list(k, "the cat", *rows) for k in "ab"])
    result = run("tune", lists, *OWN[:-1], "2", *options, "--format", "json")
    first = json.loads(result.out)["systems"]["1-best"]
    assert sum(first[label] for label in LABELS[:3]) == 2 * errors


def test_subwords_are_joined_before_they_are_compared(run: Run, tmp_path: Path) -> None:
    rows = [("the c@@ at", 0.0, 0.0), ("x", -1.0, 0.0)]
    lists = write(tmp_path / "a.jsonl", [make_list(k, "the cat", *rows) for k in "ab"])
    result = run("tune", lists, *OWN[:-1], "2", "--join", "@@", "--format", "json")
    assert json.loads(result.out)["systems"]["1-best"]["value"]["value"] == 0


@pytest.mark.parametrize("metric", ["cer", "bleu", "chrf"])
def test_other_metrics(run: Run, lists: Path, metric: str) -> None:
    result = run("tune", lists, *OWN, "--metric", metric)
    assert result.status == 0
    assert result.out.split()[2].lower().startswith(metric)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture(run: Run, lists: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"wer.{suffix}"
    result = run("tune", lists, *OWN, "--plot", path)
    assert (result.status, result.err) == (0, READ)
    assert path.read_bytes().startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


def test_a_picture_of_a_weight_of_zero(run: Run, tmp_path: Path) -> None:
    rows = [("a", 0.0, 0.0), ("b", -1.0, 0.0)]
    lists = write(tmp_path / "a.jsonl", [make_list(k, "a", *rows) for k in "ab"])
    result = run("tune", lists, *OWN[:-1], "2", "--plot", tmp_path / "wer.pdf")
    assert (result.status, result.err) == (0, READ.replace("8", "2"))


def test_a_picture_of_no_kind(run: Run, lists: Path, tmp_path: Path) -> None:
    result = run("tune", lists, *OWN, "--plot", tmp_path / "wer.xyz")
    assert (result.status, result.out) == (2, "")
    assert "wer.xyz: no such kind of picture; there are " in result.err
    assert "png" in result.err


@pytest.mark.parametrize(
    ("package", "options", "extra"),
    [
        ("rapidfuzz", (), "tune"),
        ("sacrebleu", ("--metric", "bleu"), "mt"),
        ("matplotlib", ("--plot", "wer.png"), "plot"),
    ],
)
def test_a_package_that_is_not_installed(
    run: Run,
    lists: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    options: tuple[str, ...],
    extra: str,
) -> None:
    hide_package(monkeypatch, package)
    result = run("tune", lists, *OWN, *options)
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith(
        f"error: this needs the package {package!r}: {how_to_install(extra)}\n"
    )


NAN = float("nan")
GOOD = make_list("u", "a", ("a", 0, 0), ("b", 0, 0))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            [GOOD, make_list("v", None, ("a", 0, 0))],
            "bad.jsonl, line 2: list 'v' has no reference; give a file with --references",
        ),
        ([GOOD, GOOD], "line 2: a second list 'u'; bring its lines together"),
        ([GOOD, make_list("v", "a", ("a", NAN, 0))], "line 2"),
        (
            [GOOD, make_list("v", "a", ("a", float("-inf"), 0))],
            "bad.jsonl, line 2: list 'v', hypothesis 1: feature 'score' is -inf; tuning needs",
        ),
        (
            [GOOD, {"id": "v", "hypotheses": [{"text": "a", "score": 1}], "reference": "a"}],
            "bad.jsonl, line 2: list 'v', hypothesis 1: no feature 'old'; there are",
        ),
        (
            [make_list(key, "", ("a", 0, 0)) for key in "uv"],
            "all references are empty: there is nothing to compare with",
        ),
        ([GOOD], "2 folds of 1 lists: there must be at least 2 folds, and a list for each"),
    ],
)
def test_bad_lists(run: Run, tmp_path: Path, bad: list[List], message: str) -> None:
    result = run("tune", write(tmp_path / "bad.jsonl", bad), *OWN[:-1], "2")
    assert (result.status, result.out) == (1, "")
    assert result.err.splitlines()[-1].startswith("lmscore: error: ")
    assert message in result.err


def test_a_reference_without_a_list(run: Run, lists: Path, tmp_path: Path) -> None:
    references = tmp_path / "references.txt"
    references.write_text("".join(f"{nbest['id']} y\n" for nbest in LISTS) + "z a\n")
    result = run("tune", lists, *OWN, "--references", references)
    assert result.status == 1
    assert "no list for the reference 'z'" in result.err


def test_weights_do_not_take_the_place_of_lists(run: Run, lists: Path) -> None:
    before = lists.read_bytes()
    result = run("tune", "--no-model", lists, "-o", lists)
    assert result.status == 1
    assert f"{lists}: is read already; write to another file" in result.err
    assert lists.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--no-model", "--no-word-penalty", "--weigh", "score"),
            "nothing to tune: there is only 'score'",
        ),
        (("--weights", "w", "--weigh", "x"), "--weights has all weights, and nothing is tuned"),
        (("--weights", "w", "-o", "x"), "nothing is tuned: no --output"),
        (("-o", "-"), "--output needs a file; standard output has the report"),
        (("--folds", "1"), "'--folds': Input should be greater than or equal to 2"),
        (("--metric", "ter"), "Invalid value for '--metric'"),
    ],
)
def test_usage(run: Run, lists: Path, options: tuple[str, ...], message: str) -> None:
    result = run("tune", lists, *options)
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())


def test_nothing_to_tune_in_the_lists(run: Run, lists: Path) -> None:
    result = run("tune", lists, "--no-model", "--no-word-penalty")
    assert (result.status, result.out) == (1, "")
    assert "nothing to tune: there is only 'score' to choose by" in result.err
