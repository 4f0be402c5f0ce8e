"""The command line where the GPU build of ONNX Runtime finds no GPU."""

from __future__ import annotations

import pytest

from lmscore.runtime.engine.sessions import CUDA
from tests.cli.conftest import finish, start
from tests.devices import build_without_gpu, cuda_is_listed


@build_without_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_is_one_line_of_error_and_no_data(device: str) -> None:
    result = finish(start("score", "--device", device), b"the cat\n")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"lmscore: error: {CUDA} cannot be used: ")
    assert result.err.endswith("use device cpu\n")
    assert result.err.count("\n") == 1


@pytest.mark.skipif(cuda_is_listed(), reason="for the CPU build of ONNX Runtime")
def test_cuda_needs_another_build() -> None:
    result = finish(start("score", "--device", "cuda"), b"the cat\n")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("lmscore: error: device 'cuda': the installed ONNX Runtime has no")
    assert result.err.count("\n") == 1


@build_without_gpu
def test_auto_prints_what_the_cpu_prints() -> None:
    anywhere = finish(start("score"), b"the cat\n")
    on_cpu = finish(start("score", "--device", "cpu"), b"the cat\n")
    assert anywhere == on_cpu
    assert anywhere.status == 0


def test_a_device_that_nobody_knows() -> None:
    result = finish(start("score", "--device", "gpu"), b"the cat\n")
    assert (result.status, result.out) == (2, "")
    message = "--device must be auto, cpu, cuda or cuda:N, not 'gpu'"
    assert result.err == f"lmscore: error: {message}\n"
