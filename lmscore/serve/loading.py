"""Models loaded whole: what changes in a directory afterwards cannot reach the numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lmscore.errors import ModelError
from lmscore.runtime.load import find_model
from lmscore.runtime.model import LanguageModel

Load = Callable[[Path], LanguageModel]


def load_whole(path: Path | None, load: Load) -> LanguageModel:
    """Load a model, and open now what is otherwise opened when it is first needed.

    Args:
        path: a model directory; None: as `lmscore.load` has it.
        load: loads one.

    Raises:
        ModelError: the directory changed while it was read.
        LmscoreError: as `lmscore.load`.
    """
    found = find_model(path)
    before = _files(found)
    lm = load(found)
    if lm.engine.workers is not None:
        lm.engine.workers.submit(lambda _: None).result()
    if _files(found) != before:
        raise ModelError(f"{found}: changed while it was loaded; load it again")
    return lm


def _files(path: Path) -> list[tuple[str, int, int, int]]:
    """Name, inode, size and time of every file of a model; none where there is no model."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = ((file.name, file.stat()) for file in files if file.is_file())
    return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
