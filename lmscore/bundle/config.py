"""config.json as a type: the sizes, ids, weights and states of a model, read and validated.

Letters in shapes: B batch, T time (tokens), V vocabulary, H hidden, E embedding (H by default),
L layers.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from lmscore.bundle.cells import CELLS, CellSpec, memory_sizes
from lmscore.bundle.heads import HEADS, OUTPUT_LAYERS, HeadSpec
from lmscore.bundle.layouts import Layouts, layout_records
from lmscore.bundle.records import GraphRecord, check_keys, graph_record, is_int, parse_object
from lmscore.errors import ModelError
from lmscore.forks import lazy
from lmscore.names import Cell, Connections, Context, Direction, OutputLayer, TokenizerKind

FORMAT_VERSION = 1

ENCODER = "encoder."
"""What the names of an encoder's weights begin with."""

INITIAL = "initial."
"""What the names of a learned initial state's tensors begin with."""

FRESH, READING, WRITING = 0.0, 1.0, 2.0
"""The phases of a row, in models whose state has a phase (`Config.has_phase`).

FRESH is a row that has read nothing: what else its state has counts for nothing where the initial
state is learned. With an encoder, a row that begins with </s> is READING until <s>; from then on,
or from its beginning if that is another token, it is WRITING, the other layers'. Without one every
row is WRITING after its first token.
"""

CONFIG_FILE = "config.json"

CONNECTIONS: tuple[Connections, ...] = get_args(Connections)
CONTEXTS: tuple[Context, ...] = get_args(Context)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
TOKENIZER_KINDS: tuple[TokenizerKind, ...] = get_args(TokenizerKind)

FP32 = "fp32"
INT8 = "int8"
FP16 = "fp16"  # for GPUs

_LARGEST = {
    "vocab_size": 1 << 31,
    "hidden_size": 1 << 20,
    "num_hidden_layers": 1 << 10,
    "embedding_size": 1 << 20,
    "window_size": 1 << 10,
}
"""Upper limits of the sizes: objects for each of 10**9 declared layers would fill the memory."""


@dataclass(frozen=True)
class StateTensor:
    """One tensor of the recurrent state: float32 [layers, B, size]; the batch is always axis 1."""

    name: str  # the graph input
    next: str  # the graph output that replaces it
    layers: int
    size: int

    def shape(self, batch: int) -> tuple[int, int, int]:
        """The shape for `batch` rows."""
        return (self.layers, batch, self.size)


@dataclass(frozen=True)
class Config:
    """The content of config.json: all facts about a model but its weights and its vocabulary."""

    cell: Cell
    vocab_size: int  # V
    hidden_size: int  # H
    num_hidden_layers: int  # L
    tie_word_embeddings: bool
    bos_token_id: int  # equals eos_token_id in `document` context
    eos_token_id: int
    unk_token_id: int | None
    context: Context
    tokenizer: TokenizerKind
    tokenizer_sha256: str
    direction: Direction = "forward"  # backward: every sentence is read from its end
    output_layer: OutputLayer = "softmax"
    cutoffs: tuple[int, ...] = ()  # the ids at which the second, third, ... class begins
    self_normalized: bool = False  # a target's score alone is nearly its log-probability
    embedding_size: int | None = None  # E; None: H
    connections: Connections = "plain"  # what a layer's input adds to its output
    reversed_prefix: bool = False  # a prefix, the sentence before a text, is read from its end
    separate: bool = False  # a prefix is read by layers of its own, the encoder; it begins at </s>
    learned_initial_state: bool = False  # a row begins with weights, `initial.*`, not with zeros
    window_size: int | None = None  # tokens that the cell `window` reads; None for other cells
    training: Mapping[str, Any] = field(default_factory=dict)  # a free-form record of the training
    graphs: Mapping[str, GraphRecord] = field(default_factory=dict)  # by variant
    layouts: Layouts = field(default_factory=dict)  # graphs for other programs

    @property
    def embedding_dim(self) -> int:
        """E, the size of an embedding."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    @property
    def is_projected(self) -> bool:
        """Whether what the layers yield is projected to E, as the tied matrix needs."""
        return self.tie_word_embeddings and self.embedding_dim != self.layers_dim

    def input_dim(self, layer: int) -> int:
        """The size of a layer's input; that of the first in a `window` is one token's."""
        if self.connections == "dense":
            return self.embedding_dim + layer * self.hidden_size
        return self.hidden_size if layer > 0 else self.embedding_dim

    @property
    def layers_dim(self) -> int:
        """The size of what the layers yield: H, or E + L * H with dense connections."""
        return self.input_dim(self.num_hidden_layers)

    @property
    def output_dim(self) -> int:
        """The number of columns of the output matrix: E if it is tied, else `layers_dim`."""
        return self.embedding_dim if self.tie_word_embeddings else self.layers_dim

    @property
    def architecture(self) -> str:
        """A description of the network in a few words."""
        words = [f"{self.num_hidden_layers} x {self.cell}"]
        if self.window_size is not None:
            words[0] += f" of {self.window_size} tokens"
        words.append(f"hidden size {self.hidden_size}")
        if self.embedding_dim != self.hidden_size:
            words.append(f"embedding size {self.embedding_dim}")
        if self.connections != "plain":
            words.append(self.connections)
        if self.separate:
            words.append("with an encoder")
        if self.learned_initial_state:
            words.append("learned initial state")
        return ", ".join(words)

    @property
    def cell_spec(self) -> CellSpec:
        """The facts of the cell."""
        return CELLS[self.cell]

    @property
    def head_spec(self) -> HeadSpec:
        """The facts of the output layer."""
        return HEADS[self.output_layer, self.self_normalized]

    @lazy
    def state(self) -> tuple[StateTensor, ...]:
        """The tensors of the recurrent state, in the graph's order."""
        layers, spec = self.num_hidden_layers, self.cell_spec
        sizes: tuple[int, ...] = (self.hidden_size,) * len(spec.state)
        if spec.has_heads:
            sizes = memory_sizes(self.hidden_size)
        elif not spec.is_recurrent:
            layers, sizes = (self.window_size or 1) - 1, (self.embedding_dim,)
        cell = tuple(
            StateTensor(name, f"next_{name}", layers, size)
            for name, size in zip(spec.state, sizes, strict=True)
        )
        return (*cell, StateTensor("phase", "next_phase", 1, 1)) if self.has_phase else cell

    @property
    def has_phase(self) -> bool:
        """Whether the state says what a row is at: FRESH, READING or WRITING."""
        return self.separate or self.learned_initial_state

    @property
    def cell_state(self) -> tuple[StateTensor, ...]:
        """The tensors of the state that the cell has."""
        return self.state[: len(self.cell_spec.state)]

    @property
    def state_size(self) -> int:
        """The floats of one row of the whole state."""
        return sum(tensor.layers * tensor.size for tensor in self.state)

    @property
    def state_bytes(self) -> int:
        """The bytes of one row of the whole state."""
        return 4 * self.state_size  # float32

    @property
    def learnt_pairs(self) -> bool:
        """Whether the model learnt pairs of texts: in other documents `</s>` stands for `<s>`."""
        return self.context == "document" and self.bos_token_id != self.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        """The token that begins a prefix: <s>, or </s> where an encoder reads it."""
        return self.eos_token_id if self.separate else self.bos_token_id

    @property
    def classes(self) -> tuple[slice, ...]:
        """The token ids of each class after the first; the first class is the head."""
        ends = (*self.cutoffs, self.vocab_size)
        return tuple(map(slice, self.cutoffs, ends[1:]))

    @property
    def output_summary(self) -> str:
        """A description of the output layer in a few words."""
        return self.head_spec.summary.format(", ".join(map(str, self.cutoffs)))

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every tensor in model.safetensors."""
        V, H, E = self.vocab_size, self.hidden_size, self.embedding_dim
        shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (V, E)}
        for layer in range(self.num_hidden_layers):
            for name, shape in self._layer_shapes(layer).items():
                shapes[f"rnn.{name}_l{layer}"] = shape
            if self.connections == "highway" and layer > 0:
                shapes[f"highway.weight_l{layer}"] = (H, H)
                shapes[f"highway.bias_l{layer}"] = (H,)
        if self.separate:
            inner = {name: shape for name, shape in shapes.items() if name != "embedding.weight"}
            shapes |= {f"{ENCODER}{name}": shape for name, shape in inner.items()}
        if self.learned_initial_state:
            shapes |= {f"{INITIAL}{part.name}": part.shape(1) for part in self.cell_state}
        if self.is_projected:
            shapes["projection.weight"] = (E, self.layers_dim)
        if not self.tie_word_embeddings:
            shapes["output.weight"] = (V, self.layers_dim)
        shapes["output.bias"] = (V,)
        return {**shapes, **self.head_spec.weights(self)}

    def _layer_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        D, H = self.input_dim(layer), self.hidden_size
        if self.cell_spec.is_recurrent:
            return self.cell_spec.layer_shapes(D, H)
        tokens = (self.window_size or 1) if layer == 0 else 1
        return {"weight_ih": (H, tokens * D), "bias_ih": (H,)}

    @property
    def num_parameters(self) -> int:
        """The number of trained parameters; a tied matrix counts once."""
        return sum(map(math.prod, self.weight_shapes().values()))

    def to_json(self) -> str:
        """The text of config.json."""
        state = [dataclasses.asdict(tensor) for tensor in self.state]
        document = {"format_version": FORMAT_VERSION, **dataclasses.asdict(self), "state": state}
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = CONFIG_FILE) -> Config:
        """Parse and validate config.json; `source` names the file in errors.

        Raises:
            ModelError: not JSON, a wrong format version, an unknown, missing or impossible key.
        """
        document = parse_object(text, source)
        version = document.pop("format_version", None)
        if not is_int(version) or version != FORMAT_VERSION:
            raise ModelError(
                f"{source}: format_version is {version!r}, this lmscore reads {FORMAT_VERSION}; "
                "use the lmscore that wrote the model, or export it again"
            )
        if "state" not in document:
            raise ModelError(f"{source}: key 'state' is missing")
        state = document.pop("state")
        _name_connections(document, source)
        check_keys(document, cls, source, optional=_OPTIONAL_KEYS)
        graphs = document.pop("graphs", {})
        if not isinstance(graphs, dict):
            raise ModelError(f"{source}: graphs must be an object")
        layouts = layout_records(document.pop("layouts", {}), source)
        cutoffs = document.pop("cutoffs", [])
        if not isinstance(cutoffs, list) or not all(map(is_int, cutoffs)):
            raise ModelError(f"{source}: cutoffs are {cutoffs!r}, expected a list of ids")
        config = cls(
            **document,
            cutoffs=tuple(cutoffs),
            graphs={name: graph_record(record, name, source) for name, record in graphs.items()},
            layouts=layouts,
        )
        config._validate(source)
        if state != [dataclasses.asdict(tensor) for tensor in config.state]:
            raise ModelError(f"{source}: state does not fit the cell {config.cell!r} and its sizes")
        try:
            config.to_json().encode()
        except (ValueError, RecursionError) as error:  # nan, inf, half a character, too deep
            raise ModelError(f"{source}: holds what cannot be written again: {error}") from error
        return config

    def _validate(self, source: str) -> None:
        for key, choices in (
            ("cell", tuple(CELLS)),
            ("connections", CONNECTIONS),
            ("context", CONTEXTS),
            ("tokenizer", TOKENIZER_KINDS),
            ("direction", DIRECTIONS),
            ("output_layer", OUTPUT_LAYERS),
        ):
            if getattr(self, key) not in choices:
                raise ModelError(
                    f"{source}: {key} is {getattr(self, key)!r}, expected one of "
                    f"{', '.join(choices)}"
                )
        self._validate_sizes(source)
        for key in ("bos_token_id", "eos_token_id", "unk_token_id"):
            value = getattr(self, key)
            may_lack = key == "unk_token_id" and value is None
            if not may_lack and not (is_int(value) and 0 <= value < self.vocab_size):
                raise ModelError(
                    f"{source}: {key} is {value!r}, expected an id below {self.vocab_size}"
                )
        for key in _SWITCHES:
            if not isinstance(getattr(self, key), bool):
                raise ModelError(f"{source}: {key} must be true or false")
        if self.separate and self.bos_token_id == self.eos_token_id:
            raise ModelError(f"{source}: separate is true, so bos_token_id is not eos_token_id")
        if self.separate and not self.cell_spec.is_recurrent:
            raise ModelError(f"{source}: separate is true, and the cell {self.cell} has no state")
        self._validate_classes(source)
        if not isinstance(self.tokenizer_sha256, str):
            raise ModelError(f"{source}: tokenizer_sha256 must be a string")
        if not isinstance(self.training, dict):
            raise ModelError(f"{source}: training must be an object")

    def _validate_sizes(self, source: str) -> None:
        for key, largest in _LARGEST.items():
            value = getattr(self, key)
            if key in ("embedding_size", "window_size") and value is None:
                continue
            if not is_int(value) or value < 1:
                raise ModelError(f"{source}: {key} is {value!r}, expected a positive integer")
            if value > largest:
                raise ModelError(f"{source}: {key} is {value}, more than {largest}; is it damaged?")
        if (self.window_size is None) != self.cell_spec.is_recurrent or self.window_size == 1:
            raise ModelError(
                f"{source}: window_size is {self.window_size!r}, expected 2 or more for the cell "
                "window and null for every other"
            )

    def _validate_classes(self, source: str) -> None:
        bounds = (0, *self.cutoffs, self.vocab_size)
        if any(begin >= end for begin, end in itertools.pairwise(bounds)):
            raise ModelError(
                f"{source}: cutoffs are {list(self.cutoffs)}, expected rising ids between 0 and "
                f"{self.vocab_size}"
            )
        if (self.output_layer, self.self_normalized) not in HEADS:
            raise ModelError(f"{source}: classes are normalised, so self_normalized must be false")
        if self.head_spec.has_classes != bool(self.cutoffs):
            raise ModelError(
                f"{source}: output_layer is {self.output_layer!r} with {len(self.cutoffs)} cutoffs"
            )


def _name_connections(document: dict[str, Any], source: str) -> None:
    """Replace the key `residual`, true or false in models made before `connections`."""
    residual = document.pop("residual", False)
    if not isinstance(residual, bool):
        raise ModelError(f"{source}: residual must be true or false")
    if residual and document.setdefault("connections", "residual") != "residual":
        raise ModelError(f"{source}: residual is true, but connections are another")


_SWITCHES = (
    "tie_word_embeddings",
    "self_normalized",
    "reversed_prefix",
    "separate",
    "learned_initial_state",
)
_OPTIONAL_KEYS = tuple(
    f.name
    for f in dataclasses.fields(Config)
    if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
)
