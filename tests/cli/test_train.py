"""`lmscore train`: from a text file to a sentence's probability, through the shell door."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import lmscore
from lmscore.bundle import Bundle
from lmscore.cli.verbs import train as train_verb
from lmscore.train import Status, TrainOptions
from lmscore.train.metrics import METRICS_FILE
from lmscore.train.options import option_fields
from tests.cli.conftest import Run, finish, start
from tests.train.toy import sentences, write

SMALL = (
    *("--tokenizer", "word", "--hidden-size", "16", "--batch-size", "8", "--learning-rate", "0.02"),
    *("--precision", "fp32", "--device", "cpu", "--threads", "1"),
)


@pytest.fixture
def text(tmp_path: Path) -> str:
    return write(tmp_path / "text", sentences(200))


@pytest.mark.parametrize(("given", "expected"), [(None, "passive"), ("active", "active")])
def test_threads_wait_asleep_unless_told_otherwise(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    assert run("train", "--resume").status == 2  # before torch is imported
    assert os.environ["OMP_WAIT_POLICY"] == expected


def test_from_text_to_probability(run: Run, text: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    result = run("train", text, "-o", model, *SMALL, "--epochs", "8")
    assert result.status == 0
    first, header, *variants = result.out.splitlines()
    assert first.startswith(f"{model}: held-out perplexity ")
    assert header.split()[0] == "variant"
    assert [line.split()[0] for line in variants] == ["fp32", "int8"]
    assert "lmscore: tokenising the train text" in result.err

    likely, unlikely = "the cat sees the dog .", "cat the the . dog sees"
    scored = run("score", "-m", model, stdin=f"{likely}\n{unlikely}\n")
    assert scored.status == 0
    assert float(scored.rows[0][0]) > float(scored.rows[1][0]) + 5
    summary = json.loads(run("ppl", "-m", model, "--format", "json", text).out)
    assert 1 < summary["perplexity"] < 5


def test_a_document_model_without_export(run: Run, text: str, tmp_path: Path) -> None:
    held_out = write(tmp_path / "valid", sentences(20, seed=2))
    result = run(
        *("train", text, "-o", tmp_path / "model", *SMALL, "--epochs", "1", "--valid", held_out),
        *("--context", "document", "--bptt", "10", "--untied", "--no-export"),
    )
    assert result.status == 0
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["context"] == "document"
    assert config["tie_word_embeddings"] is False
    assert config["training"]["valid_files"] == ["valid"]
    assert config["graphs"] == {}


def test_options_come_before_the_toml(run: Run, text: str, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        'train = "text"\noutput = "model"\ntokenizer = "char"\nhidden_size = 8\nminutes = 60\n'
        "threads = 1\n"
    )
    result = run("train", "--config", file, "--epochs", "1", "--layers", "2", "--no-export")
    assert result.status == 0
    recorded = json.loads((tmp_path / "model" / "train.json").read_text())
    assert recorded["train"] == [text]
    assert (recorded["tokenizer"], recorded["layers"]) == ("char", 2)
    assert (recorded["epochs"], recorded["minutes"]) == (1, None)


def test_ctrl_c_and_resume(
    run: Run, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(train_verb, "_show", interrupt)
        result = run("train", text, "-o", model, *SMALL, "--epochs", "2")
    assert result.status == 130
    assert result.out == ""
    assert "interrupted; --resume goes on from update 1" in result.err

    result = run("train", "--resume", "-o", model, "--no-export")
    assert result.status == 0
    assert "resuming at update 1" in result.err
    result = run("train", "--resume", "-o", model, "--epochs", "3", "--no-export")
    assert result.status == 0
    assert json.loads((model / "config.json").read_text())["training"]["epochs"] == pytest.approx(3)


def begun(text: str, model: Path) -> subprocess.Popen[bytes]:
    """A run that has made its first updates."""
    program = start("train", text, "-o", str(model), *SMALL, "--minutes", "5")
    give_up = time.monotonic() + 600
    while not (model / METRICS_FILE).is_file() or not (model / METRICS_FILE).stat().st_size:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return program


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_from_outside(text: str, tmp_path: Path, end: signal.Signals) -> None:
    model = tmp_path / "model"
    program = begun(text, model)
    os.kill(program.pid, end)
    result = finish(program)
    assert result.status == 128 + end
    assert list((model / "checkpoints").iterdir())


def test_an_error_in_the_file_of_options_names_the_file(
    run: Run, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(f'train = "{text}"\noutput = "model"\nbatch_size = 0\n')
    result = run("train", "--config", file)
    assert (result.status, result.out) == (1, "")
    assert result.err == f"lmscore: error: {file}: batch_size is 0, expected at least 1\n"


def test_a_model_is_exported_whoever_listens(text: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    command = ["train", text, "-o", str(model), *SMALL, "--epochs", "0.1"]
    result = finish(start(*command, stdout=None, preexec_fn=lambda: os.close(1)))
    assert (result.status, result.err.splitlines()[-1]) == (
        1,
        "lmscore: error: standard output: is closed",
    )
    assert lmscore.load(model).variant == "int8"


def test_two_runs_in_one_directory(run: Run, text: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    program = begun(text, model)
    result = run("train", "--resume", "-o", model)
    assert result.status == 1
    assert result.err.endswith(
        f"lmscore: error: {model}: process {program.pid} is writing it; wait for its end, or name "
        "another output\n"
    )
    os.kill(program.pid, signal.SIGINT)
    assert finish(program).status == 130
    assert run("train", "--resume", "-o", model, "--epochs", "0.1", "--no-export").status == 0


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        ([], 2, "train is missing: name text to train on"),
        (["TEXT"], 2, "output is missing: name a model directory to write"),
        (["missing", "-o", "MODEL"], 1, "missing: no such file"),
        (["TEXT", "-o", "TEXT"], 1, "is a file; name a directory to write the model to"),
        (["TEXT", "-o", "MODEL", "--minutes", "1", "--epochs", "1"], 2, "or in minutes, not both"),
        (["TEXT", "-o", "MODEL", "--dropout", "1"], 2, "dropout is 1.0, expected less than 1"),
        (["--hidden-size", "0", "--config", "x.toml"], 2, "--hidden-size is 0, expected at least"),
        (["TEXT", "-o", "MODEL", "--cutoffs", "5,x"], 2, "--cutoffs is '5,x', expected ids with"),
        (["TEXT", "-o", "MODEL", "--tokenizer", "bep"], 1, "tokenizer is 'bep', expected bpe"),
        (["--resume"], 2, "--resume needs --output, the directory of the run"),
        (["--resume", "-o", "MODEL"], 1, "no run to resume there"),
        (["--resume", "-o", "MODEL", "--config", "x.toml"], 2, "started with: no --config"),
        (["--config", "x.toml"], 1, "x.toml: cannot be read"),
    ],
)
def test_errors_are_one_line(
    run: Run, text: str, tmp_path: Path, argv: list[str], status: int, message: str
) -> None:
    places = {"TEXT": text, "MODEL": str(tmp_path / "model")}
    result = run("train", *(places.get(word, word) for word in argv))
    assert result.status == status
    assert result.out == ""
    last = result.err.splitlines()[-1]
    assert last.startswith("lmscore: error: ")
    assert message in last


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("a = " + "[" * 10_000, "not TOML: maximum recursion depth"),
        ("layers = " + "9" * 5_000, "not TOML: Exceeds the limit"),
        ("layers = [", "not TOML: "),
    ],
)
def test_toml_made_to_hurt(run: Run, tmp_path: Path, toml: str, message: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(toml)
    result = run("train", "--config", file)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert f"{file}: {message}" in result.err


def test_diagnose(run: Run, text: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    wanted = ("train", text, "-o", model, *SMALL, "--epochs", "9", "--diagnose", "--no-export")
    page = tmp_path / "page.html"
    result = run(*wanted, "--html", page)
    assert result.status == 0
    assert "held-out perplexity" in page.read_text(encoding="utf-8")
    assert f"{model}/diagnosis.png: how the training went" in result.err

    failed = tmp_path / "failed"
    options = ("--learning-rate", "1e30", "--warmup", "0", "--diagnose", "--evaluations", "9")
    result = run("train", text, "-o", failed, *SMALL, *options)
    assert result.status == 1
    assert "the loss is" in result.err.splitlines()[-1]
    assert f"{failed}/diagnosis.png: how the training went" in result.err
    assert "exploding: at update" in result.err
    assert "Warning" not in result.err

    nothing = run("train", os.devnull, "-o", tmp_path / "none", "--diagnose")
    assert nothing.status == 1
    assert "--diagnose: the training ended before anything was recorded" in nothing.err


@pytest.mark.parametrize("argv", [["--cell", "rnn"], ["--minutes", "soon"], ["--color"]])
def test_usage(run: Run, argv: list[str]) -> None:
    assert run("train", *argv).status == 2


def test_the_log_is_left_as_it_was(run: Run) -> None:
    import logging

    log = logging.getLogger("lmscore")
    before = (list(log.handlers), log.level)
    run("train")
    assert (list(log.handlers), log.level) == before


def test_every_option_has_a_flag() -> None:
    flags = set(inspect.signature(train_verb.train).parameters)
    assert {field.name for field in dataclasses.fields(TrainOptions)} - {"train"} <= flags


def test_a_field_is_all_that_an_option_takes(run: Run) -> None:
    """Its type, default, bounds and help; the command line and its help are made from it."""
    shown = " ".join(run("train", "--help").out.split())
    for name, field in option_fields().items():
        flag = "FILE" if name == "train" else f"--{name.replace('_', '-')}"
        assert f"{flag} " in shown
        assert field.option.help, name
        # A line may be broken at a dash.
        assert field.option.help.replace(" ", "") in shown.replace(" ", "")
        if isinstance(field.default, str):
            assert f"[{field.default}]" in shown
        if field.type is bool:
            continue
        assert (field.option.metavar or "|") in shown
        if field.option.bounds is not None:
            result = run("train", flag, "-1")
            assert result.status == 2
            assert result.err.startswith(f"lmscore: error: {flag} is -1"), result.err


def test_both_directions_from_one_command(run: Run, text: str, tmp_path: Path) -> None:
    both = tmp_path / "both"
    result = run("train", text, "-o", both, *SMALL, "--epochs", "4", "--direction", "both")
    assert result.status == 0
    for direction in ("forward", "backward"):
        assert f"{both / direction}: held-out perplexity" in result.out
        assert f"the {direction} model, in {both / direction}" in result.err
        assert lmscore.load(both / direction).config.direction == direction
    tokenizers = [(both / part / "tokenizer.json").read_bytes() for part in ("forward", "backward")]
    assert tokenizers[0] == tokenizers[1]
    assert run("score", "-m", both, stdin="the cat\n").status == 0

    again = run("train", text, "-o", both, *SMALL, "--direction", "both")
    assert again.status == 1
    assert f"{both / 'forward'}: holds a model or a run already" in again.err


def test_both_directions_go_on_at_the_one_that_was_stopped(
    run: Run, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmscore.train import train as whole

    both, inner = tmp_path / "both", "lmscore.train.both_directions.train"

    def stopped(options: TrainOptions, **how: Any) -> Bundle:
        if options.direction == "backward":
            raise KeyboardInterrupt
        return whole(options, **how)

    monkeypatch.setattr(inner, stopped)
    given = (*SMALL, "--epochs", "2", "--direction", "both", "--no-export")
    assert run("train", text, "-o", both, *given).status == 130
    monkeypatch.setattr(inner, whole)
    forward = (both / "forward" / "model.safetensors").read_bytes()
    assert run("train", "--resume", "-o", both, "--no-export").status == 0
    assert (both / "forward" / "model.safetensors").read_bytes() == forward
    assert Bundle.read(both / "backward").config.direction == "backward"


def test_both_directions_are_finished_together(
    run: Run, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmscore.train import train as whole

    both, inner = tmp_path / "both", "lmscore.train.both_directions.train"

    def stopped(options: TrainOptions, **how: Any) -> Bundle:
        def report(status: Status) -> None:
            if options.direction == stops and status.step == 3:
                raise KeyboardInterrupt

        return whole(options, **{**how, "report": report})

    monkeypatch.setattr(inner, stopped)
    given = (*SMALL, "--epochs", "9", "--direction", "both", "--checkpoint-minutes", "1e-9")
    stops = "forward"
    assert run("train", text, "-o", both, *given).status == 130
    result = run("train", "--finish", "-o", both)
    assert result.status == 1
    assert result.err.splitlines()[-1] == (
        f"lmscore: error: {both / 'backward'}: no checkpoint in it yet, so that both directions "
        f"cannot be finished; go on with --resume, or finish the forward model alone: --output "
        f"{both / 'forward'}"
    )
    assert run("train", "--finish", "-o", both / "forward", "--no-export").status == 0

    stops = "backward"
    assert run("train", "--resume", "-o", both).status == 130
    stops = "none"
    assert run("train", "--finish", "-o", both).status == 0
    assert Bundle.read(both / "backward").config.training["updates"] == 2
    assert run("score", "-m", both, stdin="the cat\n").status == 0


def test_both_directions_are_no_page(run: Run, text: str, tmp_path: Path) -> None:
    page = ("--html", tmp_path / "page.html")
    result = run("train", text, "-o", tmp_path / "m", "--direction", "both", *page)
    assert result.status == 2
    assert "--html does not go with --direction both" in result.err
    assert not (tmp_path / "m").exists()
