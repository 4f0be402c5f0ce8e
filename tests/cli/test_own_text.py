"""Texts that people trained on and that went wrong: each with what the command says of it now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Result, Run
from tests.train.toy import sentences, write

QUICK = ("--hidden-size", 16, "--threads", 1, "--no-export", "--precision", "fp32")
FIRST = ("Anna", "Bert", "Carl", "Dora")


@pytest.fixture
def train(run: Run, tmp_path: Path) -> Any:
    """`lmscore train` on lines, into `tmp_path`/NAME; returns the result and config.json."""

    def train(name: str, lines: list[str], *given: object) -> tuple[Result, dict[str, Any]]:
        text = write(tmp_path / f"{name}.txt", lines)
        result = run("train", text, "-o", tmp_path / name, *map(str, (*QUICK, *given)))
        path = tmp_path / name / "config.json"
        return result, json.loads(path.read_text()) if path.exists() else {}

    return train


def plain(count: int) -> list[str]:
    return [f"{line} {number}" for number, line in enumerate(sentences(count))]


def test_a_blank_line_after_every_second(train: Any) -> None:
    lines = [line for each in plain(110) for line in (each, "")]
    result, config = train("blank", lines, "--tokenizer", "word", "--epochs", 1)
    valid = config["training"]["valid"]
    assert result.status == 0
    assert valid["words"] == 7 * valid["lines"] > 0


def test_subtitles(train: Any) -> None:
    """Numbers and times are text like any other, unless they are removed."""
    blocks = [
        (str(n), f"00:00:{n:02},000 --> 00:00:{n:02},900", line, "")
        for n, line in enumerate(sentences(50))
    ]
    lines = [line for block in blocks for line in block]
    _, config = train("subtitles", lines, "--tokenizer", "word", "--epochs", 1)
    assert config["training"]["valid"]["words"] > 0


def test_names_that_are_only_in_the_held_out_text(train: Any, tmp_path: Path) -> None:
    text = [f"{FIRST[n % 4]}{n} met the teacher of Town{n} early" for n in range(100)]
    unseen = [f"{FIRST[n % 4]}x{n} met the teacher of Village{n} early" for n in range(20)]
    valid = write(tmp_path / "valid", unseen)
    given = ("--valid", valid, "--tokenizer", "word", "--epochs", 20, "--batch-size", 4)
    result, config = train("names", text, *given)
    found = config["training"]["valid"]
    assert found["oov"] == 40
    assert found["perplexity"] < 5
    assert "40 (28.6%) are unknown (OOV)" in result.err
    assert f"without OOVs {found['perplexity_excluding_oovs']:.2f}" in result.err


def test_another_language_after_the_first(train: Any, tmp_path: Path) -> None:
    train("en", sentences(25), "--tokenizer", "char", "--epochs", 2)
    russian = ["дом день мир", "ночь мир день", "вода поле утро день"] * 20
    start = ("--init-from", tmp_path / "en", "--epochs", 2, "--batch-size", 4)
    result, _ = train("ru", russian, *start)
    assert "of the tokens are unknown, which a perplexity says little about; --extend-voc" in (
        result.err
    )
    result, config = train("both", russian, *start, "--extend-vocabulary", 40)
    assert config["training"]["valid"]["oov"] == config["training"]["train"]["oov"] == 0
    assert "unknown, which" not in result.err


def test_a_tokenizer_and_a_normalisation(train: Any, tmp_path: Path) -> None:
    train("en", sentences(25), "--tokenizer", "char", "--epochs", 1)
    tokenizer = tmp_path / "en" / "tokenizer.json"
    result, _ = train("d", sentences(25), "--tokenizer", tokenizer, "--normalization", "lowercase")
    assert result.status == 2
    assert result.err == (
        f"lmscore: error: --normalization is 'lowercase' and has no effect: the tokenizer "
        f"{tokenizer} is given; leave it out\n"
    )
    _, config = train("e", sentences(25), "--tokenizer", tokenizer, "--epochs", 1)
    assert "normalization" not in config["training"]["options"]


def test_sentence_marks_at_the_ends(train: Any) -> None:
    marked = [f"<s> {line} </s>" for line in sentences(60)]
    result, config = train("marks", marked, "--tokenizer", "word", "--epochs", 1)
    assert result.status == 0
    training = config["training"]
    assert training["valid"]["oov"] == training["train"]["oov"] == 0
    assert training["train"]["words"] == 6 * training["train"]["lines"]


def test_lines_that_begin_with_ids(train: Any) -> None:
    lines = [f"spk{n % 3}-utt{n:03} {line}" for n, line in enumerate(sentences(60))]
    result, _ = train("kaldi", lines, "--tokenizer", "word", "--epochs", 1)
    assert "warning: each line begins with a word of its own that has digits, such as spk" in (
        result.err
    )
    result, _ = train("text", plain(60), "--tokenizer", "word", "--epochs", 1)
    assert "begins with a word" not in result.err


def test_a_list_of_words(train: Any, tmp_path: Path) -> None:
    words = ["<eps> 0", "!SIL 1", "<UNK> 2", "the 3", "cat 4", "zebra 5", "#0 6", "<s> 7", "</s> 8"]
    given = ("--vocabulary", write(tmp_path / "words.txt", words), "--epochs", 1)
    _, config = train("list", sentences(60), *given)
    made = json.loads((tmp_path / "list" / "tokenizer.json").read_text())
    assert list(made["model"]["vocab"]) == ["<UNK>", "the", "cat", "zebra", "<s>", "</s>"]
    assert config["unk_token_id"] == 0


def test_columns_and_their_delimiter(train: Any) -> None:
    said = sentences(60)
    _, expected = train("plain", said, "--epochs", 1)
    lines = [f"{number};{line};yes" for number, line in enumerate(said)]
    given = ("--input-format", "csv", "--field", "said", "--epochs", 1)
    for name, delimiter, columns in (
        ("semicolons", ";", ("--columns", "n,said,ok")),
        ("tabs", "tab", ("--columns", "n, said", "--columns", "ok")),
    ):
        rows = [line.replace(";", "\t") for line in lines] if delimiter == "tab" else lines
        result, config = train(name, rows, "--delimiter", delimiter, *columns, *given)
        assert result.status == 0
        assert config["training"]["train"] == expected["training"]["train"]
        assert config["training"]["options"]["columns"] == ["n", "said", "ok"]
    result, _ = train("none", lines, "--delimiter", ";;", *given)
    assert result.status == 2
    assert "--delimiter is ';;', expected one character, or tab" in result.err


def test_sentences_of_a_language(train: Any) -> None:
    pytest.importorskip("sentencex")
    lines = [f"Der {n}. Hund kam am 3. Mai. Er sah die Katze bzw. den Kater." for n in range(60)]
    found = {}
    for code in ("de", "en"):
        given = ("--split", "sentences", "--language", code, "--epochs", 0.1)
        _, config = train(code, lines, "--tokenizer", "word", "--valid-share", 0.5, *given)
        training = config["training"]
        found[code] = training["train"]["lines"] + training["valid"]["lines"]
    assert found["de"] < found["en"]


def test_records_that_cannot_be_read(train: Any, tmp_path: Path) -> None:
    lines = [json.dumps({"text": line}) for line in sentences(60)]
    lines[20:20] = ['{"text": null}', "{"]
    valid = write(tmp_path / "valid", [*lines[:10], "[]"])
    given = ("--valid", valid, "--input-format", "jsonl", "--tokenizer", "word", "--epochs", 1)
    result, _ = train("skipped", lines, *given, "--on-error", "skip")
    assert result.status == 0
    assert result.err.count("3 records could not be read\n") == 1
    assert result.err.count("could not be read") == 1
    result, _ = train("few", lines, *given, "--on-error", "skip", "--max-errors", 3)
    assert result.status == 0
    result, _ = train("many", lines, *given, "--on-error", "skip", "--max-errors", 2)
    assert result.status == 1
    assert "valid, line 11: " in result.err
    assert "this is one bad record more than --max-errors 2" in result.err
    result, _ = train("stop", lines, *given, "--max-errors", 2)
    assert result.status == 2
    assert "--max-errors is 2 and has no effect: --on-error stop ends at the first" in result.err


def test_a_resumed_run_takes_no_option_without_effect(train: Any, run: Run, tmp_path: Path) -> None:
    train("plain", sentences(60), "--tokenizer", "word", "--epochs", 1)
    result = run("train", "--resume", "-o", tmp_path / "plain", "--max-errors", "2")
    assert result.status == 1
    assert "--max-errors is 2 and has no effect: --on-error stop ends at the first" in result.err
