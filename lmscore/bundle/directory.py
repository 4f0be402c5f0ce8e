"""The model directory: the names of its files, and the hashes that tie them to config.json."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from lmscore.bundle.config import CONFIG_FILE, FP32, Config
from lmscore.bundle.layouts import LayoutRecord, layout_file
from lmscore.bundle.records import GraphRecord
from lmscore.errors import ModelError, ModelNotFoundError, VariantError
from lmscore.files import atomic_write_bytes, open_input_raw, sha256_file

TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
PARITY_FILE = "parity.npz"
CARD_FILE = "README.md"


def graph_file(variant: str) -> str:
    """The file name of a variant's graph: `model.onnx` for fp32, else `model_<variant>.onnx`."""
    return "model.onnx" if variant == FP32 else f"model_{variant}.onnx"


@dataclass(frozen=True)
class Bundle:
    """A model directory and its validated configuration."""

    path: Path
    config: Config

    @classmethod
    def read(cls, path: str | Path) -> Bundle:
        """Read a model directory's config.json; other files are read only when they are needed.

        Raises:
            ModelNotFoundError: there is no such directory, or it has no config.json.
            InputFileError: config.json cannot be read.
            ModelError: config.json is not valid.
        """
        path = Path(path)
        try:
            found, is_directory = path.exists(), path.is_dir()
        except OSError as error:  # too long a name, a folder that may not be entered
            raise ModelNotFoundError(f"{path}: {error.strerror}") from error
        if not is_directory:
            what = "is a file, not a model directory" if found else "no such directory"
            raise ModelNotFoundError(f"{path}: {what}")
        if both := halves(path):
            raise ModelNotFoundError(
                f"{path}: holds a model of each direction: name {both[0]} or {both[1]}; as one "
                "they are for score, pairs, choose, features and lmscore.load_bidirectional"
            )
        source = _required(path, CONFIG_FILE)
        with open_input_raw(source) as file:
            data = file.read()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{source}: not UTF-8") from error
        return cls(path, Config.from_json(text, source=str(source)))

    def write_config(self) -> None:
        """Write config.json, atomically."""
        atomic_write_bytes(self.path / CONFIG_FILE, self.config.to_json().encode())

    def record_layout(self, layout: str, variant: str, record: LayoutRecord) -> None:
        """Write a record into config.json, unless the same file is recorded there."""
        layouts = self.config.layouts
        before = layouts.get(layout, {}).get(variant)
        if before is not None and before.sha256 == record.sha256:
            return
        recorded = {**layouts, layout: {**layouts.get(layout, {}), variant: record}}
        Bundle(self.path, dataclasses.replace(self.config, layouts=recorded)).write_config()

    def write_card(self, text: str) -> None:
        """Write the model card, README.md, atomically."""
        atomic_write_bytes(self.path / CARD_FILE, text.encode())

    def file(self, name: str) -> Path:
        """The path of a file in the directory; raises ModelNotFoundError if it is missing."""
        return _required(self.path, name)

    def tokenizer_file(self) -> Path:
        """The path of tokenizer.json; errors as in `read_tokenizer`."""
        return self.read_tokenizer()[0]

    def read_tokenizer(self) -> tuple[Path, bytes]:
        """The path and the content of tokenizer.json, checked against the hash in config.json.

        Raises:
            ModelNotFoundError: the file is missing.
            InputFileError: it cannot be read.
            ModelError: it is not the tokenizer that the model was trained with.
        """
        path = self.file(TOKENIZER_FILE)
        with open_input_raw(path) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != self.config.tokenizer_sha256:
            raise ModelError(
                f"{path}: does not match tokenizer_sha256 in {CONFIG_FILE}; "
                "put back the tokenizer the model was trained with"
            )
        return path, data

    def identity(self, variant: str) -> tuple[str, str]:
        """The hashes of the tokenizer and of a variant's graph, which tell a model from others."""
        return self.config.tokenizer_sha256, self.config.graphs[variant].sha256

    def check_identity(self, variant: str, identity: tuple[str, str]) -> None:
        """Raise ModelError if the model is not the one that `identity` was asked of."""
        if variant not in self.config.graphs or self.identity(variant) != identity:
            raise ModelError(
                f"{self.path}: holds another model than when this one was loaded, before it was "
                "pickled or its process forked; load it again"
            )

    def variants(self) -> tuple[str, ...]:
        """The exported variants whose graphs are in the directory, in the order of config.json."""
        return tuple(v for v in self.config.graphs if (self.path / graph_file(v)).is_file())

    def graph_path(self, variant: str) -> Path:
        """The path of a variant's graph, checked against the size and hash in config.json.

        Raises:
            VariantError: the model was never exported to this variant, or the file is gone.
            ModelError: the file is damaged, or not the one that export checked.
        """
        if variant not in self.variants():
            there = ", ".join(self.variants()) or "none"
            raise VariantError(
                f"{self.path}: no variant {variant!r} (there: {there}); "
                "lmscore export makes fp32, int8 and fp16"
            )
        return _as_recorded(self.path / graph_file(variant), self.config.graphs[variant])

    def layouts(self) -> tuple[tuple[str, str], ...]:
        """The layouts whose files are in the directory, each with its variant."""
        recorded = ((name, v) for name, by in self.config.layouts.items() for v in by)
        return tuple(pair for pair in recorded if (self.path / layout_file(*pair)).is_file())

    def layout_path(self, layout: str, variant: str) -> Path:
        """The path of a layout's file that is there; raises ModelError as `graph_path` does."""
        record = self.config.layouts[layout][variant]
        return _as_recorded(self.path / layout_file(layout, variant), record)


def _as_recorded(path: Path, record: GraphRecord | LayoutRecord) -> Path:
    """Return `path`, or raise ModelError if its size or hash is another than the recorded one."""
    size = path.stat().st_size
    if size != record.size_bytes:
        raise ModelError(
            f"{path}: {size} bytes, {CONFIG_FILE} says {record.size_bytes}; "
            "the file is truncated or not the one exported; copy or export it again"
        )
    if sha256_file(path) != record.sha256:
        raise ModelError(
            f"{path}: does not match its sha256 in {CONFIG_FILE}; copy or export it again"
        )
    return path


def _required(folder: Path, name: str) -> Path:
    path = folder / name
    try:
        is_found, is_regular = path.exists(), path.is_file()
    except OSError as error:  # a folder that may not be entered
        raise ModelNotFoundError(f"{path}: {error.strerror}") from error
    if is_found and not is_regular:  # a pipe would keep its reader waiting for ever
        raise ModelNotFoundError(f"{path}: is not a file, but a directory, pipe or device")
    if not is_regular:
        cure = _CURES.get(name, EXPORT_AGAIN)
        if is_unfinished(folder) and name != CONFIG_FILE:
            cure = FINISH
        raise ModelNotFoundError(f"{folder}: {name} is missing; {cure}")
    return path


def halves(folder: Path) -> tuple[Path, Path] | None:
    """The forward and the backward model in a folder of `lmscore train --direction both`.

    None where a folder does not hold both.
    """
    forward, backward = (folder / name for name in HALVES)
    both = all((half / CONFIG_FILE).is_file() for half in (forward, backward))
    return (forward, backward) if both and not (folder / CONFIG_FILE).is_file() else None


def is_unfinished(folder: Path) -> bool:
    """Whether a training in a directory was stopped before it made a model."""
    return (folder / CHECKPOINTS).is_dir() and not (folder / PARITY_FILE).is_file()


HALVES = ("forward", "backward")
"""The folders of the two models that `lmscore train --direction both` makes."""

CHECKPOINTS = "checkpoints"
"""The folder of a training directory that holds checkpoints."""

FINISH = "its training was stopped; make the model: lmscore train --finish -o DIRECTORY"
"""The advice in error messages about a directory whose training was stopped."""

EXPORT_AGAIN = "export the model again: lmscore export DIRECTORY"
"""The advice in error messages about a directory whose graphs do not fit it."""

_CURES = {
    CONFIG_FILE: "is this a model directory that lmscore train wrote?",
    **dict.fromkeys(
        (TOKENIZER_FILE, WEIGHTS_FILE, PARITY_FILE), "copy it from where the model was trained"
    ),
}
