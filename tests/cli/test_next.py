"""`lmscore next`: the likeliest next words, for one text or for every line."""

from __future__ import annotations

from pathlib import Path

import pytest

import lmscore
from tests.cli.conftest import Run, finish, start

Words = list[tuple[str, float]]


@pytest.fixture(scope="module")
def lm(model_path: Path) -> lmscore.LanguageModel:
    return lmscore.load(model_path)


def columns(words: Words, *key: str) -> list[list[str]]:
    return [[*key, f"{probability:.4g}", word] for word, probability in words]


def test_ten_words_after_a_text(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("next", "the cat")
    assert (result.status, result.err) == (0, "")
    assert result.rows == columns(lm.next_words("the cat"))
    assert len(result.rows) == 10


def test_the_empty_text_is_the_beginning_of_a_sentence(run: Run, lm: lmscore.LanguageModel) -> None:
    assert run("next", "", "-k", "3").rows == columns(lm.next_words("", 3))


def test_every_line_of_the_input(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("next", "--top", "2", stdin="the cat\n\n")
    expected = columns(lm.next_words("the cat", 2), "1") + columns(lm.next_words("", 2), "2")
    assert result.rows == expected


def test_files_and_ids(run: Run, lm: lmscore.LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("u1\tthe cat\n")
    (tmp_path / "b.tsv").write_text("\tthe\n")
    inputs = ("-i", tmp_path / "a.tsv", "--input", tmp_path / "b.tsv")
    result = run("next", "-k1", *inputs, "--input-format", "tsv")
    assert result.rows == columns(lm.next_words("the cat", 1), "u1") + columns(
        lm.next_words("the", 1), ""
    )


def test_jsonl_has_an_object_per_text(run: Run, lm: lmscore.LanguageModel) -> None:
    found = [{"word": word, "probability": p} for word, p in lm.next_words("the cat", 2)]
    words = {"unit": "word", "words": found}
    options = ("next", "-k", "2", "--format", "jsonl")
    assert run(*options, "the cat").objects == [{"text": "the cat", **words}]
    assert run(*options, stdin="the cat\n").objects == [{"text": "the cat", **words}]
    tsv = run(*options, "--input-format", "tsv", stdin="7\tthe cat\n")
    assert tsv.objects == [{"id": "7", "text": "the cat", **words}]
    jsonl = run(*options, "--input-format", "jsonl", stdin='{"n": [1], "text": "the cat"}\n')
    assert jsonl.objects == [{"n": [1], "text": "the cat", **words}]


def test_units_and_wanted_words(run: Run, lm: lmscore.LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("cat dog\nmat\n")
    listed = run("next", "the", "--allowed", tmp_path / "words")
    assert listed.rows == columns(lm.next_words("the", allowed={"cat", "dog", "mat"}))
    begun = run("next", "the", "--partial", "th")
    assert begun.rows == columns(lm.next_words("the", partial="th"))
    assert run("next", "the", "--unit", "token").rows == columns(lm.next_words("the", unit="token"))
    assert run("next", "the", "--unk", "-k", "99").rows == columns(
        lm.next_words("the", 99, unk=True)
    )
    assert run("next", "the", "--merge").rows == columns(lm.next_words("the", merge=True))


def test_tokens_that_are_no_cells(run: Run, bpe_model_path: Path) -> None:
    rows = run("next", "the", "-m", bpe_model_path, "--unit", "token", "-k", "300").rows
    assert {len(row) for row in rows} == {2}
    assert {r"\t", r"\n", r"\r"} <= {word for _, word in rows}


def test_it_answers_before_the_next_line_is_there(model_path: Path) -> None:
    program = start("next", "-k", "1", env={"LMSCORE_MODEL": str(model_path)})
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(b"the cat\n")
    assert program.stdout.readline().startswith(b"1\t0.")
    program.stdin.write(b"the dog\n")
    assert program.stdout.readline().startswith(b"2\t0.")
    assert finish(program).status == 0


@pytest.mark.parametrize(
    ("argv", "stdin", "status", "message"),
    [
        (["next", "the", "-k", "0"], "", 2, "greater than or equal to 1"),
        (["next", "the", "-k", "10001"], "", 2, "less than or equal to 10000"),
        (["next", "the", "--partial", "a b"], "", 2, "--partial must be the beginning of a word"),
        (["next", "the", "--merge", "--unit", "token"], "", 2, "are about words, not --unit token"),
        (["next", "the", "--allowed", "missing.txt"], "", 1, "missing.txt: no such file"),
        (["next", "the", "-i", "-"], "", 2, "give a TEXT or --input, not both"),
        (["next", "the", "cat"], "", 2, "unexpected extra argument"),
        (["next"], "", 1, "standard input: empty"),
        (["next", "-i", "missing.txt"], "", 1, "missing.txt: no such file"),
        (["next", "-m", "nowhere", "the"], "", 1, "nowhere"),
        (["next", "the \udcff"], "", 1, "lone surrogate"),
    ],
)
def test_errors(run: Run, argv: list[str], stdin: str, status: int, message: str) -> None:
    result = run(*argv, stdin=stdin)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
