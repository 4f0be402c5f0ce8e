"""Which directory, which variant, which device; and what is said when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lmscore.bundle import CONFIG_FILE, TOKENIZER_FILE, graph_file
from lmscore.errors import (
    DeviceError,
    ModelError,
    ModelNotFoundError,
    OptionError,
    VariantError,
)
from lmscore.runtime import load as loading
from lmscore.runtime.engine import default_device
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.load import find_model, load
from tests.models import make_model


@pytest.fixture
def copy(model_path: Path, tmp_path: Path) -> Path:
    """A model directory to spoil."""
    return Path(shutil.copytree(model_path, tmp_path / "model"))


def test_path_then_variable_then_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    monkeypatch.setattr(loading, "BUNDLED_MODEL", bundled)
    monkeypatch.setenv("LMSCORE_MODEL", "from-variable")
    assert find_model("from-argument") == Path("from-argument")
    assert find_model() == Path("from-variable")
    monkeypatch.setenv("LMSCORE_MODEL", "")
    assert find_model() == bundled
    monkeypatch.delenv("LMSCORE_MODEL")
    assert find_model() == bundled
    bundled.rmdir()
    with pytest.raises(ModelNotFoundError, match=r"no bundled model .* or set LMSCORE_MODEL"):
        find_model()
    with pytest.raises(ModelNotFoundError, match="name is empty"):
        find_model("")


def test_variable_is_loaded(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMSCORE_MODEL", str(model_path))
    assert load().path == model_path


def test_int8_is_the_default_on_the_cpu(copy: Path) -> None:
    assert load(copy).variant == "int8"
    assert load(copy, device="cpu").variant == "int8"
    assert load(copy, providers=["CPUExecutionProvider"]).variant == "int8"
    assert load(copy, variant="fp32").variant == "fp32"
    (copy / graph_file("int8")).unlink()
    assert load(copy).variant == "fp32"


def test_missing_variants(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_providers", lambda device, providers: [])
    with pytest.raises(VariantError, match=r"no variant 'fp16' \(there: fp32, int8\)"):
        load(copy, variant="fp16")
    (copy / graph_file("fp32")).unlink()
    asked = pretend_cuda(monkeypatch, works=True)
    with pytest.raises(VariantError, match=r"none of fp16, fp32 is exported \(there: int8\)"):
        load(copy, device="cuda")
    assert asked == [("int8", "cuda")]
    (copy / graph_file("int8")).unlink()
    with pytest.raises(VariantError, match=r"no exported graph; make one: lmscore export .*model"):
        load(copy)


def test_a_device_that_does_not_work_is_told_before_a_missing_variant(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_providers", lambda device, providers: [])
    pretend_cuda(monkeypatch, works=False)
    (copy / graph_file("fp32")).unlink()
    for variant in (None, "fp16"):
        with pytest.raises(DeviceError, match="no GPU"):
            load(copy, device="cuda", variant=variant)


def test_a_missing_variant_is_told_whatever_the_others_are(copy: Path) -> None:
    (copy / graph_file("fp32")).write_bytes(b"damaged")
    with pytest.raises(VariantError, match="no variant 'fp16'"):
        load(copy, device="cpu", variant="fp16")


def pretend_cuda(monkeypatch: pytest.MonkeyPatch, *, works: bool) -> list[tuple[str, str]]:
    """A build of ONNX Runtime with CUDA, on a machine where it works or not."""
    asked = []
    real = Graph.load.__func__  # type: ignore[attr-defined]

    def fake(cls: type[Graph], /, bundle: Any, variant: str, *, device: str, **rest: Any) -> Graph:
        asked.append((variant, device))
        if device != "cpu" and not works:
            raise DeviceError("no GPU")
        graph: Graph = real(cls, bundle, variant, device="cpu", **rest)
        graph.device = "cpu" if device == "cpu" else "cuda:0"
        return graph

    class Build:
        @staticmethod
        def get_available_providers() -> list[str]:
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr(Graph, "load", classmethod(fake))
    monkeypatch.setattr(loading, "import_onnxruntime", Build)
    return asked


def test_the_environment_names_the_device(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMSCORE_DEVICE", "tpu")
    with pytest.raises(OptionError, match=r"^\$LMSCORE_DEVICE: device must be auto, cpu, cuda or"):
        load(model_path)
    assert load(model_path, device="cpu").device == "cpu"  # what is said outright goes first
    monkeypatch.setenv("LMSCORE_DEVICE", "cuda:9")
    with pytest.raises(DeviceError):  # as if the option had named it
        load(model_path)
    for value in ("", "auto", "cpu"):
        monkeypatch.setenv("LMSCORE_DEVICE", value)
        assert default_device("auto") == (value or "auto")
        assert default_device("cuda:1") == "cuda:1"


@pytest.mark.usefixtures("any_device")
def test_auto_takes_cuda_where_it_works(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend_cuda(monkeypatch, works=True)
    lm = load(copy)
    assert (lm.variant, lm.device) == ("fp32", "cuda:0")
    assert load(copy, variant="int8").device == "cpu"
    assert asked == [("fp32", "cuda"), ("int8", "cpu")]


@pytest.mark.usefixtures("any_device")
def test_fp16_comes_first_on_cuda_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_model(tmp_path, variants=("fp32", "int8", "fp16"))
    assert load(tmp_path, device="cpu").variant == "int8"
    asked = pretend_cuda(monkeypatch, works=True)
    monkeypatch.setattr(loading, "find_providers", lambda device, providers: [])
    for device in ("auto", "cuda"):
        lm = load(tmp_path, device=device)
        assert (lm.variant, lm.device) == ("fp16", "cuda:0")
    assert asked == [("fp16", "cuda")] * 2


def test_fp16_scores_on_the_cpu_too(tmp_path: Path) -> None:
    make_model(tmp_path, variants=("fp32", "fp16"))
    half, single = (load(tmp_path, variant=variant) for variant in ("fp16", "fp32"))
    texts = ["the cat sat on the mat", "", "so long"]
    for ours, theirs in zip(half.score_batch(texts), single.score_batch(texts), strict=True):
        assert ours.log_prob == pytest.approx(theirs.log_prob, abs=0.002 * theirs.num_tokens)
        assert ours.log_prob != theirs.log_prob


@pytest.mark.usefixtures("any_device")
def test_auto_falls_back_to_the_cpu(
    copy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = pretend_cuda(monkeypatch, works=False)
    with caplog.at_level("INFO", logger="lmscore"):
        assert load(copy).device == "cpu"
    assert asked == [("fp32", "cuda"), ("int8", "cpu")]
    assert "using the CPU: no GPU" in caplog.text


@pytest.mark.usefixtures("any_device")
def test_auto_needs_a_variant_for_cuda(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend_cuda(monkeypatch, works=True)
    (copy / graph_file("fp32")).unlink()
    assert load(copy).device == "cpu"
    assert asked == [("int8", "cpu")]


def test_a_wrong_device_is_told_before_a_missing_variant(copy: Path) -> None:
    (copy / graph_file("fp32")).unlink()
    with pytest.raises(DeviceError, match="CUDA"):
        load(copy, device="cuda")
    with pytest.raises(OptionError, match="device must be auto, cpu, cuda or cuda:N, not 'tpu'"):
        load(copy, device="tpu")
    with pytest.raises(OptionError, match="no execution provider 'tpu'"):
        load(copy, providers=["tpu"])


def test_threads(model_path: Path) -> None:
    assert load(model_path, threads=1).score("the").num_tokens == 2
    with pytest.raises(OptionError, match=r"threads must be an integer in 1\.\.1024, not 0"):
        load(model_path, threads=0)


def test_damaged_directories(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no such directory"):
        load(tmp_path / "nowhere")
    graph = copy / graph_file("int8")
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"model_int8\.onnx: \d+ bytes, config\.json says"):
        load(copy)
    (copy / TOKENIZER_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"tokenizer\.json is missing"):
        load(copy, variant="fp32")
    (copy / CONFIG_FILE).write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json: format_version is None"):
        load(copy)


def test_an_unexported_model_says_so_first(copy: Path) -> None:
    for variant in ("fp32", "int8"):
        (copy / graph_file(variant)).unlink()
    with pytest.raises(VariantError, match=r"make one: lmscore export"):
        load(copy)
