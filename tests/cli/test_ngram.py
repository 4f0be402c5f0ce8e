"""`lmscore ngram`: models made, approximated, pruned and mixed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from lmscore.cli import Settings
from lmscore.cli.app import VERBS, make_command
from lmscore.runtime.ngram import count_ngrams, estimate, interpolated, pruned_by_entropy, read_arpa
from tests.cli.conftest import Run
from tests.runtime.ngram.golden import DATA, entries, sentences

TEXT = DATA / "sentences.txt"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.arpa"


@pytest.mark.parametrize("verb", list(VERBS["ngram"].verbs))
def test_help_and_example(run: Run, verb: str) -> None:
    result = run("ngram", verb, "--help")
    example = VERBS["ngram"].verbs[verb].example
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"Usage: lmscore ngram {verb} ")
    assert result.out.endswith(f"\nExample:\n  {example}\n")
    command: Any = make_command(["ngram"])
    group = command.commands["ngram"]
    name, *words = shlex.split(example)[2:]
    assert group.commands[name].make_context(name, words, obj=Settings()).params


def test_a_model_is_that_of_lmplz(run: Run, out: Path) -> None:
    result = run("ngram", "train", TEXT, "-o", out)
    sizes = "73 1-grams, 346 2-grams, 638 3-grams"
    assert (result.status, result.out, result.err) == (0, "", f"lmscore: {out}: {sizes}\n")
    assert entries(read_arpa(out)).keys() == entries(read_arpa(DATA / "trigrams.arpa")).keys()


def test_options_are_those_of_the_library(run: Run, out: Path, tmp_path: Path) -> None:
    argv = ["--order", "4", "--prune", "0,1", "--discount-fallback", "--temporary", tmp_path, "-q"]
    assert run("ngram", "train", TEXT, "-o", out, *argv).err == ""
    expected = estimate(count_ngrams(sentences(), 4), prune=[0, 1], discount_fallback=True)
    assert entries(read_arpa(out)).keys() == entries(expected).keys()
    assert sorted(tmp_path.iterdir()) == [out]


def test_from_standard_input_to_standard_output(run: Run) -> None:
    result = run(
        "ngram", "train", "--order", "1", "--smoothing", "mle", "-o", "-", stdin="a b\na\n"
    )
    assert result.out.startswith("\\data\\\nngram 1=5\n\n\\1-grams:\n-99\t<unk>\n")
    assert "\n-0.39794\ta\n" in result.out
    assert result.out.endswith("\n\\end\\\n")


def test_records_are_split(run: Run) -> None:
    argv = ("ngram", "train", "--order", "2", "--smoothing", "mle", "-o", "-", "-q")
    lines = run(*argv, stdin="a b\na\n")
    record = '{"text": "a b\\na"}\n'
    assert run(*argv, "--input-format", "jsonl", stdin=record).out == lines.out
    whole = run(*argv, "--input-format", "jsonl", "--split", "none", stdin=record)
    assert whole.out == run(*argv, stdin="a b a\n").out != lines.out


def test_bad_records_are_counted(run: Run) -> None:
    argv = ("ngram", "train", "--order", "1", "--smoothing", "mle", "-o", "-", "-q")
    record = '{"text": "a b"}\n{}\n{"text": "a"}\n'
    result = run(*argv, "--input-format", "jsonl", "--on-error", "skip", stdin=record)
    assert result.out == run(*argv, stdin="a b\na\n").out
    assert "1 record could not be read" in result.err


def test_a_vocabulary(run: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("a c\n")
    argv = ["--vocabulary", tmp_path / "words", "--smoothing", "add-k", "--k", "0.5"]
    assert run("ngram", "train", "-o", out, *argv, stdin="a b\n").status == 0
    assert read_arpa(out).words == ["<unk>", "<s>", "</s>", "a", "c"]


@pytest.mark.parametrize("ids", [False, True])
def test_tokens(run: Run, out: Path, bpe_model_path: Path, ids: bool) -> None:
    vocab = json.loads((bpe_model_path / "tokenizer.json").read_text())["model"]["vocab"]
    argv = ["--tokenizer", bpe_model_path, "--smoothing", "absolute", "--discount-fallback"]
    assert run("ngram", "train", TEXT, "-o", out, *argv, *["--ids"] * ids).status == 0
    names = set(map(str, vocab.values())) if ids else set(vocab)
    assert set(read_arpa(out).words[3:]) < names


def test_tokens_with_white_space(run: Run, out: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    path = tmp_path / "tokenizer.json"
    Tokenizer(models.BPE({" ": 0, "a": 1}, [])).save(str(path))
    result = run("ngram", "train", TEXT, "-o", out, "--tokenizer", path)
    assert (result.status, "the token ' ' has white space in it; use --ids" in result.err) == (
        1,
        True,
    )
    path.write_text("{}")
    assert "tokenizer.json: " in run("ngram", "train", "--tokenizer", path, "-o", out).err


def test_approximate(run: Run, out: Path) -> None:
    argv = ["ngram", "approximate", "--sentences", "1030", "--order", "2", "--smoothing", "katz"]
    assert run(*argv, "--max-tokens", "4", "-o", out).status == 0
    first = out.read_bytes()
    assert run(*argv, "--max-tokens", "4", "-o", out).status == 0
    assert out.read_bytes() == first
    assert run(*argv, "--max-tokens", "4", "-o", out, "--seed", "2").status == 0
    assert out.read_bytes() != first


def test_prune(run: Run, out: Path) -> None:
    model = DATA / "trigrams.arpa"
    assert run("ngram", "prune", model, "--threshold", "1e-4", "-o", out).status == 0
    expected = pruned_by_entropy(read_arpa(model), 1e-4)
    assert entries(read_arpa(out)).keys() == entries(expected).keys()


def test_mix(run: Run, out: Path) -> None:
    models = [DATA / "trigrams.arpa", DATA / "pruned.arpa"]
    assert run("ngram", "mix", *models, "--weights", "0.25,0.75", "-o", out).status == 0
    expected = entries(interpolated([read_arpa(path) for path in models], [0.25, 0.75]))
    found = entries(read_arpa(out))
    assert found.keys() == expected.keys()
    assert found["the", "cat"] == pytest.approx(expected["the", "cat"], abs=1e-5)


def test_weights_that_suit_a_text(run: Run, out: Path) -> None:
    models = [DATA / "trigrams.arpa", DATA / "unigrams.arpa"]
    result = run("ngram", "mix", *models, "--fit", TEXT, "-o", out)
    assert result.status == 0
    assert "perplexity" in result.err
    assert f"1.0000 {models[0]}, 0.0000 {models[1]}" in result.err


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        ("", 2, "Missing command. (Usage: lmscore ngram"),
        ("train TEXT -o OUT --order 7", 2, "--order"),
        ("train TEXT -o OUT --prune 1,0", 2, "thresholds to prune must be 0 or more, and not fall"),
        ("train TEXT -o OUT --prune 0.5", 2, "--prune 0.5: expected whole numbers"),
        ("train TEXT -o OUT --prune x", 2, "--prune x: expected numbers with commas between"),
        ("train TEXT -o OUT --prune nan", 2, "--prune nan: expected"),
        ("train TEXT -o OUT --prune 0,0,0,1", 2, "4 thresholds to prune 3 orders"),
        ("train TEXT -o OUT --smoothing mle --prune 1", 2, "prunes nothing; leave --prune out"),
        ("train TEXT -o OUT --k 2", 2, "--k is for --smoothing add-k (Usage: lmscore ngram train"),
        ("train TEXT -o OUT --smoothing add-k --k 0", 2, "--k must be above 0, not 0"),
        ("train TEXT -o OUT --ids", 2, "--ids is for --tokenizer"),
        ("train TEXT -o OUT --on-error keep", 2, "--on-error keep is for score"),
        ("train TEXT -o OUT --documents blank-lines", 2, "n-grams are of each text on its own"),
        ("train TEXT -o OUT --language de", 2, "--language goes with --split sentences"),
        ("train TEXT -o TEXT", 2, "is read already; write to another file"),
        ("train TEXT -o OUT --order 6", 1, "give no discounts"),
        ("train MISSING -o OUT", 1, "no such file"),
        ("prune MISSING -o OUT", 1, "no such file"),
        ("prune TEXT -o OUT", 1, "no ARPA file"),
        ("prune ARPA -o OUT --threshold 0", 2, "--threshold must be above 0, not 0"),
        ("prune ARPA -o ARPA", 2, "is read already"),
        ("mix ARPA -o OUT", 2, "name at least two models to mix"),
        ("mix ARPA ARPA -o OUT --weights 1", 2, "1 weights for a mixture of 2"),
        ("mix ARPA ARPA -o OUT --weights 1,1", 2, "sum to 2, not to 1"),
        ("mix ARPA ARPA -o OUT --weights 1,0 --fit TEXT", 2, "give --weights or --fit, not both"),
    ],
)
def test_what_is_wrong(run: Run, out: Path, argv: str, status: int, message: str) -> None:
    files = {
        "TEXT": TEXT,
        "ARPA": DATA / "unigrams.arpa",
        "OUT": out,
        "MISSING": out.parent / "missing",
    }
    result = run("ngram", *(files.get(word, word) for word in argv.split()))
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("score", "-17.8317\t7\t0\tthe cat sleeps in the evening\n"),  # as KenLM
        ("ppl", "3-gram, sentence context"),
        ("filter --max-ppl 1000", "the cat sleeps in the evening\n"),
        ("next -k 2", "1\t0.1156\tmorning\n1\t0.1156\twinter\n"),
        ("sample --seed 1 --max-tokens 3", "the cat sleeps in the evening"),
        ("pairs --input-format tsv", "\t1\t"),
    ],
)
def test_every_verb_takes_an_arpa_file(run: Run, argv: str, expected: str) -> None:
    text = "the cat sleeps in the evening\n"
    if argv.startswith("next"):
        text = "the cat sleeps in the\n"
    if argv.startswith("pairs"):
        text = "the cat sleeps\tsleeps the cat\n"
    result = run(*argv.split(), "-m", DATA / "trigrams.arpa", stdin=text)
    assert result.status == 0
    assert expected in result.out


def test_lists_are_rescored(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lists").write_text("u1\t-1\tsleeps the cat\nu1\t-1\tthe cat sleeps\n")
    result = run("rescore", tmp_path / "lists", "--lm", DATA / "trigrams.arpa", "--best")
    assert result.status == 0, result.err
    assert "the cat sleeps" in result.out


CLOSED = "\\data\\\nngram 1=3\n\\1-grams:\n-0.5\t</s>\n-99\t<s>\n-0.5\tcat\n\\end\\\n"


@pytest.mark.parametrize("argv", ["score", "ppl", "filter --max-ppl 1e99", "rescore"])
def test_what_unknown_words_cost(run: Run, tmp_path: Path, argv: str) -> None:
    (tmp_path / "closed.arpa").write_text(CLOSED)
    text = "a\t-1\tcat dog\n" if argv == "rescore" else "cat dog\n"
    default = run(*argv.split(), "-m", tmp_path / "closed.arpa", stdin=text)
    said = "closed.arpa (1-gram, sentence context, no <unk>: an unknown word costs"
    assert f"{said} 230.3 nats)" in default.out + default.err
    cheap = run(*argv.split(), "-m", tmp_path / "closed.arpa", "--unk-penalty", "7", stdin=text)
    assert (default.status, cheap.status) == (0, 0)
    assert f"{said} 7 nats)" in cheap.out + cheap.err


def test_costs_of_unknown_words_that_are_none(run: Run) -> None:
    result = run("score", "--unk-penalty", "-1")
    assert result.status == 2
    assert "unk-penalty must be a number of nats, 0 to 1e9, not -1.0" in result.err


def test_an_automaton_for_lodr(run: Run, tmp_path: Path) -> None:
    bigram, tokens, fst = (tmp_path / name for name in ("b.arpa", "tokens.txt", "lodr.fst"))
    text = tmp_path / "text"
    text.write_text("a b a\nb b\na a b\n" * 9)
    assert (
        run("ngram", "train", text, "--order", "2", "--discount-fallback", "-o", bigram).status == 0
    )
    tokens.write_text("<blk> 0\n<sos/eos> 1\n<unk> 2\na 3\nb 4\n#0 5\n")
    result = run("ngram", "fst", bigram, "--tokens", tokens, "-o", fst)
    assert (result.status, result.out) == (0, "")
    assert result.err.endswith(" bytes; back-off arcs have the label 5\n")
    assert fst.read_bytes()[8:14] == b"vector"
    result = run("ngram", "fst", bigram, "-o", tmp_path / "none")
    assert result.status == 1
    assert f"{bigram}: the word 'a' is no token id" in result.err
    tokens.write_text("a\n")
    result = run("ngram", "fst", bigram, "--tokens", tokens, "-o", tmp_path / "none")
    assert (result.status, result.out) == (1, "")
    assert f"{tokens}, line 1: expected a token and its id" in result.err
    assert not (tmp_path / "none").exists()
