"""ONNX Runtime: import it, choose a device, open a session, and see what was really given."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lmscore.errors import DeviceError, MissingExtraError, ModelError, OptionError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

Provider = str | tuple[str, dict[str, str]]

_ERRORS_ONLY = 3


def import_onnxruntime() -> ModuleType:
    """The onnxruntime module.

    Raises:
        MissingExtraError: it is not installed, or two builds of it overwrite each other.
    """
    spec = importlib.util.find_spec("onnxruntime")
    if spec is not None and spec.origin is not None:
        check_builds(Path(spec.origin).parents[1])
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError(
            f"ONNX Runtime cannot be imported ({error}): "
            "pip install 'lmscore[cpu]', or 'lmscore[gpu]' for CUDA"
        ) from error


def check_builds(folder: Path) -> None:
    """Look for both builds of ONNX Runtime in the folder that packages are installed in.

    Raises:
        MissingExtraError: both are there.
    """
    # Their metadata is found by name: importlib.metadata would add 20 ms to every start.
    builds = {entry.name.split("-")[0] for entry in folder.glob("onnxruntime*.dist-info")}
    if builds >= {"onnxruntime", "onnxruntime_gpu"}:
        raise MissingExtraError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then install one: "
            "pip install 'lmscore[cpu]' or 'lmscore[gpu]'"
        )


def choose_providers(device: str, available: Sequence[str]) -> list[Provider]:
    """The execution providers to ask for, best first: `device` is auto, cpu, cuda or cuda:N.

    Raises:
        OptionError: `device` is none of these.
        DeviceError: CUDA is asked for and this ONNX Runtime was built without it.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise OptionError(f"device must be auto, cpu, cuda or cuda:N, not {device!r}")
    if device == "cpu" or (device == "auto" and CUDA not in available):
        return [CPU]
    if CUDA not in available:
        raise DeviceError(
            f"device {device!r}: the installed ONNX Runtime has no CUDA (it has: "
            f"{', '.join(available)}); pip uninstall onnxruntime, "
            "then pip install 'lmscore[gpu]'"
        )
    return [(CUDA, {"device_id": match[1] or "0"}), CPU]


def check_providers(providers: Sequence[str], available: Sequence[str]) -> None:
    """Hold providers named by the user against those there are.

    Raises:
        OptionError: there is none, or one that this ONNX Runtime does not know.
    """
    if not providers:
        raise OptionError("providers must name at least one execution provider")
    for name in providers:
        if name not in available:
            raise OptionError(f"no execution provider {name!r} (there: {', '.join(available)})")


def find_providers(device: str, providers: Sequence[str] | None) -> list[Provider]:
    """The execution providers to ask for: `providers` if given, else those of `device`.

    Raises:
        MissingExtraError: ONNX Runtime is missing, or installed twice.
        OptionError, DeviceError: as `check_providers` and `choose_providers`.
    """
    available = import_onnxruntime().get_available_providers()
    if providers is None:
        return choose_providers(device, available)
    check_providers(providers, available)
    return list(providers)


def check_honoured(requested: str, actual: Sequence[str], reason: str = "") -> None:
    """Compare the provider asked for with those the session got.

    ONNX Runtime falls back to the CPU without an error, so only the session tells.

    Raises:
        DeviceError: the session does not have the provider; `reason` is what ONNX Runtime said.
    """
    if requested not in actual:
        said = " ".join(reason.split()) or "is there a GPU, and its driver, CUDA and cuDNN?"
        raise DeviceError(f"{requested} could not be used, ONNX Runtime fell back to CPU: {said}")


def session_device(session: InferenceSession) -> str:
    """Where a session runs: `cpu` or `cuda:N`."""
    if session.get_providers()[0] != CUDA:
        return "cpu"
    return f"cuda:{session.get_provider_options()[CUDA].get('device_id', '0')}"


def open_session(
    path: str | Path,
    *,
    device: str = "auto",
    providers: Sequence[str] | None = None,
    threads: int | None = None,
) -> InferenceSession:
    """Load a graph on a device; `providers` overrides `device`; `threads` is for the CPU.

    Raises:
        MissingExtraError: ONNX Runtime is missing, or installed twice.
        OptionError: `device`, `providers` or `threads` is impossible.
        DeviceError: a device or provider asked for by name cannot be used.
        ModelError: ONNX Runtime cannot load the file.
    """
    chosen = find_providers(device, providers)
    session, said = _create(import_onnxruntime(), path, chosen, session_options(threads))
    if providers is not None or device != "auto":
        check_honoured(_name(chosen[0]), session.get_providers(), said)
    return session


def session_options(threads: int | None) -> SessionOptions:
    """Options of every session: errors only in the log, and `threads`.

    Raises:
        OptionError: `threads` is not positive.
    """
    options: SessionOptions = import_onnxruntime().SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = _thread_count(threads)
    return options


def _thread_count(threads: int | None) -> int:
    """The number to give ONNX Runtime, 0 for its own default: one thread per physical core."""
    if threads is not None:
        if threads < 1:
            raise OptionError(f"threads must be 1 or more, not {threads}")
        return threads
    if not hasattr(os, "sched_getaffinity"):
        return 0
    allowed = len(os.sched_getaffinity(0))
    # The default pins threads to cores that a container or a job scheduler may have withheld.
    return allowed if allowed < (os.cpu_count() or allowed) else 0


def _create(
    onnxruntime: ModuleType, path: str | Path, providers: list[Provider], options: SessionOptions
) -> tuple[InferenceSession, str]:
    """A session, and what ONNX Runtime printed meanwhile: it belongs in errors, not on stdout."""
    said = io.StringIO()
    # Only the CPU alone is sure to print nothing; sys.stdout is shared by all threads.
    quiet = contextlib.nullcontext() if providers == [CPU] else contextlib.redirect_stdout(said)
    try:
        with quiet:
            session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise ModelError(
            f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it: "
            + " ".join(str(error).split())
        ) from error
    return session, said.getvalue()


def _name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]
