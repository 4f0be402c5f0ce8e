"""Options: every value is checked, wherever it comes from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from lmscore.bundle import CELLS
from lmscore.errors import InputFileError, OptionError
from lmscore.train.options import TrainOptions
from lmscore.train.read_options import make_options, read_toml

LEAST: dict[str, Any] = {"train": ("text",), "output": "model"}


def test_defaults_are_fine() -> None:
    assert make_options(LEAST) == TrainOptions(train=("text",), output="model")


SWA = "average is 'swa', expected none, ema, asgd, nt-asgd, or best:N"
NT_ASGD_TOO_SHORT = (
    "average nt-asgd begins when the held-out loss is worse than one of more than 5 evaluations "
    "before: evaluations is 5, give 20, say"
)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("train", (), "train is missing: name text to train on"),
        ("train", ("-",), "train is '-', but text is read more than once: name a file"),
        ("valid", ("-",), "valid is '-', but text is read more than once: name a file"),
        ("valid_share", 0, "valid_share is 0, expected more than 0"),
        ("valid_share", 1.0, "valid_share is 1.0, expected less than 1"),
        ("unk_share", 1.0, "unk_share is 1.0, expected less than 1"),
        ("train", "text", "train is 'text', expected a list of strings"),
        ("output", "", "output is missing: name a model directory to write"),
        ("cell", "rnn", f"cell is 'rnn', expected {', '.join(CELLS)}"),
        ("context", "line", "context is 'line', expected sentence, document"),
        ("hidden_size", 0, "hidden_size is 0, expected at least 1"),
        ("hidden_size", 1.5, "hidden_size is 1.5, expected a whole number"),
        ("hidden_size", True, "hidden_size is True, expected a whole number"),
        ("embedding_size", 0, "embedding_size is 0, expected at least 1"),
        ("tied", 1, "tied is 1, expected true or false"),
        ("direction", "sideways", "direction is 'sideways', expected forward, backward, both"),
        (
            "connections",
            "sparse",
            "connections is 'sparse', expected plain, residual, highway, dense",
        ),
        ("window_size", 4, "window_size is for the cell window, not lstm; leave it out"),
        ("window_size", 1, "window_size is 1, expected at least 2"),
        ("weight_drop", 1.0, "weight_drop is 1.0, expected less than 1"),
        ("word_dropout", -0.1, "word_dropout is -0.1, expected at least 0"),
        ("recurrent_init", "identity", "recurrent_init identity is for the rnn cells, not lstm"),
        ("random_bptt", True, "random_bptt cuts a document into batches: context must be document"),
        ("average", "swa", SWA),
        ("average", "nt-asgd", NT_ASGD_TOO_SHORT),
        ("average_decay", 1.0, "average_decay is 1.0, expected less than 1"),
        ("label_smoothing", -0.1, "label_smoothing is -0.1, expected at least 0"),
        ("bptt", 10**310, "bptt has more than 30 digits"),
        ("epochs", 10**310, "epochs has more than 30 digits"),
        ("layers", -1, "layers is -1, expected at least 1"),
        ("vocab_size", 1 << 40, "vocab_size is 1099511627776, expected less than 1.67772e+07"),
        ("dropout", 1, "dropout is 1, expected less than 1"),
        ("dropout", math.nan, "dropout is nan, expected at least 0"),
        ("warmup", 1.0, "warmup is 1.0, expected less than 1"),
        ("epochs", 0, "epochs is 0, expected more than 0"),
        ("epochs", "3", "epochs is '3', expected a number"),
        ("minutes", math.inf, "minutes is inf, expected less than inf"),
        ("clip", math.inf, "clip is inf, expected less than inf"),
        ("learning_rate", -1.0, "learning_rate is -1.0, expected more than 0"),
        ("evaluations", -1, "evaluations is -1, expected at least 0"),
        ("seed", 1 << 64, "seed is 18446744073709551616, expected less than 9.22337e+18"),
        ("threads", 0, "threads is 0, expected at least 1"),
        ("threads", 1 << 40, "threads is 1099511627776, expected less than 32768"),
        ("hidden_size", 1 << 40, "hidden_size is 1099511627776, expected less than 1.67772e+07"),
        ("layers", 1 << 40, "layers is 1099511627776, expected less than 1.67772e+07"),
        ("min_count", 1 << 64, "min_count is 18446744073709551616, expected less than 9.22337e+18"),
        ("tied", "yes", "tied is 'yes', expected true or false"),
        ("tokenizer", "", "tokenizer is empty"),
        ("output_layer", "tree", "output_layer is 'tree', expected softmax, classes"),
        ("cutoffs", (5,), "cutoffs are for output_layer classes"),
        ("cutoffs", [5], "cutoffs is [5], expected a list of whole numbers"),
        ("cutoffs", ("5",), "cutoffs is ('5',), expected a list of whole numbers"),
        ("self_normalize", -1, "self_normalize is -1, expected at least 0"),
        ("eos_token", "", "eos_token is empty"),
    ],
)
def test_impossible_values(name: str, value: object, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        make_options({**LEAST, name: value})
    assert str(raised.value) == message


@pytest.mark.parametrize("cutoffs", [(0,), (5, 5), (5, 3)])
def test_cutoffs_rise(cutoffs: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=r"cutoffs are \[.*\], expected rising ids above 0"):
        make_options({**LEAST, "output_layer": "classes", "cutoffs": cutoffs})


def test_classes_are_normalised_already() -> None:
    with pytest.raises(OptionError, match="classes are normalised exactly"):
        make_options({**LEAST, "output_layer": "classes", "self_normalize": 0.1})


@pytest.mark.parametrize("other", [{"output_layer": "classes"}, {"self_normalize": 0.1}])
def test_only_a_plain_softmax_is_sampled(other: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="sampled_softmax estimates a plain softmax: not with"):
        make_options({**LEAST, "sampled_softmax": 64, **other})


def test_classes_are_not_smoothed() -> None:
    with pytest.raises(OptionError, match="label_smoothing is for one softmax: not with output_l"):
        make_options({**LEAST, "output_layer": "classes", "label_smoothing": 0.1})


def test_a_window_has_no_recurrent_weights() -> None:
    with pytest.raises(OptionError, match="weight_drop is of recurrent weights, and the cell"):
        make_options({**LEAST, "cell": "window", "weight_drop": 0.5})
    with pytest.raises(
        OptionError, match="hidden_size is 257, which does not divide into heads of 32"
    ):
        make_options({**LEAST, "cell": "gated-delta", "hidden_size": 257})
    make_options({**LEAST, "cell": "gated-delta", "hidden_size": 61})
    with pytest.raises(OptionError, match="the cell gated-delta has none"):
        make_options({**LEAST, "cell": "gated-delta", "weight_drop": 0.5})


def test_unknown_words_are_no_sentence_marks() -> None:
    with pytest.raises(OptionError, match="unk_token must differ from bos_token and eos_token"):
        make_options({**LEAST, "tokenizer": "word", "unk_token": "</s>"})


def test_one_budget() -> None:
    with pytest.raises(OptionError, match="in epochs or in minutes, not both"):
        make_options({**LEAST, "epochs": 1, "minutes": 1})


def test_toml(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        'train = ["a.txt", "/data/b.txt"]\nvalid = "v.txt"\noutput = "model"\n'
        'tokenizer = "own/tokenizer.json"\nminutes = 3\ntied = false\n'
        'output_layer = "classes"\ncutoffs = [40, 200]\n'
    )
    options = make_options(read_toml(file))

    assert options.train == (str(tmp_path / "a.txt"), "/data/b.txt")
    assert options.valid == (str(tmp_path / "v.txt"),)
    assert options.output == str(tmp_path / "model")
    assert options.tokenizer == str(tmp_path / "own/tokenizer.json")
    assert (options.minutes, options.tied) == (3, False)
    assert options.cutoffs == (40, 200)


def test_a_kind_of_tokenizer_is_no_path(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('tokenizer = "char"')
    assert read_toml(file) == {"tokenizer": "char"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hidden = 3", "run.toml: unknown key 'hidden'"),
        (b"hidden_size = ", "run.toml: not TOML: "),
        (b"# \xff", "run.toml: not UTF-8"),
        (b"train = 3", "train is 3, expected the name of a file, or a list of them"),
        (b"train = [3]", "train is .3., expected the name of a file, or a list of them"),
    ],
)
def test_bad_toml(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(content)
    with pytest.raises((OptionError, InputFileError), match=message):
        read_toml(file)


def test_no_toml(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"run.toml: cannot be read: No such file"):
        read_toml(tmp_path / "run.toml")


NO_UNKNOWN = "tokenizer='bpe' has no unknown words; leave it out"


@pytest.mark.parametrize(
    ("others", "option", "value", "reason"),
    [
        ({}, "min_count", 2, NO_UNKNOWN),
        ({}, "unk_share", 0.1, NO_UNKNOWN),
        ({"tokenizer": "bpe"}, "unk_token", "?", NO_UNKNOWN),
        ({"tokenizer": "t.json"}, "min_count", 2, "the tokenizer t.json is given; leave it out"),
        ({"tokenizer": "t.json"}, "vocab_size", 9, "the tokenizer t.json is given; leave it out"),
        (
            {"tokenizer": "t.json"},
            "normalization",
            "lowercase",
            "the tokenizer t.json is given; leave it out",
        ),
        ({"init_from": "m"}, "vocab_size", 9, "init_from brings its tokenizer along; leave it out"),
        (
            {"init_from": "m"},
            "normalization",
            "none",
            "init_from brings its tokenizer along; leave it out",
        ),
        ({"vocabulary": "words"}, "min_count", 1, "vocabulary lists the words; leave it out"),
        ({}, "average_decay", 0.9, "it is the decay of average='ema'; leave it out"),
        (
            {"context": "document"},
            "order",
            "given",
            "a document is read from its beginning to its end; leave it out",
        ),
        (
            {"init_from": "m", "cell": "rnn-relu"},
            "recurrent_init",
            "identity",
            "init_from brings its weights along; leave it out",
        ),
        ({}, "layer_dropout", 0.1, "there is one layer; leave it out"),
        ({"split": "lines"}, "language", "de", "it is that of split='sentences'; leave it out"),
        ({}, "max_errors", 3, "on_error='stop' ends at the first; leave it out"),
        ({"layers": 1}, "layer_dropout", 0.0, "there is one layer; leave it out"),
    ],
)
def test_options_without_effect(
    others: dict[str, object], option: str, value: object, reason: str
) -> None:
    with pytest.raises(OptionError) as raised:
        make_options({**LEAST, **others, option: value})
    assert str(raised.value).startswith(f"{option} is {value!r} and has no effect: {reason}")


@pytest.mark.parametrize(
    ("name", "given"),
    [("patience", {"patience": 3}), ("schedule plateau", {"schedule": "plateau"})],
)
def test_what_waits_for_evaluations(name: str, given: dict[str, object]) -> None:
    with pytest.raises(OptionError) as raised:
        make_options({**LEAST, **given, "evaluations": 0})
    wanted = "waits for evaluations without gain: evaluations is 0, give 20, say"
    assert str(raised.value) == f"{name} {wanted}"
    make_options({**LEAST, **given, "evaluations": 1})


def test_what_has_an_effect_is_in_force() -> None:
    options = make_options({**LEAST, "tokenizer": "word", "min_count": 2, "average": "ema"})
    force = options.in_force()
    assert (force["min_count"], force["average_decay"], force["unk_token"]) == (2, 0.999, "<unk>")
    assert make_options({**LEAST, **force}) == options
    assert not {"min_count", "unk_share", "average_decay"} & make_options(LEAST).in_force().keys()


def test_a_list_of_words_is_for_words() -> None:
    assert make_options({**LEAST, "vocabulary": "words.txt"}).tokenizer == "word"
    with pytest.raises(OptionError, match="vocabulary is a list of words: give tokenizer='word'"):
        make_options({**LEAST, "vocabulary": "words.txt", "tokenizer": "char"})
