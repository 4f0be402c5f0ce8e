"""`lmscore pairs`: which of two is likelier, and how often the right one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmscore
from lmscore.runtime.scoring.score import Score
from tests.cli.conftest import Run

PAIRS = [
    ("the cat sat", "cat the sat"),
    ("so long", "so long and thanks for all the fish"),
    ("the zebra", "the zebra"),  # a tie
    ("", "the dog"),
]


@pytest.fixture(scope="module")
def lm(model_path: Path) -> lmscore.LanguageModel:
    return lmscore.load(model_path)


@pytest.fixture(scope="module")
def scores(lm: lmscore.LanguageModel) -> list[tuple[Score, Score]]:
    return [(lm.score(good), lm.score(bad)) for good, bad in PAIRS]


def blimp(pairs: list[tuple[str, str]] = PAIRS, **fields: Any) -> str:
    """JSON Lines as BLiMP has them; `fields` are lists of values, one for each pair."""
    lines = []
    for number, (good, bad) in enumerate(pairs):
        extra = {name: values[number] for name, values in fields.items()}
        lines.append({"sentence_good": good, "sentence_bad": bad, **extra})
    return "".join(json.dumps(line) + "\n" for line in lines)


def tsv(pairs: list[tuple[str, str]] = PAIRS) -> str:
    return "".join(f"{good}\t{bad}\n" for good, bad in pairs)


def test_a_line_of_columns_for_every_pair(run: Run, scores: list[tuple[Score, Score]]) -> None:
    result = run("pairs", stdin=blimp())
    assert result.status == 0
    for row, pair, (good, bad) in zip(result.rows, PAIRS, scores, strict=True):
        correct = str(int(good.log_prob > bad.log_prob))
        assert row == [f"{good.log_prob:.4f}", f"{bad.log_prob:.4f}", correct, *pair]
    assert result.rows[2][2] == "0"


def test_jsonl_keeps_its_fields(run: Run, scores: list[tuple[Score, Score]]) -> None:
    stdin = blimp(UID=["ä", 1, None, [2]], pair_id=[1, 2, 3, "\ud800"])
    objects = run("pairs", "--format", "jsonl", stdin=stdin).objects
    for read, written, (good, bad) in zip(stdin.splitlines(), objects, scores, strict=True):
        assert written == {
            **json.loads(read),
            "log_prob_good": good.log_prob,
            "log_prob_bad": bad.log_prob,
            "difference": good.log_prob - bad.log_prob,
            "correct": good.log_prob > bad.log_prob,
            "tie": good.log_prob == bad.log_prob,
            "num_oov_good": good.num_oov,
            "num_oov_bad": bad.num_oov,
            "left_out": False,
        }


def test_summary(run: Run, scores: list[tuple[Score, Score]]) -> None:
    correct = sum(good.log_prob > bad.log_prob for good, bad in scores)
    assert 0 < correct < 4
    result = run("pairs", stdin=blimp())
    assert result.err == (
        f"lmscore: model (int8, sentence context): accuracy {25 * correct}.00 %, {correct} of 4 "
        "pairs; 1 tie, not correct; 1 pair with OOVs\n"
    )
    assert run("pairs", "--quiet", stdin=blimp()).err == ""
    assert "; 2 ties, not correct" in run("pairs", stdin=blimp([PAIRS[2]] * 2)).err
    assert run("pairs", stdin=blimp(PAIRS[:1])).err.endswith("of 1 pair\n")


def test_groups(run: Run, scores: list[tuple[Score, Score]]) -> None:
    right = [int(good.log_prob > bad.log_prob) for good, bad in scores]
    result = run("pairs", "--by", "UID", stdin=blimp(UID=["word order", 2, 2, "word order"]))
    order, two = right[0] + right[3], right[1] + right[2]
    assert [line.removeprefix("lmscore: ") for line in result.err.splitlines()[1:]] == [
        "UID         accuracy  correct  pairs  ties",
        f"word order  {50 * order:.2f} %".ljust(22) + f"{order}        2      0",
        f"2           {50 * two:.2f} %".ljust(22) + f"{two}        2      1",
    ]


def test_lines_that_follow_each_other(run: Run) -> None:
    expected = run("pairs", stdin=blimp())
    lines = "".join(f"{good}\n{bad}\n" for good, bad in PAIRS)
    found = run("pairs", "--input-format", "lines", stdin=lines)
    assert (found.out, found.err) == (expected.out, expected.err)
    odd = run("pairs", "--input-format", "lines", stdin=lines + "the cat\n")
    assert odd.status == 1
    assert "has no second sentence; lines come in pairs" in odd.err


def test_unknown_words_are_counted(run: Run) -> None:
    text = "the cat\nthe zebra\nthe cat\nthe dog\n"
    result = run("pairs", "--input-format", "lines", stdin=text)
    assert result.err.endswith("; 1 pair with OOVs\n")


def test_pairs_of_unknown_words_are_left_out(run: Run, lm: lmscore.LanguageModel) -> None:
    text = "the cat\tthe dog\nthe zoo zip\tthe cat\nthe cat\tzip zoo a\n"
    options = ("pairs", "--input-format", "tsv", "--max-oov", "0.5")
    result = run(*options, stdin=text)
    correct = int(lm.score("the cat").log_prob > lm.score("the dog").log_prob)
    assert [row[2] for row in result.rows] == [str(correct), "-", "-"]
    assert f", {correct} of 1 pair; 2 pairs left out, with more OOVs than --max-oov" in result.err
    objects = run(*options, "--format", "jsonl", stdin=text).objects
    assert [one["left_out"] for one in objects] == [False, True, True]
    assert "accuracy unknown, 0 of 0 pairs" in run(*options, stdin="zip\tzoo\n").err


def test_unknown_words_cost_more(run: Run, lm: lmscore.LanguageModel) -> None:
    text = "the cat sat on the mat\tzip zoo\n"
    argv = ("pairs", "--input-format", "tsv", "--oov-cost", "100")
    result = run(*argv, stdin=text)
    dear = lm.score("zip zoo", oov_cost=100).log_prob
    assert result.rows[0][1:3] == [f"{dear:.4f}", "1"]
    assert "OOVs cost 100 nats more): " in result.err


def test_tsv_input(run: Run) -> None:
    options = ("pairs", "--input-format", "tsv")
    plain = run("pairs", stdin=blimp())
    result = run(*options, stdin=tsv())
    assert (result.out, result.err) == (plain.out, plain.err)
    with_ids = "".join(f"id {number}\t{line}\n" for number, line in enumerate(tsv().splitlines()))
    rows = run(*options, stdin=with_ids).rows
    assert [row[0] for row in rows] == ["id 0", "id 1", "id 2", "id 3"]
    assert [row[1:] for row in rows] == plain.rows
    first = run(*options, "--format", "jsonl", "--good", "yes", stdin=with_ids).objects[0]
    assert list(first)[:3] == ["id", "yes", "sentence_bad"]
    assert first["yes"] == "the cat sat"


def test_names_of_the_fields(run: Run) -> None:
    stdin = '{"a": "the cat", "b": "cat the"}\n'
    rows = run("pairs", "--good", "a", "--bad", "b", stdin=stdin).rows
    swapped = run("pairs", "--good", "b", "--bad", "a", stdin=stdin).rows
    assert (rows[0][:2], rows[0][3:]) == (swapped[0][1::-1], swapped[0][:2:-1])
    assert {rows[0][2], swapped[0][2]} == {"0", "1"}


@pytest.mark.parametrize(
    ("unit", "counts"),
    [("none", (1, 1)), ("token", (4, 3)), ("word", (4, 3)), ("character", (12, 8))],
)
def test_normalized(
    run: Run, lm: lmscore.LanguageModel, unit: str, counts: tuple[int, int]
) -> None:
    stdin = blimp([("the cat sat", "the cat")])
    (found,) = run("pairs", "--normalize", unit, "--format", "jsonl", stdin=stdin).objects
    good = lm.score("the cat sat").log_prob / counts[0]
    bad = lm.score("the cat").log_prob / counts[1]
    assert (found["log_prob_good"], found["log_prob_bad"]) == (good, bad)
    assert (found["difference"], found["correct"]) == (good - bad, good > bad)


def test_without_the_end_of_sentence(run: Run, lm: lmscore.LanguageModel) -> None:
    (row,) = run("pairs", "--no-eos", stdin=blimp(PAIRS[:1])).rows
    assert row[0] == f"{lm.score('the cat sat', eos=False).log_prob:.4f}"


def test_every_sentence_stands_alone(run: Run, document_model_path: Path) -> None:
    lm = lmscore.load(document_model_path)
    rows = run("pairs", "-m", document_model_path, stdin=blimp()).rows
    for row, (good, bad) in zip(rows, PAIRS, strict=True):
        alone = [lm.score(text, context="sentence").log_prob for text in (good, bad)]
        assert row[:2] == [f"{log_prob:.4f}" for log_prob in alone]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_any_pairs(run: Run, pairs: list[tuple[str, str]]) -> None:
    result = run("pairs", "--format", "jsonl", stdin=blimp(pairs))
    assert result.status == 0
    found = [(line["sentence_good"], line["sentence_bad"]) for line in result.objects]
    assert found == pairs
    assert not any(line["correct"] for line in result.objects if line["difference"] <= 0)


@pytest.mark.parametrize(
    ("options", "stdin", "message"),
    [
        ([], "", "standard input: empty, there is no line to score"),
        ([], "{}\n", "standard input, line 1: no field 'sentence_good'"),
        (
            [],
            '{"sentence_good": "a"}\n',
            "line 1: no field 'sentence_bad', only 'sentence_good'; name another with --bad",
        ),
        (["--bad", "x"], '{"sentence_good": "a", "x": 1}\n', "line 1: field 'x' is int"),
        ([], "a\tb\n", "line 1: not JSON"),
        (["--by", "UID"], blimp(PAIRS[:1]), "line 1: no field 'UID' to group by; name another"),
        (["--by", "uid", "--input-format", "tsv"], tsv(), "line 1: no field 'uid' to group by"),
        (["--input-format", "tsv"], "a\n", "expected sentence_good<TAB>sentence_bad, got 1 col"),
        (["--input-format", "tsv"], "a\tb\tc\td\n", "line 1: expected sentence_good<TAB>"),
        (
            ["--input-format", "tsv"],
            "a\tb\tc\na\tb\n",
            "line 2: expected id<TAB>sentence_good<TAB>",
        ),
        ([], blimp([("a\tb", "c")]), "line 1: a sentence holds a tab or line break; use --format"),
        ([], blimp([("a", "b\nc")]), "line 1: a sentence holds a tab or line break"),
        (
            ["--no-eos", "--normalize", "word"],
            blimp([("a", "")]),
            "line 1: a sentence without a word has no score per word",
        ),
    ],
)
def test_bad_input(run: Run, options: list[str], stdin: str, message: str) -> None:
    result = run("pairs", *options, stdin=stdin)
    assert result.status == 1
    assert message in result.err
    assert result.err.count("\n") == 1


def test_the_pairs_before_an_error_are_printed(run: Run) -> None:
    result = run("pairs", stdin=blimp(PAIRS[:2]) + "{\n")
    assert (result.status, len(result.rows)) == (1, 2)
    assert "line 3: not JSON" in result.err
