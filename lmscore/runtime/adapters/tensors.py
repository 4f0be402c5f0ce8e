"""What is used of a torch tensor, which decoders give and expect; torch is not imported."""

from __future__ import annotations

from typing import Any, Protocol


class Tensor(Protocol):
    """A torch tensor, on any device."""

    @property
    def shape(self) -> Any:
        """Its sizes."""

    def __add__(self, other: Any) -> Any: ...

    def tolist(self) -> Any:
        """Nested lists of its numbers."""

    def float(self) -> Any:
        """In single precision."""

    def new_tensor(self, data: Any) -> Any:
        """A copy of an array, of the same type and on the same device."""
