from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from lmscore.errors import DeviceError, MissingExtraError, ModelError, OptionError
from lmscore.runtime.engine import sessions as ort
from lmscore.runtime.engine.sessions import CPU, CUDA, TENSORRT, check_version, open_session

GPU_BUILD = [TENSORRT, CUDA, CPU]
CPU_BUILD = ["AzureExecutionProvider", CPU]


def cuda(device_id: str) -> ort.Provider:
    return CUDA, {"device_id": device_id, "use_tf32": "0"}


@pytest.mark.parametrize(
    ("device", "available", "expected"),
    [
        ("auto", CPU_BUILD, [CPU]),
        ("cpu", CPU_BUILD, [CPU]),
        ("cpu", GPU_BUILD, [CPU]),
        ("auto", GPU_BUILD, [cuda("0"), CPU]),
        ("cuda", GPU_BUILD, [cuda("0"), CPU]),
        ("cuda:1", GPU_BUILD, [cuda("1"), CPU]),
    ],
)
def test_a_device_is_a_list_of_providers(
    device: str, available: list[str], expected: list[ort.Provider]
) -> None:
    assert ort.choose_providers(device, available) == expected


@pytest.mark.parametrize(
    "device", ["", "gpu", "cuda:", "cuda:-1", "cuda:0 ", "cuda:0x1", "CPU", "cpu:0", None]
)
def test_an_unknown_device_is_refused(device: Any) -> None:
    with pytest.raises(OptionError, match=r"device must be auto, cpu, cuda or cuda:N, not"):
        ort.choose_providers(device, GPU_BUILD)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_needs_a_build_that_has_it(device: str) -> None:
    with pytest.raises(DeviceError, match=rf"{device}'.* has no CUDA .*\.\[gpu\]"):
        ort.choose_providers(device, CPU_BUILD)


def test_a_provider_that_was_not_given_is_an_error_with_its_reason() -> None:
    ort.check_honoured([CUDA, CPU], [CUDA, CPU])
    with pytest.raises(DeviceError, match=rf"{CUDA} cannot be used: no libcudart here; .*\[gpu\]"):
        ort.check_honoured([CUDA, CPU], [CPU], "no libcudart\n here\n")
    with pytest.raises(DeviceError, match=r"gives no reason; it needs an NVIDIA GPU"):
        ort.check_honoured([CUDA], [CPU])
    with pytest.raises(DeviceError, match=r"TensorRT libraries; else use device cpu"):
        ort.check_honoured([TENSORRT, CPU], [CPU])
    with pytest.raises(DeviceError, match=r"Azure.* gives no reason; use device cpu"):
        ort.check_honoured(["AzureExecutionProvider"], [CPU])


def test_providers_are_checked_by_name() -> None:
    ort.check_providers([CPU], CPU_BUILD)
    with pytest.raises(OptionError, match=rf"'{CUDA}' \(there: Azure.*, {CPU}\)"):
        ort.check_providers([CUDA, CPU], CPU_BUILD)
    with pytest.raises(OptionError, match=r"at least one"):
        ort.check_providers([], CPU_BUILD)
    with pytest.raises(OptionError, match=rf"a list of names, not '{CPU}'"):
        ort.check_providers(CPU, CPU_BUILD)


def test_cuda_by_name_is_cuda_by_device(monkeypatch: pytest.MonkeyPatch) -> None:
    build = SimpleNamespace(get_available_providers=lambda: GPU_BUILD)
    monkeypatch.setattr(ort, "import_onnxruntime", lambda: build)
    assert ort.find_providers("auto", [CUDA, CPU]) == ort.find_providers("cuda", None)


def test_both_builds_in_one_folder_are_an_error(tmp_path: Path) -> None:
    ort.check_builds(tmp_path)
    (tmp_path / "onnxruntime-1.31.1.dist-info").mkdir()
    (tmp_path / "onnxruntime_extensions-0.1.dist-info").mkdir()
    ort.check_builds(tmp_path)
    (tmp_path / "onnxruntime_gpu-1.31.1.dist-info").mkdir()
    with pytest.raises(
        MissingExtraError, match=r"both installed .* pip uninstall .*the extra 'cpu'.*'gpu'"
    ):
        ort.check_builds(tmp_path)


def test_no_build_at_all_names_both_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"'\.\[cpu\]' \(for CUDA: 'gpu'\)"):
        open_session("model.onnx")


def test_a_cell_says_which_version_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.31.1")
    check_version("lstm")
    with pytest.raises(
        MissingExtraError, match=r"gated-delta needs ONNX Runtime 1\.32 or newer, an"
    ):
        check_version("gated-delta")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: GPU_BUILD)
    with pytest.raises(
        MissingExtraError, match=r"1\.31\.1 is installed: .* pip uninstall onnxrunti"
    ):
        check_version("gated-delta")
    monkeypatch.setattr(onnxruntime, "__version__", "1.32.0")
    check_version("gated-delta")
    monkeypatch.setattr(onnxruntime, "__version__", "2.0.0")
    check_version("gated-delta")


def test_threads_default_to_the_cores_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "usable_cores", lambda: 5)
    assert ort.session_options(None).intra_op_num_threads == 5
    assert ort.session_options(3).intra_op_num_threads == 3


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_must_be_positive(threads: int) -> None:
    with pytest.raises(OptionError, match=rf"threads must be an integer in 1..1024, not {threads}"):
        ort.session_options(threads)


@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"providers": [CPU]}, {"threads": 1}])
def test_a_session_on_the_cpu_prints_nothing(
    model_path: Path, capfd: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    session = open_session(model_path / "model.onnx", **options)
    assert ort.session_device(session) == "cpu"
    assert capfd.readouterr() == ("", "")


class Sessions:
    """Sessions of a GPU build on a machine without CUDA: they fall back to the CPU, or fail."""

    failure: str | None = None

    def __init__(self, path: str, *_: object, providers: list[Any], **options: object) -> None:
        assert options == {"enable_fallback": 0}, "falling back prints to stdout"
        if path == "damaged" or (self.failure and providers != [CPU]):
            raise RuntimeError(self.failure or "no protobuf")

    @staticmethod
    def get_providers() -> list[str]:
        return [CPU]


@pytest.fixture
def gpu_build(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An onnxruntime of the GPU build, as far as it is asked here."""
    build: Any = ModuleType("onnxruntime")
    exec("def preload_dlls(): print('Failed to load', 'libcublas')", vars(build))
    build.__version__ = "0"
    build.SessionOptions = SimpleNamespace
    build.InferenceSession = Sessions
    build.severities = []
    build.set_default_logger_severity = build.severities.append
    build.get_available_providers = lambda: GPU_BUILD
    monkeypatch.setattr(ort, "import_onnxruntime", lambda: build)
    return build


EXPLICIT: list[dict[str, Any]] = [{"device": "cuda"}, {"providers": [CUDA, CPU]}]


@pytest.mark.parametrize("options", EXPLICIT)
def test_explicit_cuda_that_falls_back_is_an_error(
    gpu_build: Any, capsys: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    with pytest.raises(DeviceError, match=rf"{CUDA} cannot be used: Failed to load libcublas; it"):
        open_session("model.onnx", **options)
    assert capsys.readouterr() == ("", "")
    assert "print" not in vars(gpu_build)
    assert gpu_build.severities == [4, 2]


@pytest.mark.parametrize("options", EXPLICIT)
def test_a_library_that_preloading_does_not_miss_is_the_reason(
    gpu_build: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    gpu_build.preload_dlls = lambda: None
    gpu_build.__file__ = str(tmp_path / "__init__.py")  # where capi/ has no library at all
    with pytest.raises(DeviceError, match=r"used: \S*onnxruntime_providers_cuda\.\S+: "):
        open_session("model.onnx", **options)


@pytest.mark.parametrize("options", EXPLICIT)
def test_an_error_of_cuda_is_the_reason(
    gpu_build: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(Sessions, "failure", "CUDA failure 101: invalid device ordinal")
    with pytest.raises(DeviceError, match=r"used: CUDA failure 101: invalid device ordinal; it"):
        open_session("model.onnx", **options)
    with pytest.raises(ModelError, match=r"damaged: ONNX Runtime 0 cannot load it"):
        open_session("damaged", **options)


@pytest.mark.usefixtures("any_device")
@pytest.mark.usefixtures("gpu_build")
def test_auto_takes_the_cpu_it_got_and_logs_why(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="lmscore"):
        assert ort.session_device(open_session("model.onnx")) == "cpu"
    assert capsys.readouterr() == ("", "")
    assert f"using the CPU: {CUDA} cannot be used: Failed to load libcublas" in caplog.text


def test_a_session_on_cuda_says_which_gpu() -> None:
    session: Any = SimpleNamespace(
        get_providers=lambda: [CUDA, CPU],
        get_provider_options=lambda: {CUDA: {"device_id": "1"}, CPU: {}},
    )
    assert ort.session_device(session) == "cuda:1"
    assert ort.is_cuda("cuda:1")


@pytest.mark.parametrize(
    ("provider", "device"),
    [(TENSORRT, "cuda:0"), (CPU, "cpu"), ("CoreMLExecutionProvider", "coreml")],
)
def test_a_device_has_a_name(provider: str, device: str) -> None:
    session: Any = SimpleNamespace(
        get_providers=lambda: [provider, CPU], get_provider_options=lambda: {provider: {}}
    )
    assert ort.session_device(session) == device
    assert ort.is_cuda(device) == (provider == TENSORRT)
