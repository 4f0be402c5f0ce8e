"""The GPU build of ONNX Runtime where there is no GPU: it lists CUDA, and falls back in silence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lmscore
from lmscore.errors import DeviceError, OptionError
from lmscore.runtime.engine.sessions import CPU, CUDA, TENSORRT, open_session
from tests.devices import build_without_gpu

pytestmark = build_without_gpu


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"device": "cuda"}, CUDA),
        ({"device": "cuda:1"}, CUDA),
        ({"providers": [CUDA, CPU]}, CUDA),
        ({"providers": [CUDA]}, CUDA),
        ({"providers": [TENSORRT, CPU]}, TENSORRT),
        ({"providers": [CPU, CUDA]}, CUDA),
    ],
)
def test_a_gpu_asked_for_is_an_error_with_cause_and_cure(
    model_path: Path, capfd: pytest.CaptureFixture[str], options: dict[str, Any], name: str
) -> None:
    with pytest.raises(DeviceError) as caught:
        lmscore.load(model_path, **options)
    message = str(caught.value)
    assert message.startswith(f"{name} cannot be used: ")
    assert ".so" in message or ".dll" in message or "TensorRT" in message
    assert message.endswith("use device cpu")
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_what_preloading_cuda_prints_is_the_reason(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "preload_dlls", onnxruntime.preload_dlls)  # puts it back
    exec("def preload_dlls(): print('Failed to load', 'libcublas')", vars(onnxruntime))
    with pytest.raises(DeviceError, match="used: Failed to load libcublas; it needs"):
        open_session(model_path / "model.onnx", device="cuda")


@pytest.mark.usefixtures("any_device")
def test_auto_takes_the_cpu_and_logs_why(
    model_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="lmscore"):
        lm = lmscore.load(model_path)
    assert (lm.device, lm.variant) == ("cpu", "int8")
    assert f"using the CPU: {CUDA} cannot be used: " in caplog.text
    assert lm.score("the cat sat").log_prob < 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("any_device")
def test_opening_a_graph_anywhere_logs_why_it_is_on_the_cpu(
    model_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="lmscore"):
        session = open_session(model_path / "model.onnx")
    assert session.get_providers() == [CPU]
    assert f"using the CPU: {CUDA} cannot be used: " in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"providers": ["Nope", CPU]}, r"no execution provider 'Nope' \(there: Tensorrt"),
        ({"device": "cuda:"}, "device must be"),
        ({"device": "gpu"}, "device must be"),
    ],
)
def test_names_that_nobody_knows(
    model_path: Path, capfd: pytest.CaptureFixture[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        lmscore.load(model_path, **options)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed_even_by_a_process_of_its_own(model_path: Path) -> None:
    script = (
        "import sys, lmscore\n"
        "lm = lmscore.load(sys.argv[1])\n"
        "try:\n"
        "    lmscore.load(sys.argv[1], device='cuda')\n"
        "except lmscore.LmscoreError:\n"
        "    lm = lmscore.load(sys.argv[1], device='cpu')\n"
        "lm.score('the cat')\n"
        "sys.stdout.write('alive')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, model_path], capture_output=True, timeout=60, check=True
    )
    assert (run.stdout, run.stderr) == (b"alive", b"")
