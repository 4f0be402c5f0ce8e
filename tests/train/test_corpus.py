"""Tokenised text on disk: made once, whole or made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmscore.errors import InputError, InputFileError, ModelError, OutputFileError
from lmscore.train import corpus as corpus_module
from lmscore.train.corpus import CorpusCounts, fingerprint, open_corpus
from tests.train.toy import tokenised

LINES = ["w3 w4", "", "w5 nobody </s> <unk>"]
IDS = [3, 4, 1, 1, 5, 0, 0, 0, 1]


def no_lines() -> Iterator[str]:
    yield from ()
    raise AssertionError("the text is read again")


def test_tokens_and_counts(tmp_path: Path) -> None:
    made = tokenised(LINES, tmp_path)
    assert made.tokens.tolist() == IDS
    assert made.starts.tolist() == [0, 3, 4, 9]
    assert made.counts == CorpusCounts(lines=3, words=6, characters=28, tokens=9, oov=3)
    assert isinstance(made.tokens, np.memmap)


def test_a_zero_byte_is_text(tmp_path: Path) -> None:
    made = tokenised(["w3\0w4 w5", "w3 w4"], tmp_path)
    assert made.tokens.tolist() == [0, 5, 1, 3, 4, 1]
    assert made.counts == CorpusCounts(lines=2, words=4, characters=15, tokens=6, oov=1)
    assert made.heads is None


def test_batches_of_lines_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tokenised(LINES * 5, tmp_path / "one")
    monkeypatch.setattr(corpus_module, "_LINES_AT_ONCE", 4)
    parts = tokenised(LINES * 5, tmp_path / "two")
    assert parts.tokens.tolist() == whole.tokens.tolist()
    assert parts.starts.tolist() == whole.starts.tolist()
    assert parts.counts == whole.counts
    assert parts.sha256 == whole.sha256


@pytest.mark.parametrize(("vocab", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_large_vocabularies(tmp_path: Path, vocab: int, dtype: type) -> None:
    made = tokenised([f"w{vocab - 1}"], tmp_path, vocab=vocab)
    assert made.tokens.dtype == dtype
    assert made.tokens.tolist() == [vocab - 1, 1]


def test_made_once(tmp_path: Path) -> None:
    first = tokenised(LINES, tmp_path)
    again = tokenised(no_lines(), tmp_path)
    assert again.tokens.tolist() == first.tokens.tolist()
    assert again.counts == first.counts


def test_another_fingerprint(tmp_path: Path) -> None:
    tokenised(LINES, tmp_path)
    assert tokenised(["w9"], tmp_path, mark="2").tokens.tolist() == [9, 1]


@pytest.mark.parametrize("name", ["train.json", "train.tokens", "train.starts"])
@pytest.mark.parametrize("content", [None, b"", b"123"])
def test_a_lost_or_cut_file_is_made_again(tmp_path: Path, name: str, content: bytes | None) -> None:
    tokenised(LINES, tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="the tokenised train text is damaged"):
        open_corpus(tmp_path, "train", 30)
    assert tokenised(LINES, tmp_path).tokens.tolist() == IDS
    assert open_corpus(tmp_path, "train", 30).tokens.tolist() == IDS


def test_files_cut_at_a_whole_token(tmp_path: Path) -> None:
    tokenised(LINES, tmp_path)
    (tmp_path / "train.tokens").write_bytes(b"1234")
    with pytest.raises(ModelError, match="files of wrong sizes"):
        open_corpus(tmp_path, "train", 30)


def test_an_old_record_vouches_for_no_new_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenised(LINES, tmp_path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, "atomic_write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            tokenised([line.replace("w3", "w7") for line in LINES], tmp_path, mark="2")
    assert tokenised(LINES, tmp_path).tokens.tolist() == IDS


def test_no_line_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the train text is empty"):
        tokenised([], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, first: int) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corpus_module, "_encode", full)
    with pytest.raises(OutputFileError, match=r"train.*: cannot be written: No space left"):
        tokenised(LINES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fingerprints(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("a")
    first = fingerprint([str(file)], "tokenizer", "train")
    assert fingerprint([str(file)], "tokenizer", "train") == first
    assert fingerprint([str(file)], "other", "train") != first
    assert fingerprint([str(file)], "tokenizer", "valid") != first
    file.write_text("ab")
    assert fingerprint([str(file)], "tokenizer", "train") != first
    with pytest.raises(InputFileError, match="nothing: cannot be read: No such file"):
        fingerprint([str(tmp_path / "nothing")], "tokenizer")
