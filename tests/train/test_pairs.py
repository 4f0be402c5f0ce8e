"""Pairs: one text is learnt after another, and scored and decoded as it was learnt."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmscore
from lmscore.bundle import Bundle
from lmscore.errors import InputError, OptionError
from lmscore.export import export_model
from lmscore.train import make_options, train
from lmscore.train.adaptive import check_adaptable
from lmscore.train.batches import PADDING, SentenceBatches, training_batches
from lmscore.train.corpus import join_corpora, open_corpus
from lmscore.train.evaluate import held_out_batches
from lmscore.train.teachers import check_teachers
from lmscore.train.texts import RunText
from tests.train.toy import toy_options

LETTERS = "abcde"


def pairs(count: int, *, seed: int) -> list[tuple[str, str]]:
    """Words and the same words in capitals."""
    draw = random.Random(seed)
    words = [draw.choices(LETTERS, k=draw.randint(1, 4)) for _ in range(count)]
    return [(" ".join(word), " ".join(word).upper()) for word in words]


def write_pairs(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    return str(path)


def pair_options(folder: Path, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "train": (write_pairs(folder / "train.tsv", pairs(400, seed=1)),),
        "valid": (write_pairs(folder / "valid.tsv", pairs(50, seed=2)),),
        "columns": ("source", "text"),
        "prefix_field": "source",
        "hidden_size": 24,
        "epochs": 6,
        "batch_size": 4,
        "learning_rate": 0.03,
        "unk_share": 0.0,
    }
    return toy_options(folder, **{**values, **changes})


READINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "reversed": {"reverse_prefix": True},
    "by an encoder": {"reverse_prefix": True, "separate": True, "layers": 2},
}


@pytest.fixture(scope="module", params=READINGS.values(), ids=list(READINGS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("pairs")
    bundle = train(pair_options(folder, **request.param))
    return Bundle(bundle.path, export_model(bundle.path, variants=["fp32"]))


def test_the_loss_is_on_the_second_text_alone(model: Bundle) -> None:
    config = model.config
    corpus = open_corpus(model.path / "corpus", "valid", config.vocab_size)
    assert corpus.heads is not None
    wanted = [len(b.split()) + 1 for _, b in pairs(50, seed=2)]
    assert corpus.targets().tolist() == wanted
    batches = held_out_batches(corpus, config)
    assert isinstance(batches, SentenceBatches)
    assert batches.tokens == sum(wanted)
    rows = [
        row
        for batch in batches.epoch(0)
        for row in zip(batch.inputs.T, batch.targets.T, strict=True)
    ]
    tokenizer = lmscore.load(model.path).tokenizer
    begins = [tokenizer.token(config.prefix_token_id), tokenizer.token(config.bos_token_id)]
    seen = set()
    for inputs, targets in rows:
        learnt = (targets != PADDING).nonzero().flatten()
        first, last = int(learnt[0]), int(learnt[-1])
        read = tokenizer.tokens(inputs[: last + 1].tolist())
        said = tokenizer.tokens(targets[first : last + 1].tolist())
        source = read[1:first][::-1] if config.reversed_prefix else read[1:first]
        assert [read[0], read[first], said[-1]] == [*begins, "</s>"]
        seen.add((" ".join(source), " ".join(said[:-1])))
    assert seen == set(pairs(50, seed=2))


def test_scored_as_it_was_learnt(model: Bundle) -> None:
    lm = lmscore.load(model.path)
    sources, texts = zip(*pairs(50, seed=2), strict=True)
    total = sum(score.log_prob for score in lm.score_batch(texts, prefix=sources))
    valid = model.config.training["valid"]
    assert total == pytest.approx(valid["log_prob"], rel=1e-5)
    assert valid["words"] == sum(len(text.split()) for text in texts)
    assert valid["perplexity"] < 4  # of 5 letters and the end


def test_decoded_as_it_is_scored(model: Bundle) -> None:
    lm = lmscore.load(model.path)
    for source, _ in pairs(20, seed=3):
        found = lm.beam_search(prefix=source, beam_size=4, length_penalty=0, max_tokens=8)
        assert found[0].log_prob == max(sample.log_prob for sample in found)
        for sample in found:
            if sample.finish_reason == "eos":
                scored = lm.score(sample.text, prefix=source)
                assert sample.log_prob == pytest.approx(scored.log_prob, abs=1e-4)


def test_a_text_alone_has_no_first_one(model: Bundle) -> None:
    lm = lmscore.load(model.path)
    assert lm.score("A B").log_prob == pytest.approx(lm.score("A B", prefix="").log_prob)
    assert lm.score("A B").log_prob != pytest.approx(lm.score("A B", prefix="a b").log_prob)
    log_probs, _ = lm.step([model.config.bos_token_id], lm.initial_state())
    first = lm.score("A B").tokens[0].log_prob
    assert log_probs[0, lm.encode("A B")[0]] == pytest.approx(first, abs=1e-4)


def test_weights_of_files_count_targets(model: Bundle, tmp_path: Path) -> None:
    folder, V = model.path / "corpus", model.config.vocab_size
    corpus = open_corpus(folder, "train", V)
    weighted = training_batches(corpus, model.config, pair_options(tmp_path), (3.0,))
    assert weighted.tokens == 3 * corpus.num_targets
    both = join_corpora([corpus, open_corpus(folder, "valid", V)])
    assert both.heads is not None
    assert len(both.heads) == both.counts.lines
    assert both.num_targets == corpus.num_targets + open_corpus(folder, "valid", V).num_targets


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [{"prefix": a, "text": b} for a, b in pairs(60, seed=1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"valid": (), "valid_share": 0.2, "columns": (), "prefix_field": "prefix"}
    bundle = train(pair_options(tmp_path, train=(str(path),), epochs=1, **options))
    assert bundle.config.context == "document"
    corpus = open_corpus(bundle.path / "corpus", "train", bundle.config.vocab_size)
    assert corpus.heads is not None
    assert np.all(corpus.targets() >= 2)


def test_epochs_are_passes_through_the_pairs(model: Bundle) -> None:
    assert model.config.training["epochs"] == pytest.approx(6, abs=0.2)


def test_sentence_marks_bound_each_text(tmp_path: Path) -> None:
    rows = [(f"<s> {a} </s>", f"<s> {b} </s>") for a, b in pairs(60, seed=1)]
    text = write_pairs(tmp_path / "marked.tsv", rows)
    plain = write_pairs(tmp_path / "plain.tsv", pairs(60, seed=1))
    marked, unmarked = (
        list(itertools.chain(*RunText(pair_options(tmp_path, train=(path,))).train))
        for path in (text, plain)
    )
    assert marked == unmarked


def test_marks_within_the_texts_of_pairs_are_counted(tmp_path: Path) -> None:
    text = write_pairs(tmp_path / "odd.tsv", [("a <s> b", "A </s> B"), ("<s> a </s>", "A")])
    found = RunText(pair_options(tmp_path, train=(text,)))
    counts: Counter[str] = Counter()
    for part in found.train:
        for _ in found.counting_marks(part, counts):
            pass
    assert counts == {"<s>": 1, "</s>": 1}


def test_a_teacher_of_pairs(model: Bundle, tmp_path: Path) -> None:
    """It reads pairs as its pupil does, or it is refused."""
    tokenizer = str(model.path / "tokenizer.json")
    given = {"teacher": (str(model.path),), "tokenizer": tokenizer, "epochs": 1}
    same = {"reverse_prefix": model.config.reversed_prefix}
    check_teachers(pair_options(tmp_path, **given, **same))
    other = {"reverse_prefix": not model.config.reversed_prefix}
    with pytest.raises(OptionError, match="its reversed_prefix is"):
        check_teachers(pair_options(tmp_path, **given, **other))
    with pytest.raises(OptionError, match="its context is document, the model's sentence"):
        check_teachers(toy_options(tmp_path, **given))


def test_what_models_of_pairs_cannot_do(model: Bundle, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="was trained on pairs; only a model of documents can"):
        check_adaptable(model)
    text = write_pairs(tmp_path / "text", pairs(9, seed=1))
    values = {"train": (text,), "output": str(tmp_path / "out"), "init_from": str(model.path)}
    with pytest.raises(OptionError, match="which learnt pairs: no run goes on with it"):
        make_options(values)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"context": "document"}, "not with context='document'"),
    ({"direction": "backward"}, "not with direction='backward'"),
    ({"split": "lines"}, "not with split='lines'"),
    ({"init_from": "x"}, "not with init_from"),
    ({"prefix_field": None, "reverse_prefix": True}, "reverse_prefix is of the prefix"),
    ({"prefix_field": None, "separate": True}, "separate is of the prefix"),
    ({"cell": "window", "separate": True}, "the cell window has none"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_what_does_not_go_together(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        pair_options(tmp_path, **changes)


def test_texts_that_are_no_pairs(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no pair\n")
    with pytest.raises(InputError, match="no text before this one: pairs are records"):
        train(pair_options(tmp_path, train=(str(text),), columns=()))
    zero = tmp_path / "zero.tsv"
    zero.write_bytes(b"a\0b\tc\n")
    with pytest.raises(InputError, match="a text holds a zero byte"):
        train(pair_options(tmp_path, train=(str(zero),)))


def test_a_prefix_is_for_models_that_read_one(lm: lmscore.LanguageModel) -> None:
    with pytest.raises(OptionError, match="put the prefix at the beginning of the prompt"):
        lm.beam_search(prefix="the cat")
    with pytest.raises(InputError, match="prefix 1"):
        lm.beam_search(prefix=3)  # type: ignore[arg-type]
