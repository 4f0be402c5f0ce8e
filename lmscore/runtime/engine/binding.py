"""Runs that leave the state on the device that computed it, so that a GPU need not copy it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, OrtValue


@dataclass(frozen=True, eq=False)
class DeviceTensor:
    """A float32 tensor on a device, used in the place of a read-only array.

    Its shape is known without a copy; `np.asarray` and indexing copy it to the host.
    """

    value: OrtValue
    device: str  # "cuda:0"

    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return tuple(self.value.shape())

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.value.numpy()
        array.flags.writeable = False  # on the CPU it is the tensor itself
        return np.array(array, dtype=dtype) if copy else np.asarray(array, dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        taken: NDArray[np.float32] = np.asarray(self)[key]
        return taken


def run_bound(
    session: InferenceSession,
    device: str,
    outputs: Sequence[str],
    feeds: Mapping[str, NDArray[Any] | DeviceTensor],
    *,
    stay: Collection[str],
) -> list[NDArray[Any] | DeviceTensor]:
    """Run a graph through IOBinding and fetch the named outputs, in that order.

    Arrays of the host are copied to the session's device ("cuda:0"); tensors on it are used in
    place. The outputs in `stay` are left on the device.
    """
    from onnxruntime import OrtValue

    # One binding for each run: threads share the session, and the outputs outlive the run.
    binding = session.io_binding()
    bound = {
        name: array.value
        if isinstance(array, DeviceTensor) and array.device == device
        else OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
        for name, array in feeds.items()
    }  # kept until the run is over: they do not copy their arrays
    for name, value in bound.items():
        # bind_cpu_input does not know inputs that have a default.
        binding.bind_ortvalue_input(name, value)
    kind, _, number = device.partition(":")
    for name in outputs:
        if name in stay:
            binding.bind_output(name, kind, int(number or 0))
        else:
            binding.bind_output(name)
    binding.synchronize_inputs()
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return [
        DeviceTensor(value, device) if name in stay else value.numpy()
        for name, value in zip(outputs, binding.get_outputs(), strict=True)
    ]
