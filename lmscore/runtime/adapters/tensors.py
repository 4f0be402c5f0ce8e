"""The interface of a torch tensor, which decoders give and expect; torch is not imported."""

from __future__ import annotations

from typing import Any, Protocol


class Tensor(Protocol):
    """A torch tensor, on any device."""

    @property
    def shape(self) -> Any:
        """The size of each axis."""

    def __add__(self, other: Any) -> Any: ...

    def tolist(self) -> Any:
        """Nested lists of its numbers."""

    def float(self) -> Any:
        """A copy in single precision."""

    def new_tensor(self, data: Any) -> Any:
        """An array copied to a tensor of the same type on the same device."""
