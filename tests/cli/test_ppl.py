"""`lmscore ppl`: totals over a text."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

import lmscore
import lmscore.train
from lmscore.runtime.scoring.score import Summary
from tests.cli.conftest import Run
from tests.models import make_model

LINES = ["thanks for all the fish", "", "the zebra sat"]
TEXT = "".join(f"{line}\n" for line in LINES)


def expected(model_path: Path, *, eos: bool = True) -> Summary:
    summary = Summary(eos=eos)
    for score in lmscore.load(model_path).score_batch(LINES, eos=eos):
        summary.add(score)
    return summary


def test_text(run: Run, model_path: Path) -> None:
    result = run("ppl", stdin=TEXT)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"model (int8, sentence context)\n{expected(model_path)}\n"


@pytest.mark.parametrize("eos", [True, False])
def test_json(run: Run, model_path: Path, eos: bool) -> None:
    result = run("ppl", "--format", "json", "--eos" if eos else "--no-eos", stdin=TEXT)
    assert json.loads(result.out) == {
        "model": str(model_path),
        "variant": "int8",
        "context": "sentence",
        "bos": True,
        "eos": eos,
        "segmentation": "spaces",
        "oov_cost": None,
        **expected(model_path, eos=eos).as_dict(),
    }


def test_unknown_words_that_are_spelt(run: Run, model_path: Path, bpe_model_path: Path) -> None:
    speller = lmscore.load(bpe_model_path)
    spelt = lmscore.load(model_path).summarize(LINES, oov_cost=speller)
    result = run("ppl", "--oov-cost", bpe_model_path, stdin=TEXT)
    assert result.out == f"model (int8, sentence context, OOVs spelt by model)\n{spelt}\n"
    found = json.loads(run("ppl", "--oov-cost", bpe_model_path, "--format", "json", stdin=TEXT).out)
    assert found["oov_cost"] == str(bpe_model_path)
    assert found["bits_per_character"] == pytest.approx(spelt.bits_per_character)
    argv = ("ppl", "--oov-cost", "2", "--format", "json")
    assert json.loads(run(*argv, stdin=TEXT).out)["oov_cost"] == 2
    rows = run("score", "-q", "--oov-cost", bpe_model_path, stdin=TEXT).rows
    scores = lmscore.load(model_path).score_batch(LINES, oov_cost=speller)
    assert [row[0] for row in rows] == [f"{score.log_prob:.4f}" for score in scores]


def test_perplexity_per_character_of_a_script_without_spaces(
    run: Run, chinese_model_path: Path
) -> None:
    argv = ("ppl", "-m", chinese_model_path, "--format", "json")
    text = "\u5e8a\u524d\u660e\u6708\n"
    found = json.loads(run(*argv, stdin=text).out)
    assert (found["segmentation"], found["words"]) == ("characters", 4)
    assert found["perplexity_per_word"] == pytest.approx(math.exp(-found["log_prob"] / 5))
    spaces = json.loads(run(*argv, "--segmentation", "spaces", stdin=text).out)
    assert (spaces["segmentation"], spaces["words"]) == ("spaces", 1)


def test_files_are_one_text(run: Run, tmp_path: Path) -> None:
    for number, line in enumerate(LINES):
        (tmp_path / f"{number}.txt").write_text(f"{line}\n")
    files = sorted(tmp_path.iterdir())
    total, _, _ = run("ppl", *files).out.partition("\n\n")
    assert total + "\n" == run("ppl", stdin=TEXT).out


def test_the_same_text_in_other_clothes(run: Run) -> None:
    plain = run("ppl", stdin=TEXT).out
    tsv = "".join(f"id\t{line}\n" for line in LINES)
    assert run("ppl", "--input-format", "tsv", stdin=tsv).out == plain
    jsonl = "".join(json.dumps({"t": line}) + "\n" for line in LINES)
    assert run("ppl", "--input-format", "jsonl", "--field", "t", stdin=jsonl).out == plain


def test_nothing_to_measure(run: Run) -> None:
    result = run("ppl")
    assert (result.status, result.out) == (1, "")
    assert "standard input: empty" in result.err
    document = json.loads(run("ppl", "--no-eos", "--format", "json", stdin="\n").out)
    assert (document["sentences"], document["perplexity"]) == (1, None)


def test_an_error_gives_no_figure(run: Run) -> None:
    result = run("ppl", stdin=b"fine\n\xff\n")
    assert (result.status, result.out) == (1, "")
    assert "line 2" in result.err


@pytest.mark.parametrize("eos", [True, False])
def test_the_layout_of_kenlm(run: Run, model_path: Path, eos: bool) -> None:
    summary = expected(model_path, eos=eos)
    assert summary.oovs == 1
    result = run("ppl", "--compat", "kenlm", "--eos" if eos else "--no-eos", stdin=TEXT)
    assert (result.status, result.err) == (0, "")
    names, values = zip(*result.rows, strict=True)
    assert names == (
        "Perplexity including OOVs:",
        "Perplexity excluding OOVs:",
        "OOVs:",
        "Tokens:",
    )
    # Of a word model, in which words are tokens.
    including, excluding = summary.perplexity, summary.perplexity_excluding_oovs
    assert list(map(float, values)) == pytest.approx([including, excluding, 1, summary.tokens])


def test_the_layout_of_srilm(run: Run, model_path: Path, tmp_path: Path) -> None:
    scores = lmscore.load(model_path).score_batch([LINES[0], LINES[2]])  # the other one is blank
    log_prob = sum(score.log_prob - score.oov_log_prob for score in scores)
    path = tmp_path / "text"
    path.write_text(TEXT)
    result = run("ppl", "--compat", "srilm", path)
    assert (result.status, result.err) == (0, "")
    assert result.out == (
        f"file {path}: 2 sentences, 8 words, 1 OOVs\n"
        f"0 zeroprobs, logprob= {log_prob / math.log(10):.7g} "
        f"ppl= {math.exp(-log_prob / 9):.7g} ppl1= {math.exp(-log_prob / 7):.7g}\n"
    )
    assert run("ppl", "--compat", "srilm", path, "-", stdin="a\n").out.startswith(
        f"file {path} -: "
    )


def test_unknown_characters_are_unknown_words_to_other_tools(run: Run, tmp_path: Path) -> None:
    path = make_model(tmp_path / "char", tokenizer="char", variants=("fp32",)).path
    rows = run("ppl", "-m", path, "--compat", "kenlm", stdin="the äöü cat\nß\n").rows
    assert rows[2:] == [["OOVs:", "2"], ["Tokens:", "6"]]
    score = lmscore.load(path).score("ß", words=True)
    srilm = run("ppl", "-m", path, "--compat", "srilm", stdin="ß\n").out
    assert f"logprob= {score.words[-1].log_prob / math.log(10):.7g} " in srilm


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "json"], "--compat kenlm has a layout of its own: leave --format out"),
        (["--no-bos"], "counts every word, and --no-bos leaves the first without a score"),
        (["--compat", "irstlm"], "'irstlm' is not one of 'kenlm', 'srilm'"),
    ],
)
def test_what_does_not_go_with_another_layout(run: Run, options: list[str], message: str) -> None:
    result = run("ppl", "--compat", "kenlm", *options, stdin=TEXT)
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())


def test_models_that_adapt(run: Run, document_model_path: Path) -> None:
    chosen = ("-m", document_model_path, "--cache", "--dynamic", "--cache-size", "7")
    static = run("ppl", "-m", document_model_path, stdin=TEXT).out
    result = run("ppl", *chosen, stdin=TEXT)
    assert result.status == 0
    assert result.out.startswith(static)  # the static figures stay as they are
    cache, dynamic = result.out.removeprefix(static).strip().split("\n\n")
    assert cache.startswith("with a cache (size 7, flatness 0.3, weight 0.2; PyTorch, fp32)\nsent")
    assert dynamic.startswith("with dynamic evaluation (rate 0.2, decay 0.001, tokens 20; PyTorch")

    found = json.loads(run("ppl", *chosen, "--format", "json", stdin=TEXT).out)
    assert found["cache"]["settings"] == {"size": 7, "flatness": 0.3, "weight": 0.2}
    assert found["dynamic"]["settings"] == {"rate": 0.2, "decay": 0.001, "tokens": 20}
    assert found["cache"]["tokens"] == found["dynamic"]["tokens"] == found["tokens"]
    assert len({found["perplexity"], *(found[n]["perplexity"] for n in ("cache", "dynamic"))}) == 3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--cache", "--no-eos"], "with every </s>: it does not go with --no-eos"),
        (["--dynamic", "--no-bos"], "--dynamic reads a document as the model was trained on it"),
        (["--cache", "--compat", "kenlm"], "it does not go with --compat"),
        (["--cache", "--context", "sentence"], "it does not go with --context sentence"),
        (["--cache"], "was trained on sentences; only a model of documents can adapt to one"),
    ],
)
def test_what_does_not_adapt(run: Run, argv: list[str], message: str) -> None:
    result = run("ppl", *argv, stdin=TEXT)
    assert (result.status, result.out) == (2 if len(argv) > 1 else 1, "")
    assert message in result.err


def test_adapting_takes_torch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmscore, "train", lmscore.train)  # an attribute that importing sets
    for name in [name for name in sys.modules if name.startswith("lmscore.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run("ppl", "--cache", stdin=TEXT)
    assert result.status == 1
    assert "this needs the package 'torch': install the extra 'train'; in a check" in result.err
