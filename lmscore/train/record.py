"""train.json: the options of a run, and the options that a resumed run may change."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lmscore.bundle import CHECKPOINTS, CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from lmscore.errors import ModelError, OptionError
from lmscore.files import atomic_write_bytes, open_input_raw
from lmscore.train.checkpoint import checkpoints
from lmscore.train.options import TrainOptions, check_effect, option_fields
from lmscore.train.read_options import relative_to

OPTIONS_FILE = "train.json"

# The options that a resumed run may change: length, speed, place, and help for a diverging loss.
RESUMABLE = tuple(name for name, field in option_fields().items() if field.option.resumable)


_DIRECTORY = "directory"  # the key of the working directory, relative to the run's folder


def write_options(folder: Path, options: TrainOptions) -> None:
    """Record the options of a run, and the directory that their paths are relative to."""
    record = {**options.in_force(), _DIRECTORY: os.path.relpath(Path.cwd(), folder.resolve())}
    atomic_write_bytes(folder / OPTIONS_FILE, json.dumps(record, indent=2).encode())


def resumed_options(output: str | Path, changes: dict[str, Any]) -> TrainOptions:
    """The options of the run in `output`, with `changes` to the ones that may change.

    Paths are as they can be opened from here, wherever the run was started.

    Raises:
        OptionError: there is no run, or a change affects the model, or nothing.
        ModelError: train.json is damaged.
    """
    path = Path(output) / OPTIONS_FILE
    if not path.is_file():
        raise OptionError(
            f"{output}: no run to resume there ({OPTIONS_FILE} is missing); "
            "start it without `resume`"
        )
    values = _read(path)
    for key, value in changes.items():
        recorded = values.get(key)
        if key not in RESUMABLE and value != recorded:
            raise OptionError(
                f"{key} is {value!r}, the run in {output} was started with {recorded!r}; "
                f"only {', '.join(RESUMABLE)} may change"
            )
    check_effect({**values, **changes}, given=changes)
    if "epochs" in changes or "minutes" in changes:
        values.update(epochs=None, minutes=None)
    return TrainOptions(**{**values, **changes, "output": str(output)})


def check_unused(folder: Path, tokenizer: str | None = None) -> None:
    """Raise OptionError if a directory holds a model, a run or a foreign tokenizer, or is a file.

    The files of a run that never came to training may be replaced, and so may `tokenizer`, the
    file that the options name.
    """
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"{folder}: is a file; name a directory to write the model to")
    there = [name for name in (CONFIG_FILE, WEIGHTS_FILE) if (folder / name).exists()]
    there += [f"{CHECKPOINTS}/{path.name}" for path in checkpoints(folder / CHECKPOINTS)]
    if there:
        raise OptionError(
            f"{folder}: holds a model or a run already ({there[0]}); "
            "resume it with `resume`, or name another directory"
        )
    found = folder / TOKENIZER_FILE
    is_ours = (folder / OPTIONS_FILE).exists()
    is_named = tokenizer is not None and found.resolve() == Path(tokenizer).resolve()
    if found.exists() and not is_ours and not is_named:
        raise OptionError(
            f"{found}: is there already, and no run made it; name it with `tokenizer`, or name "
            "another directory to write the model to"
        )


def _read(path: Path) -> dict[str, Any]:
    with open_input_raw(path) as file:
        data = file.read()
    try:
        values: dict[str, Any] = json.loads(data)
        directory = values.pop(_DIRECTORY, None)  # version 0.1.0 had none
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        values.update(lists)
        if values.pop("residual", False):  # of runs started before `connections`
            values["connections"] = "residual"
        values["cutoffs"] = tuple(values.get("cutoffs", ()))
        if directory is not None and (here := _from_here(path.parent / directory)) != Path():
            values = relative_to(here, values)
        TrainOptions(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{path}: not a run that this lmscore can resume ({error}); "
            "train anew in another directory"
        ) from error
    return values


def _from_here(directory: Path) -> Path:
    """A directory relative to the working directory; the latter is `Path()`."""
    return Path(os.path.relpath(directory.resolve()))
