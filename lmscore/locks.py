"""Advisory file locks between processes; a lock ends with the process that holds it.

A lock is `flock`'s, which network file systems pass on to their server (NFS since Linux 2.6.12).
Where a file system or a platform has no locks, work goes on without one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from lmscore.errors import OutputFileError

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (OSError, NameError)


def take_lock(descriptor: int) -> bool | None:
    """Take the lock of an open file until it is closed.

    Returns:
        True if it is taken, False if another process holds it, None where there are no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except _NO_LOCKS:
        return None
    return True


def lock_file(descriptor: int, path: str | Path, *, of: str | Path | None = None) -> None:
    """Take the lock of an open file until it is closed; `path` is its name.

    Args:
        descriptor: of the open file.
        path: its name.
        of: what the lock is for, in errors. Default: the file itself.

    Raises:
        OutputFileError: another process holds it, or has removed the file since it was opened.
    """
    shown = path if of is None else of
    if take_lock(descriptor) is False:
        raise OutputFileError(
            f"{shown}: {_holder(descriptor)} is writing it; wait for its end, or name another "
            "output"
        )
    if not is_open_as(descriptor, path):
        raise OutputFileError(f"{shown}: another run that wrote it has just ended; start again")


def is_open_as(descriptor: int, path: str | Path) -> bool:
    """Whether a path leads to an open file, which another process may have renamed or removed."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    return False


def _holder(descriptor: int) -> str:
    """Name the process that holds a file's lock, as far as the system tells."""
    status = os.fstat(descriptor)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[5] == place and int(fields[4]) > 0:  # 0: in another container
                return f"process {fields[4]}"
    return "another process"
