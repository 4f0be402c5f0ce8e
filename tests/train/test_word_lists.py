"""Lists of words as other programs write them, and the vocabularies made of them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from lmscore.bundle import TOKENIZER_FILE
from lmscore.errors import InputError, InputFileError
from lmscore.train import train
from lmscore.train.read_options import make_options
from lmscore.train.tokenizers import make_vocabulary
from lmscore.train.word_lists import UNKNOWN, find_name, read_word_list, words_of_text
from tests.train.toy import sentences, toy_options, write

KALDI = ["<eps> 0", "!SIL 1", "<UNK> 2", "at 3", "The 4", "#0 5", "#12 6", "<s> 7", "</s> 8"]
SRILM = ["-pau-", "</s>", "<s>", "<unk>", "at", "The"]
COUNTS = ["The 120", "at 7"]


def vocabulary_of_list(folder: Path, lines: list[str], **changes: object) -> dict[str, int]:
    path = write(folder / "words.txt", lines)
    values = {"train": ("text",), "output": "model", "vocabulary": path, **changes}
    made = make_vocabulary([], make_options(values))
    assert made.size == len(made.tokenizer.get_vocab())
    return made.tokenizer.get_vocab()


SPECIAL = ["<s>", "</s>", "<unk>"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (KALDI, ["<UNK>", "at", "The", "<s>", "</s>"]),
        (SRILM, ["</s>", "<s>", "<unk>", "at", "The"]),
        (COUNTS, [*SPECIAL, "The", "at"]),
        (["", "zoo\r", "  ", "ant\t3", "#hash", "#"], [*SPECIAL, "zoo", "ant", "#hash", "#"]),
        (["[SIL]", "<sil>", "SIL", "!NULL", "<epsilon>", "silly"], [*SPECIAL, "silly"]),
    ],
)
def test_lists_keep_their_order_and_case(
    tmp_path: Path, lines: list[str], words: list[str]
) -> None:
    assert vocabulary_of_list(tmp_path, lines) == {word: n for n, word in enumerate(words)}


def test_a_given_name_is_the_unknown_word(tmp_path: Path) -> None:
    found = vocabulary_of_list(tmp_path, ["<unk>", "at"], unk_token="garbage")
    assert found == {"<s>": 0, "</s>": 1, "garbage": 2, "<unk>": 3, "at": 4}


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        (["<SPOKEN_NOISE>", "<UNK>", "a"], "<UNK>"),
        (["<SPOKEN_NOISE>", "a"], "<SPOKEN_NOISE>"),
        (["OOV", "a"], "OOV"),
        (["[UNK]", "unk"], "[UNK]"),
        (["a"], None),
    ],
)
def test_the_unknown_word_by_its_usual_names(words: list[str], unknown: str | None) -> None:
    assert find_name(words, UNKNOWN) == unknown


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "words.txt: no word in it"),
        (["a", "the cat"], "words.txt, line 2: 'the cat' is not a word, or a word and its id or"),
        (["a 1 2"], "words.txt, line 1: 'a 1 2' is not a word"),
        (["a 1", "", "a 2"], "words.txt, line 3: 'a' stands there twice"),
    ],
)
def test_what_is_no_list(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        read_word_list(write(tmp_path / "words.txt", lines))
    assert message in str(raised.value)


def test_symbols_of_decoding_graphs_are_no_words(tmp_path: Path) -> None:
    words, left_out = words_of_text(read_word_list(write(tmp_path / "words.txt", KALDI)))
    assert left_out == ["<eps>", "!SIL", "#0", "#12"]
    assert words == ["<UNK>", "at", "The", "<s>", "</s>"]


def test_a_model_of_a_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its words are the ones of the list, also unseen; all others are unknown."""
    lines = [word for word in KALDI if word != "at 3"] + ["cat 9", "the 10", "sees 11", "unseen 12"]
    words = write(tmp_path / "words.txt", lines)
    text = write(tmp_path / "text", sentences(200))
    options = toy_options(tmp_path, train=(text,), vocabulary=words, normalization="none", epochs=1)
    with caplog.at_level(logging.INFO, "lmscore"):
        bundle = train(options)
    made = json.loads((bundle.path / TOKENIZER_FILE).read_text())
    assert list(made["model"]["vocab"]) == [
        *("<UNK>", "The", "<s>", "</s>", "cat", "the", "sees", "unseen")
    ]
    assert bundle.config.unk_token_id == 0
    assert bundle.config.training["options"]["vocabulary"] == "words.txt"
    assert "vocab_size" not in bundle.config.training["options"]
    assert "left out what no text has: <eps>, !SIL, #0, #12" in caplog.text
    assert "8 words, the unknown one is <UNK>" in caplog.text
    assert f"% of the tokens are unknown, which a perplexity says little about; {words} lacks" in (
        caplog.text
    )


def test_words_that_normalisation_hides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    vocabulary_of_list(tmp_path, KALDI, normalization="lowercase")
    assert "words.txt: 1 words, such as The, are never read, because `normalization`" in (
        caplog.text
    )


def test_a_list_that_is_missing(tmp_path: Path) -> None:
    options = toy_options(tmp_path, vocabulary=str(tmp_path / "no"), normalization="none")
    with pytest.raises(InputFileError, match="no: no such file"):
        train(options)
