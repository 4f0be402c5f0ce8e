"""What a graph declares and what it gives, held against the inputs and outputs of the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from lmscore.bundle import EXPORT_AGAIN, Value
from lmscore.errors import ModelError

_TYPES = {"float32": "tensor(float)", "int32": "tensor(int32)", "int64": "tensor(int64)"}


def check_signature(found: Sequence[Any], values: Sequence[Value], where: str) -> None:
    """Raise ModelError unless the inputs or outputs of a session are those of the config."""
    there, expected = {arg.name: arg for arg in found}, {value.name: value for value in values}
    for name in sorted(expected.keys() ^ there.keys()):
        what = "is missing" if name in expected else "is unknown"
        raise ModelError(f"{where} {name!r} {what}; {EXPORT_AGAIN}")
    for name, value in expected.items():
        arg, dtype = there[name], _TYPES[value.dtype]
        sizes, shape = (
            tuple(size if isinstance(size, int) else None for size in each.shape)
            for each in (arg, value)
        )
        if arg.type != dtype or sizes != shape:
            raise ModelError(
                f"{where} {name!r} is {arg.type} {shape_text(sizes)}, config.json wants "
                f"{dtype} {shape_text(shape)}; {EXPORT_AGAIN}"
            )


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape in errors; None is a size that varies by run."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def check_results(
    found: Mapping[str, Sequence[int]],
    shapes: Mapping[str, Sequence[str | int]],
    feeds: Mapping[str, NDArray[Any]],
    source: object,
) -> None:
    """Raise ModelError unless the outputs of a run have their shapes: a graph may declare others.

    Args:
        found: the shapes of some outputs.
        shapes: those of all outputs, with the letters of `lmscore.bundle.signature`.
        feeds: the inputs of the run.
        source: names the graph in errors.
    """
    B, T, K = feeds["targets"].shape
    sizes: dict[str | int, int] = {"B": B, "T": T, "K": K, "top": int(feeds["k"][0])}
    sizes["F"] = int(feeds["distributions"][0]) if "distributions" in feeds else B
    sizes["M"] = int(feeds["measured"][0]) if "measured" in feeds else 0
    for name, shape in found.items():
        expected = [sizes.get(size, size) for size in shapes[name]]
        if list(shape) != expected:
            raise ModelError(
                f"{source}: output {name!r} is {list(shape)} instead of {expected}; {EXPORT_AGAIN}"
            )
