"""Call functions in processes of their own.

ONNX Runtime's threads keep a processor busy for a while after each run, and slow down anything
measured in the same process. Only a new process can tell its own peak of memory.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from lmscore.errors import DeviceError
from lmscore.forks import interrupts_held

Result = TypeVar("Result")


def apart(function: Callable[..., Result], *arguments: object, count: int = 1) -> list[Result]:
    """Call a function in each of `count` new processes, all at once, and wait for the results.

    Errors of the function are raised here. Function, arguments and result are pickled.

    Raises:
        DeviceError: a process was ended from outside.
    """
    context = get_context("spawn")  # a fork would bring threads and memory along
    started: list[tuple[BaseProcess, Connection]] = []
    try:
        for _ in range(count):
            receiver, sender = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(
                target=_call, args=(sender, function, arguments), daemon=True
            )
            with interrupts_held():
                process.start()
            sender.close()  # so that the end of the process is the end of the pipe
            started.append((process, receiver))
        return [_outcome(process, receiver) for process, receiver in started]
    finally:
        for process, receiver in started:
            process.terminate()
            process.join()
            receiver.close()


def _call(
    sender: Connection, function: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    if sys.platform == "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sender.send((function(*arguments), None))
    except Exception as error:
        sender.send((None, error))


def _outcome(process: BaseProcess, receiver: Connection) -> Any:
    try:
        result, error = receiver.recv()
    except EOFError:
        process.join()
        raise DeviceError(
            f"a measuring process ended too early (exit code {process.exitcode}); "
            "is there enough memory?"
        ) from None
    if error is not None:
        raise error
    return result


def peak_memory() -> int | None:
    """The peak memory of this process, in bytes; None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        if sys.platform == "win32":
            return None
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    # getrusage would count the parent's memory, from before this program was loaded.
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024
