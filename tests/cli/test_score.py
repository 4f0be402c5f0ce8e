"""`lmscore score`: one record out per line in."""

from __future__ import annotations

import gzip
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmscore
from lmscore.cli.records import Record
from lmscore.cli.scoring import score_records
from tests.cli.conftest import Run

LINES = ["thanks for all the fish", "", "the zebra sat", "  the\tcat  "]


@pytest.fixture(scope="module")
def lm(model_path: Path) -> lmscore.LanguageModel:
    return lmscore.load(model_path)


def test_a_line_of_columns_for_every_line(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("score", stdin="".join(f"{line}\n" for line in LINES))
    assert result.status == 0
    for line, text, score in zip(
        result.out.splitlines(), LINES, lm.score_batch(LINES), strict=True
    ):
        log_prob, tokens, oov, rest = line.split("\t", 3)
        assert (float(log_prob), int(tokens)) == (round(score.log_prob, 4), score.num_tokens)
        assert (int(oov), rest) == (score.num_oov, text)


def test_the_summary_says_what_was_counted(run: Run, lm: lmscore.LanguageModel) -> None:
    total = sum(score.log_prob for score in lm.score_batch(LINES))
    result = run("score", stdin="\n".join(LINES))
    first, second = result.err.splitlines()
    assert first == (
        "lmscore: model (int8, sentence context): "
        "4 sentences, 10 words, 14 tokens with </s>, 1 OOVs"
    )
    assert second == (
        f"lmscore: log-probability {total:.4f} nats, perplexity {math.exp(-total / 14):.2f} "
        f"per token, {math.exp(-total / 14):.2f} per word, </s> counted"
    )
    assert run("score", "--quiet", stdin="text\n").err == ""


def test_without_the_end_of_sentence(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("score", "--no-eos", "--no-bos", stdin="the cat\n")
    score = lm.score("the cat", bos=False, eos=False)
    assert result.rows == [[f"{score.log_prob:.4f}", "1", "0", "the cat"]]
    assert "1 tokens without </s>" in result.err
    assert result.err.endswith("per word\n")


def test_jsonl_has_everything(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("score", "--format", "jsonl", stdin="the zebra sät\n")
    score = lm.score("the zebra sät")
    assert result.objects == [
        {
            "text": "the zebra sät",
            "log_prob": score.log_prob,
            "num_tokens": 4,
            "num_words": 3,
            "num_oov": 2,
            "perplexity": score.perplexity,
        }
    ]
    assert "sät" in result.out


def test_no_token_no_perplexity(run: Run) -> None:
    (record,) = run("score", "--no-eos", "--format", "jsonl", stdin="\n").objects
    assert (record["log_prob"], record["num_tokens"], record["perplexity"]) == (0, 0, None)


def test_tsv_input_keeps_its_ids(run: Run) -> None:
    stdin = "utt-1\tthe cat\nutt 2\t\n\ta\tb\n"
    rows = run("score", "--input-format", "tsv", stdin=stdin).rows
    assert [row[0] for row in rows] == ["utt-1", "utt 2", ""]
    assert ["\t".join(row[4:]) for row in rows] == ["the cat", "", "a\tb"]
    objects = run("score", "--input-format", "tsv", "--format", "jsonl", stdin=stdin).objects
    assert [(o["id"], o["text"]) for o in objects] == [
        ("utt-1", "the cat"),
        ("utt 2", ""),
        ("", "a\tb"),
    ]


def test_jsonl_input_keeps_its_fields(run: Run, lm: lmscore.LanguageModel) -> None:
    stdin = '{"hyp": "the cat\\nsat", "am": -1.5, "log_prob": "old", "tags": [{"ä": null}]}\n'
    options = ("score", "--input-format", "jsonl", "--field", "hyp")
    (record,) = run(*options, "--format", "jsonl", stdin=stdin).objects
    assert record["hyp"] == "the cat\nsat"
    assert (record["am"], record["tags"]) == (-1.5, [{"ä": None}])
    assert record["log_prob"] == lm.score("the cat\nsat").log_prob
    assert "text" not in record
    result = run(*options, stdin=stdin)
    assert result.status == 1
    assert "holds a line break" in result.err
    assert "--format jsonl" in result.err


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
def test_any_text_comes_back_as_it_was(run: Run, text: str) -> None:
    result = run("score", stdin=f"the\n{text}\n")
    assert result.status == 0
    expected = text.removesuffix("\r")  # part of a line end
    assert result.out.split("\n")[1].split("\t", 3)[3] == expected


def test_odd_characters(run: Run) -> None:
    texts = ["a\rb", "a\u2028b", "a\x00b", "a\x0b\x0c\x1c\x85b", "\ufeff", "</s>"]
    stdin = "\ufeff" + "\n".join(texts) + "\n"
    out = run("score", stdin=stdin).out.split("\n")
    assert [line.split("\t", 3)[3] for line in out[:-1]] == texts
    crlf = run("score", stdin="a b\r\nc\r\n")
    assert [row[3] for row in crlf.rows] == ["a b", "c"]


def test_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"the dog"))
    result = run("score", tmp_path / "a.txt", "-", tmp_path / "b.gz", stdin="so long\n")
    assert [row[3] for row in result.rows] == ["the cat", "so long", "the dog"]


def test_context_carries_the_state(run: Run) -> None:
    alone, carried = (
        run("score", "--context", context, "--variant", "fp32", stdin="the cat\nsat\n").rows
        for context in ("sentence", "document")
    )
    assert alone[0] == carried[0]
    assert alone[1][0] != carried[1][0]


def test_line_buffered_gives_the_same_scores(run: Run) -> None:
    options = ("score", "--context", "document", "--variant", "fp32")
    stdin = "the cat\nsat\n\non the mat\n"
    assert run(*options, "--line-buffered", stdin=stdin).out == run(*options, stdin=stdin).out


def test_no_more_is_read_than_a_window(lm: lmscore.LanguageModel) -> None:
    read = 0

    def records() -> Iterator[Record]:
        nonlocal read
        for _ in range(100_000):
            read += 1
            yield Record("the cat")

    scored = score_records(lm, records(), bos=True, eos=True, context=None)
    assert [record.text for record, _ in itertools.islice(scored, 3)] == ["the cat"] * 3
    assert read < 5_000


def test_variant_and_threads(run: Run) -> None:
    result = run("score", "--variant", "fp32", "--threads", "1", "--device", "cpu", stdin="a\n")
    assert "model (fp32, sentence context)" in result.err


@pytest.mark.parametrize(
    ("input_format", "stdin", "message"),
    [
        ("text", b"", "standard input: empty, there is no line to score"),
        ("text", b"\xef\xbb\xbf", "standard input: empty"),
        ("text", b"one\ntw\xff\n", "standard input, line 2: invalid UTF-8 at byte 3"),
        ("tsv", b"a\tb\nno tab\n", "standard input, line 2: no tab; expected id<TAB>text"),
        ("jsonl", b'{"text": "a"}\n{"text"}\n', "line 2: not JSON: "),
        ("jsonl", b'{"text": "a"}\n\n', "line 2: not JSON: "),
        ("jsonl", b'"text"\n', "line 1: expected a JSON object, got str"),
        ("jsonl", b'{"sentence": "a"}\n', "line 1: no field 'text'"),
        ("jsonl", b'{"text": 1}\n', "line 1: field 'text' is int, expected a string"),
        ("jsonl", b'{"text": "\\ud800"}\n', "line 1: field 'text' holds half a surrogate pair"),
        ("jsonl", b'{"text": "a", "x": NaN}\n', "line 1: not JSON: NaN is no JSON value"),
        ("jsonl", b"[" * 100_000 + b"\n", "line 1: not JSON: "),
    ],
)
def test_bad_input(run: Run, input_format: str, stdin: bytes, message: str) -> None:
    result = run("score", "--input-format", input_format, stdin=stdin)
    assert result.status == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert len(result.rows) == max(0, stdin.count(b"\n") - 1)  # those before it are scored


def test_files_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    result = run("score", tmp_path)
    assert result.err == f"lmscore: error: {tmp_path}: is a directory, expected a text file\n"
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"the cat\n" * 1000)[:-9])
    result = run("score", tmp_path / "cut.gz")
    assert "cut.gz: damaged compressed file" in result.err
    (tmp_path / "empty.txt").touch()
    result = run("score", tmp_path / "empty.txt")
    assert "empty.txt: empty, there is no line to score" in result.err


def test_replacing_invalid_utf8(run: Run) -> None:
    result = run("score", "--errors", "replace", stdin=b"tw\xffo\n")
    assert result.rows[0][3] == "tw\ufffdo"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("model_int8.onnx", "truncate", "config.json says"),
        ("model_int8.onnx", "alter", "does not match its sha256"),
        ("tokenizer.json", "alter", "does not match tokenizer_sha256"),
        ("tokenizer.json", "remove", "tokenizer.json is missing"),
        ("config.json", "truncate", "not JSON"),
        ("config.json", "remove", "config.json is missing"),
    ],
)
def test_a_damaged_model(
    run: Run, model_path: Path, tmp_path: Path, file: str, damage: str, message: str
) -> None:
    for source in model_path.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    path = tmp_path / file
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-20] if damage == "truncate" else data[:-20] + b"?" * 20)
    result = run("score", "-m", tmp_path, stdin="text\n")
    assert (result.status, result.out) == (1, "")
    assert message in result.err
    assert str(tmp_path) in result.err
