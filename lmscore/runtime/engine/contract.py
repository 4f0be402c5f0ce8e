"""What a graph declares and what it gives, held against the inputs and outputs of the config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from lmscore.bundle import EXPORT_AGAIN, Value
from lmscore.errors import ModelError

_TYPES = {"float32": "tensor(float)", "int32": "tensor(int32)", "int64": "tensor(int64)"}
_COUNTS = ("k", "distributions", "measured")  # inputs of one number, on which shapes depend

Shape = tuple[int, ...]
Feeds = Mapping[str, NDArray[Any]]


class _Run(NamedTuple):
    """What the shapes of some outputs of a run depend on."""

    outputs: tuple[str, ...]
    targets: Shape  # [B, T, K]
    counts: tuple[Any, ...]  # those of _COUNTS; None for an input that the graph has not


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


class ResultShapes:
    """The shapes that the outputs of a graph must have; a graph may declare others."""

    def __init__(self, outputs: Iterable[Value], source: object) -> None:
        """`outputs` are all that there are; `source` names the graph in errors."""
        self._shapes = {value.name: value.shape for value in outputs}
        self._source = source
        # The steps of a search have the same sizes, one after another.
        self._last: tuple[_Run, list[Shape]] = (_Run((), (), ()), [])

    def check(self, names: Sequence[str], found: Sequence[Shape], feeds: Feeds) -> None:
        """Raise ModelError unless outputs have their shapes.

        Args:
            names: of the outputs.
            found: their shapes.
            feeds: the inputs of the run.
        """
        counts = [feeds[name].item() if name in feeds else None for name in _COUNTS]
        run = _Run(tuple(names), feeds["targets"].shape, tuple(counts))
        last, expected = self._last
        if run != last:
            expected = self._of_run(run)
            self._last = (run, expected)
        if found != expected:
            self._refuse(names, found, expected)

    def _of_run(self, run: _Run) -> list[Shape]:
        (B, T, K), (top, rows, measured) = run.targets, run.counts
        sizes: dict[str | int, int] = {"B": B, "T": T, "K": K, "top": top, "M": measured or 0}
        sizes["F"] = B if rows is None else rows
        shapes = (self._shapes[name] for name in run.outputs)
        return [tuple(int(sizes.get(size, size)) for size in shape) for shape in shapes]

    def _refuse(self, names: Sequence[str], *shapes: Sequence[Shape]) -> None:
        for name, found, expected in zip(names, *shapes, strict=True):
            if found != expected:
                raise ModelError(
                    f"{self._source}: output {name!r} is {list(found)} instead of "
                    f"{list(expected)}; {EXPORT_AGAIN}"
                )
