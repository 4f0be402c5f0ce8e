"""The operators that export writes: for each, how large its outputs can be.

A rule bounds the shape of every output by the shapes of the inputs. Where a shape is computed by
the graph itself, as for Reshape and Range, it follows the values of small integer arrays as well.
A rule that cannot bound its outputs refuses the node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lmscore.protobuf import RefusedError
from lmscore.runtime.engine.onnx_reading import Node
from lmscore.runtime.engine.size_bounds import Bound, Shape, elements

CONTRIB = "com.microsoft"

ONE = Bound.of(1)


@dataclass(frozen=True)
class Array:
    """Bounds of an array of the graph."""

    shape: Shape
    numbers: tuple[int, ...] | None = None  # the values of a short stored array, flat
    largest: tuple[Bound, ...] | None = None  # bounds of the values of an array of sizes, flat
    count: Bound | None = None  # of all elements, if it is known better than from the shape
    last: int | None = None  # the size of the last axis, if it is known exactly

    @property
    def elements(self) -> Bound:
        """A bound of the number of elements."""
        return elements(self.shape) if self.count is None else self.count


@dataclass(frozen=True)
class Call:
    """A node and what is known of its inputs; None is an omitted input."""

    node: Node
    inputs: Sequence[Array | None]

    def array(self, index: int) -> Array:
        """An input that must be there."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise RefusedError(f"{self.node.operator} without its input {index}")
        return found

    def shape(self, index: int = 0) -> Shape:
        """The shape of an input that must be there."""
        return self.array(index).shape

    def numbers(self, index: int) -> tuple[int, ...]:
        """The values of an input, which must be stored in the file."""
        numbers = self.array(index).numbers
        if numbers is None:
            raise RefusedError(f"{self.node.operator} with a computed input {index}")
        return numbers

    def integer(self, name: str, default: int | None = None) -> int:
        """An attribute that is an integer."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise RefusedError(f"{self.node.operator} without {name}")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        value = self.node.attributes.get(name, ())
        listed = value if isinstance(value, tuple) else ()
        integers = tuple(each for each in listed if isinstance(each, int))
        if not integers:
            raise RefusedError(f"{self.node.operator} without {name}")
        return integers

    def axis(self, rank: int, default: int | None = None) -> int:
        """The attribute `axis` of an array of `rank` axes."""
        return _axis(self.integer("axis", default), rank)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise RefusedError(f"axis {axis} of an array of {rank} axes")
    return axis % rank


Rule = Callable[[Call], list[Array]]


def _same(call: Call) -> list[Array]:
    """One output of the shape of the first input; what is known of values stays known."""
    return [call.array(0)]


def _same_shape(call: Call) -> list[Array]:
    array = replace(call.array(0), numbers=None, largest=None)
    return [array for _ in call.node.outputs]


def _top(call: Call) -> list[Array]:
    """As many as the last axis has at most, and where they are."""
    return [replace(array, last=None) for array in _same_shape(call)]


def _broadcast(call: Call) -> list[Array]:
    arrays = [call.array(index) for index in range(len(call.inputs))]
    shape: Shape = ()
    for array in arrays:
        shape = _broadcast_shape(shape, array.shape)
    lasts = {array.last for array in arrays}
    return [Array(shape, last=lasts.pop() if len(lasts) == 1 else None)]


def _broadcast_shape(a: Shape, b: Shape) -> Shape:
    rank = max(len(a), len(b))
    padded = ((ONE,) * (rank - len(shape)) + shape for shape in (a, b))
    return tuple(
        y if x.number == 1 else x if y.number == 1 else x.or_larger(y)
        for x, y in zip(*padded, strict=True)
    )


def _sum_or_product(call: Call) -> list[Array]:
    """Add and Mul, which also compute sizes."""
    (found,) = _broadcast(call)
    first, second = call.array(0).largest, call.array(1).largest
    if first is None or second is None or len(first) != 1 or len(second) != 1:
        return [found]
    is_sum = call.node.operator == "Add"
    return [replace(found, largest=(first[0] + second[0] if is_sum else first[0] * second[0],))]


def _transpose(call: Call) -> list[Array]:
    shape, order = call.shape(), call.integers("perm")
    if sorted(order) != list(range(len(shape))):
        raise RefusedError(f"Transpose of {len(shape)} axes to {list(order)[:9]}")
    return [Array(tuple(shape[axis] for axis in order))]


def _concat(call: Call) -> list[Array]:
    arrays = [call.array(index) for index in range(len(call.inputs))]
    shapes = [array.shape for array in arrays]
    rank = len(shapes[0])
    if any(len(shape) != rank for shape in shapes):
        raise RefusedError("Concat of arrays of different ranks")
    axis = call.axis(rank)
    sizes = []
    for index, parts in enumerate(zip(*shapes, strict=True)):
        size = parts[0]
        for part in parts[1:]:
            size = size + part if index == axis else size.or_larger(part)
        sizes.append(size)
    largest: list[Bound] | None = []
    for array in arrays:
        largest = None if largest is None or array.largest is None else [*largest, *array.largest]
    lasts = [array.last for array in arrays if array.last is not None]
    is_exact = axis == rank - 1 and len(lasts) == len(arrays)
    return [
        Array(
            tuple(sizes),
            largest=tuple(largest) if largest and rank == 1 else None,
            last=sum(lasts) if is_exact else None,
        )
    ]


def _split(call: Call) -> list[Array]:
    shape, count = call.shape(), len(call.node.outputs)
    axis = call.axis(len(shape), 0)
    sizes = [shape[axis].divided(count)] * count
    if len(call.inputs) > 1:
        sizes = [Bound.of(max(size, 0)) for size in call.numbers(1)]
    return [Array((*shape[:axis], size, *shape[axis + 1 :])) for size in sizes]


def _slice(call: Call) -> list[Array]:
    """A slice along one axis; its length is known if it begins at a stored place."""
    shape, start, end = call.shape(), call.array(1), call.array(2)
    if len(call.inputs) > 4:
        raise RefusedError("Slice with steps")
    axis = 0
    if len(call.inputs) > 3:
        axis = _only(call.numbers(3), "Slice along several axes")
    axis = _axis(axis, len(shape))
    if end.largest and start.numbers and len(end.largest) == 1 and start.numbers[0] >= 0:
        length = end.largest[0].without(start.numbers[0])
        if shape[axis].covers(length):
            shape = (*shape[:axis], length, *shape[axis + 1 :])
    return [Array(shape)]


def _only(numbers: Sequence[int], otherwise: str) -> int:
    if len(numbers) != 1:
        raise RefusedError(otherwise)
    return numbers[0]


def _squeeze(call: Call) -> list[Array]:
    array = call.array(0)
    rank = len(array.shape)
    if len(call.inputs) > 1:
        axes = {_axis(axis, rank) for axis in call.numbers(1)}
    elif rank == 1:
        axes = {0}
    else:
        raise RefusedError("Squeeze without its axes")
    if any(array.shape[axis].number != 1 for axis in axes):
        raise RefusedError("Squeeze of an axis that is longer than 1")
    kept = tuple(size for axis, size in enumerate(array.shape) if axis not in axes)
    return [Array(kept, largest=array.largest)]


def _unsqueeze(call: Call) -> list[Array]:
    array, axes = call.array(0), call.numbers(1)
    rank = len(array.shape) + len(axes)
    places = {_axis(axis, rank) for axis in axes}
    rest = iter(array.shape)
    shape = tuple(ONE if axis in places else next(rest) for axis in range(rank))
    return [Array(shape, largest=array.largest, last=1 if rank - 1 in places else None)]


def _shape(call: Call) -> list[Array]:
    shape = call.shape()
    sizes = shape[call.integer("start", 0) : call.integer("end", len(shape))]
    return [Array((Bound.of(len(sizes)),), largest=sizes)]


def _size(call: Call) -> list[Array]:
    return [Array((), largest=(call.array(0).elements,))]


def _range(call: Call) -> list[Array]:
    first, step = (_only(call.numbers(index), "Range of several") for index in (0, 2))
    last = call.array(1).largest
    if (first, step) != (0, 1) or last is None or len(last) != 1:
        raise RefusedError("Range of an unknown length")
    return [Array(last)]


def _reshape(call: Call) -> list[Array]:
    """A reshaped array has as many elements as before, so one size may be left open."""
    array, target = call.array(0), call.array(1)
    if target.numbers is not None and -1 in target.numbers:
        rest = 1
        for number in target.numbers:
            rest *= abs(number)
        if target.numbers.count(-1) > 1 or min(target.numbers) < -1 or rest == 0:
            raise RefusedError("Reshape to an unknown shape")
        open_size = array.elements.divided(rest)
        return [Array(tuple(open_size if n == -1 else Bound.of(n) for n in target.numbers))]
    if target.largest is None:
        raise RefusedError("Reshape to an unknown shape")
    if call.integer("allowzero", 0):
        return [Array(target.largest)]
    # A size of 0 stands for the one that the array has on this axis.
    before = (*array.shape, *target.largest[len(array.shape) :])
    sizes = zip(target.largest, before, strict=False)
    shape = tuple(size.or_larger(old) for size, old in sizes)
    return [Array(shape, count=array.elements)]


def _constant_of_shape(call: Call) -> list[Array]:
    return [Array(tuple(Bound.of(max(size, 0)) for size in call.numbers(0)))]


def _flatten(call: Call) -> list[Array]:
    shape = call.shape()
    axis = call.integer("axis", 1)
    return [Array((elements(shape[:axis]), elements(shape[axis:])))]


def _gather(call: Call) -> list[Array]:
    shape, places = call.shape(0), call.shape(1)
    axis = call.axis(len(shape), 0)
    return [Array((*shape[:axis], *places, *shape[axis + 1 :]))]


def _gather_elements(call: Call) -> list[Array]:
    return [Array(call.shape(1))]


def _gather_nd(call: Call) -> list[Array]:
    """The last axis of the places says how many axes are chosen from: a bound of it will not do."""
    shape, places = call.shape(0), call.shape(1)
    batch, axes = call.integer("batch_dims", 0), call.array(1).last
    if axes is None or not 0 < axes <= len(shape) - batch or not 0 <= batch < len(places):
        raise RefusedError("GatherND of an unknown number of axes")
    return [Array((*places[:-1], *shape[batch + axes :]))]


def _non_zero(call: Call) -> list[Array]:
    array = call.array(0)
    return [Array((Bound.of(len(array.shape)), array.elements))]


def _reduce(call: Call) -> list[Array]:
    shape = call.shape()
    given = call.numbers(1) if len(call.inputs) > 1 else call.integers("axes")
    axes = {_axis(axis, len(shape)) for axis in given}
    sizes: list[Bound] = []
    for axis, size in enumerate(shape):
        if axis not in axes:
            sizes.append(size)
        elif call.integer("keepdims", 1):
            sizes.append(ONE)
    return [Array(tuple(sizes))]


def _product(call: Call) -> list[Array]:
    """Matrices [..., n, m] times matrices [..., m, k]; where one has more axes, they repeat."""
    left, right = call.shape(0), call.shape(1)
    if len(left) < 2 or len(right) < 2:
        raise RefusedError(f"{call.node.operator} with what is no matrix")
    return [Array((*_broadcast_shape(left[:-2], right[:-2]), left[-2], right[-1]))]


def _gemm(call: Call) -> list[Array]:
    left, right = call.shape(0), call.shape(1)
    if call.integer("transA", 0) or len(left) != 2 or len(right) != 2:
        raise RefusedError("Gemm with what is no matrix")
    return [Array((left[0], right[0] if call.integer("transB", 0) else right[1]))]


def _recurrent_layer(call: Call) -> list[Array]:
    """RNN, GRU and LSTM: x [T, B, D], W, R [1, G*H, H] -> hidden [T, 1, B, H], states [1, B, H]."""
    x, recurrent = call.shape(0), call.shape(2)
    H = call.integer("hidden_size")
    if len(x) != 3 or not Bound.of("T").covers(x[0]):
        raise RefusedError(f"{call.node.operator} over more steps than there are tokens")
    if len(recurrent) != 3 or recurrent[2].number != H or H < 1:
        raise RefusedError(f"{call.node.operator} of an impossible size")
    states = [Array((ONE, x[1], Bound.of(H)))] * (len(call.node.outputs) - 1)
    return [Array((x[0], ONE, x[1], Bound.of(H))), *states]


def _linear_attention(call: Call) -> list[Array]:
    """Query, key, value [B, T, n * d], memory [B, n, d, d] -> [B, T, n * d], the next memory."""
    query, memory = call.shape(0), call.shape(3)
    n, d = call.integer("kv_num_heads"), memory[-1].number
    is_square = len(memory) == 4 and d is not None and memory[2].number == d
    if not is_square or memory[1].number != n or call.integer("q_num_heads") != n:
        raise RefusedError("LinearAttention with a memory of another kind")
    if len(query) != 3 or not Bound.of("T").covers(query[1]) or query[2].number != n * (d or 0):
        raise RefusedError("LinearAttention over more steps than there are tokens")
    return [Array(query), Array(memory)]


Work = Callable[[Call, Sequence[Array]], Bound]


def _work_of_a_product(call: Call, outputs: Sequence[Array]) -> Bound:
    return outputs[0].elements * call.shape(0)[-1]


def _work_of_a_layer(call: Call, outputs: Sequence[Array]) -> Bound:
    of_input = call.array(0).elements * call.shape(1)[1]
    return of_input + outputs[0].elements * call.shape(2)[1]


def _work_of_attention(call: Call, outputs: Sequence[Array]) -> Bound:
    """What is known of a key, what is written, faded and read: four times the memory a token."""
    return outputs[0].elements * call.shape(3)[-1] * Bound.of(4)


@dataclass(frozen=True)
class Operator:
    """An operator that export writes."""

    rule: Rule
    attributes: frozenset[str] = frozenset()  # all that may be given
    domain: str = ""
    is_loop: bool = False  # over time; stands in no other loop
    work: Work | None = None  # multiplications, if they are many


def _row(
    rule: Rule,
    attributes: str = "",
    *,
    domain: str = "",
    is_loop: bool = False,
    work: Work | None = None,
) -> Operator:
    return Operator(rule, frozenset(attributes.split()), domain, is_loop, work)


def _layer(attributes: str) -> Operator:
    return _row(_recurrent_layer, f"hidden_size {attributes}", is_loop=True, work=_work_of_a_layer)


SCAN, IF = "Scan", "If"
"""The loop and the choice, whose rules are in `structure.py`, as their bodies are graphs."""

OPERATORS: Mapping[str, Operator] = {
    **dict.fromkeys(
        ("Abs", "Exp", "Neg", "Relu", "Sigmoid", "Softplus", "Sqrt", "Tanh"), _row(_same_shape)
    ),
    **dict.fromkeys(
        ("And", "Div", "Equal", "GreaterOrEqual", "Less", "Max", "Or", "Sub", "Where"),
        _row(_broadcast),
    ),
    **dict.fromkeys(("Add", "Mul"), _row(_sum_or_product)),
    "Cast": _row(_same_shape, "to"),
    "Concat": _row(_concat, "axis"),
    "ConstantOfShape": _row(_constant_of_shape, "value"),
    "CumSum": _row(_same_shape),
    "DynamicQuantizeMatMul": _row(_product, domain=CONTRIB, work=_work_of_a_product),
    "Flatten": _row(_flatten, "axis"),
    "GRU": _layer("linear_before_reset"),
    "Gather": _row(_gather, "axis"),
    "GatherElements": _row(_gather_elements, "axis"),
    "GatherND": _row(_gather_nd, "batch_dims"),
    "Gemm": _row(_gemm, "transA transB", work=_work_of_a_product),
    "Identity": _row(_same),
    "LSTM": _layer(""),
    "LinearAttention": _row(
        _linear_attention,
        "q_num_heads kv_num_heads update_rule",
        domain=CONTRIB,
        is_loop=True,
        work=_work_of_attention,
    ),
    "LogSoftmax": _row(_same_shape, "axis"),
    "MatMul": _row(_product, work=_work_of_a_product),
    "MatMulIntegerToFloat": _row(_product, domain=CONTRIB, work=_work_of_a_product),
    "NonZero": _row(_non_zero),
    "QuantizeLinear": _row(_same_shape),
    "RNN": _layer("activations"),
    "Range": _row(_range),
    "ReduceMax": _row(_reduce, "axes keepdims"),
    "ReduceSum": _row(_reduce, "axes keepdims"),
    "Reshape": _row(_reshape, "allowzero"),
    "ScatterND": _row(_same_shape),
    "Shape": _row(_shape, "start end"),
    "Size": _row(_size),
    "Slice": _row(_slice),
    "Split": _row(_split, "axis"),
    "Squeeze": _row(_squeeze),
    "TopK": _row(_top, "axis"),
    "Transpose": _row(_transpose, "perm"),
    "Unsqueeze": _row(_unsqueeze),
}
"""All operators that export uses, except for these; add the ones that it starts to use."""
