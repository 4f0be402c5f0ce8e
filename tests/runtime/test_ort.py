from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lmscore.errors import DeviceError, MissingExtraError, OptionError
from lmscore.runtime import ort
from lmscore.runtime.ort import CPU, CUDA, open_session

TENSORRT = "TensorrtExecutionProvider"
GPU_BUILD = [TENSORRT, CUDA, CPU]
CPU_BUILD = ["AzureExecutionProvider", CPU]


@pytest.mark.parametrize(
    ("device", "available", "expected"),
    [
        ("auto", CPU_BUILD, [CPU]),
        ("cpu", CPU_BUILD, [CPU]),
        ("cpu", GPU_BUILD, [CPU]),
        ("auto", GPU_BUILD, [(CUDA, {"device_id": "0"}), CPU]),
        ("cuda", GPU_BUILD, [(CUDA, {"device_id": "0"}), CPU]),
        ("cuda:1", GPU_BUILD, [(CUDA, {"device_id": "1"}), CPU]),
    ],
)
def test_a_device_is_a_list_of_providers(
    device: str, available: list[str], expected: list[ort.Provider]
) -> None:
    assert ort.choose_providers(device, available) == expected


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:-1", "cuda:0 ", "CPU", "cpu:0"])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(OptionError, match=r"device must be auto, cpu, cuda or cuda:N, not"):
        ort.choose_providers(device, GPU_BUILD)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_needs_a_build_that_has_it(device: str) -> None:
    with pytest.raises(DeviceError, match=rf"{device}'.* has no CUDA .*lmscore\[gpu\]"):
        ort.choose_providers(device, CPU_BUILD)


def test_a_provider_that_was_not_given_is_an_error_with_its_reason() -> None:
    ort.check_honoured(CUDA, [CUDA, CPU])
    with pytest.raises(DeviceError, match=r"fell back to CPU: no libcudart here"):
        ort.check_honoured(CUDA, [CPU], "no libcudart\n here\n")
    with pytest.raises(DeviceError, match=r"is there a GPU"):
        ort.check_honoured(CUDA, [CPU])


def test_providers_are_checked_by_name() -> None:
    ort.check_providers([CPU], CPU_BUILD)
    with pytest.raises(OptionError, match=rf"'{CUDA}' \(there: Azure.*, {CPU}\)"):
        ort.check_providers([CUDA, CPU], CPU_BUILD)
    with pytest.raises(OptionError, match=r"at least one"):
        ort.check_providers([], CPU_BUILD)


def test_both_builds_in_one_folder_are_an_error(tmp_path: Path) -> None:
    ort.check_builds(tmp_path)
    (tmp_path / "onnxruntime-1.31.1.dist-info").mkdir()
    (tmp_path / "onnxruntime_extensions-0.1.dist-info").mkdir()
    ort.check_builds(tmp_path)
    (tmp_path / "onnxruntime_gpu-1.31.1.dist-info").mkdir()
    with pytest.raises(MissingExtraError, match=r"both installed .* pip uninstall .*install one"):
        ort.check_builds(tmp_path)


def test_no_build_at_all_names_both_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"lmscore\[cpu\]', or 'lmscore\[gpu\]"):
        open_session("model.onnx")


@pytest.mark.parametrize(
    ("allowed", "cores", "expected"), [({0, 1}, 2, 0), ({3}, 8, 1), ({0, 5}, 8, 2), ({0}, None, 0)]
)
def test_threads_default_to_the_cores_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], cores: int | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert ort.session_options(None).intra_op_num_threads == expected
    assert ort.session_options(3).intra_op_num_threads == 3


def test_threads_are_left_to_onnx_runtime_where_affinity_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert ort.session_options(None).intra_op_num_threads == 0


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_must_be_positive(threads: int) -> None:
    with pytest.raises(OptionError, match=rf"threads must be 1 or more, not {threads}"):
        ort.session_options(threads)


@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"providers": [CPU]}, {"threads": 1}])
def test_a_session_on_the_cpu_prints_nothing(
    model_path: Path, capfd: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    session = open_session(model_path / "model.onnx", **options)
    assert ort.session_device(session) == "cpu"
    assert capfd.readouterr() == ("", "")


class FallenBack:
    """An onnxruntime of the GPU build on a machine without CUDA, as far as it is asked here."""

    SessionOptions = SimpleNamespace
    __version__ = "0"

    @staticmethod
    def get_available_providers() -> list[str]:
        return GPU_BUILD

    @staticmethod
    def InferenceSession(*_: object, **__: object) -> object:  # noqa: N802
        print("*** EP Error: libcudnn.so.9 is missing ***")  # noqa: T201
        return SimpleNamespace(get_providers=lambda: [CPU])


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "import_onnxruntime", FallenBack)


@pytest.mark.usefixtures("without_cuda")
@pytest.mark.parametrize("options", [{"device": "cuda"}, {"providers": [CUDA, CPU]}])
def test_explicit_cuda_that_falls_back_is_an_error(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    with pytest.raises(DeviceError, match=r"fell back to CPU: .*libcudnn.so.9 is missing"):
        open_session("model.onnx", **options)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("without_cuda")
def test_auto_takes_the_cpu_it_got_and_keeps_stdout_clean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ort.session_device(open_session("model.onnx")) == "cpu"
    assert capsys.readouterr().out == ""


def test_a_session_on_cuda_says_which_gpu() -> None:
    session: Any = SimpleNamespace(
        get_providers=lambda: [CUDA, CPU],
        get_provider_options=lambda: {CUDA: {"device_id": "1"}, CPU: {}},
    )
    assert ort.session_device(session) == "cuda:1"
