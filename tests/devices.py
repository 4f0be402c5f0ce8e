"""Which devices there are to test on."""

from __future__ import annotations

import functools

import pytest

from lmscore.bundle import INT8, graph_file
from lmscore.errors import DeviceError
from lmscore.runtime.engine.sessions import CUDA, import_onnxruntime, open_session
from lmscore.runtime.load import BUNDLED_MODEL


def cuda_is_listed() -> bool:
    """Whether ONNX Runtime was built with CUDA, which does not say that it works."""
    return CUDA in import_onnxruntime().get_available_providers()


@functools.cache
def cuda_works() -> bool:
    if not cuda_is_listed():
        return False
    try:
        open_session(BUNDLED_MODEL / graph_file(INT8), device="cuda")
    except DeviceError:
        return False
    return True


DEVICES = ["cpu", *(["cuda"] if cuda_works() else [])]

build_without_gpu = pytest.mark.skipif(
    not cuda_is_listed() or cuda_works(),
    reason="for the GPU build of ONNX Runtime on a machine without a GPU",
)
