"""What a training run can be told: from the command line, a TOML file, or Python."""

from __future__ import annotations

import dataclasses
import itertools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lmscore.bundle import CELLS, HEADS, TOKENIZER_KINDS, Cell, Context, Direction, OutputLayer
from lmscore.errors import InputFileError, OptionError
from lmscore.files import open_input_raw
from lmscore.train.inherit import with_inherited

Normalization = Literal["none", "nfc", "nfkc", "lowercase", "nfkc+lowercase"]
Precision = Literal["auto", "fp32", "bf16"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "constant"]
Averaging = Literal["none", "ema", "asgd", "nt-asgd"]
RecurrentInit = Literal["orthogonal", "identity"]

NT_ASGD_PATIENCE = 5
"""Evaluations, as in Merity et al. 2017."""


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    at_least: float | None = None
    above: float | None = None
    below: float = math.inf

    def check(self, name: str, value: float) -> None:
        # Written so that NaN fails every bound.
        if self.at_least is not None and not value >= self.at_least:
            raise OptionError(f"{name} is {value}, expected at least {self.at_least:g}")
        if self.above is not None and not value > self.above:
            raise OptionError(f"{name} is {value}, expected more than {self.above:g}")
        if not value < self.below:
            raise OptionError(f"{name} is {value}, expected less than {self.below:g}")


_COUNT = _Bounds(at_least=1)
_POSITIVE = _Bounds(above=0)
_NOT_NEGATIVE = _Bounds(at_least=0)
_SHARE = _Bounds(at_least=0, below=1)

_BOUNDS = {
    "vocab_size": _Bounds(at_least=1, below=1 << 24),  # the BPE trainer makes room for all at once
    "min_count": _COUNT,
    "hidden_size": _COUNT,
    "embedding_size": _COUNT,
    "layers": _COUNT,
    "window_size": _Bounds(at_least=2, below=1 << 10),
    "dropout": _SHARE,
    "self_normalize": _NOT_NEGATIVE,
    "sampled_softmax": _NOT_NEGATIVE,
    "input_dropout": _SHARE,
    "layer_dropout": _SHARE,
    "word_dropout": _SHARE,
    "weight_drop": _SHARE,
    "epochs": _POSITIVE,
    "minutes": _POSITIVE,
    "batch_size": _COUNT,
    "bptt": _COUNT,
    "learning_rate": _POSITIVE,
    "average_decay": _SHARE,
    "activation_penalty": _NOT_NEGATIVE,
    "temporal_penalty": _NOT_NEGATIVE,
    "label_smoothing": _SHARE,
    "weight_decay": _NOT_NEGATIVE,
    "warmup": _SHARE,
    "clip": _POSITIVE,
    "evaluations": _NOT_NEGATIVE,
    "checkpoint_minutes": _POSITIVE,
    "seed": _Bounds(at_least=0, below=1 << 63),
    "threads": _COUNT,
}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of one training run; every field is also a key of the TOML file."""

    train: tuple[str, ...]  # text files, one sentence a line; .gz and .xz are read directly
    output: str  # the model directory to write
    valid: tuple[str, ...] = ()  # held-out text; without it every 100th line is held out
    errors: Literal["strict", "replace"] = "strict"  # invalid UTF-8

    init_from: str | None = None  # a model to go on from: its weights, tokenizer and sizes
    tokenizer: str = "bpe"  # bpe, unigram, word, char, or the path of a tokenizer.json
    vocab_size: int = 8192  # at most, special tokens included
    min_count: int = 1  # rarer words (word) or characters (char) become <unk>
    normalization: Normalization = "none"
    bos_token: str = "<s>"  # the names of the special tokens
    eos_token: str = "</s>"
    unk_token: str = "<unk>"

    context: Context = "sentence"
    direction: Direction = "forward"  # backward: learn to read every sentence from its end
    cell: Cell = "lstm"
    hidden_size: int = 512  # H
    embedding_size: int | None = None  # E; H if not given
    layers: int = 1
    window_size: int | None = None  # of the cell `window`: tokens read at once, 5 if not given
    residual: bool = False  # from the second layer on, add what a layer is given to its output
    tied: bool = True  # one matrix for the embedding and the output
    output_layer: OutputLayer = "softmax"  # classes: words by class, for big vocabularies
    cutoffs: tuple[int, ...] = ()  # of classes: the ids at which they begin; none: by cost
    self_normalize: float = 0.0  # weight of (log Z)^2 in the loss, for scores without the softmax
    sampled_softmax: int = 0  # words drawn a batch, to train on instead of all; 0: the whole one
    recurrent_init: RecurrentInit = "orthogonal"  # of Elman networks; identity: for rnn-relu
    dropout: float = 0.2  # locked: on the embedding, between layers and on the output
    input_dropout: float | None = None  # another rate on the embedding
    layer_dropout: float | None = None  # another rate between layers
    word_dropout: float = 0.0  # whole words of the vocabulary, on the input
    weight_drop: float = 0.0  # recurrent weights

    epochs: float | None = None  # the budget: epochs or minutes; 10 epochs if neither is given
    minutes: float | None = None
    batch_size: int = 64  # rows of a batch
    bptt: int = 35  # tokens back-propagated through; batch_size * bptt tokens make one update
    random_bptt: bool = False  # draw the length of each batch of a document around bptt
    optimizer: Optimizer = "adamw"
    learning_rate: float = 4e-3
    schedule: Schedule = "cosine"  # of the learning rate, after the warm-up
    weight_decay: float = 0.01
    warmup: float = 0.02  # part of the budget in which the learning rate rises
    clip: float = 1.0  # gradient norm
    average: Averaging = "none"  # of the weights: what is evaluated and kept
    average_decay: float = 0.999  # of ema
    activation_penalty: float = 0.0  # AR, of the last layer
    temporal_penalty: float = 0.0  # TAR, of the last layer
    label_smoothing: float = 0.0  # share of the target that goes to all words alike
    evaluations: int = 5  # intermediate ones on the held-out text, spread over the budget
    checkpoint_minutes: float = 2.0
    seed: int = 1
    precision: Precision = "auto"  # bf16 where the machine has it
    device: str = "auto"
    threads: int | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            OptionError: names the option and what it may be.
        """
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), hints[field.name])
        if not self.train:
            raise OptionError("train: no text file given")
        for path in (*self.train, *self.valid):
            if path == "-":
                raise OptionError("train reads its files more than once: give a file, not a pipe")
        if self.epochs is not None and self.minutes is not None:
            raise OptionError("give a budget in epochs or in minutes, not both")
        for name, bounds in _BOUNDS.items():
            if getattr(self, name) is not None:
                bounds.check(name, getattr(self, name))
        for name in ("output", "tokenizer", "bos_token", "eos_token", "unk_token"):
            if not getattr(self, name):
                raise OptionError(f"{name} is empty")
        self._check_cell()
        self._check_optimisation()
        if self.direction == "backward" and self.context == "document":
            raise OptionError("a backward model reads sentence by sentence: context is sentence")
        self._check_output()
        if self.unk_token in (self.bos_token, self.eos_token):
            raise OptionError("unk_token must differ from bos_token and eos_token")

    def _check_output(self) -> None:
        head = HEADS.get((self.output_layer, self.self_normalize > 0))
        if head is None:
            raise OptionError(
                "classes are normalised exactly: give output_layer classes, or self_normalize"
            )
        if head.has_classes and self.label_smoothing:
            raise OptionError("label_smoothing is for one softmax: not with output_layer classes")
        if self.sampled_softmax and not head.can_be_sampled:
            raise OptionError(
                "sampled_softmax estimates a plain softmax: not with output_layer classes or "
                "self_normalize"
            )
        if self.cutoffs and not head.has_classes:
            raise OptionError("cutoffs are for output_layer classes")
        if any(begin >= end for begin, end in itertools.pairwise((0, *self.cutoffs))):
            raise OptionError(f"cutoffs are {list(self.cutoffs)}, expected rising ids above 0")

    def _check_cell(self) -> None:
        """Refuse what the cell cannot have."""
        cell = CELLS[self.cell]
        if self.window_size is not None and cell.is_recurrent:
            raise OptionError(f"window_size is for the cell window, not {self.cell}; leave it out")
        if self.weight_drop and not cell.is_recurrent:
            raise OptionError("weight_drop is of recurrent weights, and the cell window has none")
        if self.recurrent_init == "identity" and not cell.is_elman:
            raise OptionError(f"recurrent_init identity is for the rnn cells, not {self.cell}")

    def _check_optimisation(self) -> None:
        if self.random_bptt and self.context != "document":
            raise OptionError("random_bptt cuts a document into batches: context must be document")
        if self.average == "nt-asgd" and self.evaluations <= NT_ASGD_PATIENCE + 1:
            raise OptionError(
                "average nt-asgd begins when the held-out loss is worse than one of more than "
                f"{NT_ASGD_PATIENCE} evaluations before: evaluations is {self.evaluations}, give "
                "20, say"
            )

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON can hold them."""
        return dataclasses.asdict(self)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The options in a TOML file: keys are the fields of TrainOptions, paths relative to the file.

    Raises:
        InputFileError: the file cannot be read.
        OptionError: not TOML, or an unknown key.
    """
    with open_input_raw(path) as file:
        data = file.read()
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputFileError(f"{path}: not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{path}: not TOML: {error}") from error
    known = {field.name for field in dataclasses.fields(TrainOptions)}
    for key in values:
        if key not in known:
            raise OptionError(f"{path}: unknown key {key!r}")
    return {key: _relative_to(Path(path).parent, key, value) for key, value in values.items()}


def _relative_to(folder: Path, key: str, value: Any) -> Any:
    """An option's value, paths in it made relative to the folder of the TOML file."""
    if key in ("train", "valid"):
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise OptionError(f"{key} is {value!r}, expected the name of a file, or a list of them")
        return tuple(str(folder / name) for name in names)
    if key == "cutoffs" and isinstance(value, list):
        return tuple(value)
    is_path = key in ("output", "init_from")
    is_path |= key == "tokenizer" and value not in TOKENIZER_KINDS
    return str(folder / value) if is_path and isinstance(value, str) and value else value


def make_options(values: Mapping[str, Any]) -> TrainOptions:
    """Options from a mapping that names `train` and `output`.

    Raises:
        OptionError: one of the two is missing, or a value is impossible.
        ModelNotFoundError, ModelError: the model that `init_from` names cannot be read.
    """
    for key, what in (("train", "text to train on"), ("output", "a model directory to write")):
        if not values.get(key):
            raise OptionError(f"{key} is missing: name {what}")
    return TrainOptions(**with_inherited(values))


def _check_type(name: str, value: object, hint: Any) -> None:
    allowed = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    if any(_is_instance(value, kind) for kind in allowed):
        return
    expected = " or ".join(_describe(kind) for kind in allowed if kind is not NoneType)
    raise OptionError(f"{name} is {value!r}, expected {expected}")


def _is_instance(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(
            _is_instance(item, get_args(kind)[0]) for item in value
        )
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of strings" if str in get_args(kind) else "a list of whole numbers"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
    return names[kind]
