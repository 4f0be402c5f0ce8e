"""The recurrent state of a batch of hypotheses, as an immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError
from lmscore.runtime.arguments import as_integers
from lmscore.runtime.engine.binding import DeviceTensor

Tensor = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class State:
    """The recurrent state of B hypotheses; nothing changes it.

    Attributes:
        tensors: float32 [L, B, H], one per state tensor of the model (LSTM: h and c), read-only;
            `Config.state` has the sizes of other cells. On a GPU they stay there: `np.asarray` of
            one copies it to the host, and so do `select`, `concat`, `==`, `hash` and pickle;
            `parents` of `LanguageModel.step` does not.

    Two states are equal, and hash alike, when their tensors are equal bit for bit.
    """

    tensors: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        """Check the shapes, and make the arrays read-only.

        Raises:
            InputError: a tensor is not float32 [L, B, H], holds nan or inf, or they differ in B.
        """
        given: object = self.tensors
        if not isinstance(given, tuple | list) or not given:
            raise InputError("a state needs at least one tensor")
        object.__setattr__(self, "tensors", tuple(map(_read_only, self.tensors)))
        for index, tensor in enumerate(self.tensors):
            if tensor.shape[1] != len(self):
                raise InputError(
                    f"state tensor {index} has {tensor.shape[1]} rows on axis 1, "
                    f"tensor 0 has {len(self)}"
                )

    @classmethod
    def owning(cls, tensors: Iterable[Tensor]) -> State:
        """Make a state of arrays that fit and that have no other owner: no check, no copy."""
        state = cls.__new__(cls)  # at every step of a decoder: what the graph gives needs no check
        object.__setattr__(state, "tensors", tuple(map(_frozen, tensors)))
        return state

    def on_host(self) -> State:
        """The same state in arrays of the host."""
        return State.owning(map(np.asarray, self.tensors))

    def __len__(self) -> int:
        """The number of rows B, one per hypothesis."""
        return int(self.tensors[0].shape[1])

    def select(self, rows: Sequence[int] | NDArray[np.integer]) -> State:
        """The state whose row b is row `rows[b]` of this one: permutes, repeats and drops rows.

        Raises:
            InputError: rows are not integers 0 <= row < len(self).
        """
        index = as_integers("rows", rows)
        outside = index[(index < 0) | (index >= len(self))]
        if outside.size:
            raise InputError(f"row {outside[0]} is not in a state of {len(self)} rows")
        return State.owning(tensor[:, index] for tensor in self.tensors)

    @classmethod
    def concat(cls, states: Iterable[State]) -> State:
        """Join the rows of several states of one model, one after another.

        Raises:
            InputError: there is no state, or their sizes differ.
        """
        states = list(states) if isinstance(states, Iterable) else []
        if not states or not all(isinstance(state, State) for state in states):
            raise InputError("concat needs a list of at least one state")
        for number, state in enumerate(states):
            _check_same_model(states[0], state, number)
        if len(states) == 1:
            return states[0]
        columns = zip(*(state.tensors for state in states), strict=True)
        return cls.owning(np.concatenate(column, axis=1) for column in columns)

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, State) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def __repr__(self) -> str:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in self.tensors)
        return f"State({len(self)} rows: {shapes})"

    def __reduce__(self) -> tuple[type[State], tuple[tuple[Tensor, ...]]]:
        return State, (tuple(map(np.asarray, self.tensors)),)

    def _content(self) -> tuple[tuple[tuple[int, ...], bytes], ...]:
        return tuple((tensor.shape, np.asarray(tensor).tobytes()) for tensor in self.tensors)


class Row(NamedTuple):
    """A hypothesis as a row of its batch's state, which is kept as long as the row is."""

    state: State
    number: int


def gather(rows: Sequence[Row]) -> tuple[State, NDArray[np.int64]]:
    """One state that holds B rows, and the number of each row in it, int64 [B].

    Rows of one state use that state as it is. Of several states the distinct rows are copied, on
    the host.
    """
    states = {id(row.state): row.state for row in rows}
    if len(states) == 1:
        return rows[0].state, np.array([row.number for row in rows])
    places: dict[tuple[int, int], int] = {}
    parents = [places.setdefault((id(row.state), row.number), len(places)) for row in rows]
    hosts = {key: state.on_host().tensors for key, state in states.items()}
    tensors = (
        np.stack([hosts[key][index][:, number] for key, number in places], axis=1)
        for index in range(len(rows[0].state.tensors))
    )
    return State.owning(tensors), np.array(parents)


def _read_only(tensor: Tensor | DeviceTensor) -> Tensor | DeviceTensor:
    if isinstance(tensor, DeviceTensor):
        return tensor
    if not isinstance(tensor, np.ndarray) or tensor.dtype != np.float32 or tensor.ndim != 3:
        found = type(tensor).__name__
        if isinstance(tensor, np.ndarray):
            found = f"{tensor.dtype} {list(tensor.shape)}"
        raise InputError(f"a state tensor must be float32 [L, B, H], not {found}")
    if not np.isfinite(tensor).all():  # ONNX Runtime may make finite scores of it
        raise InputError("a state tensor holds nan or inf")
    # A read-only view may show what others write to.
    is_own = tensor.base is None and not tensor.flags.writeable
    return tensor if is_own else _frozen(tensor.copy())


def _frozen(tensor: Tensor) -> Tensor:
    if isinstance(tensor, np.ndarray):  # a DeviceTensor is read-only already
        tensor.flags.writeable = False
    return tensor


def _check_same_model(first: State, state: State, number: int) -> None:
    if len(state.tensors) != len(first.tensors):
        raise InputError(
            f"state {number} has {len(state.tensors)} tensors, state 0 has {len(first.tensors)}"
        )
    for index, (a, b) in enumerate(zip(first.tensors, state.tensors, strict=True)):
        for axis, name in ((0, "layers"), (2, "hidden size")):
            if a.shape[axis] != b.shape[axis]:
                raise InputError(
                    f"state {number}, tensor {index}: {name} (axis {axis}) is {b.shape[axis]}, "
                    f"in state 0 it is {a.shape[axis]}"
                )
