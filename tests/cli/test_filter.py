"""`lmscore filter`: lines within bounds, untouched."""

from __future__ import annotations

import gzip
import json
import math
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmscore
from lmscore.runtime.scoring.score import Score
from tests.cli.conftest import Run, finish, start

LINES = ["thanks for all the fish", "", "the zebra sat", "  the\tcat  ", "so long and bye bye"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")

TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture(scope="module")
def lm(model_path: Path) -> lmscore.LanguageModel:
    return lmscore.load(model_path)


def ppl(score: Score) -> float:
    return math.exp(-score.log_prob / (score.num_words + 1))


@pytest.fixture(scope="module")
def perplexities(lm: lmscore.LanguageModel) -> list[float]:
    """Of LINES, per word; no two are alike."""
    values = [ppl(score) for score in lm.score_batch(LINES)]
    assert len(set(values)) == len(values)
    return values


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] * (1 + 1e-9)


def lines(text: str) -> list[str]:
    return text.split("\n")[:-1]


def test_bounds(run: Run, perplexities: list[float]) -> None:
    bound = middle(perplexities)
    below = [line for line, value in zip(LINES, perplexities, strict=True) if value <= bound]
    above = [line for line in LINES if line not in below]
    assert (len(below), len(above)) == (3, 2)
    assert lines(run("filter", "--max-ppl", bound, stdin=TEXT).out) == below
    assert lines(run("filter", "--min-ppl", bound, stdin=TEXT).out) == above
    assert lines(run("filter", "--max-ppl", bound, "--invert", stdin=TEXT).out) == above
    assert run("filter", "--min-ppl", bound, "--max-ppl", bound, stdin=TEXT).out == ""


def test_a_bound_lies_within(run: Run, lm: lmscore.LanguageModel) -> None:
    value = repr(ppl(lm.score("the cat")))
    assert run("filter", "--min-ppl", value, "--max-ppl", value, stdin="the cat\n").out != ""


@pytest.mark.parametrize("per", ["word", "token", "character"])
@pytest.mark.parametrize("eos", [True, False])
def test_units(run: Run, lm: lmscore.LanguageModel, per: str, eos: bool) -> None:
    score = lm.score("the zebra sat", eos=eos)
    counts = {"word": 3 + eos, "token": 3 + eos, "character": 13 + eos}
    value = math.exp(-score.log_prob / counts[per])
    options = ("filter", "--per", per, "--eos" if eos else "--no-eos")
    for factor, expected in [(0.999, ""), (1.001, "the zebra sat\n")]:
        result = run(*options, "--max-ppl", value * factor, stdin="the zebra sat\n")
        assert (result.status, result.out) == (0, expected)


def test_summary(run: Run, perplexities: list[float]) -> None:
    bound = middle(perplexities)
    kept = [line for line, value in zip(LINES, perplexities, strict=True) if value <= bound]
    words = sum(len(line.split()) for line in kept)
    result = run("filter", "--max-ppl", bound, stdin=TEXT)
    assert result.err == (
        f"lmscore: model (int8, sentence context): kept 3 of 5 lines, {words} of 15 words; 1 OOV\n"
    )
    assert run("filter", "--max-ppl", bound, "--quiet", stdin=TEXT).err == ""


def test_no_perplexity_lies_outside(run: Run) -> None:
    options = ("filter", "--no-eos", "--max-ppl", "inf")
    result = run(*options, stdin="\nthe cat\n")
    assert result.out == "the cat\n"
    assert result.err.endswith("; 1 without a perplexity (nothing to divide by)\n")
    assert run(*options, "--invert", stdin="\nthe cat\n").out == "\n"


def test_bytes_are_untouched(run: Run) -> None:
    data = "a\r\n\r\nb\u2028c\x00\n  ö\t\nlast".encode()
    assert run("filter", "--min-ppl", "0", stdin=data).out.encode() == data


def test_bytes_that_are_no_utf8(run: Run, tmp_path: Path) -> None:
    data = b"the \xff cat\r\nthe dog\n"
    rejected = tmp_path / "rejected"
    options = ("filter", "--max-ppl", "0", "--rejected", rejected)
    assert run(*options, "--errors", "replace", stdin=data).out == ""
    assert rejected.read_bytes() == data
    result = run(*options, stdin=data)
    assert (result.status, result.out) == (1, "")
    assert "standard input, line 1: invalid UTF-8 at byte 5" in result.err
    assert rejected.read_bytes() == data  # as it was before


def test_a_byte_order_mark_is_no_part_of_a_line(run: Run) -> None:
    assert run("filter", "--min-ppl", "0", stdin=b"\xef\xbb\xbfthe cat\n").out == "the cat\n"


def test_files_do_not_run_together(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"the cat")
    (tmp_path / "b").write_bytes(gzip.compress(b"the dog"))
    files = (tmp_path / "a", tmp_path / "b")
    assert run("filter", "--min-ppl", "0", *files).out == "the cat\nthe dog"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
    bound=st.floats(10, 200),
)
def test_every_line_goes_one_way(run: Run, tmp_path: Path, texts: list[str], bound: float) -> None:
    data = "\n".join(texts).encode()
    if not data or b"\xef\xbb\xbf" in data or b"\n" not in data:  # marks, and ends of Mac OS 9
        return
    options = ("filter", "--max-ppl", bound, "--rejected", tmp_path / "others")
    kept = run(*options, stdin=data).out.encode()
    others = (tmp_path / "others").read_bytes()
    assert run(*options, "--invert", stdin=data).out.encode() == others
    assert (tmp_path / "others").read_bytes() == kept
    given_lines = sorted(line for line in data.split(b"\n") if line)
    assert sorted(line for line in (kept + b"\n" + others).split(b"\n") if line) == given_lines


def test_tsv_and_jsonl(run: Run, perplexities: list[float]) -> None:
    bound = middle(perplexities)
    expected = lines(run("filter", "--max-ppl", bound, stdin=TEXT).out)
    tsv = "".join(f"id {n}\t{line.expandtabs(1)}\n" for n, line in enumerate(LINES))
    out = run("filter", "--max-ppl", bound, "--input-format", "tsv", stdin=tsv).out
    assert [line.split("\t", 1)[1] for line in lines(out)] == [
        line.expandtabs(1) for line in expected
    ]
    assert set(lines(out)) < set(lines(tsv))
    jsonl = "".join(
        json.dumps({"x": [1.0, "\ud800"], "hyp": line}, separators=(" ,", " :")) + "\r\n"
        for line in LINES
    )
    options = ("filter", "--max-ppl", bound, "--input-format", "jsonl", "--field", "hyp")
    out = run(*options, stdin=jsonl).out
    assert [json.loads(line)["hyp"] for line in lines(out)] == expected
    assert set(lines(out)) < set(lines(jsonl))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --min-ppl, --max-ppl or both"),
        (["--min-ppl", "nan"], "must be numbers, not nan"),
        (["--min-ppl", "3", "--max-ppl", "2"], "--min-ppl 3 is above --max-ppl 2"),
        (["--max-ppl", "many"], "Invalid value for '--max-ppl'"),
        (["--max-ppl", "2", "--rejected", "-"], "--rejected needs a file"),
    ],
)
def test_usage(run: Run, options: list[str], message: str) -> None:
    result = run("filter", *options, stdin="the cat\n")
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())


def test_rejected_where_it_cannot_be(run: Run, tmp_path: Path) -> None:
    options = ("filter", "--min-ppl", "0", "--rejected")
    result = run(*options, tmp_path / "missing" / "file", stdin="the cat\n")
    assert (result.status, result.out) == (1, "")
    assert f"{tmp_path}/missing/file: cannot be written: No such file" in result.err
    result = run(*options, tmp_path, stdin="the cat\n")
    assert (result.status, result.out) == (1, "")
    assert result.err == f"lmscore: error: {tmp_path}: cannot be written: Is a directory\n"


@posix
def test_rejected_into_what_is_no_file(run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run("filter", "--max-ppl", "0", "--rejected", pipe, stdin="the cat\n").status == 0
    assert os.read(reader, 100) == b"the cat\n"
    os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_rejected_onto_a_full_disk(run: Run) -> None:
    result = run("filter", "--max-ppl", "0", "--rejected", "/dev/full", stdin="the cat\n")
    assert (result.status, result.out) == (1, "")
    assert result.err == ("lmscore: error: /dev/full: cannot be written: No space left on device\n")


def test_the_context_counts(run: Run, lm: lmscore.LanguageModel) -> None:
    carried = [ppl(score) for score in lm.score_batch(["the cat", "sat"], context="document")]
    alone = [ppl(score) for score in lm.score_batch(["the cat", "sat"])]
    bound = (carried[1] + alone[1]) / 2
    outs = {
        context: run("filter", "--context", context, "--max-ppl", bound, stdin="the cat\nsat\n").out
        for context in ("sentence", "document")
    }
    assert outs["sentence"].endswith("sat\n") == (alone[1] <= bound)
    assert outs["document"].endswith("sat\n") == (carried[1] <= bound)


@posix
def test_line_buffered() -> None:
    program = start("filter", "--min-ppl", "0", "--line-buffered")
    assert program.stdin
    assert program.stdout
    program.stdin.write(b"the cat\n")
    assert program.stdout.readline() == b"the cat\n"
    assert finish(program).status == 0


@posix
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.write_text(TEXT * 10_000)
    program = start("filter", "--min-ppl", "0", "--rejected", tmp_path / "rejected", many)
    assert program.stdout
    assert program.stdout.readline() == b"thanks for all the fish\n"
    program.stdout.close()
    assert program.wait(60) == 141
    assert program.stderr
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.stdin
    program.stdin.close()
    assert list(tmp_path.iterdir()) == [many]
