"""`lmscore rescore`: lists come back with the scores of models in them, in order, or ranked."""

from __future__ import annotations

import gzip
import json
import lzma
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmscore.cli.rescoring.ranked_lists import Meter
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.formats import read
from lmscore.runtime.rescoring.lists.weights import Weights
from tests.cli.conftest import Run, finish, start

EXAMPLES = Path(__file__).parents[2] / "examples"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell and pipes")

# Two lists: the second has an empty hypothesis, a duplicate, and a word outside the vocabulary.
TEXTS = [["the cat sat", "the cat ran"], ["so long", "", "so long", "so zebra"]]
SCORES = [[-3.0, -3.5], [-1.0, -1.5, -2.0, -2.5]]
IDS = ["a", "b"]

Rows = list[tuple[int, int, str, float]]  # list, rank, text, score


def rows() -> Rows:
    return [
        (i, rank, text, score)
        for i, (texts, scores) in enumerate(zip(TEXTS, SCORES, strict=True))
        for rank, (text, score) in enumerate(zip(texts, scores, strict=True), 1)
    ]


def moses() -> str:
    return "".join(f"{i} ||| {text} ||| lm= -9 tm= 1 2 ||| {s}\n" for i, _, text, s in rows())


def kaldi() -> str:
    return "".join(f"{IDS[i]}-{rank} {text}\n" for i, rank, text, _ in rows())


def nemo() -> str:
    return "".join(f"{text}\t{s}\n" for _, _, text, s in rows())


def tsv() -> str:
    return "".join(f"{IDS[i]}\t{s}\t{text}\n" for i, _, text, s in rows())


def jsonl() -> str:
    return "".join(
        json.dumps(
            {
                "id": key,
                "hypotheses": [
                    {"text": text, "score": score, "note": "é"}
                    for text, score in zip(texts, scores, strict=True)
                ],
                "reference": texts[1],
            }
        )
        + "\n"
        for key, texts, scores in zip(IDS, TEXTS, SCORES, strict=True)
    )


def espnet() -> str:
    utterances = {
        key: {
            "output": [
                {"name": f"target1[{rank}]", "rec_text": f"{text} <eos>", "score": score}
                for rank, (text, score) in enumerate(zip(texts, scores, strict=True), 1)
            ]
        }
        for key, texts, scores in zip(IDS, TEXTS, SCORES, strict=True)
    }
    return json.dumps({"utts": utterances}, indent=4)


def mlm_scoring() -> str:
    document = {
        key: {
            f"hyp_{rank}": {"score": score, "text": text}
            for rank, (text, score) in enumerate(zip(texts, scores, strict=True), 1)
        }
        for key, texts, scores in zip(IDS, TEXTS, SCORES, strict=True)
    }
    return json.dumps(document, indent=2)


def hyporadise() -> str:
    lists = [
        {"input": texts, "output": texts[1], "am_score": scores}
        for texts, scores in zip(TEXTS, SCORES, strict=True)
    ]
    return json.dumps(lists)


WRITERS: dict[str, Callable[[], str]] = {
    "moses": moses,
    "nemo": nemo,
    "tsv": tsv,
    "jsonl": jsonl,
    "espnet": espnet,
    "mlm-scoring": mlm_scoring,
    "hyporadise": hyporadise,
}
BEAMLESS = [name for name in WRITERS if name != "nemo"]
FP32 = ("--variant", "fp32")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    path = tmp_path / "lists.jsonl"
    path.write_text(jsonl())
    return path


def log_probs(lm: LanguageModel, **options: Any) -> list[list[float]]:
    return [
        [score.log_prob for score in lm.score_batch(texts, context="sentence", **options)]
        for texts in TEXTS
    ]


def features(text: str, path: Path, name: str, **options: Any) -> list[list[float]]:
    """A feature of lists that were written."""
    path.write_text(text)
    _, found = read([path], **options)
    return [[h.features[name] for h in nbest.hypotheses] for nbest in found]


def approx(values: list[list[float]]) -> list[Any]:
    return [pytest.approx(row, abs=1e-4) for row in values]


# --- lists that come back


@pytest.mark.parametrize("name", BEAMLESS)
def test_a_list_comes_back_with_its_scores(
    run: Run, lm: LanguageModel, tmp_path: Path, name: str
) -> None:
    text = WRITERS[name]()
    result = run("rescore", *FP32, stdin=text)
    assert result.status == 0
    path = tmp_path / "out"
    feature = "score2" if name == "tsv" else "lmscore"
    assert features(result.out, path, feature) == approx(log_probs(lm))
    _, before = read([_file(tmp_path / "in", text)])
    _, after = read([path])
    for old, new in zip(before, after, strict=True):
        assert (new.id, new.reference) == (old.id, old.reference)
        for was, is_now in zip(old.hypotheses, new.hypotheses, strict=True):
            assert is_now.text == was.text
            assert {**was.features, feature: is_now.features[feature]} == is_now.features


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_everything_else_stays_as_it_was(run: Run) -> None:
    text = "0||| the cat  ||| lm: -9.50  w= 1 ||| -1.0e0 ||| 0-0\r\n0 |||  ||| ||| 2 |||\n"
    out = run("rescore", "--feature", "rnn", stdin=text).out
    first, second = (f"rnn= {value} " for value in _values(out))
    assert out == text.replace("w= 1 ", f"w= 1 {first}").replace("||| ||| 2", f"||| {second}||| 2")


def _values(out: str) -> list[str]:
    return [line.split("rnn= ")[1].split()[0] for line in out.splitlines()]


def test_nemo(run: Run, lm: LanguageModel) -> None:
    text = "the cat\t-1\nthe dog\t-2\na fish\t-3\na mat\t-4\n"
    result = run("rescore", *FP32, "--beam-size", 2, stdin=text)
    expected = [
        score.log_prob for score in lm.score_batch(["the cat", "the dog", "a fish", "a mat"])
    ]
    assert [float(row[2]) for row in result.rows] == pytest.approx(expected, abs=1e-4)
    assert "4 hypotheses" in result.err
    assert "2 lists" in result.err


def test_kaldi_gets_costs(run: Run, lm: LanguageModel) -> None:
    result = run("rescore", *FP32, stdin=kaldi())
    keys, costs = zip(*(line.split(" ") for line in result.out.splitlines()), strict=True)
    assert list(keys) == ["a-1", "a-2", "b-1", "b-2", "b-3", "b-4"]
    expected = [-value for row in log_probs(lm) for value in row]
    assert list(map(float, costs)) == pytest.approx(expected, abs=1e-4)


def test_kaldi_with_archives_of_costs(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    """All archives together are the decoder's score; weights scale them."""
    for name, costs in {"ac": [100, 90], "graph": [1, 9]}.items():
        _file(tmp_path / name, f"a-1 {costs[0]}\na-2 {costs[1]}\n")
    lists = _file(tmp_path / "text", "a-1 the cat\na-2 the dog\n")
    archives = [f"--scores={name}={tmp_path / name}" for name in ("ac", "graph")]
    options = ("rescore", "--best", "--lm-weight", 0, *archives)
    assert run(*options, lists).out == "the dog\n"
    assert run(*options, "--weight", "ac=0.1", lists).out == "the cat\n"


def test_srilm_lists_in_a_directory(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    with gzip.open(source / "u1.gz", "wt") as file:
        file.write("-10 -2 2 the cat\n-11 -1 2 the dog\n")
    (source / "u2").write_text("-5 -2 1 fish\n")
    result = run("rescore", *FP32, source, "-o", f"{out}/")
    assert (result.status, result.out) == (0, "")
    with gzip.open(out / "u1.gz", "rt") as file:
        ascore, lscore, count, *words = file.readline().split()
    assert (ascore, count, words) == ("-10", "2", ["the", "cat"])
    expected = lm.score("the cat").log_prob / 2.302585092994046
    assert float(lscore) == pytest.approx(expected, abs=1e-4)
    assert (out / "u2").read_text().startswith("-5 ")


def test_int8_is_the_default(run: Run, lm_int8: LanguageModel, tmp_path: Path) -> None:
    result = run("rescore", stdin=tsv())
    assert "model (int8, sentence context): 2 lists" in result.err
    found = features(result.out, tmp_path / "out", "score2")
    assert found == [pytest.approx(row, abs=0.05) for row in log_probs(lm_int8)]


def test_no_eos(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    result = run("rescore", *FP32, "--no-eos", stdin=jsonl())
    found = features(result.out, tmp_path / "out", "lmscore")
    assert found == approx(log_probs(lm, eos=False))
    assert "tokens without </s>" in result.err


def test_texts_are_prepared_for_the_model_only(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    words = _file(tmp_path / "words", "[noise]\n<unk> -pau-\n")
    text = "a\t-1\tThe c@@ at -pau- [noise] uh\n"
    options = ("--join", "@@", "--lowercase", "--remove", f"@{words}", "--remove", "uh")
    ((key, score, found, same),) = run("rescore", *FP32, *options, stdin=text).rows
    assert (key, score, same) == ("a", "-1", "The c@@ at -pau- [noise] uh")
    assert float(found) == pytest.approx(lm.score("the cat").log_prob, abs=1e-4)
    assert run("rescore", *options, "--best", stdin=text).out == "The c@@ at -pau- [noise] uh\n"


# --- ranking


def combined(lm: LanguageModel, lm_weight: float, penalty: float = 0.0) -> list[list[float]]:
    return [
        [
            score + lm_weight * log_prob + penalty * len(text.split())
            for score, log_prob, text in zip(*columns, strict=True)
        ]
        for columns in zip(SCORES, log_probs(lm), TEXTS, strict=True)
    ]


@pytest.mark.parametrize("name", BEAMLESS)
@pytest.mark.parametrize(("lm_weight", "penalty"), [(0.5, 0.0), (2.0, 0.0), (0.1, 3.0)])
def test_rerank(
    run: Run, lm: LanguageModel, tmp_path: Path, name: str, lm_weight: float, penalty: float
) -> None:
    options = ("--rerank", "--lm-weight", lm_weight, "--word-penalty", penalty)
    out = run("rescore", *FP32, *options, stdin=WRITERS[name]()).out
    _, found = read([_file(tmp_path / "out", out)])
    totals = combined(lm, lm_weight, penalty)
    for nbest, texts, scores in zip(found, TEXTS, totals, strict=True):
        order = sorted(range(len(texts)), key=lambda i: -scores[i])
        assert [h.text for h in nbest.hypotheses] == [texts[i] for i in order]


def test_the_best_texts(run: Run, lm: LanguageModel) -> None:
    totals = combined(lm, 3.0)
    best = [texts[row.index(max(row))] for texts, row in zip(TEXTS, totals, strict=True)]
    options = ("rescore", *FP32, "--best", "--lm-weight", 3)
    assert run(*options, stdin=tsv()).out == "".join(f"{text}\n" for text in best)
    result = run(*options, "--with-ids", stdin=tsv())
    assert result.rows == [[key, text] for key, text in zip(IDS, best, strict=True)]
    changed = sum(text != texts[0] for text, texts in zip(best, TEXTS, strict=True))
    assert changed
    assert f"the best hypothesis is not the first one in {changed} of 2 lists\n" in result.err


def test_a_list_without_hypotheses(run: Run) -> None:
    text = '{"id": "a", "hypotheses": []}\n{"id": "b", "hypotheses": [{"text": "a\\nb"}]}\n'
    result = run("rescore", "--best", "--with-ids", stdin=text)
    assert result.rows == [["a", ""], ["b", "a b"]]
    assert "0 of 2 lists, 1 of them empty" in result.err
    out = run("rescore", stdin=text).out
    assert out.startswith('{"id": "a", "hypotheses": []}\n')


def test_only_empty_lists(run: Run) -> None:
    text = '{"id": "a", "hypotheses": []}\n'
    result = run("rescore", stdin=text)
    assert (result.status, result.out) == (0, text)


def test_equals_keep_their_order(run: Run) -> None:
    text = "a\t-1\tthe cat\na\t-1\tthe cat\na\t0\tthe cat\n"
    out = run("rescore", "--rerank", stdin=text).rows
    assert [row[1] for row in out] == ["0", "-1", "-1"]


def test_minus_infinity_comes_last(run: Run) -> None:
    text = "a\t-inf\tthe cat\na\t-99\tthe dog\n"
    assert [row[1] for row in run("rescore", "--rerank", stdin=text).rows] == ["-99", "-inf"]


@pytest.mark.parametrize(
    ("weights", "best"),
    [
        (["total=0", "lm=1"], "the dog"),  # the old model instead of the total
        (["lm=-1"], "the cat"),  # taken out of the total
        (["total=0", "rank=1"], "the cat"),
        (["total=0", "rank=-1"], "a fish on the mat"),
        (["total=0", "words=1"], "a fish on the mat"),
        (["total=0", "lm*words=1"], "the dog"),
    ],
)
def test_weights_of_the_lists_own(run: Run, weights: list[str], best: str) -> None:
    text = (
        "0 ||| the cat ||| lm= -7 ||| -1\n"
        "0 ||| the dog ||| lm= -3 ||| -2\n"
        "0 ||| a fish on the mat ||| lm= -5 ||| -9\n"
    )
    options = ["rescore", "--best", "--lm-weight", 0, *(f"--weight={given}" for given in weights)]
    assert run(*options, stdin=text).out == f"{best}\n"


def test_length_normalization(run: Run) -> None:
    text = "a\t-2\tthe\na\t-3\tthe cat\n"
    options = ("rescore", "--best", "--lm-weight", 0)
    assert run(*options, stdin=text).out == "the\n"
    assert run(*options, "--length-normalization", 1, stdin=text).out == "the cat\n"


def test_tuned_weights(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    Weights({"score": 1.0, "lmscore": 0.0}, word_penalty=5.0).save(path)
    result = run("rescore", "--weights", path, "--best", stdin="a\t-2\tthe\na\t-3\tthe cat\n")
    assert result.out == "the cat\n"
    assert "score = 1 * score + 0 * lmscore + 5 * words: " in result.err


def test_weights_that_do_not_fit_the_lists(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    Weights({"am": 1.0, "lmscore": 0.5}).save(path)
    result = run("rescore", "--weights", path, stdin=tsv())
    assert result.status == 1
    message = "standard input, line 1: list 'a', hypothesis 1: no feature 'am'; there are score, "
    assert message in result.err


# --- the summary


def test_summary(run: Run) -> None:
    result = run("rescore", stdin=tsv())
    assert result.err == (
        "lmscore: 2 lists, tsv\n"
        "lmscore: model (int8, sentence context): 2 lists, 6 hypotheses, 12 words, "
        "18 tokens with </s> (3 saved), 1 OOVs\n"
        "lmscore: score = 1 * score + 0.5 * lmscore: "
        "the best hypothesis is not the first one in 1 of 2 lists\n"
    )
    assert run("rescore", "--quiet", stdin=tsv()).err == ""


def test_scores_that_nobody_weighs(run: Run) -> None:
    text = '{"id": "a", "hypotheses": [{"text": "the cat", "am": -1, "old": -2}]}\n'
    note = (
        "none of the lists' own scores has a weight (am, old): their order counts, as `rank`; "
        "--weight NAME=X\n"
    )
    assert note in run("rescore", stdin=text).err
    assert note not in run("rescore", "--weight", "am=1", stdin=text).err
    assert note not in run("rescore", "--weight", "am*words=1", stdin=text).err


def test_costs_are_noticed(run: Run) -> None:
    text = "u\t1.0\tthe cat sat\nu\t9.0\tsat the cat\n"
    lm = ("--best", "--lm-weight", "0")
    found = run("rescore", *lm, stdin=text)
    assert found.out == "sat the cat\n"
    assert "in 1 of 1 lists; --costs if lower is better\n" in found.err
    assert run("rescore", *lm, "--costs", stdin=text).out == "the cat sat\n"
    both = run("rescore", "--costs", "--probabilities", stdin=text)
    assert (both.status, both.out) == (2, "")


def test_references_that_have_no_list(run: Run, tmp_path: Path) -> None:
    text = "a\t-1\tthe cat\na\t-2\ta cat\nc\t-1\ta dog\n"
    references = tmp_path / "ref"
    references.write_text("a the cat\nb so long\nc a dog\n")
    options = ("rescore", "--best", "--metric", "wer", "--references", references)
    found = run(*options, stdin=text)
    assert (found.status, found.out) == (1, "")
    assert "no list for the reference 'b' (and 0 more); --missing-list skip leaves it" in found.err
    skipped = run(*options, "--missing-list", "skip", "--lm-weight", "0", stdin=text)
    assert skipped.out == "the cat\na dog\n"
    assert "WER %: 0.00 by the first" in skipped.err
    empty = run(*options, "--missing-list", "empty", "--lm-weight", "0", stdin=text)
    assert empty.out == "the cat\n\na dog\n"
    assert "WER %: 33.33 by the first" in empty.err
    whole = run(*options[:1], "--references", references, "--missing-list", "empty", stdin=text)
    assert len(whole.rows) == 3


def test_lists_without_scores(run: Run) -> None:
    note = (
        "the lists have no scores of their own: their order counts, as `rank`; --weight rank=X "
        "weighs it\n"
    )
    text = '[{"input": ["the cat", "a cat"], "output": "the cat"}]'
    assert note in run("rescore", stdin=text).err
    assert note not in run("rescore", "--weight", "rank=1", stdin=text).err


def test_metric(run: Run) -> None:
    """The references are the second hypotheses: three words, and none."""
    pytest.importorskip("rapidfuzz")
    options = ("rescore", "--metric", "wer", "--lm-weight", 0, "--weight", "rank=-9")
    result = run(*options, "--weight", "score=0", stdin=jsonl())
    assert "WER %: 100.00 by the first, 66.67 by the best\n" in result.err


def test_metric_with_references_from_a_file(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("rapidfuzz")
    references = _file(tmp_path / "references", "a the cat sat\nb so\n")
    options = ("rescore", "--metric", "wer", "--lm-weight", 0)
    result = run(*options, "--references", references, stdin=tsv())
    assert "WER %: 25.00 by the first, 25.00 by the best\n" in result.err
    result = run(*options, stdin=tsv())
    assert result.status == 1
    assert "list 'a' has no reference; give a file with --references" in result.err


def test_the_metric_compares_what_was_joined(run: Run) -> None:
    pytest.importorskip("rapidfuzz")
    text = '[{"input": ["the c@@ at uh"], "output": "the cat"}]'
    options = ("rescore", "--metric", "wer", "--join", "@@", "--remove", "uh")
    assert "WER %: 0.00 by the first, 0.00 by the best\n" in run(*options, stdin=text).err


# --- several models


def test_several_models(
    run: Run, lm: LanguageModel, bpe_lm: LanguageModel, bpe_model_path: Path, tmp_path: Path
) -> None:
    options = ("--lm", f"word={lm.path}", "--lm", f"pieces={bpe_model_path}")
    result = run("rescore", *FP32, *options, stdin=jsonl())
    for name, model in {"word": lm, "pieces": bpe_lm}.items():
        assert features(result.out, tmp_path / "out", name) == approx(log_probs(model))
    assert "score = 1 * score + 0.5 * word + 0.5 * pieces: " in result.err
    assert "word model (fp32, sentence context), pieces model (fp32" in result.err
    assert "1 OOVs of word, 0 OOVs of pieces" in result.err


def test_a_mixture(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    """Of a model with itself."""
    options = ("--lm", f"a={lm.path}", "--lm", f"b={lm.path}", "--mix", "linear")
    result = run("rescore", *FP32, *options, "--mix-weights", "0.25,0.75", stdin=jsonl())
    assert features(result.out, tmp_path / "out", "lmscore") == approx(log_probs(lm))
    assert "lmscore: 0.2500 a + 0.7500 b: 2 lists" in result.err
    text = _file(tmp_path / "text", "the cat sat\nso long\n")
    result = run("rescore", *FP32, *options, "--mix-text", text, stdin=jsonl())
    assert features(result.out, tmp_path / "out", "lmscore") == approx(log_probs(lm))
    note = "lmscore: lmscore = 0.5000 a + 0.5000 b: perplexity "
    assert result.err.startswith(note)
    text = _file(tmp_path / "text", "THE CAT SAT\nSO LONG\n")
    lowered = run("rescore", *FP32, *options, "--mix-text", text, "--lowercase", stdin=jsonl())
    assert lowered.err.splitlines()[0] == result.err.splitlines()[0]


def test_kaldi_and_srilm_hold_one_score(run: Run, lm: LanguageModel) -> None:
    options = ("--lm", f"a={lm.path}", "--lm", f"b={lm.path}")
    result = run("rescore", *options, stdin=kaldi())
    assert (result.status, result.out) == (1, "")
    assert "a Kaldi score archive holds one score, not a, b" in result.err


# --- documents


def test_document_context(
    run: Run, document_model_path: Path, document_lm: LanguageModel, tmp_path: Path
) -> None:
    """As by hand: each hypothesis after what was chosen before."""
    said: list[str] = []
    expected = []
    for texts, scores in zip(TEXTS, SCORES, strict=True):
        found = [
            document_lm.score_batch([*said, text], context="document")[-1].log_prob
            for text in texts
        ]
        totals = [score + 4 * value for score, value in zip(scores, found, strict=True)]
        said.append(texts[totals.index(max(totals))])
        expected.append(found)
    options = ("-m", document_model_path, "--context", "document", "--lm-weight", 4)
    result = run("rescore", *FP32, *options, stdin=jsonl())
    assert features(result.out, tmp_path / "out", "lmscore") == approx(expected)
    assert "model (fp32, document context): 2 lists, 6 hypotheses, 12 words" in result.err
    best = run("rescore", *FP32, *options, "--best", stdin=jsonl()).out
    assert best == "".join(f"{text}\n" for text in said)


def test_documents_are_for_one_model(run: Run, lm: LanguageModel) -> None:
    options = ("--lm", f"a={lm.path}", "--lm", f"b={lm.path}", "--context", "document")
    result = run("rescore", *options, stdin=jsonl())
    assert result.status == 2
    assert "--context document is for one recurrent model alone" in result.err


# --- output


@pytest.mark.parametrize("option", ["--rerank", "--best"])
@pytest.mark.parametrize(("suffix", "unpack"), [(".gz", gzip.open), (".xz", lzma.open)])
def test_compressed_output(
    run: Run, lists: Path, tmp_path: Path, option: str, suffix: str, unpack: Callable[..., Any]
) -> None:
    path = tmp_path / f"out{suffix}"
    result = run("rescore", option, lists, "--output", path)
    assert (result.status, result.out) == (0, "")
    with unpack(path) as file:
        assert file.read().decode() == run("rescore", option, lists).out


@pytest.mark.parametrize("channel", [False, True])
def test_after_texts_of_a_file(
    run: Run, document_model_path: Path, document_lm: LanguageModel, tmp_path: Path, channel: bool
) -> None:
    texts = tmp_path / "texts"
    texts.write_text("b not so\na the cat was\n")
    options = ["--prefixes", texts, *(["--channel"] if channel else [])]
    result = run("rescore", "--model", document_model_path, *FP32, *options, stdin=jsonl())
    assert result.status == 0
    found = features(result.out, tmp_path / "out.jsonl", "lmscore")
    for prefix, said, scores in zip(["the cat was", "not so"], TEXTS, found, strict=True):
        pairs = [(text, prefix) if channel else (prefix, text) for text in said]
        expected = [document_lm.score(text, prefix=before).log_prob for before, text in pairs]
        assert scores == pytest.approx(expected, abs=1e-4)


def test_after_the_first_hypothesis(run: Run, lm: LanguageModel, tmp_path: Path) -> None:
    result = run("rescore", "--line-buffered", "--first-as-prefix", *FP32, stdin=jsonl())
    found = features(result.out, tmp_path / "out.jsonl", "lmscore")
    expected = [[lm.score(text, prefix=texts[0]).log_prob for text in texts] for texts in TEXTS]
    for scores, wanted in zip(found, expected, strict=True):
        assert scores == pytest.approx(wanted, abs=1e-4)


def test_lines_of_texts_for_lists_that_are_counted(
    run: Run, lm: LanguageModel, tmp_path: Path
) -> None:
    texts = tmp_path / "texts"
    texts.write_text("the cat was\nnot so\n")
    result = run("rescore", "--prefixes", texts, *FP32, stdin=moses())
    found = features(result.out, tmp_path / "out", "lmscore")
    expected = lm.score("the cat sat", prefix="the cat was").log_prob
    assert found[0][0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--channel"], "--channel goes with --prefixes or --first-as-prefix"),
        (["--prefixes", "x", "--first-as-prefix"], "hypotheses follow one text"),
        (["--first-as-prefix", "--lm", "a=x", "--lm", "b=y"], "a prefix is for one model alone"),
        (["--first-as-prefix", "--lodr", "x"], "a prefix is for one model alone"),
        (["--first-as-prefix", "--context", "document"], "no prefix then"),
    ],
)
def test_texts_before_do_not_go_with(run: Run, options: list[str], message: str) -> None:
    result = run("rescore", *options, stdin=jsonl())
    assert result.status == 2
    assert message in result.err


def test_a_list_without_a_text_before_it(run: Run, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.write_text("a the cat\n")
    result = run("rescore", "--prefixes", texts, stdin=jsonl())
    assert result.status == 1
    assert f"{texts}: no prefix for the list 'b'" in result.err


def test_compressed_input(run: Run, tmp_path: Path) -> None:
    packed = tmp_path / "lists.gz"
    packed.write_bytes(gzip.compress(tsv().encode()))
    assert run("rescore", packed).out == run("rescore", stdin=tsv()).out


def test_an_error_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    old = tsv() + "c\t-1\n"
    path = _file(tmp_path / "out", old)
    result = run("rescore", "-o", path, path)
    assert result.status == 1
    assert f"{path}, line 7: 2 columns, but the first line has 3" in result.err
    assert path.read_text() == old
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("option", ["--rerank", "--best", "--quiet"])
def test_a_file_that_is_there_stays(run: Run, lists: Path, tmp_path: Path, option: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    path = _file(folder / lists.name, "old")
    for output in [path, *[folder] * (option != "--best")]:
        result = run("rescore", option, lists, "-o", output)
        assert (result.status, result.err.count("\n")) == (1, 1)
        assert f"{path}: there is something in it already; remove it, or name" in result.err
    assert path.read_text() == "old"


def test_directories_of_espnet2_that_are_there_stay(run: Run, tmp_path: Path) -> None:
    for rank, text in (("1best_recog", "u the cat\n"), ("2best_recog", "u a cat\n")):
        (tmp_path / "dec" / rank).mkdir(parents=True)
        _file(tmp_path / "dec" / rank / "text", text)
        _file(tmp_path / "dec" / rank / "score", "u -1\n")
    out = tmp_path / "out"
    assert run("rescore", tmp_path / "dec", "-o", f"{out}/").status == 0
    again = run("rescore", tmp_path / "dec", "-o", f"{out}/")
    assert again.status == 1
    written = out / "dec" / "1best_recog" / "text"
    assert f"{written}: there is something in it already; remove it, or name" in again.err
    assert run("rescore", tmp_path / "dec", "-o", tmp_path).status == 0  # in the place of the input


def test_the_output_may_be_the_input(run: Run, lists: Path) -> None:
    expected = run("rescore", lists).out
    assert run("rescore", lists, "-o", lists).status == 0
    assert lists.read_text() == expected


def test_texts_do_not_take_the_place_of_their_lists(run: Run, lists: Path) -> None:
    before = lists.read_bytes()
    result = run("rescore", "--best", lists, "-o", lists)
    assert (result.status, result.out) == (1, "")
    assert f"{lists}: is read already; write to another file" in result.err
    assert lists.read_bytes() == before


def test_nor_that_of_lists_in_a_list(run: Run, lists: Path, tmp_path: Path) -> None:
    before = lists.read_bytes()
    names = tmp_path / "names"
    names.write_text(f"{lists}\n")
    assert run("rescore", "--best", f"@{names}", "-o", lists).status == 1
    assert lists.read_bytes() == before


@posix
def test_words_down_a_pipe_are_read_once(run: Run, lists: Path, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("the\n")
    expected = run("rescore", lists, "--remove", f"@{tmp_path / 'words'}").out
    read_end, write_end = os.pipe()
    os.write(write_end, b"the\n")
    os.close(write_end)
    found = run("rescore", lists, "--remove", f"@/dev/fd/{read_end}").out
    os.close(read_end)
    assert found == expected != run("rescore", lists).out


@posix
def test_names_down_a_pipe_are_read_once(run: Run, lists: Path, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, f"{lists}\n".encode())
    os.close(write_end)
    result = run("rescore", "--best", f"@/dev/fd/{read_end}", "-o", tmp_path / "best")
    os.close(read_end)
    assert result.status == 0
    assert (tmp_path / "best").read_text() == run("rescore", "--best", lists).out


def test_standard_output_has_a_name(run: Run, lists: Path) -> None:
    for layout in ("--rerank", "--best"):
        expected = run("rescore", layout, lists).out
        assert run("rescore", layout, lists, "-o", "-").out == expected
    assert not Path("-").exists()


@posix
def test_a_device_stays_one(run: Run, lists: Path) -> None:
    assert run("rescore", lists, "-o", "/dev/null").status == 0
    assert run("rescore", "--best", lists, "-o", "/dev/null").status == 0
    assert not Path("/dev/null").is_file()


@posix
def test_a_pipe(lists: Path) -> None:
    result = finish(start("rescore", "--best", "-"), lists.read_bytes())
    assert result.status == 0
    assert len(result.out.splitlines()) == 2


@posix
@pytest.mark.parametrize("options", [[], ["--best"]])
def test_an_interrupt_leaves_no_file(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "out"
    program = start("rescore", *options, "-", "-o", str(path))
    assert program.stdin
    program.stdin.write(b"".join(b"%d\t-1\tthe cat\n" % i for i in range(20_000)))
    program.send_signal(signal.SIGINT)
    result = finish(program)
    assert (result.status, result.err) == (130, "")
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize("options", [[], ["--lowercase", "--remove", "<unk>"]])
def test_what_kaldi_calls(lm: LanguageModel, tmp_path: Path, options: list[str]) -> None:
    """The four arguments of its scorers, with `lmscore` on the path; options before them."""
    program = _file(
        tmp_path / "lmscore",
        f'#!/bin/sh\nexec "{sys.executable}" -c "from lmscore.cli import main; '
        'raise SystemExit(main())" "$@"\n',
    )
    program.chmod(0o755)
    text = kaldi().replace("the", "<unk> The" if options else "the")
    source, scores = _file(tmp_path / "text", text), _file(tmp_path / "scores", "of before")
    subprocess.run(
        [EXAMPLES / "kaldi_scores.sh", *options, lm.path, tmp_path / "temp", source, scores],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    lines = [line.split() for line in scores.read_text().splitlines()]
    assert [key for key, _ in lines] == [line.split()[0] for line in kaldi().splitlines()]
    expected = [-value for row in log_probs(lm) for value in row]
    assert [float(cost) for _, cost in lines] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", WRITERS)
def test_progress_counts_the_bytes_of_the_input(tmp_path: Path, name: str) -> None:
    path = _file(tmp_path / "lists", WRITERS[name]())
    _, found = read([path], beam_size=3 if name == "nemo" else None)
    meter = Meter()
    *_, last = meter.read(found)
    assert meter.bytes + len(last.source.document.tail) == path.stat().st_size


# --- decisions on posterior probabilities, one list explained, a limit


def _three(tmp_path: Path) -> Path:
    """Two of three agree on the last word, and the best one alone has another."""
    rows = [("the cat", -1.0), ("a dog", -1.1), ("the dog", -1.2)]
    hypotheses = [{"text": text, "score": score} for text, score in rows]
    nbest = {"id": "u", "hypotheses": hypotheses, "reference": "the dog"}
    return _file(tmp_path / "three.jsonl", json.dumps(nbest) + "\n")


OWN_ALONE = ("--lm-weight", "0", "--posterior-scale", "1")


def test_the_least_risk(run: Run, tmp_path: Path) -> None:
    path = _three(tmp_path)
    assert run("rescore", path, "--best", "--lm-weight", 0, "-q").out == "the cat\n"
    assert run("rescore", path, "--best", "--mbr", *OWN_ALONE, "-q").out == "the dog\n"
    result = run("rescore", path, "--rerank", "--mbr", *OWN_ALONE, "--metric", "wer")
    (nbest,) = result.objects
    assert [h["text"] for h in nbest["hypotheses"]] == ["the dog", "the cat", "a dog"]
    assert "WER %: 50.00 by the first, 0.00 by the best" in result.err


def test_confidences_of_words(run: Run, tmp_path: Path) -> None:
    result = run("rescore", _three(tmp_path), "--best", "--confidence", *OWN_ALONE, "-q")
    weights = [math.exp(-score) for score in (1.0, 1.1, 1.2)]
    the, cat = ((weights[0] + weights[2]) / sum(weights), weights[0] / sum(weights))
    assert result.rows == [["the cat", f"{the:.3f} {cat:.3f}"]]
    empty = json.dumps({"id": "v", "hypotheses": []}) + "\n"
    result = run("rescore", "--best", "--confidence", "--mbr", "--with-ids", "-q", stdin=empty)
    assert result.rows == [["v", "", ""]]


def test_the_language_model_is_the_scale(run: Run, lists: Path) -> None:
    options = ("--best", "--confidence", "--lm-weight", "0.25", "-q")
    assert run("rescore", lists, *options, "--posterior-scale", 0.25).out == (
        run("rescore", lists, *options).out
    )


def test_an_explained_list(run: Run, lists: Path, lm: LanguageModel) -> None:
    result = run("rescore", lists, "--explain", "a", "--lm-weight", "2", *FP32)
    values = log_probs(lm)[0]
    head, reference, _, names, *rows, decided = result.out.splitlines()
    assert head == "a: score = 1 * score + 2 * lmscore"
    assert reference == "reference: the cat ran"
    assert names.split() == "was score score lmscore of score of lmscore text".split()
    totals = [own + 2 * value for own, value in zip(SCORES[0], values, strict=True)]
    order = sorted(range(2), key=lambda i: -totals[i])
    for rank, (row, place) in enumerate(zip(rows, order, strict=True), 1):
        cells = row.split()
        assert cells[:2] == [str(rank), str(place + 1)]
        numbers = [totals[place], SCORES[0][place], values[place], SCORES[0][place]]
        assert [float(cell) for cell in cells[2:6]] == pytest.approx(numbers, abs=2e-4)
        assert row.endswith(TEXTS[0][place])
    assert decided.startswith("the best is ahead of ")
    assert result.err == ""


def test_an_explained_list_has_the_metric_of_each(run: Run, tmp_path: Path) -> None:
    options = ("--explain", "u", "--metric", "wer", "--lm-weight", "0")
    rows = run("rescore", _three(tmp_path), *options).out.splitlines()[4:7]
    assert [row.split()[6] for row in rows] == ["50.00", "50.00", "0.00"]


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_a_list_that_is_not_there(run: Run, lists: Path, context: str) -> None:
    result = run("rescore", lists, "--explain", "x", "--context", context)
    assert (result.status, result.out) == (1, "")
    assert result.err == "lmscore: error: there is no list 'x'\n"


def test_an_explained_list_follows_the_others(run: Run, lists: Path) -> None:
    alone, within = (
        run("rescore", lists, "--explain", "b", "--context", context).out
        for context in ("sentence", "document")
    )
    assert alone != within


def test_an_explained_list_without_hypotheses(run: Run) -> None:
    empty = json.dumps({"id": "v", "hypotheses": []}) + "\n"
    assert run("rescore", "--explain", "v", stdin=empty).out.endswith("no hypotheses\n")


@pytest.mark.parametrize("name", WRITERS)
def test_a_limit_on_hypotheses(run: Run, tmp_path: Path, name: str) -> None:
    path = _file(tmp_path / "lists", WRITERS[name]())
    beam = ("--beam-size", "3") if name == "nemo" else ()
    result = run("rescore", path, *beam, "--max-hypotheses", "2", "-o", tmp_path / "out")
    assert result.status == 0
    assert ", at most 2 hypotheses of each\n" in result.err
    limited = ("-q", "--best", "--weight", "rank=1", "--lm-weight", "0")
    again = run(
        "rescore", tmp_path / "out", *(beam and ("--beam-size", "2")), *limited, "--feature", "new"
    )
    assert again.status == 0
    _, found = read([tmp_path / "out"], beam_size=2 if name == "nemo" else None)
    assert [len(nbest.hypotheses) for nbest in found] == [2] * len(again.rows)


# --- JSON of other people


def test_a_mapping_of_fields(run: Run, lm: LanguageModel) -> None:
    first, second = TEXTS[0]
    alternatives = [{"transcript": first, "confidence": 0.5}, {"transcript": second}]
    text = json.dumps({"results": [{"alternatives": alternatives}]})
    mapping = "list=results[].alternatives text=transcript score=confidence"
    result = run("rescore", "--map", mapping, *FP32, stdin=text)
    found = json.loads(result.out)["results"][0]["alternatives"]
    assert [h["lmscore"] for h in found] == pytest.approx(log_probs(lm)[0], abs=1e-4)
    assert "1 lists, json\nlmscore: some hypotheses have no confidence, which is left" in result.err
    assert "score = 1 * rank + 0.5 * lmscore" in result.err
    refused = run("rescore", stdin=text)
    assert "or say where its parts are (--map); lattices are" in refused.err


def test_lists_that_are_read_at_once_are_not_answered_one_by_one(run: Run, tmp_path: Path) -> None:
    for more in (("--map", "list=a text=b"), ("--references", _file(tmp_path / "ref", "a\n"))):
        result = run("rescore", "--line-buffered", *more, stdin="")
        assert result.status == 2
        assert "--line-buffered: --references and --map read all lists first" in result.err


# --- directories of ESPnet2


def test_directories(run: Run, tmp_path: Path, lm: LanguageModel) -> None:
    for rank, text in enumerate(TEXTS[0], 1):
        directory = tmp_path / "in" / f"{rank}best_recog"
        directory.mkdir(parents=True)
        _file(directory / "text", f"a {text}\n")
        _file(directory / "score", f"a tensor({-rank}.)\n")
    refused = run("rescore", tmp_path / "in")
    assert (refused.status, refused.out) == (1, "")
    assert "write into a directory, one that is there or whose name ends in /" in refused.err
    assert run("rescore", tmp_path / "in", "-o", f"{tmp_path}/out/", *FP32).status == 0
    for rank, value in enumerate(log_probs(lm)[0], 1):
        line = (tmp_path / "out" / "in" / f"{rank}best_recog" / "lmscore").read_text()
        assert float(line.removeprefix("a ")) == pytest.approx(value, abs=1e-4)
    best = run("rescore", tmp_path / "in", "--best", "--with-ids", "--lm-weight", "0", "-q")
    assert best.rows == [["a", TEXTS[0][0]]]


# --- capitals and subwords

ARPA = """\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-2.0\t<unk>
-9.0\t<s>\t0
-0.5\t</s>
-0.5\tpassed\t0
-0.5\tdoor\t0

\\2-grams:
-0.5\tpassed door

\\end\\
"""


def _capitals(tmp_path: Path) -> tuple[Path, tuple[str | Path, ...]]:
    """A list in capitals, and options with a model in lower case."""
    path = _file(tmp_path / "list", "u\tPASSED DOOR\nu\tPAST DOOR\n")
    return path, ("--lm", _file(tmp_path / "tiny.arpa", ARPA))


def _columns(text: str) -> list[float]:
    return [float(line.split("\t")[1]) for line in text.splitlines()]


def test_capitals_are_said(run: Run, tmp_path: Path) -> None:
    path, model = _capitals(tmp_path)
    result = run("rescore", path, *model)
    nats = "(-3 nats instead of -10)"
    assert (
        f"the texts are in capitals, and likelier in lower case {nats}: --case auto" in result.err
    )
    assert _columns(result.out) == pytest.approx([-4.5 * math.log(10)] * 2)
    quiet = run("rescore", path, *model, "-q")
    assert (quiet.out, quiet.err) == (result.out, "")


def test_case_auto(run: Run, tmp_path: Path) -> None:
    path, model = _capitals(tmp_path)
    result = run("rescore", path, *model, "--case", "auto")
    assert "the models get the texts in lower case, where they are likelier" in result.err
    assert result.rows[0][2] == "PASSED DOOR"
    assert _columns(result.out) == pytest.approx([-1.5 * math.log(10), -3.0 * math.log(10)])
    for lower in (("--case", "lower"), ("--lowercase",)):
        other = run("rescore", path, *model, *lower)
        assert other.out == result.out
        assert "lower case" not in other.err


def test_case_auto_keeps_what_the_model_knows(run: Run, tmp_path: Path) -> None:
    path, _ = _capitals(tmp_path)
    model = ("--lm", _file(tmp_path / "tiny.arpa", ARPA.replace("passed", "PASSED")))
    result = run("rescore", path, *model, "--case", "auto")
    lower = run("rescore", path, *model, "--case", "lower")
    # -0.5 -2 -0.5 either way: the first word is known as it is, the second in lower case.
    assert _columns(result.out)[0] == pytest.approx(_columns(lower.out)[0])
    assert "lower case" not in result.err


def test_tune_says_it_too(run: Run, tmp_path: Path) -> None:
    path, model = _capitals(tmp_path)
    path.write_text("".join(f"{key}\tPASSED DOOR\n{key}\tPAST DOOR\n" for key in "uv"))
    references = _file(tmp_path / "references", "u PASSED DOOR\nv PAST DOOR\n")
    options = ("--references", references, "--folds", "2")
    assert "--case auto" in run("tune", path, *model, *options).err
    result = run("tune", path, *model, *options, "--case", "auto")
    assert (result.status, "the models get the texts in lower case" in result.err) == (0, True)


def test_an_n_gram_of_the_recognisers_text(run: Run, tmp_path: Path) -> None:
    """It counts against a text by half of the model's weight, or by the weight that is given."""
    path, model = _capitals(tmp_path)
    options = ("rescore", path, *model, "--lodr", _file(tmp_path / "own.arpa", ARPA))
    result = run(*options)
    assert result.status == 0, result.err
    for row in result.rows:
        assert row[-3] == row[-2]  # both are by the same n-grams here
    assert "(-3 nats instead of -10): --case auto" in result.err  # by the model alone
    assert "lodr (2-gram of words)" in result.err
    assert "score = 1 * rank + 0.5 * lmscore - 0.25 * lodr" in result.err
    assert "0.5 * lmscore - 0.7 * lodr" in run(*options, "--weight", "lodr=-0.7").err
    assert "0.8 * lmscore - 0.4 * lodr" in run(*options, "--lm-weight", 0.8).err
    document = run(*options, "--context", "document")
    assert (document.status, document.out) == (2, "")


def test_tune_weighs_it(run: Run, tmp_path: Path) -> None:
    _, model = _capitals(tmp_path)
    rows = (f"{name}\t{text}\n" for name in "abc" for text in ("passed door", "past door"))
    path = _file(tmp_path / "lists", "".join(rows))
    references = ("--references", _file(tmp_path / "ref", "".join(f"{n} past\n" for n in "abc")))
    lodr = ("--lodr", _file(tmp_path / "own.arpa", ARPA))
    result = run("tune", path, *model, *lodr, *references, "--folds", 2, "--format", "json")
    assert result.status == 0, result.err
    assert list(json.loads(result.out)["weights"]["features"])[-2:] == ["lmscore", "lodr"]


def test_subwords_are_said(run: Run, tmp_path: Path) -> None:
    path = _file(tmp_path / "list", "u\tthe c@@ at\n")
    message = "the texts are of subwords; --join @@ joins them for the model"
    assert message in run("rescore", path).err
    assert message not in run("rescore", path, "--join", "@@").err


# --- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rerank", "--best"], "give one"),
        (["--map", "list"], "'list' in a mapping: expected PART=PATH"),
        (["--map", "list=a", "--input-format", "tsv"], "leave out --input-format"),
        (["--lowercase", "--case", "auto"], "--lowercase is --case lower: give one"),
        (["--mbr"], "--mbr chooses: it goes with --best, --rerank or --metric"),
        (["--confidence"], "--confidence goes with --best"),
        (["--best", "--posterior-scale", "2"], "goes with --mbr or --confidence"),
        (["--best", "--mbr", "--posterior-scale", "0"], "must be above 0, not 0.0"),
        (["--explain", "a", "--best"], "leave out --rerank and --best"),
        (["--explain", "a", "-o", "out/"], "--explain writes one file"),
        (["--max-hypotheses", "0"], "'--max-hypotheses': Input should be greater"),
        (["--with-ids"], "--with-ids goes with --best"),
        (["--best", "-o", "out/"], "--best writes one file"),
        (["--weights", "w.json", "--lm-weight", "1"], "leave out --lm-weight"),
        (["--weights", "w.json", "--weight", "am=1"], "leave out --weight"),
        (["--weight", "am"], "--weight 'am': expected NAME=VALUE"),
        (["--weight", "am=x"], "--weight am 'x': expected a number"),
        (["--weight", "am=1", "--weight", "am=2"], "--weight 'am' is given twice"),
        (["--scores", "am"], "--scores 'am': expected NAME=VALUE"),
        (["--metric", "wer", "--quiet"], "--metric is said in the summary: leave out --quiet"),
        (["--mix-weights", "1,x"], "--mix-weights 'x': expected a number"),
        (["--input-format", "sausage"], "'sausage'"),
    ],
)
def test_usage(run: Run, options: list[str], message: str) -> None:
    result = run("rescore", *options, stdin=tsv())
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "standard input: empty, there is no n-best list in it"),
        ("\n", "cannot tell the n-best format"),
        ("a\t1\tthe cat\na\tnan\tthe dog\n", "line 2, score (column 2): the score nan"),
        ("a\t1\tx\nb\t1\tx\na\t1\tx\n", "line 3: a second list 'a'"),
        ("the cat\t-1\nthe dog\t-2\n", "give its beam size"),
        ('{"id": "a", "hypotheses": [{"score": 1}]}\n', 'expected an object with a "text"'),
    ],
)
def test_bad_lists(run: Run, text: str, message: str) -> None:
    result = run("rescore", stdin=text)
    assert result.status == 1
    assert message in result.err
    assert result.err.count("\n") == 1


def test_a_score_of_that_name_is_there(run: Run) -> None:
    once = run("rescore", stdin=moses()).out
    result = run("rescore", stdin=once)
    assert result.status == 1
    assert "the list has a feature 'lmscore' already; choose another name" in result.err
    assert run("rescore", "--feature", "again", stdin=once).status == 0


@pytest.mark.parametrize("weight", ["nan", "inf"])
def test_weights_are_finite(run: Run, weight: str) -> None:
    result = run("rescore", "--lm-weight", weight, stdin=tsv())
    assert result.status == 2
    assert f"the weight of 'lmscore' is {weight}, expected a finite number" in result.err


def test_a_word_that_the_model_cannot_read(run: Run, bpe_model_path: Path) -> None:
    text = '{"id": "a", "hypotheses": [{"text": "the"}, {"text": "\\ud800"}]}\n'
    result = run("rescore", "-m", bpe_model_path, stdin=text)
    assert (result.status, result.out) == (1, "")
    assert "\n" not in result.err[:-1]
