"""The interface of a torch tensor, which decoders give and expect; torch is not imported."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


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

    def new_empty(self, size: Any) -> Any:
        """A tensor of the same type on the same device, of any numbers."""


def as_tensor(array: NDArray[np.float32], like: Tensor) -> Any:
    """Copy an array to a tensor of the type and on the device of another one."""
    # `new_tensor` reads numbers one by one: for 50 rows of 8,000 it takes ten times as long.
    made = like.new_empty(0).cpu().float().new_empty(array.shape)
    made.numpy()[...] = array
    return made.to(like)
