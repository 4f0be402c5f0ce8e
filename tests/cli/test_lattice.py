"""`lmscore lattice`: lattices, texts and lists out."""

from __future__ import annotations

import gzip
import math
import re
from inspect import signature
from pathlib import Path

import pytest

from lmscore.cli.verbs.lattice import lattice
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices import LatticeOptions, all_paths, read_lattices
from tests.cli.conftest import Run, finish, start

# Acoustic and language model costs; the words say which of the two texts a path has.
KALDI = """\
utt-0001\x20
0\t1\tthe\t2,10,1_1
1\t2\tcat\t3,20,2
1\t2\tdog\t4,18,
2\t0.5,1,

empty-1\x20

"""
HTK = """\
VERSION=1.0
lmscale=2
N=3 L=3
I=0
I=1
I=2
J=0 S=0 E=1 W=the a=-10 l=-2
J=1 S=1 E=2 W=cat a=-20 l=-3
J=2 S=1 E=2 W=DOG a=-18 l=-4
"""
FP32 = ("--variant", "fp32")
EXACT = ("--order", 0, "--beam", 0, "--max-tokens", 0)


@pytest.fixture
def kaldi(tmp_path: Path) -> Path:
    path = tmp_path / "lat.txt"
    path.write_text(KALDI)
    return path


@pytest.fixture
def htk(tmp_path: Path) -> Path:
    folder = tmp_path / "htk"
    folder.mkdir()
    (folder / "a.lat").write_text(HTK)
    with gzip.open(folder / "b.lat.gz", "wt") as file:
        file.write(HTK)
    return folder


def test_lattices_come_back_rescored(
    run: Run, lm: LanguageModel, kaldi: Path, tmp_path: Path
) -> None:
    result = run("lattice", *FP32, *EXACT, "--lm-weight", 1, kaldi)
    assert result.status == 0
    out = tmp_path / "out"
    out.write_text(result.out)
    first, empty = read_lattices(out)
    assert (first.id, empty.id, empty.nodes) == ("utt-0001", "empty-1", ())
    found = {path.text: path.scores for path in all_paths(first)}
    for text, acoustic in {"the cat": -31, "the dog": -29}.items():
        assert found[text].acoustic == pytest.approx(acoustic)
        assert found[text].lm == pytest.approx(lm.score(text).log_prob, abs=1e-4)
    assert result.err.startswith("lmscore: model (fp32, sentence context): 2 lattices, ")
    assert result.err.count("\n") == 1


def test_without_the_new_model_nothing_is_new(run: Run, kaldi: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text(run("lattice", *EXACT, "--lm-weight", 0, kaldi).out)
    (old, _), (new, _) = read_lattices(kaldi), read_lattices(out)
    assert {p.text: p.total for p in all_paths(new)} == {
        path.text: pytest.approx(path.total) for path in all_paths(old)
    }


@pytest.mark.parametrize("lm_weight", [0, 0.5, 3])
def test_the_best_text(run: Run, lm: LanguageModel, kaldi: Path, lm_weight: float) -> None:
    costs = {"the cat": (31, 5.5), "the dog": (29, 6.5)}
    totals = {
        text: -acoustic + lm_weight * lm.score(text).log_prob - (1 - lm_weight) * graph
        for text, (acoustic, graph) in costs.items()
    }
    best = max(totals, key=lambda text: totals[text])
    options = ("lattice", *FP32, *EXACT, "--lm-weight", lm_weight, "--best")
    assert run(*options, kaldi).out == f"{best}\n\n"
    assert run(*options, "--with-ids", kaldi).rows == [["utt-0001", best], ["empty-1", ""]]


def test_confidences(run: Run, kaldi: Path) -> None:
    """Without the new model: the totals are -36.5 and -35.5."""
    options = ("lattice", *EXACT, "--lm-weight", 0, "--best", "--mbr", "--confidence")
    result = run(*options, "--with-ids", "--posterior-scale", 2, kaldi)
    share = 1 / (1 + math.exp(-0.5))
    assert result.rows == [["utt-0001", "the dog", f"1.000 {share:.3f}"], ["empty-1", "", ""]]


LOWER = (
    "\\data\\\nngram 1=5\n\\1-grams:\n-1\t</s>\n-99\t<s>\n-1\the\n-1\tpassed\n-4\t<unk>\n\\end\\\n"
)


@pytest.fixture
def capitals(tmp_path: Path) -> tuple[Path, str, Path]:
    """A lattice in capitals, and a model in lower case."""
    path = tmp_path / "capitals.slf"
    arcs = (f"J={i} S={i} E={i + 1} W={w} a=-1\n" for i, w in enumerate(["HE", "PASSED", "HE"]))
    nodes = (f"I={i}\n" for i in range(4))
    path.write_text("".join(["VERSION=1.0\nN=4 L=3\n", *nodes, *arcs]))
    (tmp_path / "lower.arpa").write_text(LOWER)
    return path, "-m", tmp_path / "lower.arpa"


def test_capitals_get_a_hint(run: Run, capitals: tuple[Path, str, Path]) -> None:
    hint = "the texts are in capitals, and likelier in lower case (-9 nats instead of -30 nats)"
    hint = hint.replace("-30 nats", "-30")
    for options, is_told in [((), True), (("--lowercase",), False), (("--case", "lower"), False)]:
        assert (hint in run("lattice", "--best", *capitals, *options).err) == is_told


def test_case_auto_lower_cases(run: Run, capitals: tuple[Path, str, Path]) -> None:
    result = run("lattice", "--n-best", 1, *capitals, "--case", "auto")
    assert "the models get the texts in lower case, where they are likelier" in result.err
    (hypothesis,) = result.objects[0]["hypotheses"]
    assert hypothesis["text"] == "HE PASSED HE"
    assert hypothesis["lmscore"] == pytest.approx(-4 * math.log(10))
    kept = run("lattice", "--n-best", 1, *capitals).objects[0]["hypotheses"][0]
    assert kept["lmscore"] == pytest.approx(-13 * math.log(10))


@pytest.mark.parametrize("options", [("--best", "--with-ids"), ("--format", "kaldi-lattice")])
def test_files_shared_out_to_processes(run: Run, htk: Path, options: tuple[str, ...]) -> None:
    alone = run("lattice", htk, *FP32, *options)
    shared = run("lattice", htk, *FP32, *options, "--jobs", 2)
    assert (shared.status, shared.out, shared.err) == (0, alone.out, alone.err)


def test_files_of_processes_in_a_directory(run: Run, htk: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "alone", tmp_path / "shared"]
    for output, jobs in zip(outputs, (1, 2), strict=True):
        assert run("lattice", htk, *FP32, "-o", f"{output}/", "--jobs", jobs).status == 0
    alone, shared = ({p.name: p.read_bytes() for p in path.iterdir()} for path in outputs)
    assert alone == shared
    assert sorted(alone) == ["a.lat", "b.lat.gz"]


def test_errors_of_processes_name_the_file(run: Run, htk: Path) -> None:
    (htk / "c.lat").write_text(HTK.replace("a=-20", "a=x"))
    result = run("lattice", htk, *FP32, "--best", "--jobs", 2)
    assert result.status == 1
    assert result.out == "the DOG\n" * 2
    assert f"{htk / 'c.lat'}, line 8, field 'a': 'x' is no finite number" in result.err
    (htk / "c.lat").write_text(HTK.replace("VERSION=1.0", "VERSION=1.0 U=a"))
    result = run("lattice", htk, *FP32, "--best", "--jobs", 2)
    assert f"{htk / 'c.lat'}: a second lattice 'a'" in result.err


def test_standard_input_cannot_be_shared_out(run: Run) -> None:
    result = run("lattice", "--jobs", 2, "--best", stdin=KALDI)
    assert (result.status, result.out) == (1, "")
    assert "--jobs shares out files: name them, standard input is one stream" in result.err


def test_errors_of_the_search_name_the_file(run: Run, htk: Path) -> None:
    (htk / "c.lat").write_text(HTK.replace("W=the", "W=</s>"))
    result = run("lattice", htk, *FP32, "--best")
    assert f"{htk / 'c.lat'}: lattice 'c': the word 'cat' comes after </s>" in result.err


def test_an_n_gram_of_the_recognisers_text(run: Run, htk: Path, tmp_path: Path) -> None:
    """What it finds likely counts against a text: here `cat`, by half of the LM weight."""
    arpa = LOWER.replace("-1\the", "-1\tcat").replace("-1\tpassed", "-4\tthe")
    (tmp_path / "own.arpa").write_text(arpa)
    options = (htk / "a.lat", *FP32, *EXACT, "--n-best", 2)
    before = {h["text"]: h for h in run("lattice", *options).objects[0]["hypotheses"]}
    result = run("lattice", *options, "--lodr", tmp_path / "own.arpa")
    assert ", lodr (1-gram of words): 1 lattices" in result.err
    for hypothesis in result.objects[0]["hypotheses"]:
        old = before[hypothesis["text"]]
        lodr = {"the cat": -6, "the DOG": -9}[hypothesis["text"]] * math.log(10)
        assert hypothesis["lodr"] == pytest.approx(lodr)
        assert hypothesis["lmscore"] == old["lmscore"]
        assert hypothesis["score"] == pytest.approx(old["score"] - 2 * 0.25 * lodr, abs=1e-4)
    weighed = run("lattice", *options, "--lodr", tmp_path / "own.arpa", "--lodr-weight", 0)
    assert {h["text"]: h["score"] for h in weighed.objects[0]["hypotheses"]} == {
        text: hypothesis["score"] for text, hypothesis in before.items()
    }


def test_a_lattice_without_a_scale_gets_a_hint(run: Run, htk: Path) -> None:
    path = htk / "a.lat"
    path.write_text(re.sub(r" l=\S+|lmscale=2\n", "", HTK))
    hint = "1 lattices have neither language model scores nor a scale"
    assert hint in run("lattice", "--best", path).err
    assert hint not in run("lattice", "--best", "--lm-scale", 9, path).err
    assert run("lattice", "--best", "--quiet", path).err == ""


def test_n_best(run: Run, lm: LanguageModel, kaldi: Path) -> None:
    result = run("lattice", *FP32, *EXACT, "--n-best", 5, "--feature", "rnn", kaldi)
    lists, empty = result.objects
    assert lists["id"] == "utt-0001"
    assert empty["id"] == "empty-1"
    scores = {hypothesis.pop("text"): hypothesis for hypothesis in lists["hypotheses"]}
    assert sorted(scores) == ["the cat", "the dog"]
    rnn = lm.score("the cat").log_prob
    assert scores["the cat"] == pytest.approx(
        {
            "score": -31 - 0.5 * 5.5 + 0.5 * rnn,
            "acoustic": -31,
            "lm": -5.5,
            "other": 0,
            "rnn": rnn,
        },
        abs=1e-4,
    )
    assert [h["score"] for h in lists["hypotheses"]] == sorted(
        (h["score"] for h in lists["hypotheses"]), reverse=True
    )


def test_n_best_lists_can_be_rescored(run: Run, kaldi: Path) -> None:
    lists = run("lattice", "--n-best", 2, kaldi).out
    result = run("rescore", "--feature", "second", "--weight", "lmscore=-1", stdin=lists)
    assert result.status == 0
    assert "score = 1 * score + 0.5 * second - 1 * lmscore: " in result.err


def test_htk_in_a_directory(run: Run, lm: LanguageModel, htk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--lm-weight", 1, "--lowercase", "--acoustic-scale", 0.5, "--word-penalty", -1)
    result = run("lattice", *FP32, *EXACT, *options, htk, "-o", f"{out}/")
    assert (result.status, result.out) == (0, "")
    assert sorted(file.name for file in out.iterdir()) == ["a.lat", "b.lat.gz"]
    for rescored in read_lattices(out):
        found = {path.text: path for path in all_paths(rescored)}
        path = found["the DOG"]  # spelt as it was, and scored in lower case
        log_prob = lm.score("the dog").log_prob
        assert path.scores.lm == pytest.approx(log_prob, abs=1e-4)
        assert path.total == pytest.approx(0.5 * -28 + 2 * log_prob - 2, abs=1e-4)


def test_the_other_format(run: Run, htk: Path, tmp_path: Path) -> None:
    """The scale of HTK's file is worked into Kaldi's costs."""
    out = tmp_path / "out"
    options = ("--lm-weight", 0, "--format", "kaldi-lattice")
    assert run("lattice", *EXACT, *options, htk / "a.lat", "-o", out).status == 0
    (found,) = read_lattices(out)
    assert {path.text: path.scores.lm for path in all_paths(found)} == {
        "the cat": -5,
        "the DOG": -6,
    }


@pytest.mark.parametrize("told", [(), ("--input-format", "htk-slf"), ("--jobs", 2)])
def test_the_other_format_in_numbers(
    run: Run, htk: Path, tmp_path: Path, told: tuple[str | int, ...]
) -> None:
    table = tmp_path / "words.txt"
    table.write_text("<eps> 0\nthe 1\ncat 2\nDOG 3\n")
    options = ("--lm-weight", 0, "--words", table, *told, htk / "a.lat")
    out = run("lattice", *EXACT, "--format", "kaldi-lattice", *options).out
    assert [line.split("\t")[2] for line in out.splitlines() if line.count("\t") > 2] == list("123")
    result = run("lattice", "--format", "srilm-pfsg", *options)
    assert result.status > 0
    assert re.search("htk-slf has no use for (it|a symbol table)", result.err)
    table.write_text("<eps> 0\nthe 1\n")
    result = run("lattice", "--format", "kaldi-lattice", *options)
    assert "a.lat: lattice 'a': the word 'cat' is not in the symbol table" in result.err


def test_the_defaults_are_those_of_the_library() -> None:
    parameters = signature(lattice).parameters
    found = {name: parameters[name].default for name in ("order", "beam", "max_tokens")}
    assert LatticeOptions(**found) == LatticeOptions()


def test_a_narrow_search(run: Run, kaldi: Path) -> None:
    wide, narrow = (
        run("lattice", *options, kaldi).err
        for options in ((), ("--max-tokens", 1, "--beam", 0.001))
    )
    assert wide != narrow


def test_words_that_are_numbers(run: Run, tmp_path: Path) -> None:
    table, path = tmp_path / "words.txt", tmp_path / "lat"
    table.write_text("<eps> 0\nthe 1\ncat 2\ndog 3\n")
    numbers = {"the": "1", "cat": "2", "dog": "3"}
    text = KALDI
    for word, number in numbers.items():
        text = text.replace(f"\t{word}\t", f"\t{number}\t")
    path.write_text(text)
    options = ("lattice", "--words", table, "--lm-weight", 0)
    assert run(*options, "--best", path).out in ("the cat\n\n", "the dog\n\n")
    assert "0\t1\t1\t2,10,1_1\n" in run(*options, path).out
    result = run("lattice", path)
    assert result.status == 1
    assert "the words are numbers" in result.err


def test_removed_words_have_no_score(run: Run, lm: LanguageModel, kaldi: Path) -> None:
    result = run("lattice", *FP32, *EXACT, "--remove", "dog", "--n-best", 2, kaldi)
    hypotheses = {h["text"]: h for h in result.objects[0]["hypotheses"]}
    assert hypotheses["the dog"]["lmscore"] == pytest.approx(lm.score("the").log_prob, abs=1e-4)


def test_standard_input_and_several_files(run: Run, kaldi: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(KALDI.replace("utt", "more").replace("empty", "void"))
    alone = [run("lattice", stdin=path.read_bytes()).out for path in (kaldi, other)]
    assert run("lattice", kaldi, other).out == "".join(alone)


@pytest.mark.parametrize("layout", [("--best",), ("--n-best", 2)])
def test_texts_do_not_take_the_place_of_lattices(
    run: Run, kaldi: Path, layout: tuple[str | int, ...]
) -> None:
    result = run("lattice", *layout, kaldi, "-o", kaldi)
    assert (result.status, result.out) == (1, "")
    assert f"{kaldi}: is read already; write to another file" in result.err
    assert kaldi.read_text() == KALDI


def test_a_directory_is_there_or_ends_so(run: Run, htk: Path, tmp_path: Path) -> None:
    result = run("lattice", htk, "-o", tmp_path / "new")
    assert result.status == 1
    assert "write into a directory, one that is there or whose name ends in /" in result.err
    assert run("lattice", htk, "-o", f"{tmp_path / 'new'}/").status == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a.lat", "b.lat.gz"}


def test_an_error_leaves_the_old_file(run: Run, kaldi: Path) -> None:
    old = f"{KALDI}third \n0 1 the x,y,\n"
    kaldi.write_text(old)
    result = run("lattice", kaldi, "-o", kaldi)
    assert result.status == 1
    assert "lat.txt, line 10" in result.err
    assert kaldi.read_text() == old


def test_a_file_that_is_there_stays(run: Run, kaldi: Path, htk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.lat").write_text("old")
    for options in ([htk, "-o", out], [kaldi, "--best", "-o", out / "a.lat"]):
        result = run("lattice", *options)
        assert (result.status, result.err.count("\n")) == (1, 1)
        assert f"{out / 'a.lat'}: there is something in it already; remove it" in result.err
    assert (out / "a.lat").read_text() == "old"


def test_a_file_named_by_an_id_stays(run: Run, kaldi: Path, tmp_path: Path) -> None:
    """The ids are known only when the lattices are read; an archive is not one of them either."""
    archive = tmp_path / "empty-1.lat"
    kaldi.rename(archive)
    for there, content in (("utt-0001.lat", "old"), ("empty-1.lat", KALDI)):
        (tmp_path / there).write_text(content)
        result = run("lattice", archive, "--format", "htk-slf", "-o", tmp_path)
        assert (result.status, result.err.count("\n")) == (1, 1)
        assert f"{tmp_path / there}: there is something in it already; remove it" in result.err
        assert (tmp_path / there).read_text() == content
        (tmp_path / "utt-0001.lat").unlink()


def test_lattices_in_their_own_place(run: Run, htk: Path) -> None:
    assert run("lattice", htk, "-o", htk).status == 0
    assert {path.name for path in htk.iterdir()} == {"a.lat", "b.lat.gz"}
    assert (htk / "a.lat").read_text() != HTK


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--best", "--n-best", "2"], "give one"),
        (["--best", "--format", "htk-slf"], "--format is for lattices"),
        (["--with-ids"], "--with-ids goes with --best"),
        (["--mbr"], "--mbr goes with --best"),
        (["--confidence", "--n-best", "2"], "--confidence goes with --best"),
        (["--best", "--posterior-scale", "2"], "--posterior-scale goes with --mbr or"),
        (["--best", "--mbr", "--posterior-scale", "0"], "--posterior-scale must be above 0"),
        (["--best", "-o", "out/"], "write one file"),
        (["--input-format", "jsonl"], "'jsonl'"),
    ],
)
def test_usage(run: Run, options: list[str], message: str) -> None:
    result = run("lattice", *options, stdin=KALDI)
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())


def test_a_feature_that_is_there(run: Run, kaldi: Path) -> None:
    result = run("lattice", "--n-best", 2, "--feature", "lm", kaldi)
    assert result.status == 2
    assert "lattices have a score 'lm' already; choose another --feature" in result.err


def test_lists_and_lattices_are_told_apart(run: Run, kaldi: Path) -> None:
    result = run("rescore", kaldi)
    assert result.status == 1
    assert "cannot tell the n-best format" in result.err
    assert "lattices are for lmscore lattice" in result.err
    result = run("lattice", stdin="a\t-1\tthe cat\n")
    assert result.status == 1
    assert "cannot tell the lattice format" in result.err
    assert "n-best lists are for lmscore rescore" in result.err


@pytest.mark.parametrize("options", [("--best",), ()])
def test_a_lattice_is_answered_before_the_next_is_there(
    run: Run, model_path: Path, options: tuple[str, ...]
) -> None:
    first, second = (part + "\n\n" for part in KALDI.split("\n\n")[:2])
    whole = run("lattice", *options, stdin=first + second)
    program = start("lattice", "--line-buffered", *options, env={"LMSCORE_MODEL": str(model_path)})
    assert program.stdin is not None
    assert program.stdout is not None
    answers = b""
    for part in (first, second):
        program.stdin.write(part.encode())
        answers += program.stdout.readline()
        while not options and not answers.endswith(b"\n\n"):
            answers += program.stdout.readline()
    result = finish(program)
    assert (result.status, answers.decode() + result.out) == (0, whole.out)
    assert result.err.splitlines()[-1] == whole.err.splitlines()[-1]


def test_one_process_answers_lattices_at_once(run: Run, kaldi: Path) -> None:
    result = run("lattice", "--line-buffered", "--jobs", "2", kaldi)
    assert result.status == 2
    assert "--line-buffered is for one process: leave out --jobs" in result.err
