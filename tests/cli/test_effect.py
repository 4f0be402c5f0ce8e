"""Options without an effect are refused, and every value stays in its cell."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("score --backward m --segmentation characters", "--segmentation is not for"),
        ("score --compat kenlm --segmentation characters", "leave --segmentation characters out"),
        ("ppl --compat srilm --segmentation characters", "leave --segmentation characters out"),
        ("ppl --cache-size 5", "--cache-size goes with --cache"),
        ("ppl --cache --dynamic-rate 0.1", "--dynamic-rate goes with --dynamic"),
        ("score --language de", "--language goes with --split sentences"),
        ("ppl --language de --split lines", "--language goes with --split sentences"),
        ("features -o x.npy --documents blank-lines", "features are of each text on its own"),
    ],
)
def test_options_without_effect(run: Run, argv: str, message: str) -> None:
    result = run(*shlex.split(argv), stdin="the cat\n")
    assert (result.status, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize("per", ["sentence", "word"])
def test_an_id_stays_in_its_cell(run: Run, tmp_path: Path, per: str) -> None:
    given = ("--input-format", "jsonl", "--id-field", "id", "--per", per, "-q")
    record = '{"text": "the cat", "id": "a\\tb\\nc"}\n'
    out = tmp_path / "out"
    assert run("score", *given, "-o", out, stdin=record).status == 0
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert {row[0] for row in rows} == {r"a\tb\nc"}
    assert {len(row) for row in rows} == {5 if per == "sentence" else 7}
    before = out.read_bytes()
    assert run("score", *given, "-o", out, "--resume", stdin=record).status == 0
    assert out.read_bytes() == before


def test_a_joiner_joins_in_sentences_alone(run: Run, document_model_path: Path) -> None:
    argv = ("score", "--prefix", "the cat", "--joiner", "-")
    result = run(*argv, "-m", document_model_path, stdin="sat\n")
    assert (result.status, result.out) == (1, "")
    assert "--joiner stands between a prefix and its text in one sentence" in result.err
    assert run(*argv, "-m", document_model_path, "--context", "sentence", stdin="sat\n").out
