"""Texts as people have them: what is held out, what is unknown, and what a run says about it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmscore.bundle import Bundle
from lmscore.errors import InputError, OptionError
from lmscore.train import train
from lmscore.train.batches import PADDING, Batch
from lmscore.train.corpus import open_corpus
from lmscore.train.read_options import make_options, read_toml
from lmscore.train.texts import held_out_files
from lmscore.train.unknown import StandIns, find_stand_ins
from tests.train.toy import sentences, toy_config, toy_corpus, toy_options, write


def said(caplog: pytest.LogCaptureFixture, folder: Path, **changes: Any) -> tuple[Bundle, str]:
    """The model of a short run, and what the run said."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "lmscore"):
        bundle = train(toy_options(folder, **{"epochs": 1, **changes}))
    return bundle, caplog.text


def numbered(count: int) -> list[str]:
    return [f"{line} {number}" for number, line in enumerate(sentences(count))]


@pytest.mark.parametrize("every", [2, 4, 5, 10])
@pytest.mark.parametrize("context", ["sentence", "document"])
def test_blank_lines_between_sentences(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, every: int, context: str
) -> None:
    lines: list[str] = []
    for number, line in enumerate(numbered(300)):
        lines += [line] if (number + 1) % (every - 1) else [line, ""]
    text = write(tmp_path / "text", lines)
    bundle, log = said(caplog, tmp_path, train=(text,), context=context)
    valid = bundle.config.training["valid"]
    assert 150 < valid["words"] < 350
    assert f"held-out text: {valid['lines']} lines, {valid['words']} words" in log
    assert "tokens are few, so that its perplexity is a rough figure" in log


def test_a_text_that_is_given_twice(tmp_path: Path) -> None:
    once = numbered(200)
    text = write(tmp_path / "text", once * 2)
    bundle = train(toy_options(tmp_path, train=(text,), epochs=1))
    training = bundle.config.training
    assert training["train"]["lines"] + 2 * training["valid"]["lines"] == 400


def test_held_out_text_that_is_also_trained_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = numbered(100)
    text, valid = write(tmp_path / "text", lines), write(tmp_path / "v", [*lines[:5], "a new line"])
    _, log = said(caplog, tmp_path, train=(text,), valid=(valid,))
    assert "; 92.1% of its words are in lines that are also trained on" in log  # 35 of 38
    assert "held-out text: much of it is also trained on, so its perplexity is too low" in log


def test_several_held_out_texts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    easy = write(tmp_path / "easy.txt", sentences(60, seed=2))
    hard = write(tmp_path / "hard.txt", ["dog the the . cat sees"] * 20)
    valid = (f"easy={easy}", f"hard={hard}", f"easy={easy}")
    bundle, log = said(caplog, tmp_path, valid=valid, choose_by="hard", epochs=20, evaluations=9)
    found = bundle.config.training["valid"]
    apart = found["texts"]

    assert (apart["easy"]["lines"], apart["hard"]["lines"], found["lines"]) == (120, 20, 140)
    assert apart["easy"]["perplexity"] < found["perplexity"] < apart["hard"]["perplexity"]
    assert found["log_prob"] == pytest.approx(sum(part["log_prob"] for part in apart.values()))
    assert bundle.config.training["valid_files"] == ["easy.txt", "easy.txt", "hard.txt"]
    assert "held-out text hard: 20 lines" in log
    assert (
        f"| hard | 140 | 0 | {apart['hard']['perplexity']:.2f} |"
        in (bundle.path / "README.md").read_text()
    )
    records = [json.loads(x) for x in (bundle.path / "metrics.jsonl").read_text().splitlines()]
    losses = [record["valid_loss/hard"] for record in records if "valid_loss" in record]
    assert np.log(apart["hard"]["perplexity"]) == pytest.approx(min(losses), abs=1e-4)
    assert min(losses) < losses[-1] - 0.05  # the easy text goes on to improve


def test_a_choice_among_no_such_texts(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="choose_by is 'books', the held-out texts are none"):
        train(toy_options(tmp_path, choose_by="books"))
    valid = write(tmp_path / "a=b", ["the cat"])  # a path that exists is a path
    with pytest.raises(OptionError, match="choose_by is 'books', the held-out texts are a=b"):
        train(toy_options(tmp_path, choose_by="books", valid=(valid,)))


@pytest.mark.parametrize("second", ["b/valid.txt", "valid.txt=b/other"])
def test_two_held_out_texts_of_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/valid.txt", "b/valid.txt", "b/other"):
        Path(name).parent.mkdir(exist_ok=True)
        write(Path(name), ["the cat"])
    wanted = (
        f"valid is 'a/valid.txt' and '{second.rpartition('=')[2]}', two texts with the name "
        "valid.txt; name them: NAME=FILE"
    )
    for valid in (("a/valid.txt", second), (second, "a/valid.txt")):
        with pytest.raises(OptionError, match="two texts with the name valid"):
            train(toy_options(tmp_path, valid=valid))
    with pytest.raises(OptionError) as raised:
        held_out_files(toy_options(tmp_path, valid=("a/valid.txt", second)))
    assert str(raised.value) == wanted
    named = toy_options(tmp_path, valid=("a/valid.txt", "b=b/valid.txt", "b=b/other"))
    assert held_out_files(named) == {
        "valid.txt": ("a/valid.txt",),
        "b": ("b/valid.txt", "b/other"),
    }


def test_a_share_of_a_text_that_is_given(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="valid_share is of the text to train on: not with val"):
        toy_options(tmp_path, valid=("text",), valid_share=0.1)


def test_named_texts_in_a_file_of_options(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('train = "a.txt"\nvalid = ["books=b.txt", "c.txt"]\noutput = "model"\n')
    options = make_options(read_toml(file))
    assert options.valid == (f"books={tmp_path / 'b.txt'}", str(tmp_path / "c.txt"))


def test_names_that_nobody_has_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Words seen once teach the model where unknown words stand."""
    seen = [f"Anna{n} sees the cat" for n in range(200)]
    text = write(tmp_path / "text", seen)
    valid = write(tmp_path / "valid", [f"Bert{n} sees the cat" for n in range(40)])
    changes = {"train": (text,), "valid": (valid,), "epochs": 20, "dropout": 0.0}
    bundle, log = said(caplog, tmp_path, **changes)
    found = bundle.config.training["valid"]
    assert found["oov"] == 40
    assert found["perplexity"] < 2  # every second name was unknown, and all else is certain
    assert found["perplexity_excluding_oovs"] < 1.1
    assert "40 (25.0%) are unknown (OOV)" in log
    assert "25.0 % of the tokens are unknown" in log
    assert "without OOVs 1.0" in log

    without = {**changes, "unk_share": 0.0, "output": str(tmp_path / "without")}
    bundle, log = said(caplog, tmp_path, **without)
    found = bundle.config.training["valid"]
    assert found["perplexity"] > 3
    assert found["perplexity_excluding_oovs"] < 1.1  # by which the weights were chosen
    assert "has unknown words, but the text to train on has none that teach the model" in log


def test_stand_ins_are_drawn_for_each_epoch() -> None:
    words = np.arange(10, 1010)
    stand_ins = StandIns(words, 3, 0.5, seed=7, vocab_size=2000)
    ids = torch.arange(2000)[:, None]
    batch = Batch(ids, torch.cat([ids[1:], torch.full((1, 1), PADDING)]), 1999, continues=False)
    first, again, second = (stand_ins.in_place(batch, epoch) for epoch in (0, 0, 1))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, second.inputs)
    changed = first.inputs != ids
    assert changed.sum() == pytest.approx(stand_ins.expected, rel=0.15)
    assert set(ids[changed].tolist()) <= set(words.tolist())
    assert (first.inputs[changed] == 3).all()
    assert torch.equal(first.targets[:-1], first.inputs[1:])
    assert first.targets[-1] == PADDING


def test_where_nothing_stands_in(tmp_path: Path) -> None:
    corpus, options = toy_corpus([30] * 3, vocab=200), toy_options(tmp_path)
    config = toy_config(200)
    counts = corpus.token_counts(200)
    found = find_stand_ins(corpus, config, options)
    assert found is not None
    assert found.words.tolist() == [n for n in range(3, 200) if counts[n] == 1]
    assert find_stand_ins(corpus, toy_config(200, tokenizer="bpe"), options) is None
    assert find_stand_ins(corpus, toy_config(200, unk_token_id=None), options) is None
    assert find_stand_ins(toy_corpus([30] * 300), toy_config(), options) is None  # none seen once


def test_sentence_marks_in_the_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marked = [f"<s> {line} </s>" for line in numbered(98)]
    inside = ["the cat </s> the dog", "<s>the <s> cat</s> ."]
    text = write(tmp_path / "text", [*marked, *inside])
    valid = write(tmp_path / "valid", ["<s> the cat sees the dog . </s>", "<s>", "</s>"])
    bundle, log = said(caplog, tmp_path, train=(text,), valid=(valid,), unk_share=0.0)
    training = bundle.config.training
    assert training["valid"]["tokens"] == 7 + 1 + 1
    assert training["valid"]["oov"] == 0
    assert training["train"]["oov"] == 2
    assert "</s> stands within lines 1 times, and is read there as unknown words" in log
    assert "<s> stands within lines 1 times" in log
    corpus = open_corpus(bundle.path / "corpus", "train", bundle.config.vocab_size)
    assert corpus.counts.lines == 100


def test_blank_held_out_text_is_refused(tmp_path: Path) -> None:
    valid = write(tmp_path / "valid", ["", "  "])
    with pytest.raises(InputError, match="valid: the held-out text is empty, or only blank lines"):
        train(toy_options(tmp_path, valid=(valid,)))
