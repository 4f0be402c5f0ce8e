"""A check that a graph file is one that lmscore export could have written for a configuration.

A graph is a program, and a model directory may come from anybody. So before ONNX Runtime opens a
file, the nodes are followed from the inputs on, with an upper bound of the size of every array
(`operators.py`). The rules:

* only operators and attributes that export writes, weights in the file itself, of known types;
* every value is made once, before it is used; the weights are as many as the configuration says;
* a choice has two bodies without loops, and counts as both;
* loops run over the tokens of the batch alone: one a layer, none inside another, and the state of
  a loop does not grow;
* an array without tokens has at most twice as many elements as the file has weights, another one
  twice the widest layer for each token and target;
* the products of all nodes take a few multiplications per weight and token.

So a graph that passes takes time and memory in proportion to its file and to what is asked of it.
"""

from __future__ import annotations

import mmap
from collections import ChainMap
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmscore.bundle import CONFIG_FILE, EXPORT_AGAIN, Config, graph_inputs
from lmscore.errors import ModelError
from lmscore.files import open_input_raw
from lmscore.protobuf import RefusedError
from lmscore.runtime.engine.onnx_reading import (
    GraphMessage,
    ModelMessage,
    Node,
    StoredTensor,
    read_model,
)
from lmscore.runtime.engine.operators import CONTRIB, IF, OPERATORS, SCAN, Array, Call
from lmscore.runtime.engine.size_bounds import Bound, shape_of

_OPSETS = {"": 17, CONTRIB: 1}
"""The versions of the operators, by domain, that the rules are of."""

_OLDEST_FORMAT = 4  # in older ones a default is a constant, which the runtime computes with
_MOST_AXES = 6
_LETTERS = {"B": "B", "T": "T", "K": "K", "S": "S", "F": "B", "M": "B"}  # F, M: rows of the batch
_VALUES = {"distributions": "B", "measured": "B"}  # inputs whose values are sizes

Names = MutableMapping[str, Array]


def check_structure(path: str | Path, config: Config) -> None:
    """Check a graph file before it is opened.

    Raises:
        InputFileError: it cannot be opened.
        ModelError: it is not an ONNX graph, or not one that lmscore export could have written.
    """
    with open_input_raw(path) as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                model = read_model(data)
            _check_versions(model)
            _Walk(config, _Limits.of(config, model.graph)).model(model.graph)
        except RefusedError as error:
            raise ModelError(
                f"{path}: holds {error}, which lmscore does not use; {EXPORT_AGAIN}"
            ) from error
        except ValueError as error:  # damaged, or empty
            raise ModelError(f"{path}: not an ONNX graph: {error}; {EXPORT_AGAIN}") from error


def _check_versions(model: ModelMessage) -> None:
    if model.opsets != _OPSETS:
        raise RefusedError(f"operators of versions {model.opsets}")
    if model.ir_version < _OLDEST_FORMAT:
        raise RefusedError(f"a graph of format {model.ir_version}")


@dataclass(frozen=True)
class _Limits:
    """What the weights in the file and the sizes in the configuration allow."""

    nodes: int
    stored: int  # elements of an array that does not grow with the run
    width: int  # elements of another one, for each token and target, or each row of the state
    work: int  # multiplications in products, for each token
    loops: int

    @classmethod
    def of(cls, config: Config, graph: GraphMessage) -> _Limits:
        """The limits; RefusedError if the file has fewer weights than the configuration."""
        num_bytes = sum(tensor.num_bytes for tensor in _all_tensors(graph))
        if num_bytes < config.num_parameters:
            raise RefusedError(
                f"{num_bytes} bytes of weights for the {config.num_parameters} parameters of "
                f"{CONFIG_FILE}"
            )
        stored = sum(tensor.size for tensor in _all_tensors(graph))
        layers = config.num_hidden_layers * (2 if config.separate else 1)
        window = config.window_size or 0
        gates = (config.cell_spec.gates + 1) * config.hidden_size
        width = config.vocab_size + gates + (window + 1) * config.embedding_dim + config.state_size
        return cls(
            nodes=500 + 120 * layers + 60 * len(config.cutoffs) + 4 * window,
            stored=2 * stored + 4096,
            width=2 * width + 4096,
            work=8 * (stored + width),
            loops=layers,
        )


def _all_tensors(graph: GraphMessage) -> Iterable[StoredTensor]:
    """The weights of a graph and of the bodies in it."""
    yield from graph.tensors
    for node in graph.nodes:
        for value in node.attributes.values():
            if isinstance(value, GraphMessage):
                yield from _all_tensors(value)


@dataclass
class _Walk:
    """Follows the nodes of a graph."""

    config: Config
    limits: _Limits
    work: Bound = field(default_factory=lambda: Bound({}))
    nodes: int = 0
    loops: int = 0
    _defaults: set[str] = field(default_factory=set)  # inputs, which the file may have a value for

    def model(self, graph: GraphMessage) -> None:
        """Follow the graph of a model, whose inputs the configuration declares."""
        declared = {value.name: value for value in graph_inputs(self.config)}
        names: Names = {}
        for name in graph.inputs:
            if name not in declared:
                raise RefusedError(f"the input {name[:100]!r}")
            if declared[name].has_default:
                self._defaults.add(name)
            value = _VALUES.get(name)
            self._define(
                names,
                name,
                Array(
                    shape_of(_LETTERS.get(str(size), size) for size in declared[name].shape),
                    largest=None if value is None else (Bound.of(value),),
                ),
            )
        self._follow(graph, names)

    def _follow(self, graph: GraphMessage, names: Names, *, inside: str = "") -> None:
        """Follow the nodes of a graph; `inside` names the loop that it is the body of."""
        for tensor in graph.tensors:
            if inside or tensor.name not in self._defaults:  # a default is the whole graph's
                self._define(names, tensor.name, _stored(tensor))
        for node in graph.nodes:
            self.nodes += 1
            if self.nodes > self.limits.nodes:
                raise RefusedError(f"more than {self.limits.nodes} nodes")
            inputs = [self._find(names, name) for name in node.inputs]
            outputs = self._apply(node, inputs, names, inside)
            if len(outputs) != len(node.outputs):
                raise RefusedError(f"{node.operator} of {len(node.outputs)} outputs")
            for name, array in zip(node.outputs, outputs, strict=True):
                self._define(names, name, array)
        for name in graph.outputs:
            self._find(names, name)

    def _apply(
        self, node: Node, inputs: Sequence[Array | None], names: Names, inside: str
    ) -> list[Array]:
        """The outputs of a node."""
        row = OPERATORS.get(node.operator)
        if node.operator not in (SCAN, IF) and (row is None or node.domain != row.domain):
            raise RefusedError(f"the operator {node.operator[:100]!r}")
        if node.operator == IF:
            return self._branches(node, inputs, names, inside)
        if row is None or row.is_loop:
            self.loops += 1
            if inside or self.loops > self.limits.loops:
                raise RefusedError("a loop inside a loop" if inside else "more loops than layers")
        call = Call(node, inputs)
        if row is None:
            return self._scan(call, names)
        for name in node.attributes.keys() - row.attributes:
            raise RefusedError(f"{node.operator} with {name[:100]!r}")
        outputs = row.rule(call)
        if row.work is not None:
            self._count(row.work(call, outputs))
        return outputs

    def _branches(
        self, node: Node, inputs: Sequence[Array | None], names: Names, inside: str
    ) -> list[Array]:
        """A choice of two bodies that yield one array, as `lmscore.export.heads` writes it."""
        bodies = [node.attributes.get(name) for name in ("then_branch", "else_branch")]
        if inside or len(inputs) != 1 or len(node.attributes) != 2:
            raise RefusedError("If of another kind")
        shapes = []
        for body in bodies:
            if not isinstance(body, GraphMessage) or body.inputs or len(body.outputs) != 1:
                raise RefusedError("If of another kind")
            inner: Names = ChainMap({}, names)
            self._follow(body, inner, inside=IF)
            shapes.append(inner[body.outputs[0]].shape)
        if len(shapes[0]) != len(shapes[1]):
            raise RefusedError("If with arrays of different axes")
        return [Array(tuple(a.or_larger(b) for a, b in zip(*shapes, strict=True)))]

    def _scan(self, call: Call, names: Names) -> list[Array]:
        """A loop over one or two inputs [T, ...], as `lmscore.export.recurrence` writes it."""
        body, count = call.node.attributes.get("body"), call.integer("num_scan_inputs")
        if not isinstance(body, GraphMessage) or count not in (1, 2):
            raise RefusedError("Scan of another kind")
        if call.node.attributes.keys() != {"body", "num_scan_inputs"}:
            raise RefusedError("Scan with more attributes")
        arrays = [call.array(index) for index in range(len(call.inputs))]
        states, scanned = arrays[:-count], arrays[-count:]
        if any(not a.shape or not Bound.of("T").covers(a.shape[0]) for a in scanned):
            raise RefusedError("Scan over more steps than there are tokens")
        given = [Array(a.shape) for a in states] + [Array(a.shape[1:]) for a in scanned]
        if len(body.inputs) != len(given) or len(body.outputs) <= len(states):
            raise RefusedError("Scan of another kind")
        inner: Names = ChainMap({}, names)
        for name, array in zip(body.inputs, given, strict=True):
            self._define(inner, name, array)
        before, self.work = self.work, Bound({})
        self._follow(body, inner, inside=SCAN)
        self.work = before + self.work * Bound.of("T")
        found = [inner[name] for name in body.outputs]
        for state, after in zip(states, found, strict=False):
            if len(state.shape) != len(after.shape) or not all(
                old.covers(new) for old, new in zip(state.shape, after.shape, strict=True)
            ):
                raise RefusedError("a loop whose state grows")
        outputs = [Array((Bound.of("T"), *array.shape)) for array in found[len(states) :]]
        return [Array(state.shape) for state in states] + outputs

    def _find(self, names: Names, name: str) -> Array | None:
        """What is known of an input; None if it is omitted."""
        if not name:
            return None
        if name not in names:
            raise RefusedError(f"the value {name[:100]!r}, which nothing made before")
        return names[name]

    def _define(self, names: Names, name: str, array: Array) -> None:
        """Note a new value, if it is not too large."""
        if not name or name in names:
            raise RefusedError(f"the name {name[:100]!r} twice, or none")
        if len(array.shape) > _MOST_AXES:
            raise RefusedError(f"an array of {len(array.shape)} axes")
        self._check_size(array.elements)
        if array.numbers is None:  # sizes that the graph computes
            for size in array.largest or ():
                self._check_size(size)
        names[name] = array

    def _check_size(self, size: Bound) -> None:
        number, limits = size.number, self.limits
        if number is not None and number <= limits.stored:
            return
        if number is None and size.grows_as_a_run and size.factors <= limits.width:
            return
        raise RefusedError(f"an array of up to {size} elements")

    def _count(self, work: Bound) -> None:
        """Count the multiplications of a product."""
        self.work += work
        if self.work.factors > self.limits.work:
            raise RefusedError(f"products of up to {self.work} multiplications")


def _stored(tensor: StoredTensor) -> Array:
    numbers = tensor.numbers
    largest = None
    if numbers and min(numbers) >= 0 and len(tensor.shape) <= 1:
        largest = tuple(map(Bound.of, numbers))
    last = tensor.shape[-1] if tensor.shape else None
    return Array(shape_of(tensor.shape), numbers, largest, last=last)
