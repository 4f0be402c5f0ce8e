"""`lmscore filter`: percentiles, buckets, draws, differences of models, fields that are added."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

import lmscore
from tests.cli.conftest import Run

LINES = [f"the cat w{a} sat{' on the mat' * b}" for a in range(10) for b in range(4)]
RECORDS = "".join(json.dumps({"text": line}) + "\n" for line in LINES)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text(RECORDS)
    return path


@pytest.fixture(scope="module")
def perplexities(model_path: Path) -> dict[str, float]:
    scores = lmscore.load(model_path).score_batch(LINES)
    return {score.text: score.perplexity_per_word for score in scores}


def test_percentiles(run: Run, records: Path, perplexities: dict[str, float]) -> None:
    ranked = sorted(LINES, key=perplexities.__getitem__)
    result = run("filter", "--percentile", 30, records)
    assert {each["text"] for each in result.objects} == set(ranked[:12])
    flag, bound = result.err.splitlines()[0].split()[-2:]
    assert result.err.startswith("lmscore: a sample of 40 records gives --max-ppl ")
    assert run("filter", flag, bound, records).out == result.out
    parts = [run("filter", "-q", "--percentile", p, records) for p in ("30:60", "60:100")]
    assert sorted(line for r in (result, *parts) for line in r.out.splitlines()) == sorted(
        RECORDS.splitlines()
    )
    assert {each["text"] for each in parts[0].objects} == set(ranked[12:24])


def test_a_sample_of_its_own(run: Run, tmp_path: Path, perplexities: dict[str, float]) -> None:
    sample = tmp_path / "sample.txt"
    sample.write_text("".join(line + "\n" for line in LINES[:9]))
    result = run("filter", "--percentile", "100", "--sample", sample, stdin="the cat\n")
    assert result.err.startswith("lmscore: a sample of 9 records gives no bounds\n")
    median = sorted(perplexities[line] for line in LINES[:9])[4]
    result = run("filter", "--percentile", "50", "--sample", sample, stdin="the cat\n")
    assert float(result.err.split("--max-ppl ")[1].split()[0]) == pytest.approx(median, rel=1e-5)
    few = run("filter", "--percentile", "50", "--sample-size", "3", sample)
    assert few.err.startswith("lmscore: a sample of 3 records gives")
    result = run("filter", "--percentile", "50", stdin="the cat\n")
    assert (result.status, result.out) == (1, "")
    assert "standard input: can be read once only" in result.err
    result = run("filter", "--percentile", "50", "--context", "document", sample)
    assert "percentiles are of texts on their own: --context sentence" in result.err


def test_fields(run: Run, records: Path, perplexities: dict[str, float]) -> None:
    names = ("--score-field", "ppl", "--bucket-field", "bucket")
    result = run("filter", *names, records)
    found = result.objects
    assert [list(each) for each in found] == [["text", "ppl", "bucket"]] * 40
    ranked = sorted(found, key=lambda each: float(each["ppl"]))
    assert [each["bucket"] for each in ranked] == ["head"] * 14 + ["middle"] * 13 + ["tail"] * 13
    for each in found:
        assert each["ppl"] == pytest.approx(perplexities[each["text"]], rel=1e-5)
    bounds = result.err.split("--bucket-bounds ")[1].split()[0]
    assert run("filter", *names, "--bucket-bounds", bounds, records).out == result.out
    bound = ranked[9]["ppl"]
    marked = run("filter", "--max-ppl", bound, "--kept-field", "text", records).objects
    assert sum(each["lmscore_text"] for each in marked) == 10  # the text's own name is taken
    assert [each["text"] for each in marked] == LINES


def test_fields_of_other_kinds(run: Run, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    added = ("--score-field", "ppl", "--bucket-field", "b", "--bucket-bounds", "60,70")
    rows = [{"text": line, "ppl": "mine"} for line in LINES]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    expected = run("filter", *added, "--input-format", "jsonl", stdin=lines).objects
    assert list(expected[0]) == ["text", "ppl", "lmscore_ppl", "b"]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    assert json.loads(run("filter", *added, tmp_path / "a.json").out) == expected
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    out = tmp_path / "out.parquet"
    assert run("filter", *added, tmp_path / "a.parquet", "-o", out).status == 0
    assert pq.read_table(out).to_pylist() == expected
    with open(tmp_path / "a.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerows([["text", "ppl"], *([row["text"], row["ppl"]] for row in rows)])
    printed = run("filter", *added, tmp_path / "a.csv").out
    assert printed.startswith("text,ppl,lmscore_ppl,b\r\n")
    found: list[dict[str, Any]] = list(csv.DictReader(printed.splitlines()))
    assert [{**each, "lmscore_ppl": float(each["lmscore_ppl"])} for each in found] == expected
    result = run("filter", *added, stdin="the cat\n")
    assert "a line of text has no field for 'ppl'" in result.err


def test_an_empty_object_and_no_perplexity(run: Run) -> None:
    options = ("--no-eos", "--split", "none", "--score-field", "é", "--input-format", "jsonl")
    result = run("filter", *options, stdin='{"text":""  } \r\n')
    assert result.out == '{"text":"", "é": null} \r\n'


def test_draw(run: Run, records: Path) -> None:
    first = run("filter", "--draw", records)
    assert "has the median perplexity" in first.err
    assert 10 < len(first.objects) < 40
    assert run("filter", "--draw", records).out == first.out
    assert run("filter", "--draw", "--seed", "1", records).out != first.out
    assert "--draw-share must be above 0" in run("filter", "--draw", "--draw-share", 0, "x").err


def test_a_difference_of_models(
    run: Run, records: Path, model_path: Path, bpe_model_path: Path
) -> None:
    against = ("--against", bpe_model_path, "--score-field", "d")
    result = run("filter", *against, "--max-difference", "0", records)
    found = {each["text"]: each["d"] for each in run("filter", *against, records).objects}
    assert {each["text"]: each["d"] for each in result.objects} == {
        text: value for text, value in found.items() if value <= 0
    }
    own, general = lmscore.load(model_path), lmscore.load(bpe_model_path)
    for text, value in list(found.items())[:5]:
        expected = general.score(text).log_prob - own.score(text).log_prob
        assert value == pytest.approx(expected / (len(text.split()) + 1), rel=1e-4)
    assert "context) against model (" in result.err


def test_unknown_words(run: Run) -> None:
    text = "the cat\nzebra zoo cat\nzebra zoo zip\n"
    assert run("filter", "--max-oov", "0", stdin=text).out == "the cat\n"
    result = run("filter", "--max-oov", "0.7", stdin=text)
    assert result.out == "the cat\nzebra zoo cat\n"
    assert "; 5 OOVs\n" in result.err


def test_unknown_words_do_not_beat_a_sentence(run: Run, model_path: Path) -> None:
    text = "the cat sat\nzebra zoo zip\n"
    lm = lmscore.load(model_path)
    figures = [s.perplexity_per_word for s in lm.score_batch(text.splitlines(), oov_cost=9.0)]
    options = ("filter", "--oov-cost", "9", "--max-ppl", repr(sum(figures) / 2))
    assert figures[0] < figures[1]
    result = run(*options, stdin=text)
    assert result.out == "the cat sat\n"
    assert "OOVs cost 9 nats more" in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--percentile", "60:30"], "--percentile is '60:30', expected Q or P:Q"),
        (["--percentile", "x"], "--percentile is 'x'"),
        (["--max-difference", "1"], "goes with --against MODEL"),
        (["--against", "m", "--max-ppl", "1"], "--min-ppl or --max-ppl is not --against's"),
        (["--against", "m", "--draw"], "leave --against out"),
        (["--bucket-bounds", "1,2", "--max-ppl", "3"], "goes with --bucket-field"),
        (["--bucket-bounds", "2,1", "--bucket-field", "b"], "expected X,Y, X <= Y"),
        (["--score-field", "a", "--bucket-field", "a"], "two fields to add have the same name"),
        (["--max-ppl", "1", "--sample", "x"], "--sample goes with --percentile"),
        (["--kept-field", "a"], "nothing to filter by"),
        (["--max-ppl", "1", "--kept-field", "a", "--rejected", "x"], "leave --rejected out"),
        (["--score-field", "a", "-o", "x", "--resume"], "without fields to add"),
        (["--max-ppl", "1", "--oov-cost", "-1"], "a number of nats, 0 to 1e9, not -1.0"),
        (["--max-ppl", "1", "--oov-cost", "1e308"], "a number of nats, 0 to 1e9, not 1e+308"),
        (["--max-ppl", "1", "--jobs", "2"], "--jobs goes with --output-dir"),
        (["--max-ppl", "1", "-o", "x", "--output-dir", "d"], "not both"),
    ],
)
def test_usage(run: Run, options: list[str], message: str) -> None:
    result = run("filter", *options, "no-such-file")
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_nan_is_no_perplexity() -> None:
    assert math.isnan(lmscore.Score("", 0.0, 0, 0, 0, 0.0, num_ends=0).oov_rate)
