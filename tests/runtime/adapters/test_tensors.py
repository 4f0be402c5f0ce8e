"""Arrays as tensors of the type that a decoder uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmscore.runtime.adapters.tensors import as_tensor


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_tensor_has_the_numbers_and_the_type_of_another(dtype: torch.dtype) -> None:
    array = np.array([[-1.5, -np.inf, 0.25]], np.float32)
    found = as_tensor(array, torch.zeros(4, dtype=dtype))
    assert found.dtype == dtype
    assert found.tolist() == array.tolist()
    array[:] = 0
    assert found[0, 0] == -1.5
