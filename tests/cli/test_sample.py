"""`lmscore sample`: continuations on standard output."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
from pathlib import Path

import pytest

from lmscore.cli.verbs import sample as sample_verb
from lmscore.runtime.decoding.sampling import SamplingOptions
from lmscore.runtime.model import LanguageModel
from tests.cli.conftest import Result, Run, finish, start

JSONL = ("--format", "jsonl")
FP32 = ("--variant", "fp32")


def test_one_prompt_one_line(run: Run, lm: LanguageModel) -> None:
    result = run("sample", "the cat", "--seed", "1", *FP32)
    (sample,) = lm.sample("the cat", seed=1)
    assert result == Result(0, f"the cat{sample.text}\n", "")


def test_several_samples(run: Run, lm: LanguageModel) -> None:
    options = ["--seed", "1", "--temperature", "0.8", "--top-k", "9", "--top-p", "0.9"]
    options += ["--min-p", "0.01", "--repetition-penalty", "1.1", "--max-tokens", "7"]
    result = run("sample", "the", "-n", "3", *options, *FP32)
    samples = lm.sample(
        "the",
        num_samples=3,
        seed=1,
        temperature=0.8,
        top_k=9,
        top_p=0.9,
        min_p=0.01,
        repetition_penalty=1.1,
        max_tokens=7,
    )
    assert result.out == "".join(f"the{sample.text}\n" for sample in samples)


def test_jsonl(run: Run, lm: LanguageModel) -> None:
    result = run("sample", "the", "-n", "2", "--seed", "1", *JSONL, *FP32)
    samples = lm.sample("the", num_samples=2, seed=1)
    assert [list(document) for document in result.objects] == [
        ["prompt", "sample", "text", "log_prob", "num_tokens", "finish_reason"]
    ] * 2
    for number, (document, sample) in enumerate(zip(result.objects, samples, strict=True)):
        assert (document["prompt"], document["sample"]) == ("the", number)
        assert document["text"] == sample.text
        assert document["log_prob"] == pytest.approx(sample.log_prob, abs=1e-4)
        assert document["num_tokens"] == len(sample.tokens)
        assert document["finish_reason"] == sample.finish_reason


def test_prompts_from_standard_input(run: Run, lm: LanguageModel) -> None:
    result = run("sample", "-n", "2", "--seed", "1", *FP32, stdin="the cat\n\na dog\n")
    groups = lm.sample_batch(["the cat", "", "a dog"], num_samples=2, seed=1)
    prompts = ["the cat", "the cat", "", "", "a dog", "a dog"]
    texts = [sample.text for group in groups for sample in group]
    expected = [prompt + text for prompt, text in zip(prompts, texts, strict=True)]
    assert result == Result(0, "".join(f"{line}\n" for line in expected), "")


def test_prompts_from_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("the cat\n")
    (tmp_path / "b").write_text("a dog\n")
    result = run("sample", "-i", tmp_path / "a", "--input", tmp_path / "b", *JSONL)
    assert [document["prompt"] for document in result.objects] == ["the cat", "a dog"]


def test_more_prompts_than_fit_a_window(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = "the cat\na dog\nthe mat\n"
    whole = run("sample", "--seed", "1", *FP32, stdin=stdin)
    monkeypatch.setattr("lmscore.cli.verbs.sample._WINDOW", 2)
    assert run("sample", "--seed", "1", *FP32, stdin=stdin) == whole


def test_an_error_comes_after_the_prompts_before_it(run: Run) -> None:
    result = run("sample", "--max-tokens", "2", stdin=b"the cat\n\xff\n")
    assert result.status == 1
    assert result.out.startswith("the cat")
    assert re.fullmatch(r"lmscore: error: .*, line 2: .*UTF-8.*\n", result.err)


def test_no_prompts(run: Run) -> None:
    result = run("sample", stdin="")
    assert result.status == 1
    assert "empty" in result.err


def test_a_terminal_gives_the_empty_prompt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run("sample", "", "--seed", "1")
    monkeypatch.setattr("lmscore.cli.streams.is_terminal", lambda stream: True)
    assert run("sample", "--seed", "1").out == expected.out


def test_prompts_that_are_typed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run("sample", "-i", "-", "--seed", "1", stdin="the\na\n")
    monkeypatch.setattr("lmscore.cli.scored_records.interactive", lambda paths: True)
    monkeypatch.setattr("lmscore.cli.verbs.sample.interactive", lambda paths: True)
    typed = run("sample", "-i", "-", "--seed", "1", stdin="the\na\n")
    assert typed.out == expected.out
    assert typed.err == "lmscore: type prompts, one per line; Ctrl-D ends it\n"


def test_line_breaks_stay_in_the_line(run: Run, bpe_model_path: Path) -> None:
    options = ["-m", bpe_model_path, "--pattern", r"a\r\nb"]
    assert run("sample", "x\n", *options, "--max-tokens", "20").out == "x\\na\\r\\nb\n"
    assert run("sample", "x\n", *options, "-n", "2").out == "x\\na\\r\\nb\n" * 2
    (document,) = run("sample", "x\n", *options, *JSONL).objects
    assert (document["prompt"], document["text"]) == ("x\n", "a\r\nb")


def test_several_lines_of_a_document(
    run: Run, document_lm: LanguageModel, document_model_path: Path, tmp_path: Path
) -> None:
    options = {"max_lines": 3, "seed": 1}
    (sample,) = document_lm.sample("the cat\nthe", **options)  # type: ignore[arg-type]
    argv = ("sample", "-m", document_model_path, *FP32, "--max-lines", "3", "--seed", "1")
    shown = ("the cat\nthe" + sample.text).replace("\n", "\\n")
    assert run(*argv, "the cat\nthe").out == f"{shown}\n"
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps({"before": "the cat\nthe"}) + "\n")
    assert run(*argv, "-i", prompts, "--field", "before").out == f"{shown}\n"
    (found,) = run(*argv, "the cat\nthe", *JSONL).objects
    assert found["text"] == sample.text
    refused = run("sample", "the", "--max-lines", "2")
    assert refused.status == 1
    assert "goes with a model of documents" in refused.err


def test_stop_and_allowed_words(run: Run, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("cat dog\nmat\n")
    options = ["--seed", "1", "--allowed-words", words, "--max-tokens", "200"]
    result = run("sample", "the", "-n", "9", *options, "--stop", "mat", "--stop", "xx", *JSONL)
    assert {document["finish_reason"] for document in result.objects} == {"eos", "stop"}
    for document in result.objects:
        assert set(document["text"].split()) <= {"cat", "dog"}


def test_a_search(run: Run, lm: LanguageModel) -> None:
    options = ["--beam-size", "3", "--length-penalty", "0.5", "--max-tokens", "9", *FP32]
    result = run("sample", "the cat", "-n", "2", *options, *JSONL)
    found = lm.beam_search("the cat", beam_size=3, num_results=2, length_penalty=0.5, max_tokens=9)
    assert [document["text"] for document in result.objects] == [s.text for s in found]
    best = run("sample", *options, stdin="the cat\nthe cat\n")
    assert best.out == f"the cat{found[0].text}\n" * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["x", "-i", "f"], "give a PROMPT or --input, not both"),
        (["x", "--length-penalty", "2"], "--length-penalty goes with --beam-size only"),
        (["x", "--beam-size", "2", "-n", "3"], "--num-samples 3 needs a --beam-size as large"),
        (["x", "--beam-size", "2", "--seed", "0"], "--seed does not go with --beam-size"),
        (["x", "--beam-size", "2", "--top-k", "5"], "--top-k does not go with --beam-size"),
        (["x", "--beam-size", "2", "--temperature", "0"], "--temperature does not go with"),
        (["x", "-n", "0"], "--num-samples"),
        (["x", "--temperature", "-1"], "--temperature"),
    ],
)
def test_wrong_usage(run: Run, options: list[str], message: str) -> None:
    result = run("sample", *options)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top-p", "2"], "--top-p must be in 0 < p <= 1, not 2.0"),
        (["--pattern", "("], "pattern: unclosed group"),
        (["--stop", ""], "--stop must be strings of one character or more, not ''"),
    ],
)
def test_impossible_values(run: Run, options: list[str], message: str) -> None:
    assert run("sample", "the", *options) == Result(2, "", f"lmscore: error: {message}\n")


def test_a_single_text_is_written_while_it_comes(
    bpe_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader has seen the beginning long before the end, and leaves."""
    program = start("sample", "the", "-m", str(bpe_model_path), "--max-tokens", "1000000000")
    assert program.stdout is not None
    assert os.read(program.stdout.fileno(), 3) == b"the"
    program.stdout.close()
    program.stdout = None
    result = finish(program)
    assert result.status == 141
    assert result.err == ""


def test_output_is_json_per_line(run: Run, bpe_model_path: Path) -> None:
    result = run("sample", "", "-m", bpe_model_path, "-n", "20", "--max-tokens", "30", *JSONL)
    assert len([json.loads(line) for line in result.out.split("\n")[:-1]]) == 20


def test_defaults_are_those_of_python() -> None:
    given = {
        name: p.default for name, p in inspect.signature(sample_verb.sample).parameters.items()
    }
    for field in dataclasses.fields(SamplingOptions):
        default = () if field.name == "stop" and not given["stop"] else given[field.name]
        assert default == field.default, field.name
