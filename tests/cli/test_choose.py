"""`lmscore choose`, and the measures of `lmscore score`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lmscore
from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def lm(model_path: Path) -> lmscore.LanguageModel:
    return lmscore.load(model_path)


def test_a_text_and_its_candidates(run: Run, lm: lmscore.LanguageModel) -> None:
    found = lm.choose("the ", ["cat", "dog"], " sat")
    result = run("choose", "the ___ sat", "cat", "dog")
    assert (result.status, result.err) == (0, "")
    assert result.rows == [
        [f"{one.probability:.4g}", f"{one.log_prob:.4f}", one.text] for one in found
    ]
    assert run("choose", "the * sat", "cat", "dog", "--gap", "*").rows == result.rows


def test_cloze_with_answers(run: Run, lm: lmscore.LanguageModel) -> None:
    best = lm.choose("the ", ["cat", "dog"], "")[0]
    item = {"id": 7, "text": "the ___", "candidates": ["cat", "dog"]}
    wrong = 1 - best.number
    lines = [{**item, "answer": best.text}, {**item, "answer": wrong}, item]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    result = run("choose", "--format", "jsonl", stdin=text)
    assert result.err == "lmscore: accuracy 50.00 %, 1 of 2\n"
    first, second, third = result.objects
    assert (first["id"], first["choice"], first["correct"]) == (7, best.text, True)
    assert second["correct"] is False
    assert "correct" not in third
    assert third["choices"][0]["text"] == best.text
    assert [row[0] for row in run("choose", "-q", stdin=text).rows] == list("112233")


@pytest.mark.parametrize(
    ("argv", "stdin", "status", "message"),
    [
        (["choose", "the cat", "a"], "", 2, "the TEXT must have one gap, ___; --gap names"),
        (["choose", "the ___"], "", 2, "name the candidates after the TEXT"),
        (["choose", "the ___", "a", "-i", "-"], "", 2, "give a TEXT or --input, not both"),
        (["choose", "the ___", "a", "--gap", ""], "", 2, "--gap is empty"),
        (["choose"], '{"text": "a"}\n', 1, "line 1: field 'text' must have one gap"),
        (["choose"], '{"text": "___"}\n', 1, "'candidates' must be a list of candidates"),
        (["choose"], '{"text": "___", "candidates": [1]}\n', 1, "'candidates[0]' is int, expected"),
        (
            ["choose"],
            '{"text": "___", "candidates": ["a"], "answer": "b"}\n',
            1,
            "field 'answer' is 'b', neither a candidate nor the number of one from 0",
        ),
        (["score", "--entropy"], "a\n", 2, "--entropy is of tokens and words: give --per token"),
        (["score", "--rank", "--per", "word", "--no-bos"], "a\n", 2, "--rank is for whole"),
        (
            ["score", "--rank", "--per", "word", "--resume", "-o", "x"],
            "a\n",
            2,
            "--rank does not go with --resume",
        ),
        (
            ["score", "--rank", "--per", "word", "--unnormalized"],
            "a\n",
            2,
            "--rank needs whole distributions, which --unnormalized leaves out",
        ),
    ],
)
def test_errors(run: Run, argv: list[str], stdin: str, status: int, message: str) -> None:
    result = run(*argv, stdin=stdin)
    assert (result.status, result.out) == (status, "")
    assert message in result.err


def test_measures_of_words_and_tokens(run: Run, lm: lmscore.LanguageModel) -> None:
    measured = lm.measure("the cat", alternatives=2)
    options = ("score", "-q", "--entropy", "--rank", "--alternatives", "2")
    rows = run(*options, "--per", "word", "--header", stdin="the cat\n").rows
    assert rows[0][7:] == ["onset_entropy", "onset_rank", "onset_alternatives"]
    for row, word in zip(rows[1:], measured.words, strict=True):
        best = " ".join(f"{text} {p:.4f}" for text, p in word.onset_alternatives)
        assert row[2] == word.text
        assert row[7:] == [f"{word.onset_entropy:.4f}", str(word.onset_rank), best]
    (found,) = run(*options, "--per", "token", "--format", "jsonl", stdin="the cat\n").objects
    for token, expected in zip(found["tokens"], measured.tokens, strict=True):
        assert token["entropy"] == pytest.approx(expected.entropy, abs=1e-5)
        assert token["rank"] == expected.rank
        assert [text for text, _ in token["alternatives"]] == [t for t, _ in expected.alternatives]
