"""Options of a training run from a TOML file or a mapping."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from lmscore.bundle import TOKENIZER_KINDS
from lmscore.errors import InputFileError, OptionError
from lmscore.files import open_input_raw
from lmscore.train.inherit import with_inherited
from lmscore.train.options import Field, TrainOptions, check_effect, check_values, option_fields


def read_toml(path: str | Path) -> dict[str, Any]:
    """The options in a TOML file: keys are the fields of TrainOptions, paths relative to the file.

    Raises:
        InputFileError: the file cannot be read.
        OptionError: the file is not TOML, or has an unknown key.
    """
    with open_input_raw(path) as file:
        data = file.read()
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputFileError(f"{path}: not UTF-8") from error
    except (ValueError, RecursionError) as error:  # too many digits, nested too deep
        raise OptionError(f"{path}: not TOML: {error}") from error
    for key in values:
        if key not in option_fields():
            raise OptionError(f"{path}: unknown key {key!r}")
    return relative_to(Path(path).parent, values)


def relative_to(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, whose paths are relative to a folder, with paths that can be opened.

    Lists become tuples. Raises OptionError for what cannot be the name of a file.
    """
    return {key: _from_folder(folder, option_fields()[key], values[key]) for key in values}


def _from_folder(folder: Path, field: Field, value: Any) -> Any:
    """An option's value; its paths are made relative to the folder."""
    is_list = get_origin(field.type) is tuple
    if not field.option.path:
        return tuple(value) if is_list and isinstance(value, list) else value
    if is_list:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise OptionError(
                f"{field.name} is {value!r}, expected the name of a file, or a list of them"
            )
        return tuple(_named_path(folder, field, name) for name in names)
    is_kind = field.name == "tokenizer" and value in TOKENIZER_KINDS
    return str(folder / value) if isinstance(value, str) and value and not is_kind else value


def _named_path(folder: Path, field: Field, given: str) -> str:
    name, mark, path = given.partition("=")
    if field.option.named and mark and path and not (folder / given).exists():
        return f"{name}={folder / path}"
    return str(folder / given)


def make_options(values: Mapping[str, Any]) -> TrainOptions:
    """Options from a mapping that names `train` and `output`.

    Raises:
        OptionError: one of the two is missing, a value is not allowed, or has no effect.
        ModelNotFoundError, ModelError: the model that `init_from` names cannot be read.
    """
    for key, what in (("train", "text to train on"), ("output", "a model directory to write")):
        if not values.get(key):
            raise OptionError(f"{key} is missing: name {what}")
    check_values(values)
    check_effect(values)
    if values.get("vocabulary"):  # its words are spelt as texts are read, unless a step is given
        values = {"tokenizer": "word", "normalization": "none", **values}
    inherited = with_inherited(values)
    check_effect(inherited, given=values)  # the model may have one layer, say
    return TrainOptions(**inherited)
