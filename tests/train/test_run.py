"""`train` from end to end: what it needs, what it refuses, what it leaves."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import sys
from pathlib import Path

import pytest
import torch

import lmscore
from lmscore.bundle import Bundle
from lmscore.errors import (
    DeviceError,
    InputError,
    InputFileError,
    MissingExtraError,
    ModelError,
    OptionError,
    OutputFileError,
)
from lmscore.export import export_model
from lmscore.train import run as run_module
from lmscore.train import train, train_both
from lmscore.train.device import torch_device
from tests.train.toy import sentences, toy_options, write


def test_compressed_text_is_text(tmp_path: Path) -> None:
    head, tail = sentences(200)[:70], sentences(200)[70:]
    (tmp_path / "text.gz").write_bytes(gzip.compress("".join(f"{x}\n" for x in head).encode()))
    (tmp_path / "text.xz").write_bytes(lzma.compress("".join(f"{x}\n" for x in tail).encode()))
    plain = train(toy_options(tmp_path, epochs=1))
    files = (str(tmp_path / "text.gz"), str(tmp_path / "text.xz"))
    packed = train(toy_options(tmp_path, epochs=1, train=files, output=str(tmp_path / "packed")))

    assert packed.config.training["train"] == plain.config.training["train"]
    assert packed.config.training["valid"] == plain.config.training["valid"]
    assert packed.config.training["train_files"] == ["text.gz", "text.xz"]


@pytest.mark.parametrize("kind", ["unigram", "char"])
def test_any_tokenizer_goes_all_the_way(tmp_path: Path, kind: str) -> None:
    poems = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"] * 30
    text = write(tmp_path / "poems", poems)
    options = toy_options(
        tmp_path, train=(text,), tokenizer=kind, vocab_size=300, layers=2, cell="gru", epochs=3
    )
    bundle = train(options)
    export_model(bundle.path)
    score = lmscore.load(bundle.path, variant="fp32").score("床前明月光")
    assert score.num_oov == 0
    assert score.log_prob < 0


def test_a_given_tokenizer_in_the_output_directory(tmp_path: Path) -> None:
    first = train(toy_options(tmp_path, epochs=1))
    own = tmp_path / "other" / "tokenizer.json"
    own.parent.mkdir()
    own.write_bytes((first.path / "tokenizer.json").read_bytes())
    bundle = train(toy_options(tmp_path, epochs=1, tokenizer=str(own), output=str(own.parent)))
    assert bundle.config.tokenizer == "custom"
    assert bundle.config.vocab_size == first.config.vocab_size
    assert bundle.config.training["options"]["tokenizer"] == "tokenizer.json"


def test_no_place_on_this_disk_is_in_the_model(trained: Bundle) -> None:
    for name in ("config.json", "README.md"):
        assert str(trained.path.parent) not in (trained.path / name).read_text()


def test_a_run_is_recorded(trained: Bundle) -> None:
    recorded = json.loads((trained.path / "train.json").read_text())
    assert recorded["hidden_size"] == 24
    assert recorded["output"] == str(trained.path)
    training = trained.config.training
    assert training["valid"]["lines"] == 42
    assert training["train"]["tokens"] == training["train"]["words"] + training["train"]["lines"]


def test_invalid_utf8(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes("".join(f"{line}\n" for line in sentences(150)).encode() + b"caf\xe9\n")
    with pytest.raises(
        InputError, match=r"text, line 151: invalid UTF-8 at byte 4; .*errors='replace'"
    ):
        train(toy_options(tmp_path))
    train(toy_options(tmp_path, errors="replace"))  # the same directory, as nothing was learnt


@pytest.mark.parametrize("content", ["", "\n", "\n \n\t\n" * 50])
def test_no_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "text").write_text(content)
    with pytest.raises(InputError, match="text: no text to train on, only blank lines"):
        train(toy_options(tmp_path))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ("sentence", "text: fewer than two different lines with words, so that none can be held"),
        ("document", "text: fewer than two lines with words, so that none can be held out; name"),
    ],
)
def test_nothing_to_hold_out(tmp_path: Path, context: str, message: str) -> None:
    write(tmp_path / "text", ["one line", "", "one line" if context == "sentence" else " "])
    with pytest.raises(InputError, match=message):
        train(toy_options(tmp_path, context=context))
    write(tmp_path / "blank", ["", " "])
    with pytest.raises(InputError, match="blank: the held-out text is empty, or only blank lines"):
        train(toy_options(tmp_path, valid=(str(tmp_path / "blank"),)))


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_one_line_is_enough(tmp_path: Path, context: str) -> None:
    write(tmp_path / "text", ["one line"])
    valid = write(tmp_path / "valid", ["line"])
    bundle = train(toy_options(tmp_path, valid=(valid,), context=context))
    assert bundle.config.training["train"]["tokens"] == 3
    export_model(bundle.path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    there = write(tmp_path / "there", sentences(200))
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"text\n" * 1000)[:30])
    for path, message in (
        (tmp_path / "missing", "missing: no such file"),
        (tmp_path, "is a directory, expected a text file"),
        (tmp_path / "pipe", "training reads its files more than once: not a pipe"),
        (cut, "cut.gz: damaged compressed file"),
    ):
        for changes in ({"train": (str(path),)}, {"train": (there,), "valid": (str(path),)}):
            with pytest.raises(InputFileError, match=message):
                train(toy_options(tmp_path, **changes))
    os.close(writer)
    assert not (tmp_path / "model").exists()


def test_a_directory_that_is_taken(tmp_path: Path, trained: Bundle) -> None:
    with pytest.raises(
        OptionError, match=r"holds a model or a run already \(config.json\); resume"
    ):
        train(toy_options(tmp_path, output=str(trained.path)))
    checkpoint = tmp_path / "model" / "checkpoints" / "step-1"
    checkpoint.mkdir(parents=True)
    with pytest.raises(OptionError, match=r"\(checkpoints/step-1\)"):
        train(toy_options(tmp_path))
    with pytest.raises(OptionError, match="text: is a file; name a directory"):
        train(toy_options(tmp_path, output=str(tmp_path / "text")))


def test_what_is_not_of_a_run_stays(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "checkpoints").mkdir(parents=True)
    notes = [folder / ".notes.tmp", folder / "checkpoints" / ".notes.tmp"]
    for path in notes:
        path.write_text("mine")
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text("mine")
    message = r"tokenizer\.json: is there already, and no run made it; name it with `tokenizer`"
    with pytest.raises(OptionError, match=message):
        train(toy_options(tmp_path))
    (folder / "forward").mkdir()
    tokenizer.rename(folder / "forward" / "tokenizer.json")
    with pytest.raises(OptionError, match=r"model/forward/tokenizer\.json: is there already"):
        train_both(toy_options(tmp_path, direction="both"))
    train(toy_options(tmp_path, epochs=0.1))
    assert [path.read_text() for path in notes] == ["mine", "mine"]


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputFileError, match="file/model: cannot be created"):
        train(toy_options(tmp_path, output=str(tmp_path / "file" / "model")))


def test_a_tokenizer_left_by_other_options_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lmscore.train.prepare.build_corpus", killed)
        with pytest.raises(KeyboardInterrupt):
            train(toy_options(tmp_path, tokenizer="bpe", vocab_size=300))
    assert train(toy_options(tmp_path, epochs=1)).config.tokenizer == "word"


@pytest.mark.parametrize("device", ["gpu", "mps", "cuda:x"])
def test_no_such_device(tmp_path: Path, device: str) -> None:
    with pytest.raises(OptionError, match=f"device is '{device}', expected auto, cpu, cuda or"):
        train(toy_options(tmp_path, device=device))


def test_no_such_gpu(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"device is cuda:99, but PyTorch sees .* CUDA devices"):
        train(toy_options(tmp_path, device="cuda:99"))


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_torchrun_gives_each_process_a_gpu(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert torch_device(name) == torch.device("cuda:1")


def test_one_gpu_for_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OptionError) as raised:
        torch_device("cuda:0")
    assert str(raised.value) == (
        "device is 'cuda:0', but torchrun started 2 processes, which want a GPU each: use "
        "device='cuda'"
    )


def test_lost_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run_module._finish

    def cut(bundle: Bundle, *rest: object) -> None:
        (bundle.path / "model.safetensors").write_bytes(b"cut")
        whole(bundle, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(run_module, "_finish", cut)
    with pytest.raises(ModelError, match=r"model\.safetensors: damaged"):
        train(toy_options(tmp_path, epochs=1))


def test_tensorboard_is_missed_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"'tensorboard': .*'\.\[tensorb"):
        train(toy_options(tmp_path, tensorboard=True))
    assert not (tmp_path / "model").exists()
