"""What a command line alone shows to be wrong exits with 2; the shell's names for options."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lmscore.cli.usage import UsageError, command_line, with_flags
from lmscore.errors import OptionError
from tests.cli.conftest import Run

FLAGS = {"top_k": ("--top-k", ""), "tied": ("--tied", "--untied"), "errors": ("--errors", "")}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("convert it, or use errors='replace'", "convert it, or use --errors replace"),
        ("use tied=True", "use --tied"),
        ("use tied=False", "use --untied"),
        ("use top_k=5, or none", "use --top-k 5, or none"),
        ("lower `top_k`", "lower --top-k"),
        ("train with `self_normalize`", "train with --self-normalize"),  # an option of `train`
        ("`mu` is no option here", "`mu` is no option here"),
        ("top_k is 0", "--top-k is 0"),
        ("errors must be one of two", "--errors must be one of two"),
        ("many errors are here", "many errors are here"),
        ("top_k/text: no such file", "top_k/text: no such file"),
        ("no field 'top_k'", "no field 'top_k'"),
        ("runs/top_k=5: no such file", "runs/top_k=5: no such file"),
        ("top_k=5: no such file", "top_k=5: no such file"),
        ("my runs/top_k=5/x.txt is empty", "my runs/top_k=5/x.txt is empty"),
        ("an old top_k=5/x.txt is empty", "an old top_k=5/x.txt is empty"),
        ("an old top_k=5.txt is empty", "an old top_k=5.txt is empty"),
        ("tokenizer is './top_k=5.json'", "tokenizer is './top_k=5.json'"),
        ("`lms`, top_k=5: there is another", "`lms`, top_k=5: there is another"),
    ],
)
def test_the_shell_names_flags(message: str, expected: str) -> None:
    assert with_flags(message, FLAGS, bare=True) == expected


def test_only_advice_is_translated_elsewhere() -> None:
    assert with_flags("top_k: no such file", FLAGS) == "top_k: no such file"


def test_a_verb_may_have_other_names() -> None:
    names = command_line(texts="--mix-text", lms="--lm")
    with pytest.raises(UsageError, match=r"^--mix-text or --lm$"), names:
        raise OptionError("`texts` or `lms`")


MISSING = ["-m", "no-such-model", "no-such-file"]

# Were a file opened first, the missing one would be the error, and the status 1.
WRONG = [
    (["score", *MISSING, "--device", "tpu"], "--device must be auto, cpu, cuda or cuda:N"),
    (["score", *MISSING, "--threads", "2000"], "--threads must be an integer in 1..1024"),
    (["score", *MISSING, "-o", "x.gz", "--resume"], "written whole or not at all"),
    (["score", *MISSING, "-o", "x.zst", "--resume"], "leave out .zst"),
    (["score", *MISSING, "--resume"], "--resume goes on with a file"),
    (["score", *MISSING, "--compat", "kenlm", "--header"], "leave --header out"),
    (["filter", *MISSING, "--max-ppl", "9", "-o", "x.xz", "--resume"], "leave out .xz"),
    (["ppl", *MISSING, "--cache", "--no-eos"], "it does not go with --no-eos"),
    (["ppl", *MISSING, "--dynamic", "--compat", "srilm"], "it does not go with --compat"),
    (["next", "-m", "no", "-k", "0"], "Invalid value for '-k' / '--top'"),
    (["sample", "x", "-m", "no", "--temperature", "inf"], "--temperature must be 0 (greedy)"),
    (["sample", "x", "-m", "no", "--top-p", "0"], "--top-p must be in 0 < p <= 1"),
    (["sample", "x", "-m", "no", "--min-p", "2"], "--min-p must be in 0 <= p <= 1"),
    (["sample", "x", "-m", "no", "--repetition-penalty", "0"], "--repetition-penalty must be"),
    (["sample", "x", "-m", "no", "--stop", ""], "--stop must be strings of one character"),
    (["sample", "x", "-m", "no", "--pattern", "("], "pattern: unclosed group"),
    (
        ["sample", "x", "-m", "no", "--pattern", "a", "--allowed-words", "no"],
        "--allowed-words and --pattern exclude each other",
    ),
    (
        ["sample", "x", "-m", "no", "--beam-size", "2", "--length-penalty", "nan"],
        "--length-penalty must be a number in",
    ),
    (["rescore", *MISSING, "--lm-weight", "nan"], "the weight of 'lmscore' is nan, expected a"),
    (["rescore", *MISSING, "--word-penalty", "inf"], "the word penalty is inf, expected a finite"),
    (["rescore", *MISSING, "--weight", "am=nan"], "the weight of 'am' is nan"),
    (["rescore", *MISSING, "--weights", "no", "--weight", "am=1"], "leave out --weight"),
    (["rescore", *MISSING, "--scores", "am"], "--scores 'am': expected NAME=VALUE"),
    (["rescore", *MISSING, "--remove", "a b"], "'a b' is not one word"),
    (["rescore", *MISSING, "--lm", "a=b"], "give the model either by --model or by --lm"),
    (["rescore", "--lm", "a", "--lm", "b"], "--lm, a: each of several models needs a name"),
    (["rescore", "--lm", "a=x", "--lm", "a=y"], "there is another model of the name 'a'"),
    (["rescore", *MISSING, "--mix-weights", "1"], "--mix-weights and --mix-text are for --mix"),
    (["rescore", *MISSING, "--mix", "linear"], "--mix needs several models: NAME=PATH for each in"),
    (["rescore", "--lm", "a=x", "--lm", "b=y", "--mix", "linear"], "--mix needs --mix-weights, or"),
    (
        ["rescore", "--lm", "a=x", "--lm", "b=y", "--mix", "linear", "--mix-weights", "1,1"],
        "the weights of a mixture sum to 2, not to 1",
    ),
    (
        ["rescore", "--lm", "a=x", "--lm", "b=y", "--mix", "linear", "--mix-weights", "1"],
        "1 weights for a mixture of 2",
    ),
    (
        ["rescore", "--lm", "a=x", "--lm", "b=y", "--context", "document"],
        "--context document is for one recurrent model alone",
    ),
    (
        ["rescore", *MISSING, "--input-format", "tsv", "--beam-size", "2"],
        "--beam-size is not for tsv",
    ),
    (["rescore", *MISSING, "--input-format", "tsv", "--scores", "a=b"], "--scores is not for tsv"),
    (["rescore", *MISSING, "--input-format", "nemo"], "nemo needs --beam-size"),
    (["tune", *MISSING, "--weigh", "am", "--no-model", "--no-word-penalty"], "nothing to tune"),
    (["tune", *MISSING, "--length-normalization", "nan"], "the length normalization is nan"),
    (["tune", *MISSING, "--plot", "x.xyz"], "--plot x.xyz: no such kind of picture"),
    (["tune", *MISSING, "--remove", ""], "'' is not one word"),
    (["lattice", *MISSING, "--lm-weight", "nan"], "--lm-weight must be a finite number"),
    (["lattice", *MISSING, "--lm-scale", "0"], "--lm-scale must be above 0"),
    (["lattice", *MISSING, "--n-best", "2", "--feature", "lm"], "a score 'lm' already"),
    (["lattice", *MISSING, "--remove", "a b"], "'a b' is not one word"),
    (["lattice", *MISSING, "--input-format", "htk-slf", "--words", "w"], "--words is for kaldi"),
    (["lattice", *MISSING, "--format", "kaldi-lattice", "-o", "x/"], "give --output a file"),
    (["train", "no", "-o", "m", "--learning-rate", "0"], "--learning-rate is 0.0, expected more"),
    (["train", "no", "-o", "m", "--device", "tpu"], "--device is 'tpu', expected auto, cpu, cuda"),
    (["train", "no", "-o", "m", "--cutoffs", "5"], "--cutoffs are for --output-layer classes"),
    (["train", "-", "-o", "m"], "name a file"),
    (
        ["train", "no", "-o", "m", "--min-count", "2"],
        "--min-count is 2 and has no effect: --tokenizer bpe has no unknown words; leave it out",
    ),
    (
        ["train", "no", "-o", "m", "--init-from", "no", "--normalization", "nfc"],
        "--normalization is 'nfc' and has no effect: --init-from brings its tokenizer along",
    ),
    (["export", "no", "--variant", "int3"], "no variant 'int3'"),
    (["check", "no", "-m", "no"], "given twice, as an argument and as --model"),
    (["bench", *MISSING, "--device", "tpu"], "--device must be auto, cpu, cuda or cuda:N"),
    (["bench", *MISSING, "--threads", "9999"], "--threads must be an integer in 1..1024"),
]


@pytest.mark.parametrize(("argv", "message"), WRONG)
def test_what_the_command_line_shows(run: Run, argv: list[str], message: str) -> None:
    result = run(*argv)
    assert (result.status, result.out) == (2, ""), result.err
    assert result.err.startswith("lmscore: error: ")
    assert message in result.err
    assert result.err.count("\n") == 1


LISTS = b"a\t-1\tthe c\xffat\na\t-2\tthe dog\n"
KALDI = b"utt-1 \n0 1 th\xffe 1,2,\n1 0,0,\n\n"


@pytest.mark.parametrize(
    ("verb", "text", "line"),
    [
        (["rescore"], LISTS, 1),
        (["rescore", "--input-format", "tsv"], gzip.compress(LISTS, mtime=0), 1),
        (["rescore"], b'{"id": "a", "hypotheses": [{"text": "th\xffe", "score": 1}]}\n', 1),
        (["tune", "--no-model", "--folds", "2"], LISTS + LISTS.replace(b"a\t", b"b\t"), 1),
        (["lattice"], KALDI, 2),
    ],
)
def test_invalid_utf8(run: Run, tmp_path: Path, verb: list[str], text: bytes, line: int) -> None:
    path, references = tmp_path / "input", tmp_path / "references"
    path.write_bytes(text)
    references.write_bytes(b"a the cat\nb the cat\n")
    argv = [*verb, path, *(["--references", references] if verb[0] == "tune" else [])]
    result = run(*argv)
    assert (result.status, result.out) == (1, "")
    assert f"{path}, line {line}: invalid UTF-8 at byte " in result.err
    assert result.err.endswith("; convert the file, or use --errors replace\n")
    result = run(*argv, "--errors", "replace")
    assert result.status == 0, result.err
    assert "\ufffd" in result.out or verb[0] == "tune"


def test_invalid_utf8_beside_the_lists(run: Run, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_bytes(b"fine\n\xff\n")
    options = ("rescore", "--remove", f"@{words}")
    result = run(*options, stdin=b"a\t-1\tthe cat\n")
    assert result.status == 1
    assert f"{words}, line 2: invalid UTF-8 at byte 1; convert the file, or use --e" in result.err
    assert run(*options, "--errors", "replace", stdin=b"a\t-1\tthe cat\n").status == 0
