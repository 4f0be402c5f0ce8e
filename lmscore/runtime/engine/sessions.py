"""ONNX Runtime: import it, choose a device, open a session, and check which device it got."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import os
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypedDict

from lmscore.bundle import CELLS
from lmscore.errors import (
    DeviceError,
    MissingExtraError,
    ModelError,
    OptionError,
    how_to_install,
)
from lmscore.forks import fork_safe_lock, undivided
from lmscore.names import Cell
from lmscore.runtime.arguments import check_device, check_threads
from lmscore.runtime.engine.cores import usable_cores

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

CPU_DEVICE = "cpu"

_DEVICE = "LMSCORE_DEVICE"

Provider = str | tuple[str, dict[str, str]]


class Placement(TypedDict, total=False):
    """The options of `open_session`: where a session runs, and on how many cores."""

    device: str
    providers: Sequence[str] | None
    threads: int | None


_WARNINGS, _FATAL_ONLY = 2, 4
_ON_CUDA = {CUDA, TENSORRT}

_log = logging.getLogger("lmscore")
_preloading = fork_safe_lock()
_sessions: weakref.WeakSet[InferenceSession] = weakref.WeakSet()


def import_onnxruntime() -> ModuleType:
    """Import and return the onnxruntime module.

    From 1.29 on it sends telemetry to its makers, on most systems from its import on, in a thread
    of its own. This turns telemetry off unless the environment sets the variable for it.

    Raises:
        MissingExtraError: it is not installed, or two builds of it overwrite each other.
    """
    spec = importlib.util.find_spec("onnxruntime")
    if spec is not None and spec.origin is not None:
        check_builds(Path(spec.origin).parents[1])
    is_first = "onnxruntime" not in sys.modules
    is_quiet = os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1") == "1"
    try:
        module = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError(
            f"ONNX Runtime cannot be imported ({error}): {how_to_install('cpu')} (for CUDA: 'gpu')"
        ) from error
    if is_first and is_quiet:
        module.disable_telemetry_events()  # on Windows the variable is not enough
    return module


def check_builds(folder: Path) -> None:
    """Raise MissingExtraError if a folder of packages has both builds of ONNX Runtime."""
    # Their metadata is found by name: importlib.metadata would add 20 ms to every start.
    builds = {entry.name.split("-")[0] for entry in folder.glob("onnxruntime*.dist-info")}
    if builds >= {"onnxruntime", "onnxruntime_gpu"}:
        raise MissingExtraError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then "
            f"{how_to_install('cpu')} (for CUDA: 'gpu')"
        )


def check_version(cell: Cell) -> None:
    """Raise MissingExtraError if the installed ONNX Runtime is older than a cell's operator."""
    needed = CELLS[cell].needs_onnxruntime
    if needed is None:
        return
    onnxruntime = import_onnxruntime()
    version = onnxruntime.__version__
    if tuple(map(int, version.split(".")[:2])) >= needed:
        return
    cure = "pip install --upgrade onnxruntime"
    if CUDA in onnxruntime.get_available_providers():
        cure = (
            "where onnxruntime-gpu has no such version yet, pip uninstall onnxruntime-gpu, then "
            f"{how_to_install('cpu')}"
        )
    raise MissingExtraError(
        f"the cell {cell} needs ONNX Runtime {'.'.join(map(str, needed))} or newer, and {version} "
        f"is installed: {cure}"
    )


def default_device(device: str) -> str:
    """Return `device`; for "auto", the one that $LMSCORE_DEVICE names, if it is set.

    Raises:
        OptionError: the variable names no device.
    """
    named = os.environ.get(_DEVICE) if device == "auto" else None
    if not named:
        return device
    try:
        check_device(named)
    except OptionError as error:
        raise OptionError(f"${_DEVICE}: {error}") from error
    return named


def choose_providers(device: str, available: Sequence[str]) -> list[Provider]:
    """The execution providers to ask for, best first: `device` is auto, cpu, cuda or cuda:N.

    Raises:
        OptionError: `device` is none of these.
        DeviceError: CUDA is asked for and this ONNX Runtime was built without it.
    """
    check_device(device)
    if device == "cpu" or (device == "auto" and CUDA not in available):
        return [CPU]
    if CUDA not in available:
        raise DeviceError(
            f"device {device!r}: the installed ONNX Runtime has no CUDA (it has: "
            f"{', '.join(available)}); pip uninstall onnxruntime, "
            f"then {how_to_install('gpu')}"
        )
    return [_cuda(device.partition(":")[2] or "0"), CPU]


def check_providers(providers: Sequence[str], available: Sequence[str]) -> None:
    """Raise OptionError unless `providers` is a non-empty list of available providers."""
    given: object = providers
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise OptionError(f"providers must be a list of names, not {providers!r}")
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
    return [_cuda("0") if name == CUDA else name for name in providers]


def _cuda(device_id: str) -> Provider:
    # TF32 would round the factors of every matrix product to 10 bits: fp32 in name only.
    return CUDA, {"device_id": device_id, "use_tf32": "0"}


def check_honoured(requested: Sequence[str], actual: Sequence[str], reason: str = "") -> None:
    """Raise DeviceError if a session lacks a requested provider; `reason` is ONNX Runtime's.

    ONNX Runtime falls back to the CPU without an error, so only the session tells.
    """
    for name in requested:
        if name not in actual:
            said = " ".join(reason.split()) or "ONNX Runtime gives no reason"
            raise DeviceError(f"{name} cannot be used: {said}; {_NEEDS.get(name, _OTHERWISE)}")


_OTHERWISE = "use device cpu"
_NEEDS = {
    CUDA: "it needs an NVIDIA GPU, its driver, and CUDA and cuDNN; for the last two "
    f"{how_to_install('gpu')}; else {_OTHERWISE}",
    TENSORRT: f"it needs an NVIDIA GPU and the TensorRT libraries; else {_OTHERWISE}",
}


def is_cuda(device: str) -> bool:
    """Return whether a session's device is an NVIDIA GPU."""
    return device.startswith("cuda:")


def session_device(session: InferenceSession) -> str:
    """The device of a session: `cpu`, `cuda:N`, or the name of another provider's device."""
    best = session.get_providers()[0]
    if best in _ON_CUDA:
        return f"cuda:{session.get_provider_options()[best].get('device_id', '0')}"
    return str(best).removesuffix("ExecutionProvider").lower()


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
    device = default_device(device)
    chosen = find_providers(device, providers)
    session, reason = _create(path, chosen, session_options(threads))
    try:
        check_honoured([_name(provider) for provider in chosen], session.get_providers(), reason)
    except DeviceError as error:
        if providers is not None or device != "auto":
            raise
        _log.info("using the CPU: %s", error)
    _sessions.add(session)
    return session


_held_in_fork: list[list[InferenceSession]] = []


def _keep_inherited_sessions() -> None:
    """Keep the sessions that a forked process inherits from ever being freed.

    Freeing a session waits for its threads, which stayed behind in the parent
    (https://github.com/microsoft/onnxruntime/pull/31961). Unused sessions wait for the garbage
    collector, which may run in the child; so all sessions are held from before the fork on.
    """
    for session in _held_in_fork.pop():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _held_in_fork.append(list(_sessions)),
        after_in_parent=_held_in_fork.pop,
        after_in_child=_keep_inherited_sessions,
    )


def session_options(threads: int | None) -> SessionOptions:
    """The options of every session: `threads`, and no log, since errors come as exceptions."""
    options: SessionOptions = import_onnxruntime().SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = thread_count(threads)
    return options


def thread_count(threads: int | None) -> int:
    """The number of CPU threads: as given, else one for each core that the process may use.

    Raises:
        OptionError: `threads` is not an integer in 1..1024.
    """
    if threads is None:
        # Given to ONNX Runtime explicitly: its own default pins threads to cores that a container
        # or a job scheduler may have withheld.
        return usable_cores()
    check_threads(threads)
    return threads


def _create(
    path: str | Path, providers: list[Provider], options: SessionOptions
) -> tuple[InferenceSession, str]:
    """Open a session; return it, and why it lacks a provider that was asked for, if known.

    ONNX Runtime's own fallbacks are turned off: they print to stdout, now and in later runs.
    """
    onnxruntime = import_onnxruntime()
    wants_cuda = not _ON_CUDA.isdisjoint(map(_name, providers))
    said = _preload_cuda(onnxruntime) if wants_cuda else ""
    try:
        quiet = _without_complaints(onnxruntime) if wants_cuda else nullcontext()
        with undivided(), quiet:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=providers, enable_fallback=0
            )
    except Exception as error:
        if providers == [CPU]:
            raise ModelError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it: "
                + " ".join(str(error).split())
            ) from error
        on_cpu, _ = _create(path, [CPU], options)  # or it is the file that is wrong
        return on_cpu, str(error)
    if wants_cuda and session.get_providers() == [CPU]:
        return session, said or _missing_library(onnxruntime)
    return session, ""


def _preload_cuda(onnxruntime: ModuleType) -> str:
    """Load CUDA and cuDNN from their pip packages, where no loader looks; return its errors."""
    said: list[str] = []
    names = vars(onnxruntime)
    # preload_dlls prints. Other threads write data to sys.stdout, so it must not be swapped.
    with _preloading:
        names["print"] = lambda *words: said.extend(map(str, words))
        try:
            onnxruntime.preload_dlls()
        finally:
            del names["print"]
    return " ".join(said)


@contextmanager
def _without_complaints(onnxruntime: ModuleType) -> Iterator[None]:
    """Keep ONNX Runtime's messages on missing libraries off stderr: our error has them."""
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)


def _missing_library(onnxruntime: ModuleType) -> str:
    """Say which library keeps ONNX Runtime's from loading: CUDA, cuDNN or the driver."""
    on_windows = sys.platform == "win32"
    name = "onnxruntime_providers_cuda.dll" if on_windows else "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(str(Path(onnxruntime.__file__ or "").parent / "capi" / name))
    except OSError as error:
        return str(error)
    return ""


def _name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]
