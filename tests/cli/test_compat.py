"""`lmscore score --compat`: what other tools print, a block for each sentence."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

import lmscore
from lmscore.names import Tool
from lmscore.runtime.scoring.compat import CompatReport
from tests.cli.conftest import Run

LINES = ["thanks for  all the fish", "", "the zebra sat"]
TEXT = "".join(f"{line}\n" for line in LINES)


def expected(path: Path, tool: Tool, *, eos: bool = True, words: bool = False) -> str:
    report, blocks = CompatReport(tool, eos=eos), ""
    for score in lmscore.load(path).score_batch(LINES, eos=eos, words=words):
        report.add(score)
        blocks += report.sentence(score, words=words)
    return blocks + report.summary()


@pytest.mark.parametrize("tool", ["kenlm", "srilm"])
@pytest.mark.parametrize("eos", [True, False])
@pytest.mark.parametrize("words", [True, False])
def test_blocks_and_a_summary(
    run: Run, model_path: Path, bpe_model_path: Path, tool: Tool, eos: bool, words: bool
) -> None:
    options = ["--compat", tool, "--eos" if eos else "--no-eos", *["--per", "word"] * words]
    for path in (model_path, bpe_model_path):
        result = run("score", "-m", path, *options, stdin=TEXT)
        assert (result.status, result.err) == (0, "")
        assert result.out == expected(path, tool, eos=eos, words=words)
        summary = run("ppl", "-m", path, *options[:3], stdin=TEXT).out
        assert result.out.endswith(summary)
        blocks = run("score", "-q", "-m", path, *options, stdin=TEXT).out
        assert blocks + summary == result.out


@pytest.mark.parametrize("tool", ["kenlm", "srilm"])
def test_words_sum_to_their_sentence(run: Run, bpe_model_path: Path, tool: Tool) -> None:
    options = ("score", "-m", bpe_model_path, "--compat", tool, "--per", "word")
    out = run(*options, stdin="the cat sat\n").out
    pattern = r"=\d+ \d+ (\S+)\t" if tool == "kenlm" else r"\[ (\S+) \]"
    log_probs = list(map(float, re.findall(pattern, out)))
    assert len(log_probs) == 4
    score = lmscore.load(bpe_model_path).score("the cat sat")
    assert sum(log_probs) * math.log(10) == pytest.approx(score.log_prob, rel=1e-6)


def test_other_shapes_of_input(run: Run) -> None:
    plain = run("score", "--compat", "kenlm", stdin=TEXT).out
    tsv = "".join(f"id\t{line}\n" for line in LINES)
    assert run("score", "--compat", "kenlm", "--input-format", "tsv", stdin=tsv).out == plain


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "jsonl"], "leave --format out"),
        (["--per", "token"], "leave --per token out"),
        (["--surprisal"], "leave --surprisal out"),
        (["--header"], "leave --header out"),
        (["--no-bos"], "--no-bos leaves the first without a score"),
    ],
)
def test_what_does_not_go_with_another_layout(run: Run, options: list[str], message: str) -> None:
    result = run("score", "--compat", "srilm", *options, stdin=TEXT)
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())
